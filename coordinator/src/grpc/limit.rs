//! How long one call may take, from its first header to its answer.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

const CALL_LIMIT: Duration = Duration::from_secs(10);
/// A cloud is asked what it has before a run is made, and may ask for patience.
const LAUNCH_LIMIT: Duration = Duration::from_secs(120);
const LAUNCH: [&str; 3] = [
    "/mayfly.v1.RunService/Examine",
    "/mayfly.v1.RunService/Launch",
    "/mayfly.v1.RunService/Plan",
];
/// Its answer comes when the node has no more to say: it is as long as the job. It has limits of its own.
const ENDLESS: &str = "/mayfly.v1.AgentService/PushLogs";

/// A service whose calls take no longer than [`CALL_LIMIT`], but for a launch.
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
        let path = request.uri().path();
        let endless = path == ENDLESS;
        let limit = if LAUNCH.contains(&path) {
            LAUNCH_LIMIT
        } else {
            CALL_LIMIT
        };
        let answer = self.0.call(request);
        if endless {
            return Box::pin(answer);
        }
        Box::pin(async move {
            match tokio::time::timeout(limit, answer).await {
                Ok(answered) => answered,
                Err(_) => {
                    let text = format!("the call took more than {} s", limit.as_secs());
                    Ok(Status::deadline_exceeded(text).into_http())
                }
            }
        })
    }
}
