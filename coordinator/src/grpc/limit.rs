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

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};
    use tonic::Code;

    use super::*;

    const NEVER: Duration = Duration::from_secs(1_000_000);

    /// Answers each call after so long.
    #[derive(Clone)]
    struct Slow(Duration);

    impl Service<http::Request<Body>> for Slow {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<http::Response<Body>, Infallible>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _request: http::Request<Body>) -> Self::Future {
            let answered = sleep(self.0);
            Box::pin(async move {
                answered.await;
                Ok(Status::ok("").into_http())
            })
        }
    }

    /// What comes of a call that would be answered after so long, and when, in seconds of paused time.
    async fn call(path: &str, answered: Duration) -> (Code, u64) {
        let began = Instant::now();
        let uri = format!("http://localhost{path}");
        let request = http::Request::post(uri).body(Body::empty()).unwrap();
        let response = Limited::new(Slow(answered)).call(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).expect("an answer of gRPC");
        (status.code(), began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_ended() {
        for path in [
            "/mayfly.v1.AgentService/Enroll",
            "/mayfly.v1.AgentService/Sync",
            "/mayfly.v1.AgentService/Carry",
            "/mayfly.v1.RunService/PutCode",
            "/mayfly.v1.RunService/Get",
            "/mayfly.v1.RunService/List",
            "/mayfly.v1.RunService/Cancel",
            "/mayfly.v1.RunService/Session",
            "/mayfly.v1.RunService/TunnelStore",
            "/mayfly.v1.RunService/Later",
        ] {
            let ended = call(path, NEVER).await;
            assert_eq!(ended, (Code::DeadlineExceeded, 10), "{path}");
            let in_time = call(path, Duration::from_secs(9)).await;
            assert_eq!(in_time, (Code::Ok, 9), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_launch_may_take_as_long_as_its_cloud_but_not_for_ever() {
        for name in ["Examine", "Launch", "Plan"] {
            let path = format!("/mayfly.v1.RunService/{name}");
            let ended = call(&path, NEVER).await;
            assert_eq!(ended, (Code::DeadlineExceeded, 120), "{path}");
            let in_time = call(&path, Duration::from_secs(119)).await;
            assert_eq!(in_time, (Code::Ok, 119), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_taken_for_as_long_as_the_job_is() {
        let day = Duration::from_secs(24 * 3600);
        let answered = call("/mayfly.v1.AgentService/PushLogs", day).await;
        assert_eq!(answered, (Code::Ok, day.as_secs()));
    }
}
