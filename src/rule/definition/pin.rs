//! Pins and bans: static lists of customers who are in a segment, or out of it, whatever its rules say.
//!
//! ```yaml
//! pin: testers
//! ban: complainers
//! ```
//!
//! **Invariant:** a stage of a ladder has neither: a pin would put a customer on two stages, a ban on none.

use std::sync::Arc;

use super::super::ast::{Expr, ExprKind, Name, Place};
use super::super::diagnostic::{Diagnostic, Source};
use super::super::yaml::Node;
use super::entry::{self, Entries};
use super::loader::Written;

/// The keys that [`read`] reads.
pub const KEYS: [&str; 2] = ["pin", "ban"];

/// The lists of one segment, each with where its name stands.
#[derive(Default)]
pub struct Pins {
    pub pin: Option<(Expr, Written)>,
    pub ban: Option<(Expr, Written)>,
}

/// Whether the lists exist is found when all files are known.
pub fn read(source: &Arc<Source>, entries: &Entries<'_>, out: &mut Vec<Diagnostic>) -> Pins {
    let mut list = |name| entries.get(name).and_then(|node| named(source, name, node, out));
    Pins { pin: list("pin"), ban: list("ban") }
}

fn named(source: &Arc<Source>, name: &str, node: &Node, out: &mut Vec<Diagnostic>) -> Option<(Expr, Written)> {
    let Some(text) = node.text() else {
        let diagnostic = entry::wrong_type(source, name, "the name of a static list", node);
        out.push(diagnostic.help(format!("name the customers in a list: `lists: {{testers: [ann, bob]}}` and `{name}: testers`")));
        return None;
    };
    // A file of definitions is far shorter than what the place can say.
    let place = Place { start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    let list = ExprKind::List(Name { text: text.into(), place });
    Some((Expr { kind: list, place }, Written { source: source.clone(), node: node.clone() }))
}

/// Reports them on a stage; gives those that were there.
pub fn refuse(source: &Arc<Source>, entries: &Entries<'_>, out: &mut Vec<Diagnostic>) -> Vec<&'static str> {
    let written: Vec<_> = KEYS.into_iter().filter_map(|name| Some((name, entries.get(name)?))).collect();
    for (name, node) in &written {
        let rule = if *name == "pin" { "when: list(\"testers\") or …" } else { "when: not list(\"complainers\") and …" };
        let diagnostic = entry::error("stage-pin", source, node, format!("a stage of a ladder has no `{name}`"));
        out.push(diagnostic.help(format!("every customer is on exactly one stage; name the list in the rules of the stages: `{rule}`")));
    }
    written.into_iter().map(|(name, _)| name).collect()
}
