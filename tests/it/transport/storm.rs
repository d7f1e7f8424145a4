//! faults.md, row 64: all nodes of a large fleet boot at the same moment, and ask to be taken in.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mayfly_agent::identity::{Door, EnrolError, Enrolled};
use mayfly_coordinator::run::Role;
use mayfly_coordinator::transport::raise_files;
use mayfly_kit::tls::{Dialer, Trust};
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::{PROTOCOL_VERSION, RETRY_PUSHBACK, v1};
use mayfly_tests::programs;
use mayfly_tests::wait::{self, secs};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::rig::{LOOK, Lives, Rig, node_json};
use crate::server::peak_bytes;

/// Nodes of the fleet.
const NODES: usize = 1_000;
/// What a server may take more at its most for each of them, while they come and after that.
const EACH_MAX: u64 = 256 << 10;
/// Longest until the last one is taken in.
const ALL_IN: Duration = Duration::from_secs(30);
/// Nodes of one run that are taken in at one time: as the server has it, and docs/team.md.
const PLACES: usize = 256;
/// More than that.
const CROWD: usize = 300;
const LIVES: Lives = Lives {
    node: Duration::from_secs(3600),
    listener: Duration::from_secs(3600),
};

/// The real server over a cloud of machines that somebody else plays, in a process of its own.
struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(programs::path("fake-agents"))
            .arg("coordinator")
            .arg(folder.path())
            // Reports are not what is looked at here: none is missed before the end.
            .args([&NODES.to_string(), "600"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    /// What its machines are told.
    fn order(&self) -> Value {
        let file = self.folder.path().join("order.json");
        wait::until("the order of machines", secs(60), || {
            serde_json::from_slice(&fs::read(&file).ok()?).ok()
        })
    }

    fn peak(&self) -> u64 {
        peak_bytes(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and says so by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The agent's own door, for the machine of this number: the first one is the master's.
fn door(order: &Value, folder: &Path, number: usize) -> Door {
    let (role, machine) = match number {
        0 => ("master", "master-1".to_owned()),
        n => ("worker", format!("worker-{n}")),
    };
    let run = order["run"].as_str().unwrap().parse().unwrap();
    let mut node = node_json(&run, folder);
    node["role"] = role.into();
    node["machine_id"] = machine.into();
    node["coordinator"] = order["url"].clone();
    node["join_token"] = order[format!("{role}_token")].clone();
    Door::new(&serde_json::from_value(node).unwrap(), false).unwrap()
}

/// All of them at the same time; each stays connected as long as what is returned.
async fn all_in(doors: Vec<Door>) -> Vec<Enrolled> {
    let mut coming = JoinSet::new();
    for mut door in doors {
        coming.spawn(async move { door.enrol().await });
    }
    let came = timeout(wait::patient(ALL_IN), coming.join_all()).await;
    let came: Result<Vec<Enrolled>, EnrolError> = came.expect("all answered").into_iter().collect();
    came.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_nodes_that_come_at_once_are_all_taken_in_and_cost_little() {
    raise_files();
    let server = Server::start();
    let order = tokio::task::block_in_place(|| server.order());
    let before = server.peak();
    let folder = server.folder.path();
    let doors = (0..NODES).map(|number| door(&order, folder, number)).collect();
    let nodes = all_in(doors).await;
    let mut names: Vec<&str> = nodes.iter().map(|node| node.session.node.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), NODES, "two nodes have one name");
    let each = (server.peak() - before) / u64::try_from(NODES).unwrap();
    eprintln!("{} KiB for each of {NODES} nodes", each >> 10);
    assert!(each <= EACH_MAX, "{} KiB for each node", each >> 10);
}

/// One call of a node, without the agent's patience.
async fn ask_once(rig: &Rig) -> Result<(), Status> {
    let pin = Trust::Pinned(rig.fingerprint.parse().unwrap());
    let dialer = Dialer::new(&rig.url, Some(pin)).unwrap();
    let channel = dialer.connect(|endpoint| endpoint).await.unwrap();
    let request = v1::EnrollRequest {
        protocol: PROTOCOL_VERSION,
        run_id: rig.run.to_string(),
        join_token: rig.token(Role::Worker),
        role: v1::Role::Worker.into(),
        machine_id: "worker-999".into(),
        boot_id: "another".into(),
        address: "127.0.0.1".into(),
        cores: 1,
        memory_bytes: 1 << 30,
        ..v1::EnrollRequest::default()
    };
    AgentServiceClient::new(channel).enroll(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_too_many_at_once_are_told_to_come_again_and_do() {
    raise_files();
    let rig = Rig::start(LIVES).await;
    // Its cloud is slow to say whose machines they are.
    rig.listing.answers.send_replace(false);
    let machine = |number: usize| rig.door(&rig.run, Role::Worker, &format!("worker-{number}"));
    let doors = (1..=CROWD).map(machine).collect();
    let mut coming = JoinSet::new();
    coming.spawn(all_in(doors));
    let mut waiting = rig.listing.waiting.subscribe();
    let full = waiting.wait_for(|waiting| waiting.now >= PLACES);
    let full = timeout(wait::patient(secs(30)), full).await;
    drop(full.expect("as many as there are places").unwrap());
    // A place is free for a moment when one of them has waited for too long.
    let refused = async {
        loop {
            match ask_once(&rig).await {
                Err(status) if status.code() == Code::ResourceExhausted => return status,
                Ok(()) | Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    };
    let refused = timeout(wait::patient(secs(30)), refused).await;
    let refused = refused.expect("one more to be refused");
    let hint = refused
        .metadata()
        .get(RETRY_PUSHBACK)
        .expect("when to come again");
    assert_eq!(hint.to_str().unwrap(), "1000", "{refused}");
    rig.listing.answers.send_replace(true);
    assert_eq!(coming.join_next().await.unwrap().unwrap().len(), CROWD);
    let most = rig.listing.waiting.borrow().most;
    assert_eq!(most, PLACES, "asked about at one time");
}
