//! What the node says of itself.

use mayfly_proto::Attempt;
use mayfly_proto::engine::Peer;
use mayfly_proto::v1::{FailureKind, JobReport, NodeFailure, NodePhase};

use super::{Blame, Engine, Failure, Goal, Job, JobEnd, Node, Role, Stage, Unsaved};

impl Node {
    /// The attempt it works on; `None` before the first answer.
    #[must_use]
    pub fn attempt(&self) -> Option<Attempt> {
        self.attempt
    }

    /// The attempt whose master a worker looks for itself, because the coordinator has not named it.
    #[must_use]
    pub fn seeking(&self) -> Option<Attempt> {
        let wish = self.wish.as_ref()?;
        let forming = matches!(self.stage, Stage::Forming { .. }) && wish.goal < Goal::Collect;
        let unnamed = self.role() == Role::Worker && wish.master_address.is_empty();
        (forming && unnamed).then_some(wish.attempt)
    }

    /// What it is in the attempt that is wanted.
    #[must_use]
    pub fn role(&self) -> Role {
        match (self.role, &self.wish) {
            (Role::Auto, Some(wish)) => wish.role,
            (fixed, _) => fixed,
        }
    }

    /// The attempt whose master it would be, or is, by election: it takes the lock of that attempt, and keeps it.
    #[must_use]
    pub fn standing_for(&self) -> Option<Attempt> {
        let stands = self.role == Role::Auto && self.role() != Role::Worker;
        let fit = self.failure.is_none() && !self.is_leaving();
        let wish = self.wish.as_ref().filter(|_| stands && fit)?;
        Some(wish.attempt)
    }

    /// The attempt that it claims to be the master of. One that was told so says it again: the coordinator may have been
    /// started anew since.
    #[must_use]
    pub fn claims(&self) -> Option<Attempt> {
        let told = self.role() == Role::Master;
        self.standing_for().filter(|n| told || self.locked == Some(*n))
    }

    /// The workers that it was told of.
    #[must_use]
    pub fn workers(&self) -> Vec<Peer> {
        self.wish
            .as_ref()
            .map(|wish| wish.workers.clone())
            .unwrap_or_default()
    }

    /// What is to be saved in its place if its process dies now; `None` while the attempt still runs, which nobody can take
    /// up again, and once nothing is left to do.
    #[must_use]
    pub fn unsaved(&self) -> Option<Unsaved> {
        let end = match &self.job {
            Job::None => None,
            // It is being ended, and will not outlive this process.
            Job::Running => Some(JobEnd {
                stopped: true,
                ..JobEnd::default()
            }),
            Job::Ended(end) => Some(end.clone()),
        };
        let is_left = match &self.stage {
            Stage::Forming { .. } => matches!(self.job, Job::Ended(_)),
            Stage::Stopping { .. } | Stage::Collecting(_) | Stage::Collected | Stage::Committing => true,
            Stage::Waiting
            | Stage::Committed
            | Stage::Stuck
            | Stage::Resetting { .. }
            | Stage::Leaving { .. }
            | Stage::Salvaging { .. }
            | Stage::Parting { .. }
            | Stage::Gone => false,
        };
        let attempt = self.attempt.filter(|_| is_left)?;
        Some(Unsaved { attempt, end })
    }

    /// Its phase on the wire.
    #[must_use]
    pub fn phase(&self) -> NodePhase {
        match &self.stage {
            Stage::Waiting | Stage::Forming { .. } if self.failure.is_some() => NodePhase::Failed,
            Stage::Waiting | Stage::Resetting { .. } => NodePhase::Preparing,
            Stage::Forming { prepared, engine, .. } => match self.job {
                Job::Running => NodePhase::Working,
                Job::Ended(_) => NodePhase::Ended,
                Job::None if *prepared && *engine == Engine::Running => NodePhase::Ready,
                Job::None => NodePhase::Preparing,
            },
            Stage::Stopping { .. } | Stage::Collecting(_) => NodePhase::Collecting,
            Stage::Collected | Stage::Committing => NodePhase::Collected,
            Stage::Committed => NodePhase::Committed,
            Stage::Stuck => NodePhase::Failed,
            Stage::Leaving { .. } | Stage::Salvaging { .. } | Stage::Parting { .. } | Stage::Gone => {
                NodePhase::Leaving
            }
        }
    }

    /// One line for people.
    #[must_use]
    pub fn status(&self) -> String {
        let doing = match &self.stage {
            Stage::Waiting => "waiting for orders",
            Stage::Forming {
                prepared: false,
                engine: Engine::Running,
                ..
            } => "preparing; the engine runs",
            Stage::Forming { prepared: false, .. } => "preparing",
            Stage::Forming {
                engine: Engine::None, ..
            } if self.role() == Role::Auto => "waiting for the election of the master",
            Stage::Forming {
                engine: Engine::None, ..
            } => "waiting for the master's address",
            Stage::Forming {
                engine: Engine::Starting,
                ..
            } => "starting the engine",
            Stage::Forming { .. } => match self.job {
                Job::None => "ready",
                Job::Running => "the job runs",
                Job::Ended(_) => "the job has ended",
            },
            Stage::Stopping { .. } => "stopping the job and the engine",
            Stage::Collecting(_) => "uploading",
            Stage::Collected => "everything is in the store",
            Stage::Committing => "committing",
            Stage::Committed => "committed",
            Stage::Stuck => "failed",
            Stage::Resetting { .. } => "stopping the last attempt",
            Stage::Salvaging { .. } => "saving what is there before it leaves",
            Stage::Leaving { .. } | Stage::Parting { .. } | Stage::Gone => "leaving",
        };
        match &self.failure {
            Some(failure) => format!("{doing} (failed: {})", failure.message),
            None => doing.to_owned(),
        }
    }

    /// Its failure on the wire.
    #[must_use]
    pub fn failure(&self) -> Option<NodeFailure> {
        self.failure.as_ref().map(|Failure { blame, message }| {
            let kind = match blame {
                Blame::Job => FailureKind::Job,
                Blame::Infra => FailureKind::Infra,
            };
            NodeFailure {
                kind: kind.into(),
                message: message.clone(),
            }
        })
    }

    /// Its job on the wire.
    #[must_use]
    pub fn job(&self) -> JobReport {
        match &self.job {
            Job::None => JobReport::default(),
            Job::Running => JobReport {
                started: true,
                ..JobReport::default()
            },
            Job::Ended(JobEnd {
                exit_code,
                signal,
                cause,
                last_lines,
                stopped,
                steps: _,
            }) => JobReport {
                started: true,
                ended: true,
                exit_code: *exit_code,
                signal: *signal,
                cause: cause.clone(),
                last_lines: last_lines.clone(),
                stopped: *stopped,
            },
        }
    }
}
