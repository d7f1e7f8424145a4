//! The stage in which nodes come up: until there are enough of them for the job to begin, or time to form is up.

use std::time::Duration;

use super::{Effect, Effects, Node, NodePhase, Run, Stage};
use crate::record::Outcome;

/// Workers that are late which are named.
const LATE_NAMED: usize = 3;

impl Run {
    pub(super) fn forming(&mut self, now: Duration, since: Duration, effects: &mut Effects) {
        if self.node_failed(now, effects) || self.master_missing(effects) || self.master_goes(now, effects) {
            return;
        }
        self.elect_in_time(now, since, effects);
        let ready = self
            .master()
            .is_some_and(|master| match master.phase_in(self.attempt) {
                Some(NodePhase::Ready) => self.alive() >= self.spec.min_workers,
                // Told to by a coordinator that died before it could record that.
                Some(NodePhase::Working | NodePhase::Ended) => true,
                Some(
                    NodePhase::Preparing
                    | NodePhase::Collecting
                    | NodePhase::Collected
                    | NodePhase::Committed
                    | NodePhase::Failed
                    | NodePhase::Leaving,
                )
                | None => false,
            });
        if ready {
            return self.work(now, effects);
        }
        self.check_deadline(now, effects);
        if self.ended.is_none() && now.saturating_sub(since) >= self.spec.form {
            let reason = self.why_not_formed();
            self.conclude(now, Outcome::InfraFailed, &reason, effects);
        }
    }

    /// Workers of this attempt that serve: as the engine counts them, or those that say so where it does not count.
    fn alive(&self) -> u32 {
        if self.spec.counts_nodes {
            return u32::try_from(self.ready_workers().count()).unwrap_or(u32::MAX);
        }
        self.master().map_or(0, |master| master.report.alive_workers)
    }

    /// Workers that say that they are ready.
    pub(super) fn ready_workers(&self) -> impl Iterator<Item = &Node> {
        self.workers()
            .filter(|node| node.phase_in(self.attempt) == Some(NodePhase::Ready))
    }

    fn work(&mut self, now: Duration, effects: &mut Effects) {
        // One that works already was told to by a coordinator that died: who was missing then is not known.
        let waits = |master: &Node| master.phase_in(self.attempt) == Some(NodePhase::Ready);
        if self.master().is_some_and(waits)
            && let Some(missing) = self.missing()
        {
            self.notice(format!(
                "begins with {} of {} workers: {missing}",
                self.alive(),
                self.spec.workers
            ));
        }
        let attempt = self.attempt;
        // One that cannot reach us may well serve its master.
        for node in self.nodes.values_mut().filter(|node| node.gone_at.is_none()) {
            node.took_part = node.attempt == attempt;
        }
        let working = Stage::Working {
            recorded: false,
            no_workers_since: None,
        };
        self.enter(now, working, effects);
        effects.push(Effect::Begin(attempt));
    }

    /// What is known of the workers that do not serve; `None` where all do.
    fn missing(&self) -> Option<String> {
        let missing = self.spec.workers.saturating_sub(self.alive());
        if missing == 0 {
            return None;
        }
        let enrolled = u32::try_from(self.workers().count()).unwrap_or(u32::MAX);
        let strangers = self.spec.workers.saturating_sub(enrolled);
        // The engine counts a worker before that one says itself that it is ready. Where those who never enrolled are all
        // that is missing, nobody else is named.
        let named = if missing > strangers { LATE_NAMED } else { 0 };
        let late = self
            .workers()
            .filter(|node| node.phase_in(self.attempt) != Some(NodePhase::Ready))
            .take(named)
            .map(|node| format!("{} {}", node.id, node.report.status));
        let mut parts: Vec<String> = late.map(|text| text.trim_end().to_owned()).collect();
        if strangers > 0 {
            parts.push(format!("{strangers} not enrolled"));
        }
        Some(if parts.is_empty() {
            "not all of them are known to the engine".to_owned()
        } else {
            parts.join(", ")
        })
    }

    fn why_not_formed(&self) -> String {
        let alive = self.alive();
        let limit = self.spec.form.as_secs();
        let head = format!(
            "the fleet did not form within {limit} s: {alive} of {} workers ready",
            self.spec.min_workers
        );
        let head = match self.missing() {
            Some(missing) => format!("{head}, {missing}"),
            None => head,
        };
        match (self.master(), self.notices.last()) {
            (None, Some(notice)) => format!("{head}, no master ({notice})"),
            (None, None) if self.spec.alike => format!("{head}, no master chosen"),
            (None, None) => format!("{head}, no master enrolled"),
            (Some(_), Some(notice)) => format!("{head} ({notice})"),
            (Some(master), None) => format!("{head}; the master says: {}", master.report.status),
        }
    }
}
