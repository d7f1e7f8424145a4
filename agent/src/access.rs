//! What the job opens the store with.
//!
//! Keys that last are put into its environment. Those of an instance's role are not: they may do more than a job needs, and
//! the metadata that has them is closed to the job. The agent takes a session for it that is kept to this run
//! ([`mayfly_kit::sts`]), and serves its keys on loopback, as ECS does for its containers, which every AWS SDK understands:
//! the environment names the place and a token of this agent's own. Where there is no session the job has no keys, and never
//! the node's.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing};
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use mayfly_kit::imds::SessionKeys;
use mayfly_kit::sts::RunSession;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::config::{Access, NodeConfig};
use crate::logs::Order as LogOrder;

/// Variables of the job's environment.
pub type Variables = Vec<(&'static str, String)>;

/// What the job finds in its environment; where it is served from, that is done in `loops`.
///
/// # Errors
/// There is no port, or no randomness.
pub async fn of_job(
    config: &NodeConfig,
    logs: mpsc::Sender<LogOrder>,
    loops: &mut JoinSet<()>,
) -> io::Result<Variables> {
    match &config.store.access {
        Access::Keys {
            access_key,
            secret_key,
        } => Ok(vec![
            ("AWS_ACCESS_KEY_ID", access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", secret_key.clone()),
        ]),
        // Of a person's command, never of a node.
        Access::Chain(_) => Ok(Vec::new()),
        Access::InstanceProfile(profile) => {
            let Some(role) = &config.job_role else {
                tracing::warn!("the network has no role of jobs: this job has no keys");
                return Ok(vec![no_metadata()]);
            };
            let session = RunSession::new(role, &config.run, &config.store.region, profile.clone());
            serve(session, logs, loops).await
        }
    }
}

/// The job's SDKs need not try what is closed to them.
fn no_metadata() -> (&'static str, String) {
    ("AWS_EC2_METADATA_DISABLED", "true".to_owned())
}

struct Counter {
    session: RunSession,
    token: String,
    logs: mpsc::Sender<LogOrder>,
    /// The access key whose secrets the keeper of the logs knows.
    told: Mutex<String>,
}

async fn serve(
    session: RunSession,
    logs: mpsc::Sender<LogOrder>,
    loops: &mut JoinSet<()>,
) -> io::Result<Variables> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = listener.local_addr()?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token = HEXLOWER.encode(&bytes);
    // A job that prints its environment shows nothing that opens anything.
    let _ = logs.send(LogOrder::Learn(token.clone())).await;
    let counter = Counter {
        session,
        token: token.clone(),
        logs,
        told: Mutex::default(),
    };
    let app = Router::new()
        .route("/keys", routing::get(hand_out))
        .with_state(Arc::new(counter));
    loops.spawn(async move {
        let _ = axum::serve(listener, app).await;
    });
    Ok(vec![
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{address}/keys"),
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token),
        no_metadata(),
    ])
}

impl Counter {
    /// What is handed out must not appear in any log.
    async fn tell(&self, keys: &SessionKeys) {
        let mut told = self.told.lock().await;
        if *told == keys.access_key {
            return;
        }
        for secret in [&keys.secret_key, &keys.token] {
            // Without a keeper of the logs there are none.
            let _ = self.logs.send(LogOrder::Learn(secret.clone())).await;
        }
        told.clone_from(&keys.access_key);
    }
}

async fn hand_out(State(counter): State<Arc<Counter>>, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION);
    if shown.is_none_or(|shown| shown != counter.token.as_str()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let keys = match counter.session.keys().await {
        Ok(keys) => keys,
        Err(error) => {
            let cause: &dyn std::error::Error = &error;
            tracing::warn!(error = cause, "no keys for the job");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    counter.tell(&keys).await;
    let SessionKeys {
        access_key,
        secret_key,
        token,
        good_for,
    } = keys;
    let lasts = SignedDuration::try_from(good_for).unwrap_or_default();
    Json(json!({
        "AccessKeyId": access_key,
        "SecretAccessKey": secret_key,
        "Token": token,
        "Expiration": Timestamp::now().saturating_add(lasts).unwrap_or(Timestamp::MAX).to_string(),
    }))
    .into_response()
}
