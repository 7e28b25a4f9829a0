//! Why a customer is in a segment or not: the engine's own word, as `segmentd explain` says it.
//!
//! **Invariant:** what is said is what the engine decides; nothing is evaluated here. An instant before the state's is refused:
//! what was then has not been kept.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::customer::checked;
use super::segments::named;
use super::{Fresh, Shared};
use crate::engine::{PinOrBan, Reason, Why, why};
use crate::eval::Distance;
use crate::http::lookup::check_segments;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::room::{json as answer, refused};
use crate::id::{CustomerId, SegmentKey};
use crate::plan::Plan;
use crate::runtime::task::{Looked, pass};
use crate::time::{EventTime, Span};

/// Segments that are explained at once.
pub const SEGMENTS: usize = 100;
/// How far ahead may be asked: time passes flip by flip.
const AHEAD: Span = Span::from_days(400);

#[derive(Serialize, JsonSchema)]
pub struct Explained {
    pub customer: CustomerId,
    /// Some event of this customer was accepted.
    pub seen: bool,
    /// Of which instant this is.
    pub at: String,
    /// `false`: definitions or lists have changed, and this customer is still to be decided by them: this is how they will.
    pub decided: bool,
    /// As `segmentd explain --format json` tells each segment.
    pub explanations: Vec<Value>,
    #[serde(flatten)]
    pub fresh: Fresh,
}

/// Why nothing can be said of an instant.
pub enum Unsaid {
    /// The state is of this instant already.
    Before(EventTime),
    TooFar,
}

pub async fn explain(State(shared): State<Shared>, id: Result<Path<String>, PathRejection>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::read(uri.query().unwrap_or_default(), &["segment", "at"])?;
    let (id, at) = (checked(&shared, id)?, parameters.instant("at")?);
    let keys = asked(&shared, parameters.all("segment"))?;
    let customer = id.clone();
    let read = shared.service.partitions.read_of(id, move |reading| {
        let looked = crate::runtime::task::look_at(&reading.plan, &reading.view, &customer, reading.clock)?;
        Ok(told(&reading.plan, looked, &customer, &keys, at))
    });
    let (told, fresh) = read.await?;
    Ok(answer(&Explained { fresh: fresh.into(), ..told.map_err(unsaid)? }))
}

/// The segments that are asked for, each of which there is.
fn asked(shared: &Shared, keys: Option<Vec<String>>) -> Result<Vec<SegmentKey>, Problem> {
    check_segments(keys.as_deref().unwrap_or_default())?;
    let rules = shared.service.rules.current();
    match keys {
        Some(keys) => keys.iter().map(|key| named(&rules, key).map(|index| rules.definitions.segments[index].key.clone())).collect(),
        None if rules.definitions.segments.len() > SEGMENTS => {
            Err(refused(format!("there are more than {SEGMENTS} segments: name those that are to be explained, as in ?segment=loyal")))
        }
        None => Ok(rules.definitions.segments.iter().map(|segment| segment.key.clone()).collect()),
    }
}

pub fn unsaid(unsaid: Unsaid) -> Problem {
    let detail = match unsaid {
        Unsaid::Before(clock) => {
            format!("the state stands at {clock}: an earlier instant can be explained only from files of events (`segmentd explain`)")
        }
        Unsaid::TooFar => "`at` lies more than 400 days ahead".to_owned(),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// Lets time run on to `at`, if nothing more happens, and explains. Segments that the plan does not have are left out.
pub fn told(
    plan: &Plan,
    mut looked: Looked,
    customer: &CustomerId,
    keys: &[SegmentKey],
    at: Option<EventTime>,
) -> Result<Explained, Unsaid> {
    let clock = looked.partition.clock();
    let t = at.unwrap_or(clock);
    if t < clock {
        return Err(Unsaid::Before(clock));
    }
    if at.is_some_and(|at| clock != EventTime::MIN && at > clock.plus(AHEAD)) {
        return Err(Unsaid::TooFar);
    }
    if at.is_some() {
        pass(&mut looked.partition, t, true);
    }
    let state = looked.partition.find(customer).and_then(|slot| looked.partition.resident(slot).state.as_deref());
    let position = |key: &SegmentKey| plan.segments.iter().position(|segment| segment.key == *key);
    let one = |key: &SegmentKey| Some(explanation(customer, key, t, &why(plan, customer, state?, position(key)?, t)));
    let explanations = keys.iter().filter_map(one).collect();
    let fresh = Fresh { as_of: String::new(), lag_records: 0, task_clock: None };
    Ok(Explained { customer: customer.clone(), seen: looked.seen, at: t.to_string(), decided: looked.decided, explanations, fresh })
}

/// An explanation as an object. Absent: not applicable; null: none.
pub fn explanation(customer: &CustomerId, segment: &SegmentKey, at: EventTime, why: &Why) -> Value {
    let Why { member, since, entries, reasons, needed, changes_at } = why;
    let reasons: Vec<Value> = reasons.iter().enumerate().map(|(i, reason)| reason_json(reason, needed.contains(&i))).collect();
    let instant = |at: &Option<EventTime>| at.map(|at| at.to_string());
    json!({
        "customer": customer, "segment": segment, "at": at.to_string(), "member": member,
        "since": instant(since), "entries": entries, "reasons": reasons, "changes_at": instant(changes_at),
    })
}

fn reason_json(reason: &Reason, needed: bool) -> Value {
    let evidence = &reason.evidence;
    let mut object = Map::new();
    let mut set = |name: &str, value: Value| drop(object.insert(name.into(), value));
    if let Some(list) = reason.list {
        set("list", json!(if list == PinOrBan::Pin { "pin" } else { "ban" }));
    }
    set("aggregate", json!(*evidence.aggregate));
    set("value", json!(evidence.value));
    set("op", json!(evidence.op));
    set("threshold", json!(evidence.threshold));
    set("met", json!(evidence.met));
    if evidence.approximate {
        set("approximate", json!(true));
    }
    if let Some(Distance { by, more, beyond }) = &reason.distance {
        set("distance", json!({"by": by.to_string(), "direction": if *more { "more" } else { "less" }, "beyond": beyond}));
    }
    set("needed", json!(needed));
    Value::Object(object)
}
