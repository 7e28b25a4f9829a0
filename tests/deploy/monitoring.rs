//! Alerts, the pages of the runbook, and dashboards. That their metrics exist is tested where metrics are declared.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{run, shipped};

const DASHBOARDS: [&str; 2] = ["deploy/grafana/dashboards/segmentd.json", "deploy/grafana/dashboards/lookups.json"];

fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&shipped("deploy/prometheus/alerts.yml")).unwrap();
    file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let runbook = shipped("docs/runbook.md");
    let pages: Vec<(&str, &str)> = runbook.split("\n## ").skip(1).filter_map(|page| page.split_once('\n')).collect();
    let alerts = alerts();
    let named: Vec<&str> = alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(pages.iter().map(|(alert, _)| *alert).collect::<BTreeSet<_>>(), named.iter().copied().collect());
    for (alert, page) in pages {
        for part in ["- **Symptom.** ", "- **Why.** ", "- **Do.** ", "- **Over when** "] {
            assert!(page.contains(part), "the page of {alert} lacks `{part}`");
        }
    }
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        assert_eq!(alert["annotations"]["runbook_url"], format!("docs/runbook.md#{}", name.to_lowercase()));
        assert!(["page", "ticket"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
    }
}

#[test]
fn every_alert_is_seen_to_fire() {
    let tests = shipped("deploy/prometheus/alerts.test.yml");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let fires = [format!("alertname=\"{name}\""), format!("alertname: {name}\n")];
        assert!(fires.iter().any(|fires| tests.contains(fires)), "no test of {name}");
    }
    run("promtool", &["test", "rules", "deploy/prometheus/alerts.test.yml"]);
}

#[test]
fn what_prometheus_is_given_is_right() {
    run("promtool", &["check", "config", "deploy/prometheus/prometheus.yml"]);
}

#[test]
fn every_panel_stands_alone_and_what_it_draws_can_be_read() {
    let mut rules = String::from("groups:\n- name: drawn\n  rules:\n");
    for path in DASHBOARDS {
        let dashboard: Value = serde_json::from_str(&shipped(path)).unwrap();
        let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            let place = &panel["gridPos"];
            assert!(ids.insert(panel["id"].as_u64()) && places.insert((place["y"].as_u64(), place["x"].as_u64())), "{path}: {panel}");
            for target in panel["targets"].as_array().into_iter().flatten() {
                let drawn = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
                rules.push_str(&format!("  - {{record: 'drawn:{}', expr: {}}}\n", ids.len(), Value::from(drawn)));
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drawn.yml");
    std::fs::write(&file, rules).unwrap();
    run("promtool", &["check", "rules", file.to_str().unwrap()]);
}
