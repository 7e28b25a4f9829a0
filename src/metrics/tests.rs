//! What a scrape shows.

use std::collections::BTreeSet;

use super::*;
use crate::experiment::{Arms, Figures};
use crate::id::{Partition, SegmentKey};
use crate::money::Number;
use crate::time::EventTime;
use crate::transition::{Cause, Direction};

fn metrics() -> Metrics {
    Metrics::new(&Labels {
        topics: vec![TopicName("shop.events".into())],
        streams: vec!["orders".into(), "coupons".into()],
        segments: vec!["loyal".into()],
        reject_reasons: vec!["bad_time"],
        task_states: vec!["restoring", "running"],
        routes: vec!["/metrics"],
    })
    .unwrap()
}

fn check(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.encode().unwrap();
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "no line `{line}` in:\n{text}");
    }
}

#[test]
fn series_with_known_labels_start_at_zero() {
    check(
        &metrics(),
        &[
            r#"segmentd_events_consumed_total{topic="shop.events"} 0"#,
            r#"segmentd_events_late_total{stream="coupons"} 0"#,
            r#"segmentd_events_rejected_total{reason="bad_time"} 0"#,
            r#"segmentd_dead_letters_total{reason="bad_time"} 0"#,
            r#"segmentd_transitions_total{cause="late_event",segment="loyal",transition="exited"} 0"#,
            r#"segmentd_segment_members{segment="loyal"} 0"#,
            r#"segmentd_commits_total{result="unknown"} 0"#,
            r#"segmentd_rebalances_total{kind="lost"} 0"#,
            r#"segmentd_tasks{state="restoring"} 0"#,
            r#"segmentd_transition_latency_seconds_bucket{le="0.001"} 0"#,
            r#"segmentd_http_request_duration_seconds_count{code="200",route="/metrics"} 0"#,
        ],
    );
}

#[test]
fn every_direction_and_cause_has_a_counter_of_its_own() {
    let metrics = metrics();
    let loyal = metrics.transitions.segment(&"loyal".into()).unwrap();
    let all = [Direction::Entered, Direction::Exited].into_iter().flat_map(|d| Cause::ALL.map(|c| (d, c)));
    for (i, (direction, cause)) in all.clone().enumerate() {
        loyal.transitions(direction, cause).inc_by(i as u64 + 1);
    }
    let line = |(i, (direction, cause)): (usize, (Direction, Cause))| {
        let (direction, cause) = (direction.as_str(), cause.as_str());
        format!(r#"segmentd_transitions_total{{cause="{cause}",segment="loyal",transition="{direction}"}} {}"#, i + 1)
    };
    let lines: Vec<String> = all.enumerate().map(line).collect();
    check(&metrics, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_series_of_a_task_go_with_it() {
    let metrics = metrics();
    let topic = TopicName("shop.events".into());
    let task = metrics.tasks.task(Partition(3));
    task.set_clock(EventTime::from_millis(1_500));
    metrics.tasks.lag(&topic, Partition(3)).set(7);
    check(
        &metrics,
        &[
            r#"segmentd_task_clock_timestamp_seconds{partition="3"} 1.5"#,
            r#"segmentd_consumer_lag_records{partition="3",topic="shop.events"} 7"#,
            r#"segmentd_restore_remaining_records{partition="3"} 0"#,
        ],
    );
    metrics.tasks.forget(&[topic], Partition(3));
    assert!(!metrics.encode().unwrap().contains(r#"partition="3""#));
}

#[test]
fn an_experiment_shows_what_was_counted_last_until_it_is_counted_no_more() {
    let metrics = metrics();
    let (buyer, loyal): (SegmentKey, SegmentKey) = ("buyer".into(), "loyal".into());
    let control = Figures { exposed: 4, open: 3, converted: 2, goals: 5, value: Number::ratio(4250, 100), ..Figures::default() };
    let arms = Arms { control, treatment: Figures::default() };
    metrics.experiments.count(EventTime::from_millis(61_999), [(&buyer, 0.25, &arms), (&loyal, 0.5, &arms)]);
    check(
        &metrics,
        &[
            r#"segmentd_experiment_exposed{arm="control",experiment="buyer"} 4"#,
            r#"segmentd_experiment_exposed{arm="treatment",experiment="buyer"} 0"#,
            r#"segmentd_experiment_open{arm="control",experiment="buyer"} 3"#,
            r#"segmentd_experiment_converted{arm="control",experiment="buyer"} 2"#,
            r#"segmentd_experiment_goals{arm="control",experiment="buyer"} 5"#,
            r#"segmentd_experiment_value{arm="control",experiment="buyer"} 42.5"#,
            r#"segmentd_experiment_holdout_ratio{experiment="buyer"} 0.25"#,
            "segmentd_experiments_counted_timestamp_seconds 61",
        ],
    );
    metrics.experiments.count(EventTime::from_millis(0), [(&loyal, 0.5, &arms)]);
    let text = metrics.encode().unwrap();
    assert!(!text.contains(r#"experiment="buyer""#) && text.contains(r#"experiment="loyal""#), "{text}");
    metrics.experiments.clear();
    assert!(!metrics.encode().unwrap().contains("experiment=\""));
}

#[test]
fn a_scrape_names_the_build_and_the_process() {
    let text = metrics().encode().unwrap();
    assert!(text.contains(&format!(r#"version="{}""#, env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
}

#[test]
fn every_metric_of_ours_has_the_prefix() {
    let text = metrics().encode().unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("segmentd_") || name.starts_with("process_")), "{names:?}");
}

/// The names of our metrics in a text, without the suffixes that a histogram's series have.
fn names_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("segmentd_"));
    words.map(|word| word.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum")).collect()
}

#[test]
fn every_metric_is_explained_and_what_is_drawn_or_alerted_on_exists() {
    let metrics = metrics();
    metrics.tasks.task(Partition(0));
    metrics.tasks.lag(&TopicName("shop.events".into()), Partition(0));
    metrics.replica.show(Partition(0), 0, Some(EventTime::from_millis(0)));
    metrics.history.show(Partition(0), 0);
    metrics.transitions.complete_since(&"loyal".into(), EventTime::from_millis(1));
    metrics.experiments.count(EventTime::from_millis(1), [(&"loyal".into(), 0.5, &Arms::default())]);
    metrics.cuts.show([("top 5% by count(orders last 30d)", Some(3.0))].into_iter());
    metrics.credentials.certificate_ends(EventTime::from_millis(1));
    metrics.credentials.tokens_end([("till", EventTime::from_millis(1))]);
    let text = metrics.encode().unwrap();
    let declared = names_in(&text);
    assert_eq!(names_in(include_str!("../../docs/operations.md")), declared);
    for page in [
        include_str!("../../deploy/grafana/dashboards/segmentd.json"),
        include_str!("../../deploy/grafana/dashboards/lookups.json"),
        include_str!("../../deploy/prometheus/alerts.yml"),
        include_str!("../../deploy/prometheus/alerts.test.yml"),
        include_str!("../../docs/runbook.md"),
    ] {
        let unknown: Vec<_> = names_in(page).difference(&declared).copied().collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
