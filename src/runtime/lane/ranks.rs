//! Cuts among all customers: they change between two batches of a task, and after the end of an epoch its sketch goes out.
//!
//! ```text
//! cuts on the board ─no batch open─▶ in force ─slices─▶ whom they concern is decided
//! end of an epoch   ─▶ the next transaction carries the task's sketch; that of partition 0 also new cuts, if they moved
//! ```
//!
//! **Invariant:** a batch is decided by one set of cuts. Cuts are found once everybody's ranks are known under the
//! definitions in force: not while customers are decided anew by them.

use std::time::{Duration, Instant};

use super::definitions::{BATCH_CUSTOMERS, SLICE, SLICE_CUSTOMERS};
use super::shares::{Running, Stage};
use super::{Lane, Trouble};
use crate::engine::{Epochs, redrawn};
use crate::id::Partition;
use crate::plan::Plan;
use crate::rank::{Cuts, Sketch};
use crate::runtime::clock::{self, Deadline};
use crate::runtime::ranks::{Board, CutRecord, PARTITION, SketchRecord};
use crate::runtime::{RunError, Settings};
use crate::time::EventTime;

/// A task that catches up passes many epochs a second; the others need not know of each.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// What a task has to say of ranks, beside its batch.
pub struct Telling {
    /// The end of the epoch after which the next sketch goes out, by the task clock.
    next: EventTime,
    told: Option<Instant>,
    sought: Option<Instant>,
    /// As the board was when cuts were sought last.
    seen: u64,
    /// Since when the cuts that were found here last are not on the board.
    missed: Option<Instant>,
    /// Goes out with the open batch.
    pub sketches: Vec<SketchRecord>,
    pub cuts: Option<CutRecord>,
}

impl Telling {
    /// Nobody has been told anything under this plan.
    pub fn new() -> Telling {
        Telling { next: EventTime::MIN, told: None, sought: None, seen: 0, missed: None, sketches: Vec::new(), cuts: None }
    }

    /// What was found last is read back in a moment, unless the topic was made anew.
    fn has_waited(&mut self) -> bool {
        let since = *self.missed.get_or_insert_with(clock::now);
        clock::now().duration_since(since) > PATIENCE
    }

    /// It is committed.
    pub fn committed(&mut self) {
        self.sketches.clear();
        self.cuts = None;
    }
}

impl Lane {
    /// Everything about ranks that is to be done between filling a batch and committing it.
    pub(super) fn rank(&mut self) -> Result<(), Trouble> {
        if self.plan.rankings.is_empty() {
            return Ok(());
        }
        self.decide_recut()?;
        self.tell_ranks();
        if self.has_open_share() {
            self.age.open(clock::now);
        }
        Ok(())
    }

    /// Puts the newest cuts in force, in each task of which no batch is open. Filling opens the next one.
    pub(super) fn take_cuts(&mut self) {
        if self.plan.rankings.is_empty() {
            return;
        }
        let definitions = definitions(&self.plan);
        let Some(found) = self.around.board.cuts().filter(|cuts| cuts.definitions == definitions) else { return };
        for share in self.shares.values_mut() {
            let Stage::Running(running) = &mut share.stage else { continue };
            if !running.open && !running.task.is_recutting() && running.task.cuts().version() < found.number {
                running.task.recut(found.number, &found.cuts);
                running.open = true;
                self.age.open(clock::now);
                self.figures.recut(&self.plan, running.task.cuts());
            }
        }
    }

    /// As a task has them that has just begun.
    pub(super) fn show_cuts(&mut self, partition: Partition) {
        if let Some(Stage::Running(running)) = self.shares.get(&partition).map(|share| &share.stage) {
            self.figures.recut(&self.plan, running.task.cuts());
        }
    }

    /// A slice of those whom a cut that moved lets in or out; under load once a batch.
    fn decide_recut(&mut self) -> Result<(), Trouble> {
        let had_its_turn = self.looked_at > 0 && !self.pending.is_empty();
        let may = !self.full && self.next_plan.is_none() && !had_its_turn;
        let deadline = Deadline::after(SLICE);
        for share in self.shares.values_mut() {
            let Stage::Running(running) = &mut share.stage else { continue };
            if !running.task.is_recutting() {
                continue;
            }
            self.scanning = true;
            if may {
                let time = || !deadline.is_past();
                self.looked_at += running.task.recut_slice(SLICE_CUSTOMERS, clock::wall(), &time).map_err(RunError::Store)?;
                running.open = true;
            }
        }
        self.full |= self.looked_at >= BATCH_CUSTOMERS;
        Ok(())
    }

    fn tell_ranks(&mut self) {
        let (board, settings, plan) = (&self.around.board, &self.around.settings, &self.plan);
        for (partition, share) in &mut self.shares {
            let Stage::Running(running) = &mut share.stage else { continue };
            if running.task.backfill().is_some() || !running.telling.sketches.is_empty() || running.telling.cuts.is_some() {
                continue;
            }
            if running.tell_sketch(*partition, settings, plan) {
                self.around.observed.metrics.tasks.task(*partition).set_epoch(running.task.clock());
            }
            if *partition == PARTITION {
                running.find_cuts(board, settings, plan);
            }
        }
    }
}

impl Running {
    /// The first is told at once, moved or not: without it nobody can cut.
    fn tell_sketch(&mut self, partition: Partition, settings: &Settings, plan: &Plan) -> bool {
        let is_over = self.task.clock() >= self.telling.next;
        if !is_over || !is_past(self.telling.told) || !(self.task.ranks_moved() || self.telling.told.is_none()) {
            return false;
        }
        let clock = self.task.clock();
        let record = |(ranking, sketch): (&crate::plan::RankingPlan, &Sketch)| {
            SketchRecord::new(definitions(plan), partition, &ranking.text, clock.millis(), sketch.to_counts())
        };
        self.telling.sketches = plan.rankings.iter().zip(self.task.sketches()).map(record).collect();
        self.telling.next = Epochs::new(settings.epoch).begun_at(clock).plus(settings.epoch);
        self.telling.told = Some(clock::now());
        self.open = true;
        true
    }

    /// Seeks the cuts of all partitions, where some sketch is new.
    fn find_cuts(&mut self, board: &Board, settings: &Settings, plan: &Plan) {
        let changes = board.changes();
        let is_news = changes != self.telling.seen || !self.telling.sketches.is_empty();
        if !is_news || !is_past(self.telling.sought) {
            return;
        }
        let definitions = definitions(plan);
        let Some(others) = board.others(plan, &definitions, PARTITION, settings.topics.partitions) else { return };
        let known = board.cuts();
        let number = known.as_ref().map_or(0, |cuts| cuts.number);
        if number < self.task.found() && !self.telling.has_waited() {
            return;
        }
        let number = number.max(self.task.found());
        self.telling.missed = None;
        (self.telling.seen, self.telling.sought) = (changes, Some(clock::now()));
        let same = known.as_ref().is_some_and(|cuts| cuts.definitions == definitions);
        let base = known.map_or_else(Cuts::default, |cuts| Cuts::read(number, &cuts.cuts, plan.cut_texts()));
        let mut sketches: Vec<Vec<&Sketch>> = others.iter().map(|sketches| sketches.iter().collect()).collect();
        sketches.push(self.task.sketches());
        let moved = redrawn(plan, &base, &sketches);
        if moved.is_none() && same {
            return;
        }
        let cuts = moved.unwrap_or(base).write(plan.cut_texts());
        self.task.set_found(number + 1);
        self.telling.cuts = Some(CutRecord::new(definitions, number + 1, cuts));
        self.open = true;
    }
}

fn is_past(last: Option<Instant>) -> bool {
    last.is_none_or(|last| clock::now().duration_since(last) >= LEAST_PAUSE)
}

fn definitions(plan: &Plan) -> String {
    format!("{:016x}", plan.fingerprint)
}
