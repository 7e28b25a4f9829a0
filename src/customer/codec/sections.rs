//! The end of a head: what only some customers have, each kind in a section of its own.
//!
//! ```text
//!     kind, length, bytes · kind, length, bytes · …      up to the end of the head
//! ```
//!
//! **Invariant:** a section is written only where it says something, and one of an unknown kind is passed over, so that a
//! new kind makes no customer's state longer that does not need it.

use super::super::exposure::{Dropped, Exposure};
use super::bytes::{Reader, Writer};
use super::{ERASED, FormatError, erased, kin};
use crate::customer::CustomerState;
use crate::experiment::Arm;
use crate::plan::Plan;

const EXPOSURES: u8 = b'x';
const KIN: u8 = b'k';
const INHERITED: u8 = b'i';

/// Flags of an exposure.
const CONTROL: u8 = 1;
const RECOUNTED: u8 = 2;
/// Rows that count were dropped: how many and their value follow.
const DROPPED: u8 = 4;
/// The funnel is decided up to an instant: steps and instant follow.
const SETTLED: u8 = 8;

pub(super) fn write(w: &mut Writer, plan: &Plan, state: &CustomerState) {
    let standing = &state.standing;
    if !standing.exposures.is_empty() {
        let mut section = Writer::part();
        section.count(standing.exposures.len());
        standing.exposures.iter().for_each(|exposure| write_exposure(&mut section, exposure));
        w.byte(EXPOSURES);
        w.sized(section);
    }
    if let Some(before) = &state.erased {
        let mut section = Writer::part();
        erased::put(&mut section, before);
        w.byte(ERASED);
        w.sized(section);
    }
    if let Some(kin) = state.kin.as_deref() {
        w.byte(KIN);
        w.sized(kin::section(kin));
    }
    if !standing.inherited.is_empty() {
        w.byte(INHERITED);
        w.sized(kin::inherited_section(plan, &standing.inherited));
    }
}

pub(super) fn read(r: &mut Reader<'_>, plan: &Plan, state: &mut CustomerState) -> Result<(), FormatError> {
    while !r.is_at_end() {
        let (kind, mut section) = (r.byte()?, r.sized()?);
        match kind {
            EXPOSURES => {
                for _ in 0..section.count()? {
                    state.standing.exposures.push(read_exposure(&mut section)?.under(plan));
                }
            }
            ERASED => state.erased = Some(erased::take(&mut section)?),
            KIN => state.kin = Some(Box::new(kin::read_section(&mut section)?)),
            INHERITED => kin::read_inherited(&mut section, plan, &mut state.standing)?,
            _ => {}
        }
    }
    Ok(())
}

fn write_exposure(w: &mut Writer, exposure: &Exposure) {
    let dropped = &exposure.dropped;
    let (rows, funnel) = (dropped.goals > 0, dropped.until != Dropped::NOTHING.until);
    let flags = [(CONTROL, exposure.arm == Arm::Control), (RECOUNTED, exposure.recounted), (DROPPED, rows), (SETTLED, funnel)];
    w.fixed(exposure.experiment);
    w.byte(flags.iter().filter(|(_, set)| *set).map(|(flag, _)| flag).sum());
    w.time(exposure.at);
    w.fixed(exposure.goal);
    if rows {
        w.varint(dropped.goals);
        w.number(&dropped.value);
    }
    if funnel {
        w.count(dropped.reached);
        w.time(dropped.until);
    }
}

fn read_exposure(r: &mut Reader<'_>) -> Result<Exposure, FormatError> {
    let (experiment, flags, at, goal) = (r.fixed()?, r.byte()?, r.time()?, r.fixed()?);
    let mut dropped = Dropped::NOTHING;
    if flags & DROPPED != 0 {
        (dropped.goals, dropped.value) = (r.varint()?, r.number()?);
    }
    if flags & SETTLED != 0 {
        (dropped.reached, dropped.until) = (r.count()?, r.time()?);
    }
    let arm = if flags & CONTROL == 0 { Arm::Treatment } else { Arm::Control };
    Ok(Exposure { experiment, arm, at, goal, recounted: flags & RECOUNTED != 0, dropped })
}
