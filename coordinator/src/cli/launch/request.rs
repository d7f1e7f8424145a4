//! The request to launch: made, asked for its price, and sent.

use std::time::Duration;

use mayfly_configs::Job;
use mayfly_proto::v1::{LaunchRequest, PlanReply};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::flags::{Cloud, Flags};
use crate::cli::client::{self, Client};
use crate::cli::failure::Failure;
use crate::home::random_base32;
use crate::source::Source;

/// How long a request is made again to a coordinator that is being started again.
const RETRY_FOR: Duration = Duration::from_secs(30);
const RETRY_WAIT: Duration = Duration::from_millis(300);

/// Who launches, by the system's list of users where the environment does not say.
fn owner() -> String {
    let listed = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let named = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    named
        .or_else(|| listed().map(|user| user.name))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The request, as long as no bundle is in the store.
pub(super) fn request(flags: &Flags, job: &Job, code: &Source) -> Result<LaunchRequest, Failure> {
    let fresh = || random_base32(10).map_err(|e| Failure::chain("draw an id for the request", &e));
    let request_id = flags.request_id.clone().map_or_else(fresh, Ok)?;
    let job_json = serde_json::to_string(job).map_err(|e| Failure::chain("write the job as JSON", &e))?;
    let owner = owner().chars().filter(|c| !c.is_control()).take(60).collect();
    Ok(LaunchRequest {
        request_id,
        job_json,
        commit: code.commit.clone(),
        bundle_key: String::new(),
        owner,
        cloud: flags.on.map(Cloud::name).unwrap_or_default().to_owned(),
    })
}

/// What the launch takes and costs; `None` where the coordinator is too old to tell.
pub(super) async fn planned(client: &Client, request: &LaunchRequest) -> Result<Option<PlanReply>, Failure> {
    let asked = patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.plan(request).await }
    });
    match asked.await {
        Ok(reply) => Ok(Some(reply.into_inner())),
        Err(status) if status.code() == Code::Unimplemented => Ok(None),
        Err(status) => Err(client::refused("launch", &status)),
    }
}

/// The run of a request, and whether it was made now.
pub(super) async fn launch(client: &Client, request: &LaunchRequest) -> Result<(String, bool), Failure> {
    // The same request is the same run, whether the first one arrived or not.
    let asked = patiently(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.launch(request).await }
    });
    let reply = asked.await.map_err(|status| client::refused("launch", &status))?;
    let reply = reply.into_inner();
    Ok((reply.run_id, reply.created))
}

/// Calls until it is answered, for a while: the coordinator may be being started again.
async fn patiently<T, F>(call: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let began = Instant::now();
    loop {
        match call().await {
            Err(status) if client::may_pass(&status) && began.elapsed() < RETRY_FOR => {
                tokio::time::sleep(RETRY_WAIT).await;
            }
            answered => return answered,
        }
    }
}
