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

/// What a run may take beyond its end: to save what there is, and for AWS to end its machines.
const GRACE: Duration = Duration::from_secs(900);
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

/// Whether the things of a run may be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its end has passed, and nobody keeps it.
    LeftOver,
    /// Its end is ahead.
    Alive,
    /// Its end has passed, but somebody moves its lease on.
    Kept,
    /// Its tags do not say when it ends.
    Unknown,
}

impl Verdict {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::LeftOver => "its end has passed and nobody keeps it",
            Self::Alive => "its end is ahead",
            Self::Kept => "its end has passed, but its lease is renewed",
            Self::Unknown => "its tags do not say when it ends",
        }
    }
}

fn verdict(deadline: Option<Timestamp>, lease: Option<Timestamp>, now: Timestamp) -> Verdict {
    let Some(deadline) = deadline else {
        return Verdict::Unknown;
    };
    if now <= deadline + GRACE {
        return Verdict::Alive;
    }
    // A lease ahead is one that was put lately: none is longer than a few minutes.
    match lease {
        Some(lease) if lease > now => Verdict::Kept,
        Some(_) | None => Verdict::LeftOver,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_whose_end_has_passed_and_that_nobody_keeps_is_left_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let end = Some(at(1_000));
        assert_eq!(verdict(end, None, at(999)), Verdict::Alive);
        assert_eq!(verdict(end, None, at(1_900)), Verdict::Alive);
        assert_eq!(verdict(end, Some(at(2_000)), at(1_901)), Verdict::Kept);
        assert_eq!(verdict(end, Some(at(1_800)), at(1_901)), Verdict::LeftOver);
        assert_eq!(verdict(end, None, at(1_901)), Verdict::LeftOver);
        assert_eq!(verdict(None, None, at(9_999)), Verdict::Unknown);
    }
}
