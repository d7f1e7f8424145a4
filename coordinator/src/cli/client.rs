//! The coordinator as a client sees it.

use std::path::PathBuf;
use std::time::Duration;

use mayfly_configs::ClientSettings;
use mayfly_kit::tls::{DialError, Dialer, Fingerprint, FingerprintError, Trust};
use mayfly_proto::v1::run_service_client::RunServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::failure::{Failure, USAGE};
use super::secret;

/// Environment variable with the token of a coordinator, where it is not in a file.
const TOKEN_VAR: &str = "MAYFLY_TOKEN";
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

/// How a person comes to a coordinator elsewhere: whom to trust there, and what to show.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Access {
    /// With an https coordinator: file (PEM) of the authority that its certificate must come from
    #[arg(long, env = "MAYFLY_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// With an https coordinator: fingerprint of that authority, as `serve` prints it
    #[arg(
        long,
        env = "MAYFLY_FINGERPRINT",
        value_name = "sha256:HEX",
        conflicts_with = "ca"
    )]
    fingerprint: Option<Fingerprint>,
    /// File with the coordinator's token, its `people.token` [default: the token itself in MAYFLY_TOKEN]
    #[arg(
        id = "coordinator_token_file",
        long = "token-file",
        env = "MAYFLY_TOKEN_FILE",
        value_name = "FILE"
    )]
    token_file: Option<PathBuf>,
}

impl Access {
    /// What is named here, over what the client's settings file says of the same coordinator.
    ///
    /// # Errors
    /// The file's fingerprint is none.
    pub(crate) fn over(&self, file: &ClientSettings) -> Result<Self, Failure> {
        let print = file.fingerprint.as_deref().map(str::parse).transpose();
        let print = print.map_err(|e: FingerprintError| Failure::usage(e.to_string()))?;
        let trusts = self.ca.is_some() || self.fingerprint.is_some();
        let shows = self.token_file.is_some() || std::env::var_os(TOKEN_VAR).is_some();
        let mut all = self.clone();
        if !trusts {
            (all.ca, all.fingerprint) = (file.ca_file.clone(), print);
        }
        if !shows {
            all.token_file.clone_from(&file.token_file);
        }
        Ok(all)
    }

    /// What to show; empty where nothing was given, which the coordinator answers.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub(crate) fn token(&self) -> Result<String, Failure> {
        let Some(path) = &self.token_file else {
            return Ok(std::env::var(TOKEN_VAR).unwrap_or_default());
        };
        secret::read("the token of the coordinator", path)
    }

    /// Whom to trust.
    ///
    /// # Errors
    /// The authority's file cannot be used.
    pub(crate) fn trust(&self) -> Result<Option<Trust>, Failure> {
        if let Some(print) = self.fingerprint {
            return Ok(Some(Trust::Pinned(print)));
        }
        let trust = self.ca.as_deref().map(Trust::file).transpose();
        trust.map_err(|e| Failure {
            code: USAGE,
            ..Failure::chain("cannot trust the coordinator", &e)
        })
    }
}

/// Trust in the authority with this fingerprint, if there is one.
///
/// # Errors
/// It is not a fingerprint.
pub(crate) fn pinned(fingerprint: Option<&str>) -> Result<Option<Trust>, Failure> {
    let print = fingerprint.map(str::parse).transpose();
    let print = print.map_err(|e: FingerprintError| Failure::infra(e.to_string()))?;
    Ok(print.map(Trust::Pinned))
}

/// Connects.
///
/// # Errors
/// The address or token is not one, or nobody answers who can be trusted.
pub(crate) async fn connect(url: &str, token: &str, trust: Option<Trust>) -> Result<Client, Failure> {
    let bad = |why: String| Failure::usage(format!("the coordinator {url:?} cannot be used: {why}"));
    let dialer = Dialer::new(url, trust).map_err(|e| match e {
        DialError::Nobody => bad(format!("{e}: --fingerprint, or --ca")),
        DialError::Form | DialError::Plain | DialError::Identity(_) => bad(e.to_string()),
    })?;
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| bad("its token is not plain ASCII".to_owned()))?;
    bearer.set_sensitive(true);
    let tune = |endpoint: Endpoint| {
        endpoint
            .connect_timeout(CONNECT_LIMIT)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
    };
    let channel = dialer.connect(tune).await;
    let channel = channel.map_err(|e| Failure::chain(&format!("cannot connect to {url}"), &*e))?;
    Ok(RunServiceClient::with_interceptor(channel, Bearer(bearer)).max_decoding_message_size(MESSAGE_MAX))
}

/// Whether a call that failed so may succeed another time: nobody answered, or not to the end.
#[must_use]
pub(crate) fn may_pass(status: &Status) -> bool {
    broken(status) || matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
}

/// Whether the connection itself is what failed: then there is a cause, which an answer of the other side never has.
fn broken(status: &Status) -> bool {
    matches!(status.code(), Code::Unknown | Code::Cancelled | Code::Internal)
        && std::error::Error::source(status).is_some()
}

/// What the coordinator refused, as a failure of this command.
#[must_use]
pub(crate) fn refused(what: &str, status: &Status) -> Failure {
    let message = if broken(status) {
        let hint = "the URL of a coordinator that speaks TLS begins with https://";
        format!("{what}: the connection broke: {} ({hint})", status.message())
    } else {
        format!("{what}: {}", status.message())
    };
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::OutOfRange => Failure::usage(message),
        Code::Unauthenticated | Code::PermissionDenied => Failure::usage(format!(
            "{message} (the token is read from --token-file, {TOKEN_VAR} or the client's settings)"
        )),
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
