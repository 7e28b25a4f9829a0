//! Does a document have the keys and the types that a JSON Schema asks for? All answers at once, each with its place.
//!
//! serde would stop at the first unknown key. Here every entry that does not fit is reported and left out, so that the
//! rest can still be read, and its meaning checked, in the same run.
//!
//! **Invariant:** the value that comes back fits the schema; serde will not refuse it.

use serde_json::{Map, Value, json};

use super::document::{Entry, Node, Tree};
use crate::rule::diagnostic::{Diagnostic, Location};

/// The part of `node` that fits `schema` (subschemas inlined). `None`: nothing of it does.
pub fn fit(node: &Node, schema: &Value, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Value> {
    let fits = match &node.tree {
        Tree::Map(entries) if accepts(schema, "object") => Some(fit_map(entries, schema, path, diagnostics)),
        Tree::List(items) if accepts(schema, "array") => Some(fit_list(items, schema, path, diagnostics)),
        Tree::Scalar(text) => fit_scalar(text, schema),
        Tree::Null if accepts(schema, "null") => Some(Value::Null),
        // `kafka:` with nothing below it is what is left when every line below is commented out.
        Tree::Null if accepts(schema, "object") => Some(json!({})),
        _ => None,
    };
    if fits.is_none() {
        diagnostics.push(wrong_type(node, schema, path));
    }
    fits
}

fn fit_map(entries: &[Entry], schema: &Value, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Value {
    let mut map = Map::new();
    for Entry { key, key_location, value } in entries {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let known = schema["properties"].get(key).or_else(|| Some(&schema["additionalProperties"]).filter(|any| any.is_object()));
        match known {
            Some(schema) => map.extend(fit(value, schema, &inner, diagnostics).map(|value| (key.clone(), value))),
            None => diagnostics.push(unknown_key(key, &inner, key_location, schema)),
        }
    }
    Value::Object(map)
}

fn fit_list(items: &[Node], schema: &Value, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Value {
    let each = items.iter().enumerate();
    each.filter_map(|(i, item)| fit(item, &schema["items"], &format!("{path}[{i}]"), diagnostics)).collect()
}

fn fit_scalar(text: &str, schema: &Value) -> Option<Value> {
    match text {
        "true" | "false" if accepts(schema, "boolean") => Some(json!(text == "true")),
        _ if accepts(schema, "integer") => text.parse().ok().filter(|n| in_range(*n, schema)).map(|n: i64| json!(n)),
        _ => accepts(schema, "string").then(|| json!(text)),
    }
}

fn accepts(schema: &Value, wanted: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one == wanted,
        Value::Array(several) => several.iter().any(|one| one == wanted),
        _ => false,
    }
}

fn in_range(value: i64, schema: &Value) -> bool {
    schema["minimum"].as_i64().is_none_or(|least| value >= least) && schema["maximum"].as_i64().is_none_or(|most| value <= most)
}

fn wrong_type(node: &Node, schema: &Value, path: &str) -> Diagnostic {
    let found = match &node.tree {
        Tree::Null => "nothing",
        Tree::Scalar(_) => "a text",
        Tree::List(_) => "a list",
        Tree::Map(_) => "a section",
    };
    let subject = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
    Diagnostic::error("wrong-type", node.location.clone(), format!("{subject} is {found}, it must be {}", wanted(schema)))
}

fn wanted(schema: &Value) -> String {
    let names = [("string", "a text"), ("boolean", "true or false"), ("array", "a list"), ("object", "a section")];
    let plain = names.iter().find(|(name, _)| accepts(schema, name)).map(|(_, words)| (*words).to_owned());
    plain.unwrap_or_else(|| match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
        (Some(least), None) => format!("a whole number of at least {least}"),
        _ => "a whole number".to_owned(),
    })
}

fn unknown_key(key: &str, path: &str, location: &Location, schema: &Value) -> Diagnostic {
    let known: Vec<&str> = schema["properties"].as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
    let help = format!("the settings here are {}", known.join(", "));
    Diagnostic::error("unknown-key", location.clone(), format!("there is no setting `{path}`")).suggest(key, known).help(help)
}
