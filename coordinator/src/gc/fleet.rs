//! What is left over on AWS: found by tags alone, ended on positive evidence only.
//!
//! A run is left over when its end has passed by more than anything may take, and nobody moves its lease on any more. A
//! record that says that the run is closed is evidence too. That something is not found is none.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_aws::fleet::{Fleet, Lost, LostKind, clear, everything};
use mayfly_aws::{Account, AwsError};
use mayfly_proto::RunId;

pub use super::verdict::Verdict;
use super::verdict::verdict;

/// Between the two looks that must agree.
const AGAIN: Duration = Duration::from_secs(10);

/// The things of one run in one region.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftFleet {
    /// The run.
    pub run: RunId,
    /// The region.
    pub region: String,
    /// Machines that have not ended.
    pub machines: usize,
    /// Groups.
    pub groups: usize,
    /// Launch templates.
    pub templates: usize,
    /// Its end, as the tags have it.
    pub deadline: Option<Timestamp>,
    /// When AWS ends it by itself, if it does.
    pub lease: Option<Timestamp>,
    /// Whether it may be ended, and why or why not.
    pub verdict: Verdict,
}

/// What there is of runs in a region.
///
/// # Errors
/// AWS refuses or does not answer.
pub async fn look(account: &Account) -> Result<Vec<LeftFleet>, AwsError> {
    let mut runs: BTreeMap<RunId, Vec<Lost>> = BTreeMap::new();
    for lost in everything(account).await? {
        runs.entry(lost.run.clone()).or_default().push(lost);
    }
    let mut found = Vec::new();
    for (run, things) in runs {
        let lease = Fleet::new(account.clone(), run.clone()).lease().await?;
        let of = |kind| things.iter().filter(|lost| lost.kind == kind).count();
        let deadline = things.iter().filter_map(|lost| lost.deadline).max();
        found.push(LeftFleet {
            machines: of(LostKind::Machine),
            groups: of(LostKind::Group),
            templates: of(LostKind::Template),
            region: account.region().to_owned(),
            verdict: verdict(deadline, lease, Timestamp::now()),
            run,
            deadline,
            lease,
        });
    }
    Ok(found)
}

/// Ends what two looks found left over. Returns what was ended.
///
/// # Errors
/// AWS refuses or does not answer; the rest is found again.
pub async fn end(account: &Account, found: &[LeftFleet]) -> Result<Vec<RunId>, AwsError> {
    let left = |one: &&LeftFleet| one.verdict == Verdict::LeftOver;
    if !found.iter().any(|one| left(&one)) {
        return Ok(Vec::new());
    }
    tokio::time::sleep(AGAIN).await;
    let again = look(account).await?;
    let mut ended = Vec::new();
    for one in again.iter().filter(left) {
        if found.iter().filter(left).any(|first| first.run == one.run) {
            clear(account, &one.run).await?;
            ended.push(one.run.clone());
        }
    }
    Ok(ended)
}
