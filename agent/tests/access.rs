//! The keys of an instance's role: the agent's own way to the store, and the job's.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not count as such"
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use mayfly_agent::access;
use mayfly_agent::config::{JobRole, NodeConfig};
use mayfly_agent::logs::Order;
use mayfly_kit::imds::{Imds, InstanceProfile};
use mayfly_kit::store::{Access, Store, StoreConfig};
use mayfly_s3::{Config, Server};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const SECRET: &str = "secret-of-the-role";
const JOB_KEY: &str = "ASIAOFTHEJOB";
const JOB_SECRET: &str = "secret-of-the-job";

/// Keys of the role, or none.
type Keys = Arc<Mutex<Option<&'static str>>>;

async fn metadata(State(keys): State<Keys>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some(access_key) = *keys.lock().unwrap() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    if request.method() == Method::PUT {
        return "token==".into_response();
    }
    match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
        Some("") => "node-role".into_response(),
        Some("node-role") => axum::Json(serde_json::json!({
            "Code": "Success", "AccessKeyId": access_key, "SecretAccessKey": SECRET, "Token": "session-of-the-role",
            "Expiration": "2100-01-01T00:00:00Z",
        }))
        .into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

struct Instance {
    keys: Keys,
    profile: InstanceProfile,
    /// Requests for sessions, as forms.
    asked: Arc<Mutex<Vec<String>>>,
    sts: String,
    _tasks: JoinSet<()>,
}

/// What STS says and hears.
#[derive(Clone)]
struct Sts {
    asked: Arc<Mutex<Vec<String>>>,
    keys: Keys,
}

async fn sts(State(sts): State<Sts>, form: String) -> Response {
    sts.asked.lock().unwrap().push(form);
    if sts.keys.lock().unwrap().is_none() {
        let said =
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        return (StatusCode::FORBIDDEN, said).into_response();
    }
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{JOB_KEY}</AccessKeyId>\
         <SecretAccessKey>{JOB_SECRET}</SecretAccessKey><SessionToken>session-of-the-job</SessionToken>\
         <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    .into_response()
}

impl Instance {
    async fn start() -> Self {
        let keys: Keys = Arc::new(Mutex::new(Some("test")));
        let asked = Arc::default();
        let mut tasks = JoinSet::new();
        let app = Router::new().fallback(metadata).with_state(Arc::clone(&keys));
        let imds = Imds::at(&serve(app, &mut tasks).await).unwrap();
        let of_sts = Sts {
            asked: Arc::clone(&asked),
            keys: Arc::clone(&keys),
        };
        let app = Router::new().fallback(sts).with_state(of_sts);
        Self {
            keys,
            profile: InstanceProfile::new(imds),
            asked,
            sts: serve(app, &mut tasks).await,
            _tasks: tasks,
        }
    }

    /// A node on it, whose jobs get sessions of a role if there is one.
    fn node(&self, has_role: bool) -> NodeConfig {
        let job_role = has_role.then(|| JobRole {
            arn: "arn:aws:iam::111122223333:role/mayfly-default-job".into(),
            endpoint: Some(self.sts.clone()),
        });
        NodeConfig {
            job_role,
            ..node(Access::InstanceProfile(self.profile.clone()))
        }
    }
}

async fn serve(app: Router, tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

fn node(access: Access) -> NodeConfig {
    let config = serde_json::json!({
        "run": "flights-abcdefgh", "role": "master", "machine_id": "i-1", "coordinator": "http://127.0.0.1:1",
        "join_token": "t", "address": "127.0.0.1", "cores": 1, "memory_bytes": 1, "folder": "/x", "shared": "/y",
        "store": {
            "endpoint": null, "bucket": "b", "prefix": "", "region": "us-east-1",
            "access": Access::keys("", ""),
        },
        "toolchain": {
            "spark_home": "/x", "spark_version": "4", "scala_version": "2", "java": "/x", "python": "/x", "cds_archive": null,
        },
    });
    let mut config: NodeConfig = serde_json::from_value(config).unwrap();
    config.store.access = access;
    config
}

#[tokio::test]
async fn a_store_is_opened_with_the_role_of_the_instance() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Config {
        root: folder.path().join("store"),
        listen: "127.0.0.1:0".parse().unwrap(),
        access_key: "test".into(),
        secret_key: SECRET.into(),
        region: "us-east-1".into(),
    });
    let server = server.await.unwrap();
    let instance = Instance::start().await;
    let store = Store::open(&StoreConfig {
        endpoint: Some(format!("http://{}", server.addr())),
        bucket: "mayfly".into(),
        prefix: String::new(),
        region: "us-east-1".into(),
        access: Access::InstanceProfile(instance.profile.clone()),
    });
    store.ensure_bucket().await.unwrap();
    store.put("a", "x").await.unwrap();
    // Metadata that goes away does not take the store along.
    *instance.keys.lock().unwrap() = None;
    assert!(store.get("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_job_gets_keys_for_its_token_only_and_no_log_shows_them() {
    let instance = Instance::start().await;
    let (logs, mut learned) = mpsc::channel(16);
    let mut loops = JoinSet::new();
    let variables = access::of_job(&instance.node(true), logs, &mut loops)
        .await
        .unwrap();
    let of = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
            .clone()
    };
    let (url, token) = (
        of("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        of("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    );
    assert!(url.starts_with("http://127.0.0.1:") && token.len() == 64);
    let shows = |secret: &str| variables.iter().any(|(_, value)| value.contains(secret));
    assert!(!shows(SECRET) && !shows(JOB_SECRET));
    let ask = |shown: Option<String>| {
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(&url);
        let request = shown.into_iter().fold(request, |request, token| {
            request.header(header::AUTHORIZATION, token)
        });
        async { request.send().await.unwrap() }
    };
    for wrong in [
        None,
        Some(String::new()),
        Some("x".repeat(64)),
        Some(format!("Bearer {token}")),
    ] {
        assert_eq!(ask(wrong).await.status(), StatusCode::FORBIDDEN);
    }
    for _ in 0..2 {
        let keys: serde_json::Value = ask(Some(token.clone())).await.json().await.unwrap();
        assert_eq!(
            (keys["AccessKeyId"].as_str(), keys["SecretAccessKey"].as_str()),
            (Some(JOB_KEY), Some(JOB_SECRET)),
            "the job's own keys, and not the node's"
        );
        assert_eq!(keys["Token"], "session-of-the-job");
        // The hour that was asked for, and not what the clock of the other side makes of it.
        let end: Timestamp = keys["Expiration"].as_str().unwrap().parse().unwrap();
        let lasts = end.duration_since(Timestamp::now()).as_secs();
        assert!((3_000..=3_600).contains(&lasts), "{lasts}");
    }
    let asked = instance.asked.lock().unwrap().clone();
    let [form] = asked.as_slice() else {
        panic!("one session for all of them: {asked:?}")
    };
    for part in [
        "Action=AssumeRole",
        "DurationSeconds=3600",
        "RoleSessionName=flights-abcdefgh",
        "Tags.member.1.Key=mayfly%3Arun",
        "Tags.member.1.Value=flights-abcdefgh",
    ] {
        assert!(form.split('&').any(|one| one == part), "{part} in {form}");
    }
    let mut known = Vec::new();
    while let Ok(order) = learned.try_recv() {
        if let Order::Learn(secret) = order {
            known.push(secret);
        }
    }
    assert_eq!(
        known,
        [token.as_str(), JOB_SECRET, "session-of-the-job"],
        "each is learned once"
    );
}

#[tokio::test]
async fn keys_that_last_are_in_the_jobs_environment() {
    let (logs, _learned) = mpsc::channel(16);
    let config = node(Access::keys("id", SECRET));
    let variables = access::of_job(&config, logs, &mut JoinSet::new()).await.unwrap();
    let expected = [
        ("AWS_ACCESS_KEY_ID", "id".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
    ];
    assert_eq!(variables, expected);
}

#[tokio::test]
async fn without_a_session_a_job_has_no_keys_and_never_those_of_the_node() {
    let instance = Instance::start().await;
    let (logs, _learned) = mpsc::channel(16);
    let mut loops = JoinSet::new();
    let none = access::of_job(&instance.node(false), logs.clone(), &mut loops)
        .await
        .unwrap();
    assert_eq!(none, [("AWS_EC2_METADATA_DISABLED", "true".to_owned())]);
    let variables = access::of_job(&instance.node(true), logs, &mut loops)
        .await
        .unwrap();
    *instance.keys.lock().unwrap() = None;
    let (url, token) = (&variables[0].1, &variables[1].1);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(url).header(header::AUTHORIZATION, token).send();
    let answer = asked.await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.text().await.unwrap().contains(SECRET));
}
