//! What a record of the transitions topic says, as far as history is made of it.
//!
//! **Invariant:** announcements change nothing and are left out; so is whatever is no record of ours. Nothing is derived: what is
//! kept of a transition is what was published, member by member.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::id::{LadderKey, SegmentKey};
use crate::time::EventTime;

/// Room for the members of a record; those of an entry are 14.
const MEMBERS: usize = 16;

/// What happened to one customer.
#[derive(Debug, PartialEq)]
pub enum Happened {
    Transition(Transition),
    /// Its exit and its entry stand before it, as transitions.
    Move(Move),
}

#[derive(Debug, PartialEq)]
pub struct Transition {
    pub segment: SegmentKey,
    pub entered: bool,
    pub at: EventTime,
    pub sequence: u64,
    pub cause: String,
    /// JSON, as `segmentd replay` prints it.
    pub line: Vec<u8>,
}

#[derive(Debug, PartialEq)]
pub struct Move {
    pub ladder: LadderKey,
    pub from: SegmentKey,
    pub to: SegmentKey,
    pub at: EventTime,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    properties: Properties<'a>,
}

/// Members as they stand in the record: they are kept or left out, never written anew.
struct Properties<'a>(Vec<(Text<'a>, &'a RawValue)>);

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Properties<'a>, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Text<'de>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(MEMBERS);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Properties)
    }
}

/// Reads the value of a record; `None`: it is an announcement, or not ours.
pub fn read(value: &[u8]) -> Option<Happened> {
    let Record { properties } = serde_json::from_slice(value).ok()?;
    match &*properties.text("transition")? {
        "moved" => moved(&properties).map(Happened::Move),
        "entered" => transition(&properties, true).map(Happened::Transition),
        "exited" => transition(&properties, false).map(Happened::Transition),
        _ => None,
    }
}

fn transition(properties: &Properties<'_>, entered: bool) -> Option<Transition> {
    let segment = SegmentKey::new(properties.text("segment")?);
    Some(Transition {
        entered,
        at: properties.instant("at")?,
        sequence: properties.value("sequence")?,
        cause: properties.text("cause")?.into_owned(),
        line: properties.line(segment.as_str())?,
        segment,
    })
}

fn moved(properties: &Properties<'_>) -> Option<Move> {
    Some(Move {
        ladder: LadderKey::new(properties.text("ladder")?),
        from: SegmentKey::new(properties.text("from")?),
        to: SegmentKey::new(properties.text("to")?),
        at: properties.instant("at")?,
    })
}

impl<'a> Properties<'a> {
    fn value<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(Text(member), _)| member == name)?;
        serde_json::from_str(value.get()).ok()
    }

    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.value(name).map(|Text(text)| text)
    }

    fn instant(&self, name: &str) -> Option<EventTime> {
        EventTime::parse(&self.text(name)?)
    }

    /// Without what a record has beside a line: the segment's key, and under it whether the customer is in it.
    fn line(&self, segment: &str) -> Option<Vec<u8>> {
        let is_beside = |name: &str, value: &RawValue| name == "audience_key" || name == segment && matches!(value.get(), "true" | "false");
        let mut line = vec![b'{'];
        for (Text(name), value) in self.0.iter().filter(|(Text(name), value)| !is_beside(name, value)) {
            if line.len() > 1 {
                line.push(b',');
            }
            serde_json::to_writer(&mut line, name).ok()?;
            line.push(b':');
            line.extend_from_slice(value.get().as_bytes());
        }
        line.push(b'}');
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(properties: &str) -> Option<String> {
        let record = format!(r#"{{"type": "track", "properties": {properties}, "context": {{}}}}"#);
        match read(record.as_bytes())? {
            Happened::Transition(transition) => String::from_utf8(transition.line).ok(),
            Happened::Move(_) => None,
        }
    }

    #[test]
    fn a_line_has_every_member_byte_by_byte_but_the_two_of_the_segment() {
        let told = r#""customer":"a\"bé","segment":"loyal","transition":"exited","at":"2026-01-01T00:00:00.000Z","sequence":2,"cause":"time","evidence":[{"value":"0.10"}],"previous":{"since":null}"#;
        let expected = Some(format!("{{{told}}}"));
        assert_eq!(line_of(&format!(r#"{{"audience_key":"loyal","loyal":false,{told}}}"#)), expected);
        assert_eq!(line_of(&format!(r#"{{{told}, "lo\u0079al" : true , "audience_key":"loyal"}}"#)), expected);
    }

    #[test]
    fn a_member_that_only_has_the_name_of_the_segment_is_kept() {
        let told = r#"{"segment":"cause","transition":"entered","at":"2026-01-01T00:00:00.000Z","sequence":1,"cause":"list"}"#;
        assert_eq!(line_of(told).as_deref(), Some(told));
        assert_eq!(line_of(&told.replace("\"sequence\":1", "\"sequence\":-1")), None);
        assert_eq!(line_of("[]"), None);
    }
}
