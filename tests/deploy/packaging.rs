//! Units of systemd, manifests of Kubernetes, the image, manual pages: each names what the program has.

use std::collections::BTreeSet;

use segmentd::config;
use segmentd::http::access::{Need, Scope, TABLE};
use serde_json::Value;

use crate::{run, shipped};

const UNITS: [&str; 2] = ["segmentd.service", "segmentd-serve.service"];

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every manifest that is applied.
fn manifests() -> Vec<Value> {
    let resources = &documents("deploy/kubernetes/kustomization.yaml")[0]["resources"];
    let files = resources.as_array().unwrap().iter().map(|file| format!("deploy/kubernetes/{}", file.as_str().unwrap()));
    files.flat_map(|file| documents(&file)).collect()
}

/// The stateful set and the deployment, each with its container.
fn workloads() -> Vec<(Value, Value)> {
    let runs = |manifest: &Value| manifest["spec"]["template"]["spec"]["containers"].get(0).cloned();
    manifests().into_iter().filter_map(|manifest| runs(&manifest).map(|container| (manifest, container))).collect()
}

#[test]
fn units_can_be_read_and_leave_the_watchdog_of_the_process_its_time() {
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        let text = shipped(&format!("deploy/systemd/{unit}"));
        let setting = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
        // src/runtime/watchdog.rs ends it after 60 s.
        assert!(setting("WatchdogSec").parse::<u64>().unwrap() > 60, "{unit}");
        assert_eq!((setting("Type"), setting("RestartPreventExitStatus")), ("notify", "78"), "{unit}");
        let here = folder.path().join(unit);
        std::fs::write(&here, text.replace("/usr/bin/segmentd", env!("CARGO_BIN_EXE_segmentd"))).unwrap();
        run("systemd-analyze", &["verify", "--man=no", here.to_str().unwrap()]);
    }
}

#[test]
fn the_configuration_in_the_cluster_is_one() {
    let text = shipped("deploy/kubernetes/config/segmentd.yaml");
    for (_, container) in workloads() {
        let value = |variable: &Value| variable["value"].as_str().unwrap_or("from-the-pod").to_owned();
        let variables = container["env"].as_array().unwrap().iter().map(|v| (v["name"].as_str().unwrap().to_owned(), value(v)));
        let problems = config::parse("segmentd.yaml", text.clone(), variables.collect::<Vec<_>>()).unwrap_err();
        // Secrets are not here.
        let others: Vec<_> = problems.iter().filter(|p| !p.message.contains("cannot be ")).collect();
        assert!(others.is_empty(), "{others:?}");
    }
    run(env!("CARGO_BIN_EXE_segmentd"), &["check", "deploy/kubernetes/config/segments/"]);
}

#[test]
fn probes_and_scrapes_ask_for_what_is_served_where_it_is_served() {
    let text = shipped("deploy/kubernetes/config/segmentd.yaml");
    let config: Value = serde_saphyr::from_str(&text).unwrap();
    let open = |path: &Value| TABLE.iter().any(|route| route.path == path && route.methods == [("GET", Need::Nothing)]);
    for (workload, container) in workloads() {
        let (command, port) = (container["args"][0].as_str().unwrap(), &container["ports"][0]["containerPort"]);
        let section = if command == "run" { "http" } else { command };
        assert!(config[section]["listen"].as_str().unwrap().ends_with(&format!(":{port}")), "{command}");
        for probe in ["livenessProbe", "readinessProbe"] {
            let probe = &container[probe]["httpGet"];
            assert!(open(&probe["path"]) && probe["port"] == "http" && probe["scheme"] == "HTTPS", "{probe}");
        }
        let name = &workload["metadata"]["name"];
        let service = manifests().into_iter().find(|m| m["kind"] == "Service" && m["metadata"]["name"] == *name).unwrap();
        assert_eq!(service["spec"]["ports"][0]["port"], *port);
        let policy = manifests().into_iter().find(|m| m["kind"] == "NetworkPolicy" && m["metadata"]["name"] == *name).unwrap();
        assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], *port);
    }
    let monitor = manifests().into_iter().find(|m| m["kind"] == "ServiceMonitor").unwrap();
    let path = &monitor["spec"]["endpoints"][0]["path"];
    assert!(TABLE.iter().any(|route| route.path == path && route.methods == [("GET", Need::Scope(Scope::Metrics))]));
}

#[test]
fn pods_write_to_their_state_alone_and_have_no_rights() {
    for (workload, container) in workloads() {
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(
            (&pod["securityContext"]["runAsNonRoot"], &pod["automountServiceAccountToken"]),
            (&Value::from(true), &Value::from(false))
        );
        let security = &container["securityContext"];
        assert_eq!((&security["readOnlyRootFilesystem"], &security["capabilities"]["drop"][0]), (&Value::from(true), &Value::from("ALL")));
        let state = container["env"].as_array().unwrap().iter().find(|v| v["name"] == "SEGMENTD_STATE__DIR").unwrap();
        let mounts = container["volumeMounts"].as_array().unwrap();
        let written: Vec<_> = mounts.iter().filter(|mount| mount["readOnly"] != true).map(|mount| &mount["mountPath"]).collect();
        assert_eq!(written, [&state["value"]]);
        let claims = workload["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten().map(|claim| &claim["metadata"]["name"]);
        let volumes: BTreeSet<_> =
            pod["volumes"].as_array().unwrap().iter().map(|v| &v["name"]).chain(claims).map(Value::to_string).collect();
        assert_eq!(mounts.iter().map(|mount| mount["name"].to_string()).collect::<BTreeSet<_>>(), volumes);
    }
}

#[test]
fn whatever_selects_pods_selects_some() {
    let workloads = workloads();
    let labels: Vec<&Value> = workloads.iter().map(|(workload, _)| &workload["spec"]["template"]["metadata"]["labels"]).collect();
    for manifest in manifests() {
        let spec = &manifest["spec"];
        let selectors = [&spec["selector"]["matchLabels"], &spec["podSelector"]["matchLabels"], &spec["selector"]];
        let selector = selectors.into_iter().find(|s| s.as_object().is_some_and(|s| s.values().all(Value::is_string)));
        let Some(selector) = selector.and_then(Value::as_object) else {
            assert_eq!(manifest["kind"], "ServiceMonitor", "{manifest}");
            continue;
        };
        let selected = labels.iter().filter(|labels| selector.iter().all(|(key, value)| labels[key] == *value)).count();
        assert_eq!(selected, 1, "{} {}", manifest["kind"], manifest["metadata"]["name"]);
    }
}

#[test]
fn the_image_opens_the_ports_that_are_listened_on_and_checks_itself() {
    let (image, defaults) = (shipped("Dockerfile"), config::parse("", String::new(), []).unwrap());
    assert!(image.contains(&format!("EXPOSE {} {}\n", defaults.listen.port(), defaults.serve.port())));
    assert!(image.contains(r#"CMD ["segmentd", "ready"]"#));
    let composed = &documents("docker-compose.yml")[0]["services"];
    assert_eq!(composed["segmentd"]["healthcheck"]["test"], serde_json::json!(["CMD", "segmentd", "ready"]));
    assert_eq!(composed["lookup"]["healthcheck"]["test"], serde_json::json!(["CMD", "segmentd", "ready", "--serve"]));
    for process in ["segmentd", "lookup"] {
        let environment = composed[process]["environment"].as_object().unwrap();
        let variables = environment.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        config::parse("", String::new(), variables.collect::<Vec<_>>()).unwrap();
    }
}
