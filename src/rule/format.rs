//! A file of definitions with its rules in canonical text, and everything else as its author left it.
//!
//! Only the scalars of rules are rewritten, each in the quotes it had; in a block (`|`, `>`) every part of the outermost
//! `and` or `or` gets a line. A rule with a comment is its author's layout, and stays.
//!
//! Law: `format(format(x)) == format(x)`, and both files mean the same: it is read again and compared before it is given out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::ast::Expr;
use super::diagnostic::{Diagnostic, Location, Source};
use super::yaml::{self, Content, Node, ScalarKind, TextMap};
use super::{lexer, parser, print};

/// A file in canonical form, and what is different in it.
pub struct Formatted {
    pub text: String,
    pub changes: Vec<Change>,
}

/// A rule that is written otherwise in the file.
pub struct Change {
    pub location: Location,
    pub before: String,
    pub after: String,
}

/// Formats a file of definitions or of tests; the errors are those of its YAML and of its rules' syntax.
pub fn format(source: &Arc<Source>) -> Result<Formatted, Vec<Diagnostic>> {
    let (documents, mut diagnostics) = yaml::read_documents(source);
    let mut rules = BTreeMap::new();
    documents.iter().for_each(|document| collect(document, &mut rules));
    let mut parsed = Vec::new();
    for node in rules.into_values() {
        let text = node.text().unwrap_or_default();
        match parser::parse(text) {
            Ok(expr) => parsed.push((node, expr)),
            Err(findings) => {
                let map = TextMap::new(node, &source.text);
                let place = |place| Location { source: source.clone(), bytes: Some(map.bytes(place)) };
                diagnostics.extend(findings.into_iter().map(|finding| {
                    let location = place(finding.place);
                    finding.at(location)
                }));
            }
        }
    }
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    // Without quotes the canonical text may be no plain scalar any more; then it gets some.
    let as_quoted = |kind| if kind == ScalarKind::Plain { ScalarKind::Single } else { kind };
    let attempts = [rewritten(source, &parsed, |kind| kind), rewritten(source, &parsed, as_quoted)];
    let same = |formatted: &Formatted| meaning(&yaml::read_documents(&Source::new("", formatted.text.as_str())).0) == meaning(&documents);
    Ok(attempts.into_iter().find(same).unwrap_or_else(|| Formatted { text: source.text.clone(), changes: Vec::new() }))
}

/// The rules' scalars by where they stand: what an alias repeats is one.
fn collect<'n>(node: &'n Node, rules: &mut BTreeMap<usize, &'n Node>) {
    match &node.content {
        Content::Sequence(items) => items.iter().for_each(|item| collect(item, rules)),
        Content::Mapping(entries) => entries.iter().for_each(|(key, value)| match key.text() {
            Some("when" | "exit_when") if value.text().is_some() => drop(rules.insert(value.bytes.start, value)),
            Some("segments" | "ladders" | "stages") => collect(value, rules),
            _ => {}
        }),
        Content::Scalar(..) => {}
    }
}

fn rewritten(source: &Arc<Source>, rules: &[(&Node, Expr)], kind_of: impl Fn(ScalarKind) -> ScalarKind) -> Formatted {
    let (mut text, mut changes, mut done) = (String::new(), Vec::new(), 0);
    for (node, expr) in rules {
        let Content::Scalar(before, kind) = &node.content else { continue };
        let canonical = print::lines(expr);
        if lexer::has_comment(before) || node.bytes.start < done || *kind != ScalarKind::Block && **before == *expr.to_string() {
            continue;
        }
        let Some(after) = spelled(&source.text, node, expr, &canonical, kind_of(*kind)) else { continue };
        if source.text.get(node.bytes.clone()) == Some(after.as_str()) {
            continue;
        }
        text.push_str(source.text.get(done..node.bytes.start).unwrap_or_default());
        text.push_str(&after);
        done = node.bytes.end;
        let location = Location { source: source.clone(), bytes: Some(node.bytes.clone()) };
        changes.push(Change { location, before: before.trim().replace('\n', " "), after: expr.to_string() });
    }
    text.push_str(source.text.get(done..).unwrap_or_default());
    Formatted { text, changes }
}

/// A rule as the file spells it; `None`: it has a line break in a string, or a form that is left alone.
fn spelled(file: &str, node: &Node, expr: &Expr, lines: &[String], kind: ScalarKind) -> Option<String> {
    let text = expr.to_string();
    if text.contains(char::is_control) {
        return None;
    }
    match kind {
        ScalarKind::Plain => Some(text),
        ScalarKind::Single => Some(format!("'{}'", text.replace('\'', "''"))),
        ScalarKind::Double => Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        ScalarKind::Block => block(file, &node.bytes, lines),
    }
}

/// The scalar begins behind the indentation of its first line, and ends with the blanks before what follows.
fn block(file: &str, bytes: &Range<usize>, lines: &[String]) -> Option<String> {
    let (before, written) = (file.get(..bytes.start)?, file.get(bytes.clone())?);
    let indent = before.rsplit('\n').next().filter(|indent| indent.bytes().all(|b| b == b' '))?;
    let trailing = &written[written.trim_end().len()..];
    Some(lines.join(&format!("\n{indent}")) + trailing)
}

/// Everything that a file says, its rules in canonical text.
fn meaning(documents: &[Node]) -> Vec<String> {
    let mut said = Vec::new();
    documents.iter().for_each(|document| say(document, &mut said));
    said
}

fn say(node: &Node, said: &mut Vec<String>) {
    match &node.content {
        Content::Scalar(text, _) => said.push(parser::parse(text).map_or_else(|_| text.to_string(), |rule| rule.to_string())),
        Content::Sequence(items) => {
            said.push(format!("{} items", items.len()));
            items.iter().for_each(|item| say(item, said));
        }
        Content::Mapping(entries) => {
            said.push(format!("{} entries", entries.len()));
            entries.iter().for_each(|(key, value)| {
                say(key, said);
                say(value, said);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str) {
        let format = |text: &str| format(&Source::new("a.yaml", text)).unwrap_or_else(|found| panic!("{found:?}")).text;
        assert_eq!(format(before), after);
        let again = super::format(&Source::new("a.yaml", after)).unwrap_or_else(|found| panic!("{found:?}"));
        assert_eq!((again.text.as_str(), again.changes.len()), (after, 0), "it is not canonical yet");
    }

    #[test]
    fn only_the_rules_change_and_each_keeps_its_quotes() {
        check(
            "# what\nsegments:   # why\n  -   {key: a,   when: 'count( orders last 2w )>1'}  # how\n  - key: b\n    when: \"trait.a==\\\"x\\\"\"\n    name:   'two  blanks'\n",
            "# what\nsegments:   # why\n  -   {key: a,   when: 'count(orders last 14d) > 1'}  # how\n  - key: b\n    when: \"trait.a == \\\"x\\\"\"\n    name:   'two  blanks'\n",
        );
    }

    #[test]
    fn a_block_has_a_line_for_each_part() {
        check(
            "segments:\n  - key: a\n    when: >-   # loyal\n        count(orders last 1w)>1 and (trait.a\n        or trait.b)   and not trait.c\n\n    exit_when: |\n      true\n",
            "segments:\n  - key: a\n    when: >-   # loyal\n        count(orders last 7d) > 1\n        and (trait.a or trait.b)\n        and not trait.c\n\n    exit_when: |\n      true\n",
        );
    }

    #[test]
    fn a_plain_rule_gets_quotes_only_where_it_needs_them() {
        check("segments: [{key: a, when: count(orders last 2w)>1}]", "segments: [{key: a, when: count(orders last 14d) > 1}]");
        check("segments: [{key: a, when: any(orders last 2w:gift)}]", "segments: [{key: a, when: 'any(orders last 14d: gift)'}]");
    }

    #[test]
    fn a_rule_with_a_comment_stays_as_it_is() {
        let text = "segments:\n  - key: a\n    when: |\n      trait.a   # everybody\n        and trait.b\n";
        check(text, text);
        check("segments: [{key: a, when: 'trait.a==\"#\"'}]", "segments: [{key: a, when: 'trait.a == \"#\"'}]");
    }

    #[test]
    fn what_is_no_rule_is_reported_and_nothing_is_changed() {
        let found = format(&Source::new("a.yaml", "segments: [{key: a, when: 'count(orders'}]")).err().unwrap();
        assert_eq!((found[0].code, found[0].location.as_ref().unwrap().to_string().as_str()), ("syntax", "a.yaml:1:40"));
    }

    #[test]
    fn a_rule_that_is_written_once_and_used_twice_is_changed_once() {
        check(
            "segments: [{key: a, when: &x 'trait.a>1'}, {key: b, when: *x}]",
            "segments: [{key: a, when: &x 'trait.a > 1'}, {key: b, when: *x}]",
        );
    }
}
