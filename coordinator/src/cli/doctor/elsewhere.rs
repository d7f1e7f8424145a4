//! What is looked at on other machines: Consul, and a coordinator with what it finds.

use jiff::{SignedDuration, Timestamp};
use mayfly_configs::Job;
use mayfly_kit::consul::Consul;
use mayfly_proto::v1::{LaunchRequest, ListRequest};
use tonic::Code;

use super::Flags;
use crate::check::{Check, Checks, Verdict, clock};
use crate::cli::client::{self, Client};
use crate::cli::consul::ConsulArgs;
use crate::cli::launch::Cloud;
use crate::source::Source;

/// A key that is asked for to see whether Consul answers; nothing is there.
const PROBE: &str = "doctor";
/// Where no job is named there is no commit either; nothing is launched with it.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

pub(super) async fn consul(args: &ConsulArgs) -> Check {
    const NAME: &str = "consul";
    let sides = match args.sides() {
        Ok(Some(sides)) => sides,
        Ok(None) => return Check::skipped(NAME, "none is named"),
        Err(failure) => return Check::of(NAME, Verdict::Problem, failure.text(), ""),
    };
    let asked = match Consul::open(&sides.own) {
        Ok(consul) => consul.get(PROBE).await,
        Err(error) => return Check::of(NAME, Verdict::Problem, error, ""),
    };
    match asked {
        Ok(_) => Check::ok(NAME, format!("{} answers", sides.own.address)),
        Err(error) => {
            let found = mayfly_kit::error::chain(&error);
            Check::of(
                NAME,
                Verdict::Problem,
                found,
                "runs do without it; `role: auto` and --from consul do not",
            )
        }
    }
}

/// The coordinator that is named, and what it finds; false where none is.
pub(super) async fn coordinator(
    flags: &Flags,
    job: &Job,
    code: Option<&Source>,
    checks: &mut Checks,
) -> bool {
    const NAME: &str = "coordinator";
    let mut client = match flags.remote.connect(&flags.consul).await {
        Ok(Some(client)) => client,
        Ok(None) => {
            checks.0.push(Check::skipped(
                NAME,
                "none is named: it is in the command that launches",
            ));
            return false;
        }
        Err(failure) => {
            let advice = "is it alive, and are --coordinator, --fingerprint and --token-file those that `serve` printed?";
            checks
                .0
                .push(Check::of(NAME, Verdict::Problem, failure.text(), advice));
            return true;
        }
    };
    let before = Timestamp::now();
    let listed = client.list(ListRequest {}).await;
    let listed = listed.map_err(|status| client::refused("list its runs", &status).text());
    let count = |reply: &tonic::Response<_>| runs(reply.get_ref());
    let Some(listed) = checks.take(NAME, listed, count, "see --token-file and MAYFLY_TOKEN") else {
        return true;
    };
    checks.0.push(of_clock(before, listed.get_ref().now_ms));
    examined(flags, &mut client, job, code, checks).await;
    true
}

fn runs(reply: &mayfly_proto::v1::ListReply) -> String {
    format!("answers, with {} runs", reply.runs.len())
}

fn of_clock(before: Timestamp, theirs_ms: i64) -> Check {
    const NAME: &str = "coordinator's clock";
    if theirs_ms == 0 {
        return Check::skipped(NAME, "it is older and does not tell its time");
    }
    let ahead = SignedDuration::from_millis(before.as_millisecond().saturating_sub(theirs_ms));
    clock(NAME, "the coordinator", ahead)
}

/// What the coordinator finds where it is.
async fn examined(flags: &Flags, client: &mut Client, job: &Job, code: Option<&Source>, checks: &mut Checks) {
    const NAME: &str = "launch";
    let request = LaunchRequest {
        request_id: "doctor".to_owned(),
        job_json: serde_json::to_string(job).unwrap_or_default(),
        commit: code.map_or_else(|| NO_COMMIT.to_owned(), |code| code.commit.clone()),
        cloud: flags.on.map(Cloud::name).unwrap_or_default().to_owned(),
        ..LaunchRequest::default()
    };
    match client.examine(request).await {
        Ok(reply) => checks
            .0
            .extend(reply.into_inner().checks.into_iter().map(Check::from)),
        Err(status) if status.code() == Code::Unimplemented => {
            checks
                .0
                .push(Check::skipped(NAME, "the coordinator is older and does not look"));
        }
        Err(status) => {
            let found = client::refused("launch", &status).text();
            checks.0.push(Check::of(NAME, Verdict::Problem, found, ""));
        }
    }
}
