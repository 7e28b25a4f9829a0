//! Segments that share out one value: neighbours that overlap, or leave a number to nobody.
//!
//! `[0, 100]` beside `[100, 300)` puts whoever has exactly 100 into both. One interval within another is meant so.
//!
//! **Invariant:** compares only rules that are a single comparison of the same value in the same time zone; the work is
//! that of sorting them.

use std::collections::BTreeMap;

use super::super::ast::ExprKind;
use super::super::check::Interval;
use super::super::check::demand;
use super::super::diagnostic::{Diagnostic, Finding};
use super::loader::Draft;

struct Tier<'a> {
    draft: &'a Draft,
    interval: Interval,
}

/// A warning for each pair of neighbours that does not fit together.
pub fn lint(drafts: &[Draft]) -> Vec<Diagnostic> {
    let mut tiers: BTreeMap<(String, &str), Vec<Tier<'_>>> = BTreeMap::new();
    for draft in drafts {
        let definition = &draft.definition;
        // With a way out of its own a segment is no tier: hysteresis overlaps on purpose. On a ladder the order decides.
        let (Some((value, interval)), None, None) = (demand(&definition.when), &definition.exit_when, definition.stage) else { continue };
        if matches!(value.kind, ExprKind::Aggregate(_) | ExprKind::Trait(_)) && !interval.is_empty() {
            tiers.entry((value.to_string(), definition.timezone.name())).or_default().push(Tier { draft, interval });
        }
    }
    tiers.into_values().flat_map(neighbours).collect()
}

fn neighbours(mut tiers: Vec<Tier<'_>>) -> Vec<Diagnostic> {
    // `None` is below every number; an end that is within comes first.
    tiers.sort_by_key(|tier| tier.interval.low.map(|(low, included)| (low, !included)));
    tiers.windows(2).filter_map(|pair| misfit(&pair[0], &pair[1])).collect()
}

fn misfit(lower: &Tier<'_>, upper: &Tier<'_>) -> Option<Diagnostic> {
    let ((high, high_in), (low, low_in)) = (lower.interval.high?, upper.interval.low?);
    let (key, other) = (&lower.draft.definition.key, &upper.draft.definition.key);
    let one_number = high == low;
    if one_number && !high_in && !low_in {
        let message = format!("exactly {low} is neither in `{key}` nor in `{other}`");
        return diagnostic("tier-gap", upper, message, format!("let one of them begin or end with it: `[{low}, …)`"));
    }
    let nested = upper.interval.is_within(lower.interval) || lower.interval.is_within(upper.interval);
    let open = lower.interval.low.is_none() && upper.interval.high.is_none();
    let overlap = !lower.interval.meet(upper.interval).is_empty();
    if !overlap || nested || open && !one_number {
        return None;
    }
    let message = match one_number {
        true => format!("exactly {low} is in `{key}` and in `{other}`"),
        false => format!("{low} to {high} is in `{key}` and in `{other}`"),
    };
    diagnostic("tier-overlap", upper, message, format!("tiers share no number if each ends before the next begins: `[…, {low})`"))
}

fn diagnostic(code: &'static str, tier: &Tier<'_>, message: String, help: String) -> Option<Diagnostic> {
    let place = tier.draft.definition.when.place;
    let written = tier.draft.when()?;
    Some(Finding::warning(code, place, message).help(help).at(written.location(place)))
}
