//! Who may wait for requests to a run's pages and its session: the run's master, and nobody else.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use mayfly_agent::identity::Enrolled;
use mayfly_coordinator::run::Role;
use mayfly_kit::tls::{Dialer, Trust};
use mayfly_proto::RunId;
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::carry_up::What;
use mayfly_proto::v1::{CarryDown, CarryHead, CarryHello, CarryUp};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};

use super::rig::{Lives, Rig};
use crate::server::bearer;
use crate::wire::refused;

const HOUR: Duration = Duration::from_secs(3600);
const LIVES: Lives = Lives {
    node: HOUR,
    listener: HOUR,
};
/// Streams of a run that may wait at one time.
const WAITING_MAX: usize = 16;

type Answer = Result<Response<Streaming<CarryDown>>, Status>;
type Client = AgentServiceClient<Channel>;

/// A run with its master and a worker, and the master of another run.
struct Nodes {
    rig: Rig,
    master: Enrolled,
    worker: Enrolled,
    other: Enrolled,
}

impl Nodes {
    async fn start() -> Self {
        let rig = Rig::start(LIVES).await;
        let other_run = rig.launch("another").await;
        let taken_in = async |run: &RunId, role: Role, machine: &str| {
            let enrolled = rig.door(run, role, machine).enrol().await;
            enrolled.expect("a true node")
        };
        Self {
            master: taken_in(&rig.run, Role::Master, "master-1").await,
            worker: taken_in(&rig.run, Role::Worker, "worker-1").await,
            other: taken_in(&other_run, Role::Master, "master-1").await,
            rig,
        }
    }

    /// A client that trusts the coordinator and shows no certificate.
    fn stranger(&self) -> Client {
        let pin = self.rig.fingerprint.parse().unwrap();
        let dialer = Dialer::new(&self.rig.url, Some(Trust::Pinned(pin))).unwrap();
        AgentServiceClient::new(dialer.channel(None, |endpoint| endpoint).unwrap())
    }

    fn run(&self) -> &str {
        self.rig.run.as_str()
    }
}

fn hello(run: &str, node: &str) -> CarryUp {
    word(What::Hello(CarryHello {
        run_id: run.into(),
        node_id: node.into(),
    }))
}

fn word(what: What) -> CarryUp {
    CarryUp { what: Some(what) }
}

/// Says this with somebody's token, and then nothing more.
async fn say(mut client: Client, token: &str, first: CarryUp) -> Answer {
    let words = stream::iter([first]).chain(stream::pending());
    client.carry(bearer(token, words)).await
}

#[test]
fn only_its_master_carries_for_a_run() {
    Runtime::new().unwrap().block_on(async {
        let nodes = Nodes::start().await;
        not_its_master(&nodes).await;
        not_its_token(&nodes).await;
        another_run(&nodes).await;
        as_many_as_may_wait(&nodes).await;
    });
}

#[test]
fn a_carrier_begins_with_who_it_is() {
    Runtime::new().unwrap().block_on(async {
        let nodes = Nodes::start().await;
        tokio::join!(no_hello(&nodes), silence(&nodes));
    });
}

#[rustfmt::skip] // One line for each case.
async fn not_its_master(nodes: &Nodes) {
    use Code::{PermissionDenied, Unauthenticated};
    let (master, worker, run) = (&nodes.master, &nodes.worker, nodes.run());
    let as_master = || hello(run, "master-1");
    refused("a stranger", Unauthenticated, say(nodes.stranger(), &master.token, as_master()).await);
    refused("a worker", PermissionDenied, say(worker.session.client(), &worker.token, hello(run, "worker-1")).await);
    refused("a worker as the master", PermissionDenied, say(worker.session.client(), &worker.token, as_master()).await);
    refused("a worker with the master's token", PermissionDenied, say(worker.session.client(), &master.token, as_master()).await);
    refused("a node that nobody took in", Unauthenticated, say(worker.session.client(), &worker.token, hello(run, "master-9")).await);
}

#[rustfmt::skip] // One line for each case.
async fn not_its_token(nodes: &Nodes) {
    use Code::Unauthenticated;
    let client = || nodes.master.session.client();
    let as_master = || hello(nodes.run(), "master-1");
    refused("no token", Unauthenticated, client().carry(stream::iter([as_master()])).await);
    refused("the worker's token", Unauthenticated, say(client(), &nodes.worker.token, as_master()).await);
    refused("another master's token", Unauthenticated, say(client(), &nodes.other.token, as_master()).await);
}

#[rustfmt::skip] // One line for each case.
async fn another_run(nodes: &Nodes) {
    use Code::{InvalidArgument, NotFound, PermissionDenied};
    let (master, other, run) = (&nodes.master, &nodes.other, nodes.run());
    let client = || master.session.client();
    refused("the master of another run", PermissionDenied, say(other.session.client(), &other.token, hello(run, "master-1")).await);
    refused("another run's master with the token", PermissionDenied, say(other.session.client(), &master.token, hello(run, "master-1")).await);
    refused("a run that is not its own", PermissionDenied, say(client(), &master.token, hello(other.session.run.as_str(), "master-1")).await);
    refused("a run that nobody knows", NotFound, say(client(), &master.token, hello("idle-aaaaaaaa", "master-1")).await);
    refused("a run that is a path", InvalidArgument, say(client(), &master.token, hello("../../x", "master-1")).await);
    refused("a node that is a path", InvalidArgument, say(client(), &master.token, hello(run, "../master-1")).await);
}

/// All that was refused has left nothing behind: the master itself is taken, so many times and no more.
async fn as_many_as_may_wait(nodes: &Nodes) {
    let master = &nodes.master;
    let wait = || {
        say(
            master.session.client(),
            &master.token,
            hello(nodes.run(), "master-1"),
        )
    };
    let mut waiting = Vec::new();
    for number in 0..WAITING_MAX {
        let taken = wait().await;
        waiting.push(taken.unwrap_or_else(|status| panic!("stream {number}: {status}")));
    }
    refused("one more", Code::ResourceExhausted, wait().await);
}

#[rustfmt::skip] // One line for each case.
async fn no_hello(nodes: &Nodes) {
    use Code::{InvalidArgument, OutOfRange};
    let begin = async |word| say(nodes.master.session.client(), &nodes.master.token, word).await;
    refused("nothing", InvalidArgument, begin(CarryUp { what: None }).await);
    refused("an answer", InvalidArgument, begin(word(What::Head(CarryHead::default()))).await);
    refused("bytes", InvalidArgument, begin(word(What::Data(vec![0; 1_000]))).await);
    refused("a failure", InvalidArgument, begin(word(What::Failed("no".into()))).await);
    refused("nobody", InvalidArgument, begin(hello("", "")).await);
    refused("a name of 5 MB", OutOfRange, begin(hello(nodes.run(), &"x".repeat(5 << 20))).await);
    let ended = bearer(&nodes.master.token, stream::empty());
    refused("the end", InvalidArgument, nodes.master.session.client().carry(ended).await);
}

/// Whoever says nothing is not waited for.
async fn silence(nodes: &Nodes) {
    let silent = bearer(&nodes.master.token, stream::pending());
    let answer = nodes.master.session.client().carry(silent).await;
    refused("silence", Code::DeadlineExceeded, answer);
}
