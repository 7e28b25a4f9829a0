//! What was foreseen of a record never shows in the notes: they are those of a walk that has seen no record before, and those
//! of `serde_json`'s tree.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const POINTERS: [&str; 6] = ["/a", "/b", "/c/a", "/c/b", "/d/*/a", "/d/*/b"];

/// Texts of few keys in a few orders and spacings, with repetitions and escapes, so that what is foreseen is often right and often
/// nearly right.
fn record() -> impl Strategy<Value = String> {
    let scalar = || prop_oneof![Just("1".to_owned()), Just("\"x\"".to_owned()), Just("null".to_owned()), Just("-2.5e1".to_owned())];
    let flat = || object(scalar().boxed());
    let list =
        prop::collection::vec(prop_oneof![flat().boxed(), scalar().boxed()], 0..4).prop_map(|elements| format!("[{}]", elements.join(",")));
    object(prop_oneof![list.boxed(), flat().boxed(), scalar().boxed()].boxed())
}

fn object(value: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    let key = prop_oneof![4 => "[abcd]", 1 => Just("\\u0061".to_owned()), 1 => Just("ab".to_owned())];
    (prop::collection::vec((key, value), 0..5), any::<bool>()).prop_map(|(members, spaced)| {
        let (colon, comma) = if spaced { (" : ", " , ") } else { (":", ",") };
        let members: Vec<String> = members.into_iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
        format!("{{{}}}", members.join(comma))
    })
}

/// For each pointer, what stands there; of a record that is no object nothing is looked at.
fn noted(tree: &PathTree, notes: &Notes, text: &str) -> Vec<Vec<String>> {
    let at = |pointer: &&str| {
        let node = tree.find(pointer);
        let tokens: Vec<Token> = if tree.node(node).repeated { notes.each(node).collect() } else { notes.at(node).into_iter().collect() };
        tokens.into_iter().map(|token| text[token.range()].to_owned()).collect()
    };
    POINTERS.iter().map(at).collect()
}

fn expected(tree: &Value) -> Vec<usize> {
    let at = |pointer: &&str| match pointer.split_once("/*") {
        None => usize::from(tree.pointer(pointer).is_some()),
        Some((list, rest)) => {
            let elements = tree.pointer(list).and_then(Value::as_array).into_iter().flatten();
            elements.filter(|element| element.pointer(rest).is_some()).count()
        }
    };
    POINTERS.iter().map(at).collect()
}

proptest! {
    #[test]
    fn a_record_is_noted_as_if_it_were_the_first(texts in prop::collection::vec((record(), any::<prop::sample::Index>(), 0..5u8), 1..8)) {
        let tree = PathTree::new(POINTERS.into_iter());
        let mut used = Notes::default();
        for (mut text, at, fate) in texts {
            // Now and then a record is cut off, or lacks a byte; what it taught must not harm the next.
            match fate {
                0 => text.truncate(at.index(text.len())),
                1 => drop(text.remove(at.index(text.len()))),
                _ => {}
            }
            let text = &text[..];
            let mut fresh = Notes::default();
            let outcome = Walk::new(&tree, &mut used, text).record();
            prop_assert_eq!(outcome, Walk::new(&tree, &mut fresh, text).record(), "{}", text);
            let Ok(root) = outcome else { continue };
            if root.kind == Kind::Object {
                let notes = noted(&tree, &used, text);
                prop_assert_eq!(&notes, &noted(&tree, &fresh, text), "{}", text);
                let parsed: Value = serde_json::from_str(text).expect("JSON");
                prop_assert_eq!(notes.iter().map(Vec::len).collect::<Vec<_>>(), expected(&parsed), "{}", text);
            }
        }
    }
}

#[test]
fn a_key_that_is_longer_than_what_is_foreseen_is_looked_up_each_time() {
    let key = "k".repeat(FORESEEN_BYTES);
    let pointer = format!("/{key}");
    let tree = PathTree::new([pointer.as_str()].into_iter());
    let mut notes = Notes::default();
    for value in ["1", "22"] {
        let text = format!("{{\"{key}\":{value}}}");
        Walk::new(&tree, &mut notes, &text).record().expect("JSON");
        assert_eq!(notes.at(tree.find(&pointer)).map(|token| &text[token.range()]), Some(value));
        assert!(notes.foreseen[Place::first_in(NodeIndex::ROOT).0].bytes.is_empty());
    }
}

#[test]
fn what_came_after_a_key_is_not_foreseen_as_a_first_one() {
    let tree = PathTree::new(POINTERS.into_iter());
    let mut notes = Notes::default();
    for known in ["{\"x\":1,\"a\":2}", "{\"x\":1,\"a\":2}"] {
        assert!(Walk::new(&tree, &mut notes, known).record().is_ok());
    }
    assert_eq!(Walk::new(&tree, &mut notes, "{,\"a\":2}").record(), Err(JsonError::Syntax { at: 1, expected: "a key" }));
}
