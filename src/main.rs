//! The `segmentd` binary: everything is in the library, so that tests reach it too.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Set by the Makefile, the image and CI; a build from a source archive has none, and must not fail for it.
    segmentd::cli::main(option_env!("SEGMENTD_REVISION").unwrap_or("unknown revision"))
}
