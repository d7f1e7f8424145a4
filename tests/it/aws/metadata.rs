//! Metadata is down, forgets its tokens, or hands out keys that end soon.

use std::collections::BTreeSet;

use mayfly_tests::ec2::imds::Trouble;
use mayfly_tests::serve::nobody_for;
use mayfly_tests::wait;
use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// Keys of this life are renewed after half of it.
const KEYS_SECS: u64 = 12;
/// Sets of keys that a job outlives.
const LIVES: usize = 3;

/// Keys of machines that calls were signed with, and how many calls were refused for their age.
fn keys(light: &Light) -> (BTreeSet<String>, usize) {
    let said = light.region.ec2.rig("GET", "calls", &Value::Null)["calls"].clone();
    let calls = said.as_array().unwrap();
    let used = calls.iter().filter_map(|call| call["key"].as_str());
    let used = used.filter(|key| key.starts_with("ASIARIG")).map(str::to_owned);
    let refused = calls.iter().filter(|call| {
        call["status"] == 400 && call["key"].as_str().is_some_and(|key| key.starts_with("ASIARIG"))
    });
    (used.collect(), refused.count())
}

/// faults.md 51: the keys of the machines end several times while the job works; no call is made with one that has ended.
#[test]
fn keys_that_end_are_replaced_before_they_do() {
    let light = Light::start(&json!({}));
    light
        .region
        .ec2
        .trouble(None, Trouble::ShortCredentials(KEYS_SECS));
    let job = light.job("keys", 1).args(&["keys", "chatty"]);
    let mut launch = light.working(&job);
    launch.until("several sets of keys to be used", LIMIT, || {
        // Both machines have their own.
        (keys(&light).0.len() > 2 * LIVES).then_some(())
    });
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["results_files"], 2);
    assert_eq!(keys(&light).1, 0, "a key was used after its end");
}

/// faults.md 52: metadata does not answer while machines boot, fails, or knows no token that it has given; and then it does.
#[test]
fn a_machine_waits_for_its_metadata() {
    let light = Light::start(&json!({}));
    let ec2 = &light.region.ec2;
    ec2.trouble(None, Trouble::Down);
    let job = light.job("patient", 2);
    let mut launch = light.launch(&job);
    let booted = launch.until("the machines to have booted", LIMIT, || {
        let all = ec2.instances().into_iter().map(|info| info.id);
        let booted: Vec<String> = all.filter(|id| ec2.metadata(id).is_some()).collect();
        (booted.len() == 3).then_some(booted)
    });
    let troubles = [Trouble::Down, Trouble::Status(503), Trouble::Forgetful];
    for (id, trouble) in booted.iter().zip(troubles) {
        ec2.trouble(Some(id), trouble);
    }
    nobody_for(wait::secs(4));
    assert!(light.region.home.heard("workspatient-1").is_none());
    ec2.trouble(None, Trouble::None);
    light.works(&mut launch, &job, 1);
    light.succeeds(launch, &job);
}

/// faults.md 52: metadata goes down under a job that works. Whether the machine stays is not known then, and counted; the
/// job does not notice.
#[test]
fn metadata_that_goes_down_under_a_job_is_counted_and_no_more() {
    let light = Light::start(&json!({}));
    let job = light.job("blind", 1).set("workers.spot", true);
    let mut launch = light.working(&job);
    let worker = light.region.up("worker")[0].clone();
    light.region.ec2.trouble(None, Trouble::Down);
    let page = std::net::SocketAddr::new(worker.private_address, 9464);
    launch.until("failed looks to be counted", LIMIT, || {
        let metrics = mayfly_tests::http::try_get(page, "/metrics")?.body;
        let mut lines = metrics.lines().filter(|line| line.contains("notice_failures"));
        lines
            .find(|line| !line.starts_with('#') && !line.ends_with(" 0"))
            .map(|_| ())
    });
    light.region.ec2.trouble(None, Trouble::Forgetful);
    light.region.ec2.trouble(None, Trouble::None);
    light.region.ec2.interrupt(&worker.id, wait::secs(300), true);
    let mark = light.region.ec2.folder(&worker.id).join("node/decommissioned");
    launch.until("the notice to be seen all the same", LIMIT, || {
        mark.exists().then_some(())
    });
    let receipt = light.succeeds(launch, &job);
    assert_eq!(receipt["attempts"], 1);
}
