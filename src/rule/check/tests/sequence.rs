//! What is wrong with a `sequence`, and where.

use super::*;

#[test]
fn a_sequence_that_fits_passes_in_silence() {
    for text in [
        "sequence(product_adds then no orders within 1h last 1d)",
        "sequence(orders)",
        "sequence(orders where total > 5 same store_id then refunds same order_id then no orders same redeemed)",
        "sequence(orders then refunds same total within 3d) and count(orders lifetime) > 0",
    ] {
        assert_eq!(check(text), "", "{text}");
    }
}

#[test]
fn a_step_of_a_sequence_names_what_is_there() {
    insta::assert_snapshot!(check("sequence(product_ads then orders where totl > 1 last 1d)"), @r"
    error[unknown-stream]: there is no stream `product_ads`
     --> rule:1:10
      |
    1 | sequence(product_ads then orders where totl > 1 last 1d)
      |          ^^^^^^^^^^^ did you mean `product_adds`?
      |
      = help: streams are listed by `segmentd schema streams`

    error[unknown-field]: the stream `orders` has no field `totl`
     --> rule:1:40
      |
    1 | sequence(product_ads then orders where totl > 1 last 1d)
      |                                        ^^^^ did you mean `total`?
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("sequence(identify then orders)"), @r"
    error[unknown-stream]: there is no stream `identify`
     --> rule:1:10
      |
    1 | sequence(identify then orders)
      |          ^^^^^^^^
      |
      = help: streams are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("sequence(product_adds then orders where total)"), @r"
    error[not-a-condition]: a condition is expected here, and this is a number
     --> rule:1:41
      |
    1 | sequence(product_adds then orders where total)
      |                                         ^^^^^
      |
      = help: compare it with something
    ");
    assert_eq!(codes("sequence(product_adds then orders where segment(\"a\"))"), ["not-in-filter"]);
    assert_eq!(codes("any(orders last 1d: sequence(orders))"), ["not-in-filter"]);
}

#[test]
fn same_needs_a_field_that_both_events_have_and_that_can_be_equal() {
    insta::assert_snapshot!(check("sequence(product_adds then orders same sku within 1h)"), @r"
    error[unknown-field]: the stream `orders` has no field `sku`
     --> rule:1:40
      |
    1 | sequence(product_adds then orders same sku within 1h)
      |                                        ^^^
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("sequence(product_adds then orders same order_id)"), @r"
    error[unknown-field]: the stream `product_adds` has no field `order_id`
     --> rule:1:40
      |
    1 | sequence(product_adds then orders same order_id)
      |                                        ^^^^^^^^
      |
      = help: fields of `product_adds` are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("sequence(product_adds then orders same size)"), @r"
    error[unknown-field]: the stream `orders` has no field `size`
     --> rule:1:40
      |
    1 | sequence(product_adds then orders same size)
      |                                        ^^^^
      |
      = help: fields of `orders` are listed by `segmentd schema streams`
    ");
    insta::assert_snapshot!(check("sequence(orders then orders same products.category)"), @r"
    error[compared-array]: an array is not compared
     --> rule:1:34
      |
    1 | sequence(orders then orders same products.category)
      |                                  ^^^^^^^^^^^^^^^^^
      |
      = help: `same` needs a field with one value
    ");
    insta::assert_snapshot!(check("sequence(sessions then orders same store_id)"), @r"
    error[type-mismatch]: `store_id` of `orders` is a text and never equal to that of `sessions`, a number
     --> rule:1:36
      |
    1 | sequence(sessions then orders same store_id)
      |                                    ^^^^^^^^
    ");
    assert_eq!(codes("sequence(orders same totl then orders)"), ["unknown-field"]);
    assert_eq!(codes("sequence(order then refunds same order_id)"), ["unknown-stream"]);
}

#[test]
fn a_sequence_has_an_end() {
    assert_eq!(check(&format!("sequence(orders{})", " then orders".repeat(15))), "");
    insta::assert_snapshot!(check(&format!("sequence(orders{})", " then orders".repeat(16))), @r#"
    error[too-many-steps]: a sequence has at most 16 steps, and this one has 17
     --> rule:1:202
      |
    1 | ...n orders then orders then orders then orders then orders then orders)
      |                                                                  ^^^^^^
      |
      = help: make the first steps a segment of their own: `segment("…" last …)`
    "#);
}
