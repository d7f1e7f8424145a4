//! Taking over a run that another coordinator began: from what its record says, the agents' reports tell the rest.

use std::time::Duration;

use mayfly_proto::Attempt;

use super::{Collection, Commit, Effect, JobEnd, Mark, Node, Run, Spec, Stage};
use crate::record::{Ended, PhaseName};

/// What the record of a run tells its next coordinator.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The attempt of then.
    pub attempt: Attempt,
    /// Phases so far, in order.
    pub marks: Vec<Mark>,
    /// How it ended, if that was known.
    pub ended: Option<Ended>,
    /// How the job's process ended, while its results were being collected.
    pub job: Option<JobEnd>,
    /// Until when it was held for a look, from its start.
    pub held_until: Option<Duration>,
    /// What the store holds as the run's commit.
    pub commit: Option<Commit>,
    /// Every node that had enrolled.
    pub nodes: Vec<Node>,
}

impl Run {
    /// A run as its record left it, at `now` from its start. Its first effect saves the record, which claims it: of two
    /// coordinators one is refused there.
    ///
    /// Nodes count as heard of now: they have as long as ever to report. Whether the job has ended meanwhile, the master
    /// tells.
    #[must_use]
    pub fn adopt(spec: Spec, past: Past, now: Duration) -> (Self, Vec<Effect>) {
        let phase = past.marks.last().map_or(PhaseName::Accepted, |mark| mark.phase);
        let stage = match past.held_until {
            Some(until) if phase == PhaseName::Collecting => Stage::Held { until },
            Some(_) | None => stage(phase, past.job, past.ended.is_some(), now),
        };
        let mut run = Self {
            attempt: past.attempt,
            stage,
            marks: past.marks,
            ended: past.ended,
            nodes: past
                .nodes
                .into_iter()
                .map(|node| (node.id.clone(), node))
                .collect(),
            attended: now,
            ..Self::new(spec)
        };
        for node in run.nodes.values_mut() {
            node.heard = now;
        }
        if run.phase() != phase {
            run.marks.push(Mark {
                phase: run.phase(),
                attempt: run.attempt,
                at: now,
            });
        }
        run.notice("another coordinator took the run over".to_owned());
        let mut effects = vec![Effect::Save];
        if run.stage == Stage::Arming {
            effects.push(Effect::Arm(run.attempt));
        }
        if let Some(commit) = past.commit.filter(|_| run.ended.is_none()) {
            run.job_done(now, &commit.into(), &mut effects);
        }
        // Its end may have passed: then nothing is started any more.
        run.advance(now, &mut effects);
        (run, effects)
    }
}

/// Where to go on. A run whose outcome was known saves what there is.
fn stage(phase: PhaseName, job: Option<JobEnd>, ended: bool, now: Duration) -> Stage {
    let collecting = |what| Stage::Collecting { since: now, what };
    match (phase, job) {
        (PhaseName::Releasing, _) => Stage::Releasing { gone: false },
        (PhaseName::Closed, _) => Stage::Closed,
        _ if ended => collecting(Collection::Salvage { results: true }),
        (PhaseName::Accepted | PhaseName::Arming, _) => Stage::Arming,
        (PhaseName::Forming, _) => Stage::Forming { since: now },
        (PhaseName::Collecting, Some(end)) => collecting(Collection::Commit {
            end,
            committing: false,
        }),
        (PhaseName::Working | PhaseName::Collecting, _) => Stage::Working {
            recorded: true,
            no_workers_since: None,
        },
    }
}
