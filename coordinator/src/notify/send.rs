//! One request. The address is looked up here and connected to as it was checked, so that a name which leads elsewhere the
//! next moment leads nowhere; a redirect is not followed.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use mayfly_configs::Webhook;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::body::{What, signature};
use super::reach::Reach;

/// Longest that one request may take, all of it.
const LIMIT: Duration = Duration::from_secs(10);

/// Why an address is not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// It is not one, though it passed for one.
    #[error("the address cannot be used")]
    Address,
    /// Its name has no address.
    #[error("its name is not known")]
    Lookup(#[source] std::io::Error),
    /// All its addresses are where a webhook must not lead.
    #[error(
        "it leads to {0}, where a job's webhook must not: whoever runs the coordinator may name it in `notify` of its settings"
    )]
    Forbidden(String),
    /// Nobody takes the connection.
    #[error("it does not answer")]
    Connect(#[source] std::io::Error),
    /// The conversation broke off.
    #[error("the request broke off")]
    Request(#[source] hyper::Error),
    /// It took too long.
    #[error("it took longer than {} s", LIMIT.as_secs())]
    Late,
    /// It answered with something else than 2xx.
    #[error("it answered {0}")]
    Refused(StatusCode),
}

impl SendError {
    /// Whether another try is of no use.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::Address | Self::Forbidden(_) => true,
            Self::Refused(status) => {
                let later = [
                    StatusCode::REQUEST_TIMEOUT,
                    StatusCode::TOO_MANY_REQUESTS,
                    StatusCode::TOO_EARLY,
                ];
                !status.is_server_error() && !later.contains(status)
            }
            Self::Lookup(_) | Self::Connect(_) | Self::Request(_) | Self::Late => false,
        }
    }
}

/// Posts a body once.
pub(super) async fn post(
    hook: &Webhook,
    reach: Reach,
    secret: Option<&str>,
    what: What,
    body: &str,
) -> Result<(), SendError> {
    let request = request(hook, secret, what, body)?;
    timeout(LIMIT, deliver(hook, reach, request))
        .await
        .unwrap_or(Err(SendError::Late))
}

fn request(
    hook: &Webhook,
    secret: Option<&str>,
    what: What,
    body: &str,
) -> Result<Request<Full<Bytes>>, SendError> {
    let uri: Uri = hook.url().parse().map_err(|_| SendError::Address)?;
    let authority = uri.authority().ok_or(SendError::Address)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header("host", authority.as_str())
        .header("content-type", "application/json")
        .header("user-agent", concat!("mayfly/", env!("CARGO_PKG_VERSION")))
        .header("x-mayfly-event", what.name());
    if let Some(secret) = secret {
        let signed = signature(secret, Timestamp::now().as_second(), body);
        request = request.header("x-mayfly-signature", signed);
    }
    request
        .body(Full::from(body.to_owned()))
        .map_err(|_| SendError::Address)
}

async fn deliver(hook: &Webhook, reach: Reach, request: Request<Full<Bytes>>) -> Result<(), SendError> {
    let uri: Uri = hook.url().parse().map_err(|_| SendError::Address)?;
    let tls = uri.scheme_str() == Some("https");
    let host = uri
        .host()
        .ok_or(SendError::Address)?
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let stream = connect(&host, port, reach).await?;
    if !tls {
        return exchange(stream, request).await;
    }
    let name = ServerName::try_from(host).map_err(|_| SendError::Address)?;
    let stream = TlsConnector::from(trusting())
        .connect(name, stream)
        .await
        .map_err(SendError::Connect)?;
    exchange(stream, request).await
}

async fn connect(host: &str, port: u16, reach: Reach) -> Result<TcpStream, SendError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(SendError::Lookup)?
        .collect();
    let allowed: Vec<SocketAddr> = found.iter().copied().filter(|at| reach.allows(at.ip())).collect();
    if allowed.is_empty() {
        let where_ = found
            .first()
            .map_or_else(|| "nowhere".to_owned(), |at| at.ip().to_string());
        return Err(SendError::Forbidden(where_));
    }
    TcpStream::connect(allowed.as_slice())
        .await
        .map_err(SendError::Connect)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(SendError::Request)?;
    let answered = sender.send_request(request);
    tokio::pin!(answered);
    // The connection makes no progress by itself. Of the answer only its head counts: what follows is not read.
    let answer = tokio::select! {
        answer = &mut answered => answer,
        ended = connection => match ended {
            Ok(()) => answered.await,
            Err(error) => Err(error),
        },
    };
    let status = answer.map_err(SendError::Request)?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(SendError::Refused(status))
    }
}

/// The authorities that this machine trusts.
fn trusting() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (good, bad) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(good, bad, errors = ?found.errors, "the authorities of this machine");
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions();
        let config = config.unwrap_or_else(|_| ClientConfig::builder());
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    };
    Arc::clone(CONFIG.get_or_init(make))
}
