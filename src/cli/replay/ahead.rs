//! Files of events are read, decompressed and decoded on a thread of their own, ahead of the engine.
//!
//! A stretch at a time: decoder and engine are more code than a processor's first cache holds, and where they share a core, in
//! turns at every event each would drive the other out of it.
//!
//! **Invariant:** stretches come in the order of the file, and no more than so many wait.

use std::path::Path;
use std::thread::Scope;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use indicatif::ProgressBar;

use crate::cli::input::Lines;
use crate::kafka::wire::{DecodeLimits, Decoded, Decoder, RawRecord};

/// How many lines are decoded, then applied, and then written about.
const STRETCH: usize = 64;
/// How many stretches may wait for the engine. More take memory, where records are large, and no time away.
const AHEAD: usize = 4;

/// Some lines of a file: the number of each, and what it was. Lines without anything are left out.
pub type Stretch = Vec<(u64, Decoded)>;

/// Begins to read; after an error nothing more comes.
pub fn read_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    path: &'scope Path,
    decoder: &'scope mut Decoder,
    bar: ProgressBar,
) -> Receiver<anyhow::Result<Stretch>> {
    let (sender, stretches) = bounded(AHEAD);
    scope.spawn(move || {
        if let Err(error) = read(path, decoder, bar, &sender) {
            // Who does not listen any more has an error of its own.
            let _ = sender.send(Err(error));
        }
    });
    stretches
}

fn read(path: &Path, decoder: &mut Decoder, bar: ProgressBar, sender: &Sender<anyhow::Result<Stretch>>) -> anyhow::Result<()> {
    let mut lines = Lines::open(path, DecodeLimits::default().record_bytes, move |bytes| bar.inc(bytes))?;
    let mut number = 0;
    loop {
        let stretch = next_stretch(&mut lines, decoder, &mut number).with_context(|| format!("cannot read {}", path.display()))?;
        if stretch.is_empty() || sender.send(Ok(stretch)).is_err() {
            return Ok(());
        }
    }
}

/// `number`: of the last line that was read. Nothing at the end of the file.
fn next_stretch(lines: &mut Lines, decoder: &mut Decoder, number: &mut u64) -> anyhow::Result<Stretch> {
    let mut stretch = Vec::with_capacity(STRETCH);
    while stretch.len() < STRETCH
        && let Some(line) = lines.next()?
    {
        *number += 1;
        if !line.is_empty() {
            stretch.push((*number, decoder.decode(&RawRecord { payload: Some(line), ..RawRecord::default() })));
        }
    }
    Ok(stretch)
}
