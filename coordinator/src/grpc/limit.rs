//! How long one call may take, from its first header to its answer.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Its answer comes when the node has no more to say: it is as long as the job. It has limits of its own.
const ENDLESS: &str = "/mayfly.v1.AgentService/PushLogs";

/// A service whose calls take no longer than [`CALL_LIMIT`].
#[derive(Clone)]
pub(super) struct Limited<S>(S);

impl<S> Limited<S> {
    pub(super) fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S: NamedService> NamedService for Limited<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Limited<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let endless = request.uri().path() == ENDLESS;
        let answer = self.0.call(request);
        if endless {
            return Box::pin(answer);
        }
        Box::pin(async move {
            match tokio::time::timeout(CALL_LIMIT, answer).await {
                Ok(answered) => answered,
                Err(_) => Ok(Status::deadline_exceeded("the call took more than 10 s").into_http()),
            }
        })
    }
}
