//! What the job opens the store with.
//!
//! Keys that last are put into its environment. Those of an instance's role are not: they end while the job runs, and the
//! metadata that has them is closed to the job, for it has more than a job needs. So the agent serves them on loopback, as ECS
//! does for its containers, which every AWS SDK understands: the environment names the place and a token of this agent's
//! own. They are the node's keys, with what the node's role permits; a session that permits less takes a call to STS, which
//! nothing here makes yet.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing};
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use mayfly_kit::imds::{InstanceProfile, SessionKeys};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::config::Access;
use crate::logs::Order as LogOrder;

/// Variables of the job's environment.
pub type Variables = Vec<(&'static str, String)>;

/// What the job finds in its environment; where it is served from, that is done in `loops`.
///
/// # Errors
/// There is no port, or no randomness.
pub async fn of_job(
    access: &Access,
    logs: mpsc::Sender<LogOrder>,
    loops: &mut JoinSet<()>,
) -> io::Result<Variables> {
    match access {
        Access::Keys {
            access_key,
            secret_key,
        } => Ok(vec![
            ("AWS_ACCESS_KEY_ID", access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", secret_key.clone()),
        ]),
        Access::InstanceProfile(profile) => serve(profile.clone(), logs, loops).await,
    }
}

struct Counter {
    profile: InstanceProfile,
    token: String,
    logs: mpsc::Sender<LogOrder>,
    /// The access key whose secrets the keeper of the logs knows.
    told: Mutex<String>,
}

async fn serve(
    profile: InstanceProfile,
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
        profile,
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
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
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
    let keys = match counter.profile.keys().await {
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
