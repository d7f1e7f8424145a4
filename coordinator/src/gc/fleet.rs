//! What is left over on AWS: found by tags alone, ended on positive evidence only.
//!
//! A run is left over when its end has passed by more than anything may take, and nobody moves its lease on any more. That
//! something is not found is no evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use mayfly_aws::fleet::{Fleet, Lost, LostKind, clear, everything};
use mayfly_aws::{Account, AwsError};
use mayfly_proto::RunId;

pub use super::verdict::Verdict;
use super::verdict::verdict;

/// Between the two looks that must agree.
const AGAIN: Duration = Duration::from_secs(10);
/// Between two looks at what was told to end, and how many there are: machines take a minute or two.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOKS: u32 = 60;
/// So many looks in a row that do not find it: a list may lack for half a minute what is there.
const ABSENT: u32 = 7;

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

/// Ends what two looks found left over, and looks until none of it is there. Returns what was seen to be gone: what AWS
/// takes longer for is found again.
///
/// # Errors
/// AWS refuses or does not answer; the rest is found again.
pub async fn end(account: &Account, found: &[LeftFleet]) -> Result<Vec<RunId>, AwsError> {
    let left_over = |found: &[LeftFleet]| -> BTreeSet<RunId> {
        let left = found.iter().filter(|one| one.verdict == Verdict::LeftOver);
        left.map(|one| one.run.clone()).collect()
    };
    let first = left_over(found);
    if first.is_empty() {
        return Ok(Vec::new());
    }
    tokio::time::sleep(AGAIN).await;
    let again = left_over(&look(account).await?);
    let ending: BTreeSet<RunId> = first.intersection(&again).cloned().collect();
    let mut there: BTreeMap<RunId, u32> = ending.iter().map(|run| (run.clone(), 0)).collect();
    for _ in 0..LOOKS {
        for run in there.keys() {
            clear(account, run).await?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let seen: BTreeSet<RunId> = everything(account)
            .await?
            .into_iter()
            .map(|lost| lost.run)
            .collect();
        there.retain(|run, absent| {
            *absent = if seen.contains(run) { 0 } else { *absent + 1 };
            *absent < ABSENT
        });
        if there.is_empty() {
            break;
        }
    }
    Ok(ending
        .into_iter()
        .filter(|run| !there.contains_key(run))
        .collect())
}
