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
use mayfly_agent::access;
use mayfly_agent::logs::Order;
use mayfly_kit::imds::{Imds, InstanceProfile};
use mayfly_kit::store::{Access, Store, StoreConfig};
use mayfly_s3::{Config, Server};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const SECRET: &str = "secret-of-the-role";

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
    _tasks: JoinSet<()>,
}

impl Instance {
    async fn start() -> Self {
        let keys: Keys = Arc::new(Mutex::new(Some("test")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let imds = Imds::at(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let app = Router::new().fallback(metadata).with_state(Arc::clone(&keys));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            keys,
            profile: InstanceProfile::new(imds),
            _tasks: tasks,
        }
    }
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
    let access = Access::InstanceProfile(instance.profile.clone());
    let variables = access::of_job(&access, logs, &mut loops).await.unwrap();
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
    assert!(!variables.iter().any(|(_, value)| value.contains(SECRET)));
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
            (Some("test"), Some(SECRET))
        );
        assert_eq!(keys["Token"], "session-of-the-role");
        assert!(
            keys["Expiration"]
                .as_str()
                .unwrap()
                .starts_with("2100-01-01T00:00")
        );
    }
    let mut known = Vec::new();
    while let Ok(order) = learned.try_recv() {
        if let Order::Learn(secret) = order {
            known.push(secret);
        }
    }
    assert_eq!(
        known,
        [token.as_str(), SECRET, "session-of-the-role"],
        "each is learned once"
    );
}

#[tokio::test]
async fn keys_that_last_are_in_the_jobs_environment() {
    let (logs, _learned) = mpsc::channel(16);
    let variables = access::of_job(&Access::keys("id", SECRET), logs, &mut JoinSet::new())
        .await
        .unwrap();
    let expected = [
        ("AWS_ACCESS_KEY_ID", "id".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
    ];
    assert_eq!(variables, expected);
}
