//! The wire: decode, call, encode. Nothing is decided here but who may speak.

mod agents;
mod callers;
pub mod decode;
mod encode;
mod limit;
mod people;
mod places;

pub(crate) use encode::role_on_wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mayfly_kit::error::chain;
use mayfly_proto::v1::agent_service_server::AgentServiceServer;
use mayfly_proto::v1::run_service_server::RunServiceServer;
use mayfly_proto::{CONNECTION_WINDOW, IdError, RunId, STREAM_WINDOW, STREAMS_MAX};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::Server as Transport;
use tonic::{Code, Request, Status};

use crate::server::{Server, ServerError};
use crate::tokens::same;
use crate::transport::{Gate, Out, Peer, Refusals, pages};
use limit::Limited;

/// Largest message of a report or a request, in bytes.
const MESSAGE_MAX: usize = 256 * 1024;
/// Largest batch of log lines, in bytes.
const LOG_MAX: usize = 4 * 1024 * 1024;
/// How long a connection lives before it is asked to be made anew; calls that go on are not cut.
const CONNECTION_AGE: Duration = Duration::from_secs(6 * 3600);
/// Connections that wait to be served.
const BACKLOG: usize = 64;

/// Serves nodes, people's programs and, with what is no gRPC, `page`, until `stop` says true. The listener is bound by the
/// caller, who knows the port.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    server: Arc<Server>,
    gate: Gate,
    page: axum::Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let refusals = Refusals::default();
    let agents = agents::Agents::new(Arc::clone(&server), refusals.clone());
    let people = people::People::new(server, refusals.clone(), stop.clone());
    let agents = AgentServiceServer::new(agents).max_decoding_message_size(LOG_MAX);
    let people = RunServiceServer::new(people).max_decoding_message_size(MESSAGE_MAX);
    let (http2, incoming) = mpsc::channel(BACKLOG);
    let (http1, browsers) = mpsc::channel(BACKLOG);
    let mut tasks = JoinSet::new();
    tasks.spawn(gate.open(refusals, Out { http1, http2 }));
    tasks.spawn(pages::serve(page.clone(), browsers, stop.clone()));
    let served = Transport::builder()
        .load_shed(true)
        .concurrency_limit_per_connection(STREAMS_MAX as usize)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(pages::HEAD_MAX)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .max_connection_age(CONNECTION_AGE)
        .add_routes(Routes::from(page))
        .add_service(Limited::new(agents))
        .add_service(Limited::new(people))
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async move {
            // The sender is only dropped with the process.
            let _gone = stop.wait_for(|&stop| stop).await;
        })
        .await;
    while tasks.join_next().await.is_some() {}
    served
}

/// `http://` address of a listener.
#[must_use]
pub fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// The other end of a call's connection.
fn peer<T>(request: &Request<T>) -> Option<Peer> {
    request.extensions().get::<Peer>().cloned()
}

fn address(peer: Option<&Peer>) -> Option<SocketAddr> {
    peer.map(|peer| peer.address)
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    metadata
        .get("authorization")?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// Refuses a caller that does not show this token.
fn check_token(shown: Option<&str>, token: &str) -> Result<(), Status> {
    match shown {
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

fn status(error: ServerError) -> Status {
    let code = match &error {
        ServerError::BadJob(_)
        | ServerError::NoSuchCloud { .. }
        | ServerError::NoConsul(_)
        | ServerError::TooLate => Code::InvalidArgument,
        ServerError::NoSuchRun(_) => Code::NotFound,
        ServerError::Closed(_)
        | ServerError::Ending(_)
        | ServerError::Foreign(_)
        | ServerError::Elsewhere { .. }
        | ServerError::Impossible(_) => Code::FailedPrecondition,
        ServerError::Home(_) | ServerError::Io { .. } | ServerError::Package(_) => Code::Internal,
        ServerError::Full(_) => Code::ResourceExhausted,
        ServerError::Store(_) | ServerError::Cloud(_) => Code::Unavailable,
    };
    Status::new(code, chain(&error))
}
