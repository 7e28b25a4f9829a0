//! Files as drafts: everything that can be said of one file, before the names of the others are known.
//!
//! **Invariant:** a key that was written counts as known even if its segment is broken, so that one mistake does not
//! make every reference to it another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::ast::{Expr, Place};
use super::super::diagnostic::{Diagnostic, Finding, Location, Severity, Source};
use super::super::yaml::{self, Node, TextMap};
use super::super::{check, parser};
use super::entry::{self, Entries};
use super::pin::{self, Pins};
use super::{Definitions, LadderDefinition, Loaded, MAX_SEGMENTS, Names, SegmentDefinition, Stage, publication, resolve, tiers, version};
use crate::id::{CustomerId, ListKey, SegmentKey};
use crate::time::Zone;

const FILE_KEYS: [&str; 3] = ["lists", "segments", "ladders"];
const SEGMENT_KEYS: [&str; 10] = ["key", "name", "description", "owner", "tags", "timezone", "when", "exit_when", "min_stay", "tests"];

/// The scalar that a rule was read from, to say where a name in it stands.
pub struct Written {
    pub source: Arc<Source>,
    pub node: Node,
}

impl Written {
    pub fn location(&self, place: Place) -> Location {
        let bytes = TextMap::new(&self.node, &self.source.text).bytes(place);
        Location { source: self.source.clone(), bytes: Some(bytes) }
    }
}

/// A segment whose references are not resolved yet.
pub struct Draft {
    pub definition: SegmentDefinition,
    /// `None`: of a ladder's last stage.
    when: Option<Written>,
    exit_when: Option<Written>,
    pin: Option<Written>,
    ban: Option<Written>,
}

impl Draft {
    /// Where its `when` stands; nowhere, if it is a ladder's last stage.
    pub fn when(&self) -> Option<&Written> {
        self.when.as_ref()
    }

    /// Its rules, its pins and bans among them, each with where it stands.
    pub fn rules(&self) -> impl Iterator<Item = (&Expr, &Written)> {
        let SegmentDefinition { when, exit_when, pin, ban, .. } = &self.definition;
        let rules = [(Some(when), &self.when), (exit_when.as_ref(), &self.exit_when), (pin.as_ref(), &self.pin), (ban.as_ref(), &self.ban)];
        rules.into_iter().filter_map(|(rule, written)| rule.zip(written.as_ref()))
    }
}

/// What a segment has by itself and a stage by its place on a ladder.
pub struct Own {
    pub timezone: Option<Zone>,
    /// `None`: it is missing or broken, and was reported.
    pub when: Option<(Expr, Option<Written>)>,
    /// With what goes before it.
    pub stage: Option<(Stage, String)>,
    pub pins: Pins,
}

pub struct Loader<'a> {
    pub names: Names<'a>,
    beside: &'a [&'a str],
    pub drafts: Vec<Draft>,
    pub ladders: Vec<LadderDefinition>,
    /// Every key that was written, also of segments that are broken.
    pub keys: BTreeMap<SegmentKey, Location>,
    pub lists: BTreeMap<ListKey, BTreeSet<CustomerId>>,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    pub fn new(names: Names<'a>, beside: &'a [&'a str]) -> Loader<'a> {
        Loader {
            names,
            beside,
            drafts: Vec::new(),
            ladders: Vec::new(),
            keys: BTreeMap::new(),
            lists: BTreeMap::new(),
            diagnostics: Vec::new(),
        }
    }

    pub fn file(&mut self, source: &Arc<Source>) {
        let (root, problems) = yaml::read(source);
        let broken = root.is_none() && !problems.is_empty();
        self.diagnostics.extend(problems);
        let Some(root) = root.filter(|root| !root.is_null()) else {
            if !broken {
                let diagnostic =
                    Diagnostic::error("empty-file", Location { source: source.clone(), bytes: None }, "the file defines nothing");
                self.diagnostics.push(diagnostic.help("a file of definitions begins with `segments:`"));
            }
            return;
        };
        self.root(source, &root);
    }

    pub fn root(&mut self, source: &Arc<Source>, root: &Node) {
        let Some(entries) = Entries::of(source, root, "a file of definitions", &mut self.diagnostics) else { return };
        let known: Vec<&str> = FILE_KEYS.iter().chain(self.beside).copied().collect();
        entries.only(&known, &mut self.diagnostics);
        if let Some(lists) = entries.get("lists") {
            self.lists_of(source, lists);
        }
        // In the order of the text, which is the order of definition.
        let mut parts = ["segments", "ladders"];
        parts.sort_by_key(|name| entries.get(name).map(|node| node.bytes.start));
        for part in parts {
            for node in entries.sequence(part, &mut self.diagnostics) {
                if part == "ladders" { self.ladder(source, node) } else { self.segment(source, node) }
            }
        }
    }

    fn lists_of(&mut self, source: &Arc<Source>, node: &Node) {
        let Some(lists) = Entries::of(source, node, "`lists`", &mut self.diagnostics) else { return };
        for (key, ids) in lists.all() {
            let name = key.text().unwrap_or_default();
            if let Some(problem) = entry::bad_key(name) {
                self.diagnostics.push(entry::error("bad-key", source, key, problem));
            }
            let ids = entry::texts(source, name, ids, &mut self.diagnostics);
            let ids = ids.iter().map(|id| CustomerId::new(*id)).collect();
            let apart = self.names.lists.iter().any(|list| list.as_str() == name);
            if self.lists.insert(ListKey::new(name), ids).is_some() || apart {
                let diagnostic = entry::error("duplicate-list", source, key, format!("the list `{name}` is defined twice"));
                let place = if apart { "the folder of lists has a file of this name" } else { "definitions have it already" };
                self.diagnostics.push(diagnostic.help(format!("{place}: leave one of the two")));
            }
        }
    }

    fn segment(&mut self, source: &Arc<Source>, node: &Node) {
        let Some(entries) = Entries::of(source, node, "a segment", &mut self.diagnostics) else { return };
        entries.only(&[&SEGMENT_KEYS[..], &pin::KEYS, &publication::KEYS].concat(), &mut self.diagnostics);
        let timezone = self.timezone(source, &entries);
        let when = self.required_rule(source, &entries, node).map(|(when, written)| (when, Some(written)));
        let pins = pin::read(source, &entries, &mut self.diagnostics);
        self.draft(source, node, &entries, Own { timezone, when, stage: None, pins });
    }

    /// What a segment and a stage have in common.
    pub fn draft(&mut self, source: &Arc<Source>, node: &Node, entries: &Entries<'_>, own: Own) {
        let Own { timezone, when, stage, pins } = own;
        let key = self.key(source, entries, node);
        let key_written = key.as_ref().map(|(key, _)| key);
        let publication = publication::read(source, entries, key_written, self.names.catalogue, &mut self.diagnostics);
        let exit_when = self.optional_rule(source, entries);
        let min_stay = entries.duration("min_stay", &mut self.diagnostics);
        let tags = entries.texts("tags", &mut self.diagnostics);
        let tests = entries.get("tests").cloned();
        let mut text = |name| entries.text(name, &mut self.diagnostics).map(|(_, text)| text.to_owned());
        let (name, description, owner) = (text("name"), text("description"), text("owner"));
        // Broken somewhere: what was wrong is reported.
        let (Some((key, location)), Some(timezone), Some(when), Ok(exit_when)) = (key, timezone, when, exit_when) else { return };
        let ((when, when_written), (exit_when, exit_written)) = (when, exit_when.unzip());
        let ((pin, pin_written), (ban, ban_written)) = (pins.pin.unzip(), pins.ban.unzip());
        // A ladder has a stage for everybody: whoever never did anything stands somewhere, too.
        if let (Some(written), None) = (&when_written, &stage) {
            self.report(source, &written.node, check::check_entry(&when));
        }
        if let (Some(exit_when), Some(written)) = (&exit_when, &exit_written) {
            self.report(source, &written.node, check::check_exit(&when, exit_when));
        }
        let (stage, place) = stage.unzip();
        let text = |rule: &Option<Expr>| rule.as_ref().map(Expr::to_string);
        let options = [("min_stay", min_stay.map(|span| span.to_string())), ("stage", place), ("pin", text(&pin)), ("ban", text(&ban))];
        let version = version(&when, exit_when.as_ref(), &timezone, &options);
        #[rustfmt::skip]
        let definition = SegmentDefinition {
            key, name, description, owner, tags, timezone, when, exit_when, min_stay, pin, ban, publication, stage, version, tests, location,
        };
        self.drafts.push(Draft { definition, when: when_written, exit_when: exit_written, pin: pin_written, ban: ban_written });
    }

    pub fn required_rule(&mut self, source: &Arc<Source>, entries: &Entries<'_>, segment: &Node) -> Option<(Expr, Written)> {
        let (node, text) = entries.required("when", segment, &mut self.diagnostics)?;
        self.rule(source, node, text)
    }

    /// `Err`: it is there and broken.
    fn optional_rule(&mut self, source: &Arc<Source>, entries: &Entries<'_>) -> Result<Option<(Expr, Written)>, ()> {
        match entries.text("exit_when", &mut self.diagnostics) {
            Some((node, text)) => self.rule(source, node, text).map(Some).ok_or(()),
            None => Ok(None),
        }
    }

    /// `None`: there is no usable key, or it was taken.
    fn key(&mut self, source: &Arc<Source>, entries: &Entries<'_>, segment: &Node) -> Option<(SegmentKey, Location)> {
        let (node, text) = entries.required("key", segment, &mut self.diagnostics)?;
        if let Some(problem) = entry::bad_key(text) {
            self.diagnostics.push(entry::error("bad-key", source, node, problem));
            return None;
        }
        let (key, location) = (SegmentKey::new(text), entry::location(source, node));
        if let Some(first) = self.keys.get(&key) {
            let diagnostic = entry::error("duplicate-segment", source, node, format!("the segment `{key}` is defined twice"));
            self.diagnostics.push(diagnostic.help(format!("it is defined first at {first}; keys are never reused")));
            return None;
        }
        if self.keys.len() == MAX_SEGMENTS {
            let message = format!("more than {MAX_SEGMENTS} segments");
            self.diagnostics.push(entry::error("too-many-segments", source, node, message));
        }
        self.keys.insert(key.clone(), location.clone());
        Some((key, location))
    }

    pub fn timezone(&mut self, source: &Arc<Source>, entries: &Entries<'_>) -> Option<Zone> {
        let Some((node, name)) = entries.text("timezone", &mut self.diagnostics) else { return Some(Zone::UTC) };
        let zone = Zone::parse(name);
        if zone.is_none() {
            let diagnostic = entry::error("unknown-timezone", source, node, format!("there is no time zone `{name}`"));
            let names = Zone::names();
            let near = diagnostic.suggest(name, names.iter().map(String::as_str));
            self.diagnostics.push(near.help("time zones have IANA names, such as `Europe/Berlin`"));
        }
        zone
    }

    /// A rule that parses and whose types fit; its problems are reported.
    fn rule(&mut self, source: &Arc<Source>, node: &Node, text: &str) -> Option<(Expr, Written)> {
        let (expr, findings) = match parser::parse(text) {
            Ok(expr) => {
                let findings = check::check(&expr, self.names.catalogue);
                (Some(expr), findings)
            }
            Err(findings) => (None, findings),
        };
        let right = findings.iter().all(|finding| finding.severity != Severity::Error);
        self.report(source, node, findings);
        expr.filter(|_| right).map(|expr| (expr, Written { source: source.clone(), node: node.clone() }))
    }

    fn report(&mut self, source: &Arc<Source>, node: &Node, findings: Vec<Finding>) {
        if findings.is_empty() {
            return;
        }
        let map = TextMap::new(node, &source.text);
        self.diagnostics.extend(findings.into_iter().map(|finding| {
            let bytes = Some(map.bytes(finding.place));
            finding.at(Location { source: source.clone(), bytes })
        }));
    }

    pub fn finish(mut self) -> Loaded {
        let evaluation_order = resolve::resolve(&mut self);
        let misfits = tiers::lint(&self.drafts);
        self.diagnostics.extend(misfits);
        if self.keys.is_empty() && self.lists.is_empty() && self.diagnostics.is_empty() {
            self.diagnostics.push(no_definitions());
        }
        let failed = self.diagnostics.iter().any(Diagnostic::is_error);
        let place = |d: &Diagnostic| d.location.as_ref().map(|l| (l.source.name.clone(), l.bytes.as_ref().map(|b| b.start)));
        self.diagnostics.sort_by_cached_key(place);
        let segments = self.drafts.into_iter().map(|draft| draft.definition).collect();
        let definitions = Definitions { segments, ladders: self.ladders, lists: self.lists, evaluation_order };
        Loaded { definitions: (!failed).then_some(definitions), diagnostics: self.diagnostics }
    }
}

fn no_definitions() -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: "no-definitions",
        message: "there is not a single definition".to_owned(),
        location: None,
        label: None,
        help: Some("definitions are read from files `*.yaml` and `*.yml`".to_owned()),
    }
}
