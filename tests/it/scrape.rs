//! What Prometheus sees of a coordinator and its nodes: the real one, with the configuration that we ship.

mod consul;
mod page;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use mayfly_tests::prometheus::{Debian, Prometheus, Series};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Launch, Repo, Run, Serve, http, programs, slots};
use page::Page;
use serde_json::{Value, json};

const SHIPPED: &str = include_str!("../../configs/prometheus.yml");
/// Where the shipped configuration has the coordinator.
const SHIPPED_ADMIN: &str = "127.0.0.1:7071";

/// What `/sd/prometheus` says.
fn targets(admin: SocketAddr) -> Vec<Value> {
    let page = http::get(admin, "/sd/prometheus");
    assert_eq!(page.kind, "application/json", "Prometheus takes no other kind");
    serde_json::from_str(&page.body).unwrap()
}

/// The shipped configuration, for another coordinator and a test's patience.
fn shipped_for(admin: SocketAddr) -> String {
    assert!(SHIPPED.contains(SHIPPED_ADMIN) && SHIPPED.contains(": 5s"));
    SHIPPED
        .replace(SHIPPED_ADMIN, &admin.to_string())
        .replace(": 5s", ": 1s")
}

#[test]
fn the_shipped_configuration_is_sound() {
    let configs = programs::repository().join("configs");
    Debian::Twelve.check_config(&configs.join("prometheus.yml"));
    Debian::Eleven.check_config(&configs.join("prometheus-consul.yml"));
}

#[test]
fn a_run_as_prometheus_sees_it() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let serve = Serve::start(&home);
    let admin = serve.admin.parse().unwrap();
    assert_eq!(targets(admin), Vec::<Value>::new(), "nothing runs");
    let prometheus = Prometheus::start(Debian::Twelve, &shipped_for(admin));
    let job = Job::at_gate("scraped", &home, &repo, "holds.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(180), || home.heard("holds"));
    let mut pages = Page::default();
    while_it_works(admin, &prometheus, &run, &mut launch, &mut pages);
    home.tell("go");
    launch.wait(secs(90)).exited(0);
    let receipt = run.assert_closed("succeeded");
    after_its_end(&prometheus, &run, &receipt);
    pages.add(&http::get(admin, "/metrics").body);
    assert_eq!(
        pages.families(),
        page::documented(),
        "docs/team.md and the pages differ"
    );
    wait::until("no node to be listed", secs(20), || {
        targets(admin).is_empty().then_some(())
    });
}

fn while_it_works(
    admin: SocketAddr,
    prometheus: &Prometheus,
    run: &Run<'_>,
    launch: &mut Launch,
    pages: &mut Page,
) {
    let id = run.id.as_str();
    let up = format!("up{{job=\"mayfly-nodes\",run=\"{id}\"}} == 1");
    let series = launch.until("both nodes to be scraped", secs(60), || {
        Some(prometheus.query(&up)).filter(|series| series.len() == 2)
    });
    assert_labels(&series, id);
    let working = format!("mayfly_node_phase{{run=\"{id}\",phase=\"working\"}} == 1");
    let master = launch.until("the master to work", secs(30), || {
        prometheus.query(&working).pop()
    });
    assert_eq!(master.0["node"], "master-1");
    for (expression, expected) in [
        (format!("mayfly_run_phase{{run=\"{id}\",phase=\"working\"}}"), 1.0),
        ("mayfly_runs{phase=\"working\"}".to_owned(), 1.0),
        ("sum(mayfly_nodes)".to_owned(), 2.0),
        ("mayfly_runs_accepted_total".to_owned(), 1.0),
    ] {
        let told = || {
            prometheus
                .query(&expression)
                .pop()
                .filter(|series| series.1 == expected)
        };
        launch.until(&format!("{expression} to be {expected}"), secs(30), told);
    }
    read_pages(admin, run, pages);
}

/// The labels that relabelling makes, of one master and one worker.
#[track_caller]
fn assert_labels(found: &[Series], run: &str) {
    let labels: BTreeSet<_> = found.iter().map(|(labels, _)| shown(labels)).collect();
    let expected = ["master", "worker"].map(|role| {
        let (node, instance) = (format!("{role}-1"), format!("{run}/{role}-1"));
        [run, &node, role, "scraped", "spark", &instance].map(str::to_owned)
    });
    assert_eq!(labels, BTreeSet::from(expected));
}

fn shown(labels: &BTreeMap<String, String>) -> [String; 6] {
    ["run", "node", "role", "job_name", "engine", "instance"]
        .map(|name| labels.get(name).cloned().unwrap_or_default())
}

/// Every page is as `promtool` wants it.
fn read_pages(admin: SocketAddr, run: &Run<'_>, pages: &mut Page) {
    let targets = targets(admin);
    assert_eq!(targets.len(), 2, "{targets:#?}");
    let mut all = vec![admin];
    for target in &targets {
        assert_eq!(target["labels"]["__meta_mayfly_run"], run.id.as_str());
        assert_eq!(target["labels"]["__meta_mayfly_attempt"], "1");
        all.push(target["targets"][0].as_str().unwrap().parse().unwrap());
    }
    for at in all {
        let page = http::get(at, "/metrics");
        assert!(
            page.kind.starts_with("text/plain; version=0.0.4"),
            "{}",
            page.kind
        );
        Debian::Twelve.check_metrics(&page.body);
        pages.add(&page.body);
    }
}

fn after_its_end(prometheus: &Prometheus, run: &Run<'_>, receipt: &Value) {
    let id = run.id.as_str();
    let outcome = format!("mayfly_run_outcome{{run=\"{id}\"}}");
    let closed = format!("mayfly_run_phase{{run=\"{id}\",phase=\"closed\"}}");
    wait::until("the end to be scraped", secs(30), || {
        prometheus.query(&closed).pop()
    });
    let (labels, value) = prometheus.query(&outcome).pop().expect("an outcome");
    assert_eq!(
        (&json!(labels["outcome"]), value),
        (&receipt["ended"]["outcome"], 1.0)
    );
    assert_phases(prometheus, id, receipt);
    assert_nodes(prometheus, id, receipt);
    assert_cpu(prometheus, id, receipt);
    let left = prometheus
        .query("sum(mayfly_nodes) + sum(mayfly_runs)")
        .pop()
        .unwrap()
        .1;
    assert_eq!(left, 0.0, "something is left");
}

fn assert_phases(prometheus: &Prometheus, id: &str, receipt: &Value) {
    let told: BTreeMap<String, f64> = prometheus
        .query(&format!("mayfly_run_phase_seconds{{run=\"{id}\",attempt=\"1\"}}"))
        .into_iter()
        .map(|(labels, secs)| (labels["phase"].clone(), secs))
        .collect();
    let phases = receipt["phases"].as_array().unwrap();
    assert_eq!(told.len(), phases.len(), "{told:?}");
    for phase in phases {
        let (name, secs) = (phase["phase"].as_str().unwrap(), phase["secs"].as_f64().unwrap());
        // The receipt is made at the end of the release, the phase ends when the receipt is in the store.
        let tolerance = if name == "releasing" { 2.0 } else { 0.02 };
        assert!(
            (told[name] - secs).abs() < tolerance,
            "{name}: {} and {secs} s",
            told[name]
        );
    }
}

fn assert_nodes(prometheus: &Prometheus, id: &str, receipt: &Value) {
    let nodes = receipt["nodes"].as_array().unwrap();
    let listed: BTreeSet<&str> = nodes.iter().map(|node| node["node"].as_str().unwrap()).collect();
    let scraped = prometheus.last(&format!("up{{job=\"mayfly-nodes\",run=\"{id}\"}}"));
    let scraped: BTreeSet<&str> = scraped
        .iter()
        .map(|((labels, _), _)| labels["node"].as_str())
        .collect();
    assert_eq!(scraped, listed);
    for (state, expected) in [
        ("gone", receipt["release"]["machines_gone"].as_f64().unwrap()),
        ("lost", 0.0),
        ("there", 0.0),
    ] {
        let expression = format!("sum(mayfly_run_nodes{{run=\"{id}\",state=\"{state}\"}})");
        assert_eq!(
            prometheus.query(&expression).pop().unwrap().1,
            expected,
            "{state}"
        );
    }
}

/// The coordinator's sum is that of the receipt. A node's own last sample may be from before its end: it may differ by
/// what the whole machine can do in the time between, and in the 2 s between two samples of the agent.
fn assert_cpu(prometheus: &Prometheus, id: &str, receipt: &Value) {
    let nodes = receipt["nodes"].as_array().unwrap();
    let used = |node: &Value| node["cpu_core_secs"].as_f64().unwrap();
    let whole: f64 = nodes.iter().map(used).sum();
    let expression = format!("mayfly_run_cpu_seconds_total{{run=\"{id}\"}}");
    let told = prometheus.query(&expression).pop().unwrap().1;
    assert!((told - whole).abs() < 0.01, "{told} and {whole} core seconds");
    let end: jiff::Timestamp = receipt["release"]["observed"].as_str().unwrap().parse().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let samples = prometheus.last(&format!("mayfly_cpu_seconds_total{{run=\"{id}\"}}"));
    assert_eq!(samples.len(), nodes.len());
    for ((labels, told), at) in samples {
        let node = nodes
            .iter()
            .find(|node| node["node"] == labels["node"].as_str())
            .unwrap();
        let between = end.as_millisecond() as f64 / 1000.0 - at + 2.0;
        let (used, tolerance) = (used(node), between * cores);
        assert!(
            told > 0.1 && (told - used).abs() < tolerance,
            "{}: {told} scraped, {used} in the receipt, {between} s between",
            labels["node"]
        );
    }
}
