//! An agent dies after its job has ended: another process of it, on the same machine, finishes what is left.

use std::fs;
use std::path::Path;

use mayfly_tests::slots;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::light::{LIMIT, Light};

/// More tries than an upload makes before the test lets it through.
const STORE_REFUSES: u32 = 1_000;

/// The process that is the node: not the one that powers the machine off after it.
fn node(light: &Light, machine: &str) -> Option<Pid> {
    let all = light.region.ec2.processes(machine).into_iter();
    let mut nodes = all.filter(|pid| {
        let line = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"boot-node")
    });
    nodes.next().map(Pid::from_raw)
}

/// Neither results nor logs can be uploaded yet when it is killed, and a moment later they can.
#[test]
fn what_a_dead_agent_had_still_to_upload_is_committed_in_the_same_attempt() {
    let _slot = slots::take();
    let light = Light::start(&json!({}));
    // Without another attempt: what is lost would be lost.
    let job = light.job("followed", 1).set("limits.retries", 0);
    let mut launch = light.working(&job);
    let master = light.region.up("master")[0].id.clone();
    light.fault(&json!({
        "service": "s3", "action": "PUT .*/(results|logs/master-).*", "times": STORE_REFUSES, "status": 503, "code": "SlowDown",
    }));
    light.go(&job);
    launch.until("the upload", LIMIT, || {
        light.console(&master).contains("upload again in").then_some(())
    });
    let first = node(&light, &master).expect("the node's process");
    kill(first, Signal::SIGKILL).unwrap();
    launch.until("another process of the node", LIMIT, || {
        node(&light, &master).filter(|pid| *pid != first)
    });
    light.region.ec2.rig("DELETE", "faults", &json!(null));
    let receipt = light.succeeds(launch, &job);
    assert_eq!(
        (&receipt["attempts"], &receipt["release"]["machines_started"]),
        (&1.into(), &2.into()),
        "{receipt:#}"
    );
    assert_eq!(receipt["results_files"], 2, "{receipt:#}");
    // Nor are lines lost that the first process had not sent, and none is there twice.
    let logs = light.region.home.verb(&["logs", "last"]);
    let lines = logs.exited(0).stdout.matches("working in attempt 1").count();
    assert_eq!(lines, 1, "lines of the job in {logs:#?}");
}
