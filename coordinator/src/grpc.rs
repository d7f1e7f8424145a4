//! The wire: decode, call, encode. Nothing is decided here but who may speak.

mod agents;
mod people;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mayfly_proto::v1::agent_service_server::AgentServiceServer;
use mayfly_proto::v1::run_service_server::RunServiceServer;
use mayfly_proto::{IdError, RunId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server as Transport;
use tonic::{Code, Status};

use crate::server::{Server, ServerError};
use crate::tokens::same;

/// Largest message of a report or a request, in bytes.
const MESSAGE_MAX: usize = 256 * 1024;
/// Largest batch of log lines, in bytes.
const LOG_MAX: usize = 4 * 1024 * 1024;
/// How long one call may take; streams are not calls in this sense.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Serves until `stop` says true. The listener is bound by the caller, who knows the port.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    server: Arc<Server>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let agents =
        AgentServiceServer::new(agents::Agents::new(Arc::clone(&server))).max_decoding_message_size(LOG_MAX);
    let people = RunServiceServer::new(people::People::new(server, stop.clone()))
        .max_decoding_message_size(MESSAGE_MAX);
    Transport::builder()
        .timeout(CALL_LIMIT)
        .concurrency_limit_per_connection(64)
        .max_concurrent_streams(64)
        .http2_max_header_list_size(8 * 1024)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .tcp_nodelay(true)
        .add_service(agents)
        .add_service(people)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
            // The sender is only dropped with the process.
            let _gone = stop.wait_for(|&stop| stop).await;
        })
        .await
}

/// `http://` address of a listener.
#[must_use]
pub fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    metadata
        .get("authorization")?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// Refuses a caller that does not show `token`.
fn check_token(metadata: &MetadataMap, token: &str) -> Result<(), Status> {
    match bearer(metadata) {
        Some(shown) if same(shown, token) => Ok(()),
        Some(_) => Err(Status::unauthenticated("the token is not valid here")),
        None => Err(Status::unauthenticated(
            "no token: send `authorization: Bearer …`",
        )),
    }
}

fn run_id(text: &str) -> Result<RunId, Status> {
    text.parse().map_err(bad_id)
}

fn bad_id(error: IdError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// The message of an error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn status(error: ServerError) -> Status {
    let code = match &error {
        ServerError::BadJob(_) => Code::InvalidArgument,
        ServerError::NoSuchRun(_) => Code::NotFound,
        ServerError::Closed(_) | ServerError::Foreign(_) => Code::FailedPrecondition,
        ServerError::Home(_) | ServerError::Io { .. } => Code::Internal,
        ServerError::Store(_) | ServerError::Cloud(_) => Code::Unavailable,
    };
    Status::new(code, chain(&error))
}
