//! The coordinator dies for ever: AWS ends the machines by itself.

use std::time::Duration;

use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Repo, wait};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(120);
/// Longer than any lease.
const LATER: u32 = 600;

#[test]
fn a_dead_coordinators_machines_are_ended_by_aws() {
    let image = Image::of(&["sleep", "1000"]);
    let mut region = Region::of(image, &json!({}));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py").workers(2);
    let mut launch = region.launch(&job, &[]);
    let up = |region: &Region| {
        let all = region.ec2.instances();
        all.iter().filter(|info| info.state == "running").count()
    };
    launch.until("three machines", LIMIT, || (up(&region) == 3).then_some(()));
    region.serve.kill();
    region.ec2.rig("POST", "clock", &json!({ "advance_secs": LATER }));
    wait::until("the lease to end them", LIMIT, || {
        let all = region.ec2.instances();
        all.iter().all(|info| info.state == "terminated").then_some(())
    });
    assert_eq!(region.bill().len(), 3, "none was started in place of another");
    for row in region.bill() {
        assert!(!row["ended"].is_null(), "an instance never ended: {row}");
    }
    launch.kill();
}
