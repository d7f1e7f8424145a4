//! Well-formed messages that must not be believed.

use std::collections::HashMap;

use mayfly_proto::RunId;
use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_proto::v1::{self, EnrollRequest, JobReport, NodePhase, NodeReport, Role, SyncRequest};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Job, Repo, Run, slots};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::{Serve, bearer, connect, refused};

/// A run that the server drives.
fn launch(serve: &Serve, job: &Job) -> RunId {
    let mut command = serve
        .home
        .command(&["launch", "--coordinator", &serve.url, "--detach"]);
    command
        .arg(job.write(&serve.home))
        .env("MAYFLY_TOKEN", &serve.token);
    let ended = serve.home.start(&mut command).wait(secs(60));
    ended.exited(0);
    ended.stdout.trim().parse().unwrap()
}

fn cancel(serve: &Serve, run: &Run<'_>) {
    serve.home.verb(&["cancel", run.id.as_str()]).exited(0);
    wait::until("the end of the run", secs(60), || {
        (run.phase() == "closed").then_some(())
    });
    run.assert_closed("cancelled");
}

fn join_token(run: &Run<'_>, node: &str) -> String {
    let text = std::fs::read(run.node(node).join("node.json")).unwrap();
    let config: Value = serde_json::from_slice(&text).unwrap();
    config["join_token"].as_str().unwrap().to_owned()
}

#[test]
fn what_no_node_may_say() {
    let _slot = slots::take();
    let serve = Serve::start();
    let repo = Repo::of_jobs();
    let closed = launch(&serve, &Job::at_gate("closed", &serve.home, &repo, "holds.py"));
    cancel(&serve, &serve.home.run(&closed));
    let live = launch(&serve, &Job::at_gate("live", &serve.home, &repo, "holds.py"));
    let run = serve.home.run(&live);
    wait::until("the job", secs(120), || serve.home.heard("holds"));
    let tokens = Tokens {
        master: join_token(&run, "master-1"),
        worker: join_token(&run, "worker-1"),
    };
    Runtime::new().unwrap().block_on(async {
        let client = AgentServiceClient::new(connect(&serve.url).await);
        let mut liar = Liar {
            client,
            run: live.clone(),
            closed: closed.clone(),
            tokens,
        };
        liar.enrols().await;
        serve.assert_well("false enrolments").await;
        liar.reports().await;
        serve.assert_well("false reports").await;
        liar.pushes().await;
        people(&serve, &live).await;
        serve.assert_well("false requests").await;
    });
    // All of it has changed nothing for the run.
    assert_eq!(run.phase(), "working");
    assert_eq!(run.record().unwrap()["attempt"], 1);
    assert_eq!(run.commit(), None);
    cancel(&serve, &run);
    drop(run);
    serve.stop();
}

struct Tokens {
    master: String,
    worker: String,
}

struct Liar {
    client: AgentServiceClient<Channel>,
    run: RunId,
    closed: RunId,
    tokens: Tokens,
}

impl Liar {
    fn worker(&self) -> EnrollRequest {
        EnrollRequest {
            protocol: mayfly_proto::PROTOCOL_VERSION,
            run_id: self.run.to_string(),
            join_token: self.tokens.worker.clone(),
            role: Role::Worker.into(),
            machine_id: "worker-7".into(),
            boot_id: "seven".into(),
            agent_version: "0.1.0".into(),
            address: "127.9.9.9".into(),
            cores: 1,
            memory_bytes: 1 << 30,
            private_results: true,
        }
    }

    async fn enrols(&mut self) {
        use Code::{AlreadyExists, InvalidArgument, NotFound, Unauthenticated, Unimplemented};
        let base = self.worker();
        let (master, worker) = (self.tokens.master.clone(), self.tokens.worker.clone());
        let cases: Vec<(&str, Code, EnrollRequest)> = vec![
            ("nothing at all", InvalidArgument, EnrollRequest::default()),
            (
                "a run id that is a path",
                InvalidArgument,
                EnrollRequest {
                    run_id: "../../x".into(),
                    ..base.clone()
                },
            ),
            (
                "a run id of 10 KB",
                InvalidArgument,
                EnrollRequest {
                    run_id: "x".repeat(10_240),
                    ..base.clone()
                },
            ),
            (
                "a run that nobody knows",
                NotFound,
                EnrollRequest {
                    run_id: "live-aaaaaaaa".into(),
                    ..base.clone()
                },
            ),
            (
                "no token",
                Unauthenticated,
                EnrollRequest {
                    join_token: String::new(),
                    ..base.clone()
                },
            ),
            (
                "a wrong token",
                Unauthenticated,
                EnrollRequest {
                    join_token: "x".repeat(64),
                    ..base.clone()
                },
            ),
            (
                "a worker with the master's token",
                Unauthenticated,
                EnrollRequest {
                    join_token: master,
                    ..base.clone()
                },
            ),
            (
                "a master with a worker's token",
                Unauthenticated,
                EnrollRequest {
                    role: Role::Master.into(),
                    machine_id: "master-9".into(),
                    join_token: worker,
                    ..base.clone()
                },
            ),
            (
                "a token of another run",
                Unauthenticated,
                EnrollRequest {
                    run_id: self.closed.to_string(),
                    ..base.clone()
                },
            ),
            (
                "no role",
                InvalidArgument,
                EnrollRequest {
                    role: 0,
                    ..base.clone()
                },
            ),
            (
                "a role of the future",
                InvalidArgument,
                EnrollRequest {
                    role: 99,
                    ..base.clone()
                },
            ),
            (
                "a protocol of the past",
                Unimplemented,
                EnrollRequest {
                    protocol: 0,
                    ..base.clone()
                },
            ),
            (
                "a machine that is a path",
                InvalidArgument,
                EnrollRequest {
                    machine_id: "../../x".into(),
                    ..base.clone()
                },
            ),
            (
                "a machine of the other role",
                InvalidArgument,
                EnrollRequest {
                    machine_id: "master-1".into(),
                    ..base.clone()
                },
            ),
            (
                "a machine with a newline",
                InvalidArgument,
                EnrollRequest {
                    machine_id: "worker-1\n".into(),
                    ..base.clone()
                },
            ),
            (
                "the machine of another agent",
                AlreadyExists,
                EnrollRequest {
                    machine_id: "worker-1".into(),
                    ..base.clone()
                },
            ),
            (
                "no boot id",
                InvalidArgument,
                EnrollRequest {
                    boot_id: String::new(),
                    ..base.clone()
                },
            ),
            (
                "a boot id of 10 KB",
                InvalidArgument,
                EnrollRequest {
                    boot_id: "x".repeat(10_240),
                    ..base.clone()
                },
            ),
            (
                "an address that is none",
                InvalidArgument,
                EnrollRequest {
                    address: "here;rm -rf".into(),
                    ..base.clone()
                },
            ),
            (
                "no cores",
                InvalidArgument,
                EnrollRequest {
                    cores: 0,
                    ..base.clone()
                },
            ),
            (
                "all the cores in the world",
                InvalidArgument,
                EnrollRequest {
                    cores: u32::MAX,
                    ..base.clone()
                },
            ),
            (
                "no memory",
                InvalidArgument,
                EnrollRequest {
                    memory_bytes: 0,
                    ..base
                },
            ),
        ];
        for (what, code, request) in cases {
            refused(what, code, self.client.enroll(request).await);
        }
    }

    fn report(&self, token: &str, change: impl FnOnce(&mut SyncRequest)) -> Request<SyncRequest> {
        let report = NodeReport {
            phase: NodePhase::Preparing.into(),
            ..NodeReport::default()
        };
        let mut message = SyncRequest {
            run_id: self.run.to_string(),
            node_id: "worker-7".into(),
            attempt: 1,
            seq: 1,
            report: Some(report),
        };
        change(&mut message);
        bearer(token, message)
    }

    /// A seventh worker that enrols as it should, and then lies.
    async fn reports(&mut self) {
        use Code::{Aborted, InvalidArgument, ResourceExhausted, Unauthenticated};
        let enrolled = self.client.enroll(self.worker()).await.unwrap().into_inner();
        let again = self.client.enroll(self.worker()).await.unwrap().into_inner();
        assert_eq!(
            (&enrolled.node_id, &enrolled.session_token),
            (&again.node_id, &again.session_token)
        );
        let token = enrolled.session_token;
        let phase = |message: &mut SyncRequest, phase: i32| message.report.as_mut().unwrap().phase = phase;

        let mut client = self.client.clone();
        client
            .sync(self.report(&token, |m| m.seq = 10))
            .await
            .expect("a true report");
        let unspoken = Request::new(self.report(&token, |_| {}).into_inner());
        refused(
            "a report without a token",
            Unauthenticated,
            client.sync(unspoken).await,
        );
        let join = self.tokens.worker.clone();
        let cases: Vec<(&str, Code, Request<SyncRequest>)> = vec![
            (
                "a report that was sent before",
                Aborted,
                self.report(&token, |m| m.seq = 10),
            ),
            (
                "a report older than another",
                Aborted,
                self.report(&token, |m| m.seq = 3),
            ),
            (
                "a report with the join token",
                Unauthenticated,
                self.report(&join, |m| m.seq = 11),
            ),
            (
                "a report in another's name",
                Unauthenticated,
                self.report(&token, |m| m.node_id = "master-1".into()),
            ),
            (
                "a report in nobody's name",
                Unauthenticated,
                self.report(&token, |m| m.node_id = "worker-99".into()),
            ),
            (
                "a report of a name that is none",
                InvalidArgument,
                self.report(&token, |m| m.node_id = "../x".into()),
            ),
            (
                "a report on another run",
                Unauthenticated,
                self.report(&token, |m| m.run_id = self.closed.to_string()),
            ),
            (
                "a report on attempt 0",
                InvalidArgument,
                self.report(&token, |m| m.attempt = 0),
            ),
            (
                "a report on a future attempt",
                InvalidArgument,
                self.report(&token, |m| (m.attempt, m.seq) = (1001, 20)),
            ),
            (
                "an empty report",
                InvalidArgument,
                self.report(&token, |m| m.report = None),
            ),
            ("no phase", InvalidArgument, self.report(&token, |m| phase(m, 0))),
            (
                "a phase of the future",
                InvalidArgument,
                self.report(&token, |m| phase(m, 99)),
            ),
            (
                "a negative phase",
                InvalidArgument,
                self.report(&token, |m| phase(m, -1)),
            ),
            (
                "a failure without a reason",
                InvalidArgument,
                self.report(&token, |m| phase(m, 8)),
            ),
            (
                "a commit without a job",
                InvalidArgument,
                self.report(&token, |m| phase(m, 7)),
            ),
            (
                "a report of 1 MB",
                ResourceExhausted,
                self.report(&token, |m| {
                    m.report.as_mut().unwrap().status = "x".repeat(1 << 20)
                }),
            ),
        ];
        for (what, code, request) in cases {
            refused(what, code, client.sync(request).await);
        }
        self.lies(&token).await;
        let closed = EnrollRequest {
            run_id: self.closed.to_string(),
            ..self.worker()
        };
        refused(
            "a node of a closed run",
            Unauthenticated,
            client.enroll(closed).await,
        );
    }

    /// What is taken, and has no effect: a worker cannot end the job, and numbers are only for people.
    async fn lies(&mut self, token: &str) {
        let job = JobReport {
            started: true,
            ended: true,
            exit_code: Some(0),
            ..JobReport::default()
        };
        for (seq, phase) in [(30, NodePhase::Ended), (31, NodePhase::Committed)] {
            let request = self.report(token, |message| {
                message.seq = seq;
                let report = message.report.as_mut().unwrap();
                (report.phase, report.job) = (phase.into(), Some(job.clone()));
            });
            self.client.sync(request).await.expect("a worker may say so");
        }
        let usage = v1::Usage {
            cpu_cores: f64::NAN,
            cpu_core_secs: f64::NEG_INFINITY,
            memory_bytes: u64::MAX,
            ..v1::Usage::default()
        };
        let request = self.report(token, |message| {
            message.seq = 40;
            let report = message.report.as_mut().unwrap();
            report.usage = Some(usage);
            report.results_files = 0;
            report.status = "\u{1b}[2J\u{202e}\u{0}".into();
            report.step_secs = (0..5_000)
                .map(|n| (format!("step {n}"), f64::INFINITY))
                .collect::<HashMap<_, _>>();
        });
        let reply = self
            .client
            .sync(request)
            .await
            .expect("odd numbers are taken")
            .into_inner();
        let desired = reply.desired.expect("a desired state");
        assert_eq!((reply.seq, desired.attempt), (40, 1));
        assert!(
            desired.lease_ms > 0 && desired.sync_interval_ms > 0,
            "{desired:?}"
        );
    }

    async fn pushes(&mut self) {
        let token = self
            .client
            .enroll(self.worker())
            .await
            .unwrap()
            .into_inner()
            .session_token;
        let batch = |node: &str, lines: usize| v1::LogBatch {
            run_id: self.run.to_string(),
            node_id: node.into(),
            attempt: 1,
            first_line: 0,
            stream: "job".into(),
            lines: vec![String::new(); lines],
        };
        let mut client = self.client.clone();
        let wrong = bearer(&token, stream_of(vec![batch("master-1", 1)]));
        refused(
            "lines in another's name",
            Code::Unauthenticated,
            client.push_logs(wrong).await,
        );
        let many = bearer(&token, stream_of(vec![batch("worker-7", 1_000_000)]));
        refused(
            "a million lines at once",
            Code::ResourceExhausted,
            client.push_logs(many).await,
        );
    }
}

fn tokio_stream<T: Send + 'static>(items: Vec<T>) -> impl futures::Stream<Item = T> + Send + 'static {
    futures::stream::iter(items)
}

async fn people(serve: &Serve, live: &RunId) {
    use Code::{InvalidArgument, NotFound, OutOfRange, Unauthenticated};
    let mut client = RunServiceClient::new(connect(&serve.url).await);
    let get = |run: &str| v1::GetRequest { run_id: run.into() };
    refused("no token", Unauthenticated, client.get(get(live.as_str())).await);
    refused(
        "a wrong token",
        Unauthenticated,
        client.get(bearer("x", get(live.as_str()))).await,
    );
    refused(
        "a list without a token",
        Unauthenticated,
        client.list(v1::ListRequest {}).await,
    );
    refused(
        "an unknown run",
        NotFound,
        client.get(bearer(&serve.token, get("live-aaaaaaaa"))).await,
    );
    refused(
        "a path",
        InvalidArgument,
        client.get(bearer(&serve.token, get("../../x"))).await,
    );
    let cancel = v1::CancelRequest {
        run_id: live.to_string(),
        level: 1,
    };
    refused(
        "a cancel without a token",
        Unauthenticated,
        client.cancel(cancel).await,
    );
    let watch = v1::WatchRequest {
        run_id: live.to_string(),
        from_line: 0,
    };
    refused(
        "a watch without a token",
        Unauthenticated,
        client.watch(watch).await,
    );
    for secs in [0, 7 * 24 * 3600 + 1, u64::MAX] {
        let extend = v1::ExtendRequest {
            run_id: live.to_string(),
            deadline_secs: secs,
        };
        refused(
            &format!("{secs} s more"),
            InvalidArgument,
            client.extend(bearer(&serve.token, extend)).await,
        );
    }
    let launch = |change: fn(&mut v1::LaunchRequest)| {
        let mut request = v1::LaunchRequest {
            request_id: "r".into(),
            job_json: "{}".into(),
            commit: "0".repeat(40),
            bundle_key: String::new(),
            owner: "me".into(),
        };
        change(&mut request);
        bearer(&serve.token, request)
    };
    let cases: [(&str, Code, fn(&mut v1::LaunchRequest)); 8] = [
        ("a launch of nothing", InvalidArgument, |r| {
            *r = v1::LaunchRequest::default()
        }),
        ("a job that is none", InvalidArgument, |_| {}),
        ("a job that is no JSON", InvalidArgument, |r| {
            r.job_json = "{".into()
        }),
        ("a part of a commit", InvalidArgument, |r| {
            r.commit = "abcdef".into()
        }),
        ("a commit that is an option", InvalidArgument, |r| {
            r.commit = format!("--{}", "0".repeat(38))
        }),
        ("a bundle of another commit", InvalidArgument, |r| {
            r.bundle_key = "runs/x/run.json".into()
        }),
        ("a request id of 10 KB", InvalidArgument, |r| {
            r.request_id = "x".repeat(10_240)
        }),
        ("a job of 1 MB", OutOfRange, |r| r.job_json = "x".repeat(1 << 20)),
    ];
    for (what, code, change) in cases {
        refused(what, code, client.launch(launch(change)).await);
    }
}
