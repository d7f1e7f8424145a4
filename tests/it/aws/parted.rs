//! Nodes and their coordinator are parted by the network for so long that others would call it a loss, and for longer.
//! Machines and AWS go on, as do the engine's own connections.

use mayfly_tests::ec2::{Image, Info};
use mayfly_tests::region::Region;
use mayfly_tests::serve::nobody_for;
use mayfly_tests::wait::secs;
use mayfly_tests::{Cut, Job, Launch, loopback};
use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// A node that is silent for so long is not lost (45 s).
const SHORT_SECS: u64 = 25;

/// A region whose nodes reach their coordinator through what may be cut.
struct Parted {
    light: Light,
    cut: Cut,
}

impl Parted {
    fn start() -> Self {
        let listen = loopback::free().to_string();
        let cut = Cut::before(&format!("http://{listen}"));
        let region = Region::with(Image::light(), &json!({}), |settings, _| {
            settings["listen"] = json!(listen);
            settings["public_url"] = json!(cut.url());
        });
        Self {
            light: Light::in_region(region),
            cut,
        }
    }

    fn processes(&self, role: &str) -> Vec<i32> {
        let machines = self.light.region.up(role).into_iter();
        machines
            .flat_map(|info| self.light.region.ec2.processes(&info.id))
            .collect()
    }

    fn off(&self, pids: &[i32]) {
        pids.iter().for_each(|&pid| self.cut.off(pid));
    }

    fn on(&self, pids: &[i32]) {
        pids.iter().for_each(|&pid| self.cut.on(pid));
    }

    fn working(&self, name: &str) -> (Job, Launch) {
        let job = self.light.job(name, 1).set("limits.retries", 1);
        let launch = self.light.working(&job);
        (job, launch)
    }

    /// Waits until the run has noticed this.
    fn noticed(&self, launch: &mut Launch, what: &str) {
        launch.until(what, LIMIT, || {
            let runs = self.light.region.serve.runs();
            let told = runs
                .iter()
                .any(|run| run.notices.iter().any(|notice| notice.contains(what)));
            told.then_some(())
        });
    }
}

fn counts(receipt: &Value) -> (u64, u64) {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    (
        count(&receipt["attempts"]),
        count(&receipt["release"]["machines_started"]),
    )
}

#[test]
#[ignore = "half a minute of silence; `make test-long`"]
fn a_network_that_is_parted_for_25_seconds_loses_nobody() {
    let parted = Parted::start();
    let (job, mut launch) = parted.working("short");
    let all = [parted.processes("master"), parted.processes("worker")].concat();
    parted.off(&all);
    nobody_for(secs(SHORT_SECS));
    parted.on(&all);
    parted.noticed(&mut launch, "is heard again");
    let receipt = parted.light.succeeds(launch, &job);
    assert_eq!(counts(&receipt), (1, 2), "{receipt:#}");
}

#[test]
#[ignore = "a minute of silence; `make test-long`"]
fn a_worker_that_is_cut_off_for_longer_is_lost_and_may_come_back() {
    let parted = Parted::start();
    let (job, mut launch) = parted.working("worker-off");
    let worker = parted.processes("worker");
    parted.off(&worker);
    parted.noticed(&mut launch, "is lost: silent for");
    parted.on(&worker);
    parted.noticed(&mut launch, "is back");
    let receipt = parted.light.succeeds(launch, &job);
    // Its machine may still serve its master, and is not replaced before it would end itself.
    assert_eq!(counts(&receipt), (1, 2), "{receipt:#}");
}

#[test]
#[ignore = "a minute of silence; `make test-long`"]
fn a_master_that_is_cut_off_for_longer_is_ended_before_the_next_attempt_works() {
    let parted = Parted::start();
    let (job, mut launch) = parted.working("master-off");
    let lost: Info = parted.light.region.up("master")[0].clone();
    parted.off(&parted.processes("master"));
    parted.light.works(&mut launch, &job, 2);
    let ended = parted.light.region.ec2.wait_state(&lost.id, "terminated", LIMIT);
    assert_eq!(ended.id, lost.id);
    let receipt = parted.light.succeeds(launch, &job);
    assert_eq!(counts(&receipt), (2, 3), "{receipt:#}");
}
