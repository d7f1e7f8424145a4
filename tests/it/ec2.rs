//! The EC2 rig itself: what its instances are, before anything of ours runs on them. The program here is a script.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mayfly_tests::Ec2;
use mayfly_tests::ec2::Image;
use mayfly_tests::ec2::imds::Trouble;
use mayfly_tests::http::{Page, Request};
use mayfly_tests::procs::is_alive;
use mayfly_tests::wait::{self, secs};
use serde_json::{Value, json};

const TTL: (&str, &str) = ("X-aws-ec2-metadata-token-ttl-seconds", "60");
const TOKEN: &str = "X-aws-ec2-metadata-token";
const USER_DATA: &str = r#"{"version":1}"#;
const LIMIT: Duration = Duration::from_secs(30);
/// For what a test ends by setting the rig's clock: no machine is too slow to see what there is before.
const LONG: Duration = Duration::from_secs(600);

/// Leaves a daemon in a session of its own, notes its SIGTERM and goes on, and does what the test tells it to.
const SCRIPT: &str = r#"
trap 'echo term >> log' TERM
setsid sleep 1000 &
echo "$MAYFLY_SITE $AWS_EC2_METADATA_SERVICE_ENDPOINT" > log
echo own > "$1/mark"
while true; do
    if [ -e off ]; then rm off; poweroff || echo failed >> log; fi
    sleep 0.05
done
"#;

fn script() -> Image {
    Image::of(&["bash", "-c", SCRIPT, "bash"])
}

/// A region with a group of so many instances, and their ids.
fn region(count: usize) -> (Ec2, Vec<String>) {
    let settings = json!({ "pending_secs": 0.1, "shutting_down_secs": 0.2, "health_check_secs": 0.1 });
    let ec2 = Ec2::start_with(&settings, |shared| {
        let mut image = script();
        image.command.push(shared.display().to_string());
        image
    });
    let ids = launch(&ec2, count);
    (ec2, ids)
}

fn launch(ec2: &Ec2, count: usize) -> Vec<String> {
    let image = ec2.register_image("image", "x86_64");
    let role = [("RoleName", "node-role"), ("AssumeRolePolicyDocument", "{}")];
    ec2.aws("iam", "CreateRole", &role);
    let profile = ("InstanceProfileName", "node");
    ec2.aws("iam", "CreateInstanceProfile", &[profile]);
    ec2.aws("iam", "AddRoleToInstanceProfile", &[profile, role[0]]);
    let data = "LaunchTemplateData";
    let tag = format!("{data}.TagSpecification.1");
    let fields = [
        ("LaunchTemplateName".to_owned(), "template"),
        (format!("{data}.ImageId"), image.as_str()),
        (format!("{data}.InstanceType"), "m5.large"),
        (format!("{data}.InstanceInitiatedShutdownBehavior"), "terminate"),
        (format!("{data}.IamInstanceProfile.Name"), "node"),
        (format!("{data}.UserData"), "eyJ2ZXJzaW9uIjoxfQ=="),
        (format!("{data}.MetadataOptions.HttpTokens"), "required"),
        (format!("{data}.MetadataOptions.InstanceMetadataTags"), "enabled"),
        (format!("{tag}.ResourceType"), "instance"),
        (format!("{tag}.Tag.1.Key"), "mayfly:role"),
        (format!("{tag}.Tag.1.Value"), "worker"),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    ec2.aws("ec2", "CreateLaunchTemplate", &fields);
    let size = count.to_string();
    let group = [
        ("AutoScalingGroupName", "group"),
        ("MinSize", "0"),
        ("MaxSize", size.as_str()),
        ("DesiredCapacity", size.as_str()),
        ("AvailabilityZones.member.1", "us-east-1a"),
        ("LaunchTemplate.LaunchTemplateName", "template"),
        ("LaunchTemplate.Version", "$Latest"),
    ];
    ec2.aws("autoscaling", "CreateAutoScalingGroup", &group);
    wait::until("the instances to boot", LIMIT, || {
        let ids: Vec<String> = ec2.instances().into_iter().map(|info| info.id).collect();
        let booted = |id: &String| !log(ec2, id).is_empty();
        (ids.len() == count && ids.iter().all(booted)).then_some(ids)
    })
}

fn log(ec2: &Ec2, id: &str) -> String {
    fs::read_to_string(ec2.folder(id).join("log")).unwrap_or_default()
}

fn metadata(ec2: &Ec2, id: &str) -> SocketAddr {
    let url = ec2.metadata(id).expect("it has booted");
    url.trim_start_matches("http://").parse().unwrap()
}

fn token(at: SocketAddr) -> Page {
    let request = Request {
        method: "PUT",
        headers: &[TTL],
        ..Request::get("/latest/api/token")
    };
    request.send(at).expect("metadata answers")
}

fn get(at: SocketAddr, path: &str) -> Page {
    let token = token(at).body;
    let path = format!("/latest/{path}");
    let request = Request {
        headers: &[(TOKEN, &token)],
        ..Request::get(&path)
    };
    request.send(at).expect("metadata answers")
}

/// Everything that takes `LONG` has passed.
fn later(ec2: &Ec2) {
    ec2.rig("POST", "clock", &json!({ "advance_secs": LONG.as_secs() + 1 }));
}

fn to_zero(ec2: &Ec2) {
    let params = [("AutoScalingGroupName", "group"), ("DesiredCapacity", "0")];
    ec2.aws("autoscaling", "SetDesiredCapacity", &params);
}

#[test]
fn instances_have_folders_and_metadata_of_their_own() {
    let (ec2, ids) = region(2);
    let infos = ec2.instances();
    for info in &infos {
        let at = metadata(&ec2, &info.id);
        assert_eq!(at.ip(), info.private_address);
        assert_eq!(get(at, "meta-data/instance-id").body, info.id);
        assert_eq!(
            get(at, "meta-data/local-ipv4").body,
            info.private_address.to_string()
        );
        assert_eq!(get(at, "meta-data/tags/instance/mayfly:role").body, "worker");
        assert_eq!(get(at, "user-data").body, USER_DATA);
        let document = get(at, "dynamic/instance-identity/document").body;
        assert!(
            document.contains(&format!("\"instanceId\":\"{}\"", info.id)),
            "{document}"
        );
        let own = ec2.folder(&info.id).join("shared/mark");
        wait::until("its mark", LIMIT, || fs::read_to_string(&own).ok());
    }
    assert_ne!(infos[0].private_address, infos[1].private_address);
    assert_eq!(ids.len(), 2);
    assert!(
        !ec2.shared().join("mark").exists(),
        "the shared path is another folder on each"
    );
}

#[test]
fn metadata_wants_a_token_and_can_be_in_trouble() {
    let (ec2, ids) = region(1);
    let id = ids[0].as_str();
    let at = metadata(&ec2, id);
    let plain = |path: &str| Request::get(path).send(at).map(|page| page.status);
    assert_eq!(plain("/latest/meta-data/instance-id"), Some(401));
    assert_eq!(plain("/latest/api/token"), Some(405));
    assert_eq!(get(at, "meta-data/spot/instance-action").status, 404);
    let without_ttl = Request {
        method: "PUT",
        ..Request::get("/latest/api/token")
    };
    assert_eq!(without_ttl.send(at).unwrap().status, 400);

    ec2.trouble(Some(id), Trouble::Status(503));
    assert_eq!(token(at).status, 503);
    ec2.trouble(Some(id), Trouble::Down);
    assert!(Request::get("/latest/api/token").send(at).is_none());
    ec2.trouble(Some(id), Trouble::Forgetful);
    assert_eq!(get(at, "meta-data/instance-id").status, 401);
    let lie = ("/latest/meta-data/instance-id".to_owned(), Some("i-".to_owned()));
    ec2.trouble(None, Trouble::Lies(vec![lie]));
    assert_eq!(get(at, "meta-data/instance-id").body, "i-");
    ec2.trouble(None, Trouble::Redirect("http://example.org/".into()));
    assert_eq!(token(at).status, 302);
    ec2.trouble(None, Trouble::Huge);
    assert_eq!(token(at).body.len(), 10 << 20);
    ec2.trouble(None, Trouble::Slow(secs(1)));
    let began = Instant::now();
    assert_eq!(token(at).status, 200);
    assert!(began.elapsed() >= secs(1));
    ec2.trouble(None, Trouble::None);
    assert_eq!(get(at, "meta-data/instance-id").body, id);
}

#[test]
fn an_instance_has_the_credentials_of_its_role_for_a_while() {
    let (ec2, ids) = region(1);
    let at = metadata(&ec2, &ids[0]);
    assert_eq!(get(at, "meta-data/iam/security-credentials/").body, "node-role");
    let expires = || {
        let page = get(at, "meta-data/iam/security-credentials/node-role");
        let keys: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(keys["Code"], "Success");
        keys["Expiration"].as_str().unwrap().parse::<Timestamp>().unwrap()
    };
    let hour = SignedDuration::from_hours(1);
    assert!(expires() > Timestamp::now() + hour);
    ec2.trouble(None, Trouble::ShortCredentials(60));
    assert!(expires() < Timestamp::now() + hour);
    assert_eq!(get(at, "meta-data/iam/security-credentials/other").status, 404);
}

#[test]
fn a_slow_machine_runs_for_ec2_before_it_has_booted() {
    let (ec2, ids) = region(1);
    ec2.slow_boot(secs(5));
    fs::write(ec2.folder(&ids[0]).join("off"), "").unwrap();
    let slow = wait::until("its replacement", LIMIT, || {
        let infos = ec2.instances();
        infos
            .into_iter()
            .find(|info| info.id != ids[0] && info.state == "running")
    });
    assert!(ec2.metadata(&slow.id).is_none());
    wait::until("it to boot", LIMIT, || ec2.metadata(&slow.id));
}

#[test]
fn a_terminated_instance_is_asked_and_then_killed_with_its_daemons() {
    let (ec2, ids) = region(1);
    let id = ids[0].as_str();
    let processes = wait::until("its daemon", LIMIT, || {
        let found = ec2.processes(id);
        (found.len() >= 2).then_some(found)
    });
    ec2.rig(
        "POST",
        "settings",
        &json!({ "shutting_down_secs": LONG.as_secs() }),
    );
    to_zero(&ec2);
    wait::until("its SIGTERM", LIMIT, || {
        log(&ec2, id).contains("term").then_some(())
    });
    later(&ec2);
    ec2.wait_state(id, "terminated", LIMIT);
    wait::until("its end", LIMIT, || {
        (!processes.iter().any(|&pid| is_alive(pid))).then_some(())
    });
}

#[test]
fn an_instance_that_powers_off_is_terminated_and_replaced_by_its_group() {
    let (ec2, ids) = region(1);
    let id = ids[0].as_str();
    fs::write(ec2.folder(id).join("off"), "").unwrap();
    ec2.wait_state(id, "terminated", LIMIT);
    assert!(!log(&ec2, id).contains("failed"), "{}", log(&ec2, id));
    wait::until("a replacement", LIMIT, || {
        let infos = ec2.instances();
        infos
            .iter()
            .any(|info| info.id != id && !log(&ec2, &info.id).is_empty())
            .then_some(())
    });
    let bill = ec2.rig("GET", "bill", &Value::Null);
    assert_eq!(bill["instances"][0]["cause"], "Instance initiated shutdown");
}

#[test]
fn a_spot_notice_is_in_the_metadata_until_the_instance_is_taken() {
    let (ec2, ids) = region(1);
    let id = ids[0].as_str();
    let at = metadata(&ec2, id);
    ec2.interrupt(id, LONG, true);
    let notice = wait::until("the notice", LIMIT, || {
        let page = get(at, "meta-data/spot/instance-action");
        (page.status == 200).then_some(page.body)
    });
    assert!(notice.contains("\"action\":\"terminate\""), "{notice}");
    ec2.wait_state(id, "running", LIMIT);
    later(&ec2);
    ec2.wait_state(id, "terminated", LIMIT);
}

#[test]
fn nothing_is_left_of_a_region() {
    let (ec2, ids) = region(2);
    let processes: Vec<i32> = ids.iter().flat_map(|id| ec2.processes(id)).collect();
    assert!(processes.len() >= 2);
    let folder = ec2.path().to_owned();
    drop(ec2);
    assert!(!processes.into_iter().any(is_alive));
    assert!(!folder.exists());
}
