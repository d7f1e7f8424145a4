//! The real `agent boot` on an instance whose metadata, coordinator and `poweroff` are ours.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not count as such"
)]

#[path = "boot/machine.rs"]
mod machine;
#[path = "boot/metadata.rs"]
mod metadata;

use std::time::Duration;

use mayfly_proto::v1::{Goal, NoticeKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use machine::Machine;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_node_that_is_released_powers_its_machine_off() {
    let mut machine = Machine::new(true).await;
    machine.set("tags/instance/mayfly:run", None);
    machine.boot(60);
    // Tags come late.
    machine.until("started", |machine| machine.node().is_some()).await;
    machine.set("tags/instance/mayfly:run", Some("iris-abcdefgh"));
    machine.until("taken in", Machine::marked).await;
    let asked = machine.fake.enrolled.borrow().clone().unwrap();
    assert_eq!(
        (asked.run_id.as_str(), asked.machine_id.as_str()),
        ("iris-abcdefgh", "i-0123456789abcdef0")
    );
    assert_eq!(
        (asked.join_token.as_str(), asked.address.as_str()),
        ("code-of-this-test", "127.0.0.1")
    );
    assert!(asked.private_results && asked.cores > 0 && asked.memory_bytes > 0);
    assert_eq!(machine.poweroffs(), 0);
    machine.fake.goal.send_replace(Goal::Leave);
    machine.powers_off().await;
}

#[tokio::test]
async fn a_node_that_is_not_taken_in_powers_its_machine_off() {
    let mut machine = Machine::new(false).await;
    machine.boot(60);
    machine.powers_off().await;
    assert!(
        !machine.marked() && machine.log().contains("this run is over"),
        "{}",
        machine.log()
    );
}

#[tokio::test]
async fn a_node_that_dies_powers_its_machine_off_and_so_does_the_next_one() {
    let mut machine = Machine::new(true).await;
    machine.boot(60);
    machine.until("taken in", Machine::marked).await;
    kill(machine.node().unwrap(), Signal::SIGKILL).unwrap();
    machine.powers_off().await;

    let outer = machine.agent.as_mut().unwrap();
    outer.kill().await.unwrap();
    let before = machine.poweroffs();
    machine.boot(60);
    machine
        .until("powered off again", |machine| machine.poweroffs() > before)
        .await;
    let alone =
        |machine: &Machine| machine.log().contains("has ended here before") && machine.node().is_none();
    machine.until("alone, and saying why", alone).await;
}

#[tokio::test]
async fn an_instance_without_metadata_powers_off_when_its_time_to_be_taken_in_is_up() {
    let mut machine = Machine::new(true).await;
    machine.metadata = "http://127.0.0.1:1".into();
    machine.boot(2);
    machine.powers_off().await;
}

#[tokio::test]
async fn a_node_whose_coordinator_hangs_powers_off_when_its_time_to_be_taken_in_is_up() {
    let mut machine = Machine::new(true).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    machine.set("tags/instance/mayfly:coordinator", Some(&url));
    machine.boot(2);
    machine.powers_off().await;
    assert!(!machine.marked());
}

#[tokio::test]
async fn an_instance_that_is_not_ours_keeps_its_power() {
    let mut machine = Machine::new(true).await;
    machine.set("tags/instance/managed-by", Some("terraform"));
    machine.boot(3);
    let status = timeout(PATIENCE, machine.agent.as_mut().unwrap().wait()).await;
    assert!(status.unwrap().unwrap().success(), "{}", machine.log());
    assert!(
        machine.log().contains("nothing is done here"),
        "{}",
        machine.log()
    );
    assert_eq!(machine.poweroffs(), 0);
}

/// Where metadata shows no tags at all, nobody knows whose machine it is.
#[tokio::test]
async fn an_instance_whose_tags_are_not_shown_says_so_and_keeps_its_power() {
    let mut machine = Machine::new(true).await;
    machine
        .pages
        .lock()
        .unwrap()
        .retain(|path, _| !path.contains("/tags/"));
    machine.boot(3);
    let status = timeout(PATIENCE, machine.agent.as_mut().unwrap().wait()).await;
    assert!(status.unwrap().unwrap().success(), "{}", machine.log());
    let log = machine.log();
    assert!(log.contains("no tag managed-by"), "{log}");
    assert_eq!(machine.poweroffs(), 0);
    assert!(machine.fake.enrolled.borrow().is_none());
}

#[tokio::test]
async fn a_run_whose_deadline_has_passed_takes_nobody_in() {
    let mut machine = Machine::new(true).await;
    machine.set("tags/instance/mayfly:deadline", Some("2026-01-01T00:00:00Z"));
    machine.boot(60);
    machine.powers_off().await;
    assert!(
        machine.log().contains("the deadline of the run passed"),
        "{}",
        machine.log()
    );
    assert!(machine.fake.enrolled.borrow().is_none());
}

#[tokio::test]
async fn a_node_told_to_end_by_the_system_ends_and_powers_off() {
    let mut machine = Machine::new(true).await;
    machine.boot(60);
    machine.until("taken in", Machine::marked).await;
    let outer = machine
        .agent
        .as_ref()
        .and_then(Child::id)
        .and_then(|pid| i32::try_from(pid).ok());
    kill(Pid::from_raw(outer.unwrap()), Signal::SIGTERM).unwrap();
    machine.powers_off().await;
    assert!(machine.node().is_none() || machine.log().contains("powering off"));
    // The shutdown that follows tells it to end once more.
    kill(Pid::from_raw(outer.unwrap()), Signal::SIGTERM).unwrap();
    let ended = timeout(PATIENCE, machine.agent.as_mut().unwrap().wait()).await;
    assert!(ended.unwrap().unwrap().success(), "{}", machine.log());
}

#[tokio::test]
async fn a_spot_instance_that_is_taken_away_says_so_within_two_seconds() {
    let mut machine = Machine::new(true).await;
    machine.set("instance-life-cycle", Some("spot"));
    machine.set("spot/instance-action", Some("{}"));
    machine.boot(60);
    machine.until("taken in", Machine::marked).await;
    let heard = |machine: &Machine| machine.fake.heard.borrow().notice;
    machine.set(
        "events/recommendations/rebalance",
        Some(r#"{"noticeTime":"2026-01-01T00:00:00Z"}"#),
    );
    let is = |kind: NoticeKind| {
        move |machine: &Machine| heard(machine).is_some_and(|notice| notice.kind() == kind)
    };
    machine.until("recommended", is(NoticeKind::Rebalance)).await;
    machine.set(
        "spot/instance-action",
        Some(r#"{"action":"terminate","time":"2100-01-01T00:00:00Z"}"#),
    );
    let began = Instant::now();
    machine.until("interrupted", is(NoticeKind::Interruption)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    machine.set("spot/instance-action", None);
    assert!(heard(&machine).unwrap().remaining_ms > 0 && machine.poweroffs() == 0);
}
