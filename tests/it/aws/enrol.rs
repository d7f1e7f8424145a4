//! Who may be taken in: machines of the run, as AWS lists them, each with one key.

use std::time::Duration;

use mayfly_proto::v1::agent_service_client::AgentServiceClient;
use mayfly_proto::v1::{EnrollRequest, Role};
use mayfly_tests::ec2::{Image, Info};
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Launch, Repo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tonic::Code;

const LIMIT: Duration = Duration::from_secs(120);

/// A worker of a run, and what it was started with.
struct Worker {
    run: String,
    id: String,
    token: String,
}

impl Worker {
    fn of(info: &Info) -> Self {
        let data: Value = serde_json::from_str(info.user_data.as_ref().unwrap()).unwrap();
        Self {
            run: info.tags.as_ref().unwrap()["mayfly:run"]
                .as_str()
                .unwrap()
                .to_owned(),
            id: info.id.clone(),
            token: data["join_token"].as_str().unwrap().to_owned(),
        }
    }

    fn enrols(&self) -> EnrollRequest {
        EnrollRequest {
            protocol: mayfly_proto::PROTOCOL_VERSION,
            run_id: self.run.clone(),
            join_token: self.token.clone(),
            role: Role::Worker.into(),
            machine_id: self.id.clone(),
            boot_id: "boot".into(),
            agent_version: "0.1.0".into(),
            address: "127.9.9.9".into(),
            cores: 1,
            memory_bytes: 1 << 30,
            private_results: true,
            ..EnrollRequest::default()
        }
    }
}

/// A running worker of the job of this name.
fn worker(region: &Region, launch: &mut Launch, name: &str) -> Worker {
    launch.until(&format!("a worker of {name}"), LIMIT, || {
        let all = region.ec2.instances();
        let found = all.iter().find(|info| {
            let tag = |key: &str| {
                info.tags
                    .as_ref()
                    .and_then(|tags| tags[key].as_str().map(str::to_owned))
            };
            info.state == "running"
                && tag("mayfly:role").as_deref() == Some("worker")
                && tag("mayfly:run").is_some_and(|run| run.starts_with(name))
        });
        found.map(Worker::of)
    })
}

async fn enrol(url: &str, request: EnrollRequest) -> Result<(), (Code, String)> {
    let mut client = AgentServiceClient::connect(url.to_owned()).await.unwrap();
    let answered = client.enroll(request).await;
    answered
        .map(|_| ())
        .map_err(|status| (status.code(), status.message().to_owned()))
}

#[test]
fn a_machine_of_another_run_or_of_nobody_is_not_taken_in_nor_one_twice() {
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    let url = repo.path().display().to_string();
    let mut one = region.launch(&job("one", &url, "plain.py").workers(1), &[]);
    let mut two = region.launch(&job("two", &url, "plain.py").workers(1), &[]);
    let ours = worker(&region, &mut one, "one");
    let theirs = worker(&region, &mut two, "two");
    let enrols = |request: EnrollRequest| {
        Runtime::new()
            .unwrap()
            .block_on(enrol(&region.serve.url, request))
    };

    for (what, id) in [
        ("nobody's", "i-0123456789abcdef0"),
        ("another run's", theirs.id.as_str()),
    ] {
        let mut request = ours.enrols();
        request.machine_id = id.to_owned();
        let (code, said) = enrols(request).unwrap_err();
        assert_eq!(code, Code::Unavailable, "{what}: {said}");
        assert!(
            said.contains("is not among the machines of one-"),
            "{what}: {said}"
        );
    }
    // Its own token in the name of the other run, and the other's token for its own.
    let mut request = ours.enrols();
    request.run_id.clone_from(&theirs.run);
    assert_eq!(enrols(request).unwrap_err().0, Code::Unauthenticated);

    enrols(ours.enrols()).unwrap();
    // The same process may ask again: its answer may have been lost. Another one on the same machine may not.
    enrols(ours.enrols()).unwrap();
    let mut replay = ours.enrols();
    replay.boot_id = "another".into();
    let (code, said) = enrols(replay).unwrap_err();
    assert_eq!(code, Code::AlreadyExists, "{said}");

    // One that is ending is not taken in any more.
    let params = [("InstanceId.1", theirs.id.as_str())];
    region.ec2.aws("ec2", "TerminateInstances", &params);
    region.ec2.wait_state(&theirs.id, "terminated", LIMIT);
    let refused = mayfly_tests::wait::until("AWS to list it so", LIMIT, || {
        // As long as the coordinator has not looked, it is one of the run's.
        let refused = enrols(theirs.enrols()).err()?;
        (refused.0 == Code::PermissionDenied).then_some(refused)
    });
    assert!(refused.1.contains("has ended"), "{refused:?}");
    for mut launch in [one, two] {
        launch.signal(Signal::SIGINT);
        launch.wait(LIMIT).exited(130);
    }
    region.assert_nothing_left();
}
