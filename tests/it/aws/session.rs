//! The keys of a job: a session of its own, and never the node's.

use mayfly_tests::region::{Region, job, limit};
use mayfly_tests::{Repo, slots};
use serde_json::{Value, json};

/// Prints who the keys are of, and nothing that opens anything.
const JOB: &str = r#"
import json, os, urllib.request

assert "AWS_ACCESS_KEY_ID" not in os.environ
request = urllib.request.Request(
    os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
    headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
)
keys = json.load(urllib.request.urlopen(request))
print("KEY", keys["AccessKeyId"])
print("SAME" if keys["SecretAccessKey"].startswith("secret-of-") else "OTHER", keys["Expiration"] > "2020")
"#;

#[test]
fn a_job_has_a_session_of_its_own_that_names_its_run() {
    let _slot = slots::take();
    let region = Region::start(&json!({ "pending_secs": 1, "shutting_down_secs": 1 }));
    let repo = Repo::of(&[("who.py", JOB)]);
    let job = job("who", &repo.path().display().to_string(), "who.py").workers(1);
    let mut launch = region.launch(&job, &[]);
    let ended = launch.wait(limit());
    ended.exited(0);
    assert!(ended.stdout.contains("OTHER True"), "{}", ended.stdout);
    assert!(
        !ended.stdout.contains("ASIAIOSFODNN7EXAMPLE"),
        "the node's own keys were handed out"
    );
    let calls = region.ec2.rig("GET", "calls", &Value::Null);
    let made = calls["counts"].as_object().unwrap();
    let assumed = made.iter().find(|(action, _)| action.contains("AssumeRole"));
    assert!(assumed.is_some(), "{made:?}");
    region.assert_nothing_left();
}
