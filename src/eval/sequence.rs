//! Whether a `sequence(…)` holds, and until when: the newest match that is completed by now, or else the first that time
//! alone will complete.
//!
//! ```text
//!     sequence(a then c within 1d then no d within 1h)
//!
//!     a ──o────o───────────────        each track is walked from the newest event back, and never forward again:
//!     c ─────────o────o────────        for an earlier event only earlier ones can stand before it
//!     d ──────────────────o────
//!                ◀──────────
//! ```
//!
//! An event that stands last before another is the best that can stand before it: whatever lies between it and a later
//! event (`within`, forbidden events) lies between an earlier one and that event too. So the newest event that ends a
//! chain is enough, and what cannot serve one event cannot serve an earlier one.
//!
//! Cost: one walk over the rows in reach of the patterns, and it ends with the first match that is found; mostly a few
//! rows. With `same`, one walk for each set of values that first events in reach have. Rows are in reach for `last W` and
//! the `within`s of the steps; without them for ever, and then a sequence that does not hold looks at every row.
//!
//! **Invariant:** `flip` is exact but for a match that is completed while an older one still counts: then it is the end
//! of the older one, where the sequence is looked at again.

use super::At;
use crate::customer::{History, Row, Truth};
use crate::event::Scalar;
use crate::plan::FieldRef;
use crate::plan::sequence::{Link, Pattern, SequencePlan};
use crate::time::EventTime;

impl At<'_> {
    /// A sequence at instant `t`, over the events that are there.
    pub(super) fn sequence(&self, index: usize, t: EventTime) -> Truth {
        let plan = &self.plan.sequences[index];
        let classes = self.classes(plan, t);
        let searches = || classes.iter().map(|class| Search::new(self, plan, class, t));
        let completed = searches().filter_map(|mut search| search.completed_by(t)).max();
        let counts_until = completed.map(|at| plan.last.map_or(EventTime::MAX, |last| at.plus(last)));
        if let Some(until) = counts_until.filter(|until| *until > t) {
            return Truth::new(true, until);
        }
        let next = searches().filter_map(|mut search| search.first_completed_after(t)).min();
        Truth::new(false, next.unwrap_or(EventTime::MAX))
    }

    /// What the fields that `same` names are in the events that could be first, each set of values once.
    fn classes<'a>(&'a self, plan: &'a SequencePlan, t: EventTime) -> Vec<Vec<Scalar<'a>>> {
        if plan.same.is_empty() {
            return vec![Vec::new()];
        }
        let mut walk = Walk::new(self, &plan.links[0].event, &[], t);
        let mut classes: Vec<Vec<Scalar<'a>>> = Vec::new();
        while let Some(row) = walk.row_in_reach() {
            let class: Vec<Scalar<'a>> = plan.same.iter().map(|field| walk.field(row, *field)).collect();
            if !classes.contains(&class) {
                classes.push(class);
            }
            walk.go_back();
        }
        classes
    }
}

/// Where an event stands among all events of the customer, or a moment before all events of its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    time: EventTime,
    /// Order of arrival at that instant, from 1; 0 is a moment.
    arrival: u64,
    stream: usize,
    row: usize,
}

impl Position {
    fn moment(time: EventTime) -> Position {
        Position { time, arrival: 0, stream: 0, row: 0 }
    }

    fn end_of(time: EventTime) -> Position {
        Position { time, arrival: u64::MAX, stream: usize::MAX, row: usize::MAX }
    }
}

/// One pattern's events from the newest back.
struct Walk<'a> {
    history: &'a History,
    pattern: &'a Pattern,
    /// What `same` asks for.
    class: &'a [Scalar<'a>],
    /// Of the first step: the fields that must be those of the class.
    defines: &'a [FieldRef],
    /// Events of this time and older are out of reach.
    out_of_reach: EventTime,
    /// The rows before this one are still to be looked at; the last of them is the current one.
    end: usize,
}

impl<'a> Walk<'a> {
    fn new(at: &'a At<'_>, pattern: &'a Pattern, class: &'a [Scalar<'a>], t: EventTime) -> Walk<'a> {
        let history = &at.facts.histories[pattern.stream];
        let out_of_reach = pattern.reach.map_or(EventTime::MIN, |reach| t.minus(reach));
        Walk { history, pattern, class, defines: &[], out_of_reach, end: history.rows().len() }
    }

    /// The newest event before `limit` that serves the pattern. Calls come with limits that never grow.
    fn before(&mut self, limit: Position) -> Option<Position> {
        while let Some(row) = self.row_in_reach() {
            let position = self.position(row);
            if position < limit && self.matches(row) {
                return Some(position);
            }
            self.go_back();
        }
        None
    }

    /// The current row, while the walk has not ended.
    fn row_in_reach(&self) -> Option<&'a Row> {
        let row = self.history.rows().get(self.end.checked_sub(1)?)?;
        (row.time > self.out_of_reach).then_some(row)
    }

    fn go_back(&mut self) {
        self.end = self.end.saturating_sub(1);
    }

    fn position(&self, row: &Row) -> Position {
        Position { time: row.time, arrival: u64::from(row.arrival) + 1, stream: self.pattern.stream, row: self.end }
    }

    fn matches(&self, row: &'a Row) -> bool {
        let met = self.pattern.condition.is_none_or(|condition| row.meets(condition));
        let equal = |(field, of_first): (FieldRef, usize)| {
            let value = self.field(row, field);
            value != Scalar::Null && value == self.class[of_first]
        };
        let of_class = || self.defines.iter().zip(self.class).all(|(field, value)| self.field(row, *field) == *value);
        met && self.pattern.same.is_none_or(equal) && of_class()
    }

    fn field(&self, row: &'a Row, field: FieldRef) -> Scalar<'a> {
        row.field(field, self.history.total_cell())
    }
}

/// What has to be walked for one link.
struct Track<'a> {
    link: &'a Link,
    event: Walk<'a>,
    forbidden: Vec<Walk<'a>>,
    /// For each wait, what it forbids.
    waits: Vec<Vec<Walk<'a>>>,
}

/// One search for matches whose first event has the values of one class.
struct Search<'a> {
    tracks: Vec<Track<'a>>,
    forbidden_since: Vec<Walk<'a>>,
}

impl<'a> Search<'a> {
    fn new(at: &'a At<'_>, plan: &'a SequencePlan, class: &'a [Scalar<'a>], t: EventTime) -> Search<'a> {
        let walk = |pattern: &'a Pattern| Walk::new(at, pattern, class, t);
        let walks = |patterns: &'a [Pattern]| patterns.iter().map(walk).collect::<Vec<_>>();
        let track = |link: &'a Link| Track {
            link,
            event: walk(&link.event),
            forbidden: walks(&link.forbidden),
            waits: link.waits.iter().map(|wait| walks(&wait.forbidden)).collect(),
        };
        let mut tracks: Vec<Track<'a>> = plan.links.iter().map(track).collect();
        if let Some(first) = tracks.first_mut() {
            first.event.defines = &plan.same;
        }
        Search { tracks, forbidden_since: walks(&plan.forbidden_since) }
    }

    /// When the newest match was completed that is by `t`.
    fn completed_by(&mut self, t: EventTime) -> Option<EventTime> {
        self.match_before(Position::end_of(t)).map(|completed| completed.time)
    }

    /// When time alone completes the first match that is not by `t`.
    fn first_completed_after(&mut self, t: EventTime) -> Option<EventTime> {
        let (mut first, mut limit) = (None, Position::end_of(EventTime::MAX));
        while let Some(completed) = self.match_before(limit).filter(|completed| completed.time > t) {
            first = Some(completed.time);
            limit = completed;
        }
        first
    }

    /// The newest completion before `limit` of a match since which nothing came that is forbidden.
    fn match_before(&mut self, limit: Position) -> Option<Position> {
        let completed = self.newest(self.tracks.len().checked_sub(1)?, limit)?;
        none_between(&mut self.forbidden_since, completed, Position::end_of(EventTime::MAX)).then_some(completed)
    }

    /// The newest completion before `limit` of the links up to and including this one.
    fn newest(&mut self, link: usize, limit: Position) -> Option<Position> {
        loop {
            let event = self.tracks[link].event.before(limit)?;
            let completed = self.tracks[link].settled(event).filter(|completed| *completed < limit);
            if completed.is_some() && self.follows(link, event) {
                return completed;
            }
            // Limits never grow: what is of no use now is of none later.
            self.tracks[link].event.go_back();
        }
    }

    /// Whether the links before this one were completed in time for its event.
    fn follows(&mut self, link: usize, event: Position) -> bool {
        let Some(before) = link.checked_sub(1) else { return true };
        let Some(since) = self.newest(before, event) else { return false };
        let track = &mut self.tracks[link];
        let in_time = track.link.within.is_none_or(|within| event.time < since.time.plus(within));
        in_time && none_between(&mut track.forbidden, since, event)
    }
}

impl Track<'_> {
    /// When the waits after an event are over; `None`: something came that they forbid.
    fn settled(&mut self, event: Position) -> Option<Position> {
        let mut completed = event;
        for (wait, forbidden) in self.link.waits.iter().zip(&mut self.waits) {
            let end = Position::moment(completed.time.plus(wait.span));
            if !none_between(forbidden, completed, end) {
                return None;
            }
            completed = end;
        }
        Some(completed)
    }
}

/// Whether no event of these patterns stands strictly between two positions.
fn none_between(walks: &mut [Walk<'_>], since: Position, until: Position) -> bool {
    walks.iter_mut().all(|walk| walk.before(until).is_none_or(|newest| newest <= since))
}
