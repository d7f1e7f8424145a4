//! The same request many times, and another one under its name.

use futures::StreamExt as _;
use mayfly_proto::v1;
use mayfly_proto::v1::run_service_client::RunServiceClient;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::Region;
use mayfly_tests::wait;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

use super::light::LIMIT;
use crate::server::bearer;

/// Requests in all, and at one time.
const MANY: usize = 1_000;
const AT_ONCE: usize = 32;

fn request(workers: u32) -> v1::LaunchRequest {
    let text = format!(
        "same:\n  code: {{repo: 'https://localhost/none.git', entry: main.py}}\n  master: {{instance: t4g.small}}\n  \
         workers: {{count: {workers}, instance: t4g.small}}\n"
    );
    let job = mayfly_configs::parse_job("same.yml", &text, &|_| None, None, &[]);
    v1::LaunchRequest {
        request_id: "same".into(),
        job_json: serde_json::to_string(&job.unwrap().job).unwrap(),
        commit: "0".repeat(40),
        cloud: "aws".into(),
        ..v1::LaunchRequest::default()
    }
}

struct Client {
    service: RunServiceClient<Channel>,
    token: String,
}

impl Client {
    async fn of(region: &Region) -> Self {
        let channel = Endpoint::from_shared(region.serve.url.clone()).unwrap();
        Self {
            service: RunServiceClient::new(channel.connect().await.unwrap()),
            token: region.serve.token.clone(),
        }
    }

    async fn launch(&self, workers: u32) -> v1::LaunchReply {
        let call = bearer(&self.token, request(workers));
        self.service.clone().launch(call).await.unwrap().into_inner()
    }

    async fn cancel(&self, run_id: String) {
        let level = v1::CancelLevel::Fast.into();
        let call = bearer(&self.token, v1::CancelRequest { run_id, level });
        self.service.clone().cancel(call).await.unwrap();
    }
}

fn groups(region: &Region) -> usize {
    let left = region.ec2.rig("GET", "leftovers", &Value::Null);
    left["groups"].as_array().unwrap().len()
}

/// faults.md 39, 40: a thousand times the same is one fleet; another job under the same name is another run, and both are
/// told apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_makes_one_fleet_however_often_it_comes() {
    let region = tokio::task::block_in_place(|| Region::of(Image::none(), &json!({})));
    let client = Client::of(&region).await;
    let calls = (0..MANY).map(|_| client.launch(2));
    let replies: Vec<_> = futures::stream::iter(calls)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(replies.iter().filter(|reply| reply.created).count(), 1);
    let run = replies[0].run_id.clone();
    assert!(replies.iter().all(|reply| reply.run_id == run));
    let up = |count: usize| {
        wait::until(&format!("{count} machines"), LIMIT, || {
            (region.up("master").len() + region.up("worker").len() == count).then_some(())
        });
    };
    tokio::task::block_in_place(|| up(3));
    let other = client.launch(1).await;
    assert!(other.created && other.run_id != run, "{other:?}");
    tokio::task::block_in_place(|| up(5));
    assert_eq!(groups(&region), 4, "of two runs");
    for run in [run, other.run_id] {
        client.cancel(run).await;
    }
    tokio::task::block_in_place(|| {
        wait::until("nothing to be left", LIMIT, || region.is_clear().then_some(()));
        region.assert_nothing_left();
        assert_eq!(region.bill().len(), 5);
    });
}
