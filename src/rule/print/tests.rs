//! The laws of the text and JSON forms, over random trees; and that no text whatever breaks the reader.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;
use smol_str::SmolStr;

use super::super::ast::*;
use super::super::word::RESERVED;
use super::super::{fixture, json, parser};
use crate::time::{CalendarDate, CalendarUnit, Span};

fn place() -> Place {
    Place::default()
}

fn word() -> impl Strategy<Value = SmolStr> {
    let grammar = select(vec!["last", "and", "where", "count", "every", "top", "no", "month", "trait", "ago", "true"]);
    prop_oneof!["[a-z_][a-z0-9_]{0,6}", grammar.prop_map(String::from)].prop_map(SmolStr::from)
}

fn name() -> impl Strategy<Value = Name> {
    word().prop_filter("reserved", |word| !RESERVED.contains(&word.as_str())).prop_map(|text| Name { text, place: place() })
}

fn dotted() -> impl Strategy<Value = Name> {
    (name(), vec(word(), 0..3)).prop_map(|(first, rest)| {
        let parts: Vec<_> = std::iter::once(first.text).chain(rest).collect();
        Name { text: parts.join(".").into(), place: place() }
    })
}

fn text() -> impl Strategy<Value = SmolStr> {
    "[a-zé\"\\\\#' \n]{0,8}".prop_map(SmolStr::from)
}

fn quoted() -> impl Strategy<Value = Name> {
    text().prop_map(|text| Name { text, place: place() })
}

fn span() -> impl Strategy<Value = Span> {
    (1..100_000_000_i64).prop_map(|seconds| Span::from_millis(seconds * 1000).unwrap())
}

fn number() -> impl Strategy<Value = Decimal> {
    let nonzero = |n: &i64| *n != 0;
    prop_oneof![
        Just(Decimal::ZERO),
        (any::<i64>().prop_filter("zero has no sign", nonzero), 0..28_u32).prop_map(|(n, scale)| Decimal::new(n, scale))
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![number().prop_map(Literal::Number), text().prop_map(Literal::Text), any::<bool>().prop_map(Literal::Bool)]
}

fn window() -> impl Strategy<Value = Window> {
    let unit = || select(vec![CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Quarter, CalendarUnit::Year]);
    let date = (1000..9999, 1..=12, 1..=28).prop_map(|(y, m, d)| CalendarDate::parse(&format!("{y}-{m:02}-{d:02}")).unwrap());
    prop_oneof![
        span().prop_map(Window::Last),
        span().prop_map(Window::OlderThan),
        (span(), span()).prop_map(|(from, to)| Window::FromTo { from, to }),
        date.prop_map(Window::Since),
        unit().prop_map(Window::This),
        unit().prop_map(Window::Previous),
        Just(Window::Lifetime),
    ]
}

type Exprs = BoxedStrategy<Expr>;

fn selection(filter: Exprs) -> impl Strategy<Value = Selection> {
    let field = option::of((word(), vec(word(), 0..2)).prop_map(|(first, rest)| {
        let parts: Vec<_> = std::iter::once(first).chain(rest).collect();
        Name { text: parts.join(".").into(), place: place() }
    }));
    (name(), field, window(), option::of(filter.prop_map(Box::new))).prop_map(|(stream, field, window, filter)| Selection {
        stream,
        field,
        window,
        window_place: place(),
        filter,
    })
}

fn aggregate(filter: Exprs) -> impl Strategy<Value = Box<Aggregate>> {
    (select(Function::ALL.to_vec()), selection(filter)).prop_map(|(function, over)| Box::new(Aggregate { function, over }))
}

fn sequence(filter: Exprs) -> impl Strategy<Value = ExprKind> {
    let step = (any::<bool>(), name(), option::of(filter.prop_map(Box::new)), option::of(dotted()), option::of(span()))
        .prop_map(|(absent, stream, filter, same, within)| Step { absent, stream, filter, same, within });
    (vec(step, 1..3), option::of(span())).prop_map(|(mut steps, last)| {
        steps[0].absent = false;
        steps[0].within = None;
        ExprKind::Sequence(Box::new(Sequence { steps, last }))
    })
}

fn leaf() -> impl Strategy<Value = ExprKind> {
    prop_oneof![
        literal().prop_map(ExprKind::Literal),
        dotted().prop_map(ExprKind::Field),
        word().prop_map(|text| ExprKind::Trait(Name { text, place: place() })),
        (quoted(), option::of(span())).prop_map(|(key, last)| ExprKind::Segment { key, last }),
        quoted().prop_map(ExprKind::List),
        (name(), span(), span()).prop_map(|(stream, after, within)| ExprKind::Returned { stream, after, within }),
    ]
}

fn branch(below: Exprs) -> impl Strategy<Value = ExprKind> {
    let one = || below.clone().prop_map(Box::new);
    let operators = prop_oneof![
        vec(below.clone(), 2..4).prop_map(ExprKind::Or),
        vec(below.clone(), 2..4).prop_map(ExprKind::And),
        one().prop_map(ExprKind::Not),
        one().prop_map(ExprKind::Negate),
        (select(CompareOp::ALL.to_vec()), one(), one()).prop_map(|(op, left, right)| ExprKind::Compare { op, left, right }),
        (select(ArithmeticOp::ALL.to_vec()), one(), one()).prop_map(|(op, left, right)| ExprKind::Arithmetic { op, left, right }),
    ];
    let comparisons = prop_oneof![
        (one(), one(), one()).prop_map(|(value, low, high)| ExprKind::Between { value, low, high }),
        (one(), one(), any::<bool>(), one(), any::<bool>()).prop_map(|(value, low, low_included, high, high_included)| {
            ExprKind::InRange { value, low, low_included, high, high_included }
        }),
        (one(), vec(literal(), 1..4)).prop_map(|(value, set)| ExprKind::InSet { value, set }),
        (one(), literal()).prop_map(|(value, element)| ExprKind::Contains { value, element }),
        (one(), any::<bool>()).prop_map(|(value, negated)| ExprKind::IsNull { value, negated }),
    ];
    let calls = prop_oneof![
        aggregate(below.clone()).prop_map(ExprKind::Aggregate),
        (select(Quantifier::ALL.to_vec()), selection(below.clone()).prop_map(Box::new), one())
            .prop_map(|(quantifier, over, condition)| ExprKind::Quantified { quantifier, over, condition }),
        sequence(below.clone()),
        (number(), aggregate(below.clone())).prop_map(|(percent, by)| ExprKind::Top { percent: percent.abs(), by }),
    ];
    prop_oneof![operators, comparisons, calls]
}

/// Any tree that a parser could make, whether or not its types fit.
fn expr() -> impl Strategy<Value = Expr> {
    let node = |kind| Expr { kind, place: place() };
    leaf().prop_map(node).prop_recursive(5, 40, 4, move |below| branch(below).prop_map(node).boxed())
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same_tree(tree in expr()) {
        let text = tree.to_string();
        let read = parser::parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&tree), "{}", text);
        prop_assert_eq!(read.map(|tree| tree.to_string()), Ok(text));
    }

    #[test]
    fn json_loses_nothing(tree in expr()) {
        let written = json::to_json(&tree).to_string();
        let read = json::from_json(&serde_json::from_str(&written).unwrap());
        prop_assert_eq!(read, Ok(tree));
    }

    #[test]
    fn any_text_ends_in_a_tree_or_in_findings_inside_it(
        text in prop_oneof![".{0,40}", "(count|\\(|\\)|orders| |last|30d|>|2|and|not|\"|\\.|where|:|-|5_0|#|\n|é){0,30}"],
    ) {
        match parser::parse(&text) {
            Ok(tree) => prop_assert_eq!(parser::parse(&tree.to_string()), Ok(tree)),
            Err(findings) => prop_assert!(findings.iter().all(|f| text.get(f.place.start as usize..f.place.end as usize).is_some())),
        }
    }

    #[test]
    fn any_file_ends_in_definitions_or_in_places_inside_it(
        text in prop_oneof![
            "(segments:|\n|  |- |\\{|\\}|key: |when: |a|'|\"|\\||>|count\\(orders\\)|\\[|\\]|,|é|#|&x |\\*x|---|\\\\|\t){0,40}",
            "[|>'\"]?(count\\(ordrs\\)|é|''|\\\\|\\\\n|\n  |  |'|\"){0,12}".prop_map(|rule| format!("segments:\n- key: a\n  when: {rule}\n")),
        ],
    ) {
        let catalogue = fixture::catalogue();
        let loaded = super::super::load_text("a", &text, super::super::Names { catalogue: &catalogue, lists: &[] }, &[]);
        for diagnostic in &loaded.diagnostics {
            let bytes = diagnostic.location.as_ref().and_then(|location| location.bytes.clone());
            prop_assert!(bytes.clone().is_none_or(|bytes| text.get(bytes).is_some()), "{bytes:?} of {diagnostic:?}");
            super::super::diagnostic::render(diagnostic, super::super::diagnostic::Style::Plain);
        }
    }
}
