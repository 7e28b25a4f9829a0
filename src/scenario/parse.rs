//! Pages from YAML, with the place of what is wrong: line and column where the text is no page at all, page and entry
//! where it is one that cannot be meant.
//!
//! **Invariant:** what is parsed is acceptable input: fields exist in the catalogue and have its types, instants have
//! an offset. A misspelt field is an error and never a silent null.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::{DEFAULT_CUSTOMER, Expectation, ExpectedTransition, Happening, Page, PageEvent, PageLadder, PageSegment, PageStage};
use crate::event::streams::{FieldDefinition, StreamDefinition, StreamRole};
use crate::event::{Catalogue, FieldType, StreamIndex, Value};
use crate::experiment::Arm;
use crate::id::{CustomerId, EventId, LadderKey, ListKey, Partition, SegmentKey};
use crate::time::EventTime;
use crate::transition::Cause;

/// Why a text is not a list of pages. The author corrects it.
#[derive(thiserror::Error, Debug)]
pub enum PageError {
    #[error("not a page: {0}")]
    Yaml(String),
    #[error("page `{page}`, {place}: {problem}")]
    Meaning { page: String, place: String, problem: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageText {
    name: String,
    #[serde(default)]
    lists: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    segments: Vec<SegmentText>,
    #[serde(default)]
    ladders: Vec<LadderText>,
    #[serde(default)]
    events: Vec<Map<String, Json>>,
    until: Option<String>,
    #[serde(default)]
    expect: Vec<Map<String, Json>>,
}

#[derive(Deserialize)]
struct SegmentText {
    key: String,
    timezone: Option<String>,
    when: String,
    exit_when: Option<String>,
    /// Judged where definitions are.
    #[serde(flatten)]
    options: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LadderText {
    key: String,
    timezone: Option<String>,
    stages: Vec<StageText>,
}

#[derive(Deserialize)]
struct StageText {
    key: String,
    when: Option<String>,
    exit_when: Option<String>,
    #[serde(flatten)]
    options: BTreeMap<String, Json>,
}

/// Reads every page of a text; pages are YAML documents, separated by `---`.
pub fn parse(text: &str, catalogue: &Catalogue) -> Result<Vec<Page>, PageError> {
    // `y` and `no` are ids and names, as in YAML 1.2, and not booleans.
    let options = serde_saphyr::options! { strict_booleans: true };
    let pages: Vec<PageText> = serde_saphyr::from_multiple_with_options(text, options).map_err(|e| PageError::Yaml(e.to_string()))?;
    pages.into_iter().map(|page| page_of(page, catalogue)).collect()
}

fn page_of(text: PageText, catalogue: &Catalogue) -> Result<Page, PageError> {
    let name = text.name.clone();
    let wrong = |place: String| {
        let page = name.clone();
        move |problem| PageError::Meaning { page, place, problem }
    };
    let events = text.events.into_iter().enumerate();
    let expect = text.expect.into_iter().enumerate();
    Ok(Page {
        lists: text.lists.into_iter().map(|(key, ids)| (ListKey::new(key), ids.into_iter().map(CustomerId::new).collect())).collect(),
        segments: text.segments.into_iter().map(SegmentText::meant).collect(),
        ladders: text.ladders.into_iter().map(LadderText::meant).collect(),
        events: events.map(|(i, e)| event_of(e, i + 1, catalogue).map_err(wrong(format!("event {}", i + 1)))).collect::<Result<_, _>>()?,
        until: text.until.map(|until| instant(&until)).transpose().map_err(wrong("until".into()))?,
        expect: expect.map(|(i, e)| expectation_of(e).map_err(wrong(format!("expectation {}", i + 1)))).collect::<Result<_, _>>()?,
        name: text.name,
    })
}

impl SegmentText {
    fn meant(self) -> PageSegment {
        let SegmentText { key, timezone, when, exit_when, options } = self;
        PageSegment { key: SegmentKey::new(key), timezone, when, exit_when, options }
    }
}

impl LadderText {
    fn meant(self) -> PageLadder {
        PageLadder {
            key: LadderKey::new(self.key),
            timezone: self.timezone,
            stages: self.stages.into_iter().map(StageText::meant).collect(),
        }
    }
}

impl StageText {
    fn meant(self) -> PageStage {
        let StageText { key, when, exit_when, options } = self;
        PageStage { key: SegmentKey::new(key), when, exit_when, options }
    }
}

fn event_of(mut map: Map<String, Json>, place: usize, catalogue: &Catalogue) -> Result<PageEvent, String> {
    let at = instant(&text(&mut map, "at")?.ok_or("`at` is missing")?)?;
    let customer = CustomerId::new(text(&mut map, "customer")?.unwrap_or_else(|| DEFAULT_CUSTOMER.into()));
    let partition = Partition(number(&mut map, "partition")?.unwrap_or(0));
    let id = text(&mut map, "id")?;
    let mut rest = map.into_iter();
    let (Some((stream_name, fields)), None) = (rest.next(), rest.next()) else {
        return Err("an event has `at`, perhaps `customer`, `id`, `partition`, and one stream with its fields".into());
    };
    let stream = stream_of(&stream_name, catalogue)?;
    let fields = fields_of(fields, catalogue.stream(stream))?;
    let order_id = fields.iter().find(|(name, _)| name == "order_id").and_then(|(_, value)| as_text(value));
    let is_order = catalogue.stream(stream).role == StreamRole::Orders;
    let id = id.or_else(|| order_id.filter(|_| is_order)).unwrap_or_else(|| format!("{stream_name}-{place}"));
    Ok(PageEvent { at, customer, partition, id: EventId::new(id), stream, fields })
}

fn stream_of(name: &str, catalogue: &Catalogue) -> Result<StreamIndex, String> {
    let found = if name == "identify" { catalogue.with_role(StreamRole::Traits) } else { catalogue.find(name) };
    found.ok_or_else(|| format!("there is no stream `{name}`"))
}

fn fields_of(fields: Json, stream: &StreamDefinition) -> Result<Vec<(SmolStr, Value)>, String> {
    match fields {
        Json::Null => Ok(Vec::new()),
        Json::Object(fields) => fields.into_iter().map(|(name, value)| field_of(name, value, stream)).collect(),
        _ => Err(format!("the fields of `{}` are a mapping", stream.name)),
    }
}

fn field_of(name: String, value: Json, stream: &StreamDefinition) -> Result<(SmolStr, Value), String> {
    let read = match stream.role {
        StreamRole::Traits => untyped(&value),
        _ => {
            let field = stream.fields.iter().find(|field| field.name == name);
            typed(&value, field.ok_or_else(|| format!("the stream `{}` has no field `{name}`", stream.name))?)
        }
    };
    let value = read.ok_or_else(|| format!("`{name}` cannot be {value}"))?;
    Ok((SmolStr::new(name), value))
}

fn typed(value: &Json, field: &FieldDefinition) -> Option<Value> {
    match value {
        Json::Null => Some(Value::Null),
        Json::Array(items) if field.array => items.iter().map(|item| scalar(item, field.field_type)).collect::<Option<Vec<_>>>().map(list),
        _ if field.array => None,
        _ => scalar(value, field.field_type),
    }
}

fn scalar(value: &Json, field_type: FieldType) -> Option<Value> {
    match (value, field_type) {
        (Json::Null, _) => Some(Value::Null),
        (Json::String(text), FieldType::String) => Some(Value::Text(text.into())),
        (Json::String(text), FieldType::Decimal | FieldType::Integer) => decimal(text),
        (Json::Number(number), FieldType::Decimal | FieldType::Integer) => decimal(&number.to_string()),
        (Json::Bool(flag), FieldType::Boolean) => Some(Value::Bool(*flag)),
        _ => None,
    }
}

/// A trait has the type of its value.
fn untyped(value: &Json) -> Option<Value> {
    match value {
        Json::Null => Some(Value::Null),
        Json::Bool(flag) => Some(Value::Bool(*flag)),
        Json::Number(number) => decimal(&number.to_string()),
        Json::String(text) => Some(Value::Text(text.into())),
        Json::Array(items) => {
            items.iter().map(|item| untyped(item).filter(|v| !matches!(v, Value::List(_)))).collect::<Option<Vec<_>>>().map(list)
        }
        Json::Object(_) => None,
    }
}

fn list(values: Vec<Value>) -> Value {
    Value::List(values.into())
}

fn decimal(text: &str) -> Option<Value> {
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok().map(Value::Number)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

fn expectation_of(mut map: Map<String, Json>) -> Result<Expectation, String> {
    if let Some(segment) = text(&mut map, "never")? {
        return nothing_left(&map).map(|()| Expectation::Never(SegmentKey::new(segment)));
    }
    let mut named = Vec::new();
    for happening in Happening::ALL {
        named.extend(text(&mut map, happening.as_str())?.map(|segment| (happening, segment)));
    }
    let Ok([(happening, segment)]) = <[_; 1]>::try_from(named) else {
        return Err("one of `entered`, `exited`, `expiring`, `never` names the segment".into());
    };
    let expected = ExpectedTransition {
        at: instant(&text(&mut map, "at")?.ok_or("`at` is missing")?)?,
        customer: CustomerId::new(text(&mut map, "customer")?.unwrap_or_else(|| DEFAULT_CUSTOMER.into())),
        segment: SegmentKey::new(segment),
        happening,
        cause: text(&mut map, "cause")?.map(|name| cause(&name)).transpose()?,
        sequence: number(&mut map, "sequence")?,
        entry: number(&mut map, "entry")?,
        valid_until: match map.remove("valid_until") {
            None => None,
            Some(Json::Null) => Some(None),
            Some(Json::String(until)) => Some(Some(instant(&until)?)),
            Some(_) => return Err("`valid_until` is an instant or null".into()),
        },
        from: match map.remove("from") {
            None => None,
            Some(Json::Null) => Some(None),
            Some(Json::String(from)) => Some(Some(SegmentKey::new(from))),
            Some(_) => return Err("`from` is a stage or null".into()),
        },
        published: map.remove("published").map(|value| value.as_bool().ok_or("`published` is true or false")).transpose()?,
        arm: text(&mut map, "arm")?.map(|name| arm(&name)).transpose()?,
    };
    nothing_left(&map).map(|()| Expectation::Transition(expected))
}

fn nothing_left(map: &Map<String, Json>) -> Result<(), String> {
    map.keys().next().map_or(Ok(()), |key| Err(format!("unknown key `{key}`")))
}

fn cause(name: &str) -> Result<Cause, String> {
    Cause::ALL.into_iter().find(|cause| cause.as_str() == name).ok_or_else(|| format!("there is no cause `{name}`"))
}

fn arm(name: &str) -> Result<Arm, String> {
    Arm::ALL.into_iter().find(|arm| arm.as_str() == name).ok_or_else(|| format!("there is no arm `{name}`"))
}

fn instant(text: &str) -> Result<EventTime, String> {
    EventTime::parse(text).ok_or_else(|| format!("`{text}` is not an instant as RFC 3339 writes it, with an offset"))
}

fn text(map: &mut Map<String, Json>, key: &str) -> Result<Option<String>, String> {
    match map.remove(key) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{key}` is a text, not {other}")),
    }
}

fn number<N: TryFrom<u64>>(map: &mut Map<String, Json>, key: &str) -> Result<Option<N>, String> {
    let Some(value) = map.remove(key) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    number.map(Some).ok_or_else(|| format!("`{key}` is a whole number, not {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = parse(text, &Catalogue::segment_spec()).err().map_or("a page".into(), |e| e.to_string());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_misspelt_field_is_named() {
        check(
            "name: x\nevents: [{at: 2026-01-01T00:00:00Z, orders: {order_id: a, totl: 1}}]",
            "event 1: the stream `orders` has no field `totl`",
        );
    }

    #[test]
    fn a_number_is_not_a_string() {
        check("name: x\nevents: [{at: 2026-01-01T00:00:00Z, orders: {order_id: 17}}]", "`order_id` cannot be 17");
    }

    #[test]
    fn an_instant_without_an_offset_is_refused() {
        check("name: x\nuntil: 2026-01-01T00:00:00", "until: `2026-01-01T00:00:00` is not an instant");
    }

    #[test]
    fn an_unknown_key_of_a_page_has_its_line() {
        check("name: x\nevent: []", "line 2");
    }

    #[test]
    fn an_unknown_key_of_an_expectation_is_refused() {
        check("name: x\nexpect: [{at: 2026-01-01T00:00:00Z, entered: a, reason: b}]", "expectation 1: unknown key `reason`");
    }
}
