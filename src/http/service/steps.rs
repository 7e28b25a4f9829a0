//! A period of the past, cut into steps of equal length.
//!
//! ```text
//! step 1d   ──┤ 1 Jan ├──┤ 2 Jan ├──┤ 3 Jan … now
//!        begins (in it)  ends (not in it)
//! ```
//!
//! **Law:** steps follow each other without a gap, and each begins at a whole multiple of its length since 1970: days at midnight,
//! UTC. So two answers about one past have the same steps, whenever they were asked for.

use crate::history::HOUR_MILLIS;
use crate::http::problem::Problem;
use crate::http::room::refused;
use crate::time::{EventTime, Span};

/// The shortest: figures are kept by the hour.
pub const HOUR: Span = match Span::from_millis(HOUR_MILLIS) {
    Some(hour) => hour,
    None => Span::DAY,
};

/// A year: longer than any past that is kept is of no use.
const LONGEST: Span = Span::from_days(366);
/// Steps of one answer.
const MOST: i64 = 1_000;
/// Steps, unless it is said from when on.
const USUAL: i64 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub begins: EventTime,
    pub ends: EventTime,
    /// Its end, or the present, where it has not ended.
    pub told: EventTime,
}

/// How long a step is, as it is asked for.
pub fn length(text: Option<&str>) -> Result<Span, Problem> {
    let Some(text) = text else { return Ok(Span::DAY) };
    let whole = |span: &Span| span.millis() % HOUR.millis() == 0 && *span <= LONGEST;
    Span::parse(text).filter(whole).ok_or_else(|| refused("`step` is whole hours, as 1h or 7d, 366d at most"))
}

/// The steps from `from` to `to`; without these those up to `now`. None begins before what is kept `since`, or after `now`.
pub fn between(from: Option<EventTime>, to: Option<EventTime>, step: Span, since: EventTime, now: EventTime) -> Result<Vec<Step>, Problem> {
    let Some((begins, ends)) = period(from, to, step, since, now)? else { return Ok(Vec::new()) };
    let count = (ends.millis() - begins.millis()) / step.millis();
    if count > MOST {
        return Err(refused(format!("that is {count} steps; one answer has {MOST} at most: ask for a longer `step`, or a later `from`")));
    }
    let at = |number: i64| EventTime::from_millis(begins.millis() + number * step.millis());
    Ok((0..count).map(|number| Step { begins: at(number), ends: at(number + 1), told: at(number + 1).min(now) }).collect())
}

/// The same as a whole: its beginning, and its end, which is not in it. `None`: nothing has happened yet.
pub fn period(
    from: Option<EventTime>,
    to: Option<EventTime>,
    step: Span,
    since: EventTime,
    now: EventTime,
) -> Result<Option<(EventTime, EventTime)>, Problem> {
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(refused("`from` is not before `to`"));
    }
    if now == EventTime::MIN {
        return Ok(None);
    }
    // What happened at the present instant is in it.
    let ends = upwards(to.map_or(now.millis() + 1, |to| to.millis().min(now.millis() + 1)), step);
    let usual = ends - USUAL * step.millis().max(Span::DAY.millis());
    let begins = downwards(from.map_or(usual, EventTime::millis).max(since.millis()), step);
    Ok((begins < ends).then(|| (EventTime::from_millis(begins), EventTime::from_millis(ends))))
}

/// The end of the step that tells of the instants up to this one.
pub fn end_of(told: EventTime, step: Span) -> EventTime {
    EventTime::from_millis(upwards(told.millis(), step))
}

fn downwards(millis: i64, step: Span) -> i64 {
    millis.div_euclid(step.millis()) * step.millis()
}

fn upwards(millis: i64, step: Span) -> i64 {
    downwards(millis - 1, step) + step.millis()
}
