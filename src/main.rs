//! The `segmentd` binary: everything is in the library, so that tests reach it too.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    segmentd::cli::main()
}
