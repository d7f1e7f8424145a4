//! The coordinator as a client sees it.

use std::time::Duration;

use mayfly_proto::v1::run_service_client::RunServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::failure::Failure;

/// Environment variable with the token of a coordinator.
pub(crate) const TOKEN_VAR: &str = "MAYFLY_TOKEN";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A receipt holds every node of a fleet.
const MESSAGE_MAX: usize = 16 << 20;

/// Says who is asking, with every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A connection.
pub(crate) type Client = RunServiceClient<InterceptedService<Channel, Bearer>>;

/// Connects.
///
/// # Errors
/// The address or token is not one, or nobody answers.
pub(crate) async fn connect(url: &str, token: &str) -> Result<Client, Failure> {
    let bad = |why: String| Failure::usage(format!("the coordinator {url:?} cannot be used: {why}"));
    let endpoint =
        Endpoint::from_shared(url.to_owned()).map_err(|e| bad(format!("{e}; write http://host:port")))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10));
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| bad("its token is not plain ASCII".to_owned()))?;
    bearer.set_sensitive(true);
    let channel = endpoint
        .connect()
        .await
        .map_err(|e| Failure::chain(&format!("cannot connect to {url}"), &e))?;
    Ok(RunServiceClient::with_interceptor(channel, Bearer(bearer)).max_decoding_message_size(MESSAGE_MAX))
}

/// What the coordinator refused, as a failure of this command.
#[must_use]
pub(crate) fn refused(what: &str, status: &Status) -> Failure {
    let message = format!("{what}: {}", status.message());
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::OutOfRange => Failure::usage(message),
        Code::Unauthenticated | Code::PermissionDenied => {
            Failure::usage(format!("{message} (the token is read from {TOKEN_VAR})"))
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Failure::infra(message),
    }
}
