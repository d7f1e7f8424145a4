//! How a run moves: first what an event says (`take`), then what follows from the state (`advance`).

use std::time::Duration;

use mayfly_proto::{Attempt, NodeId};

use super::{
    Cancel, Collection, Commit, Effect, Event, FailureKind, JobEnd, Node, NodePhase, Report, Role, Run, Stage,
};
use crate::record::{Ended, Outcome};

type Effects = Vec<Effect>;

/// Workers that are late which are named.
const LATE_NAMED: usize = 3;

impl Run {
    pub(super) fn take(&mut self, now: Duration, event: Event, effects: &mut Effects) {
        match event {
            Event::Recorded => self.recorded(now, effects),
            Event::Armed(attempt) => self.armed(now, attempt, effects),
            Event::CloudFailed(reason) => self.conclude(now, Outcome::InfraFailed, &reason, effects),
            Event::Begun(attempt) => self.begun(attempt),
            Event::Enrolled(node) => self.enrolled(now, node),
            Event::Reported(id, attempt, report) => self.reported(now, &id, attempt, *report, effects),
            Event::Troubled(what) => self.troubled(what),
            Event::MachineGone(id) => self.machine_gone(now, &id),
            Event::CancelAsked(level) => self.cancel_asked(now, level, effects),
            Event::Extended(deadline) => self.extended(now, deadline, effects),
            Event::CommitRead(commit) => self.commit_read(now, commit, effects),
            Event::FleetGone => self.fleet_gone(now, effects),
            Event::ReceiptWritten(commit) => self.receipt_written(now, commit, effects),
            Event::OverBudget(reason) => self.over_budget(now, &reason, effects),
            Event::Tick => {}
        }
    }

    /// The same trouble is told once.
    fn troubled(&mut self, what: String) {
        if self.notices.last() != Some(&what) {
            self.notice(what);
        }
    }

    fn recorded(&mut self, now: Duration, effects: &mut Effects) {
        if self.stage == Stage::Accepted {
            self.enter(now, Stage::Arming, effects);
            effects.push(Effect::Arm(self.attempt));
        }
    }

    fn armed(&mut self, now: Duration, attempt: Attempt, effects: &mut Effects) {
        if self.stage == Stage::Arming && attempt == self.attempt {
            self.enter(now, Stage::Forming { since: now }, effects);
        }
    }

    fn begun(&mut self, attempt: Attempt) {
        if let Stage::Working { recorded, .. } = &mut self.stage
            && attempt == self.attempt
        {
            *recorded = true;
        }
    }

    fn enrolled(&mut self, now: Duration, mut node: Node) {
        match self.stage {
            Stage::Closed => return,
            // A node nobody had seen: the fleet is not gone yet.
            Stage::Releasing { gone: true } => self.stage = Stage::Releasing { gone: false },
            Stage::Accepted
            | Stage::Arming
            | Stage::Forming { .. }
            | Stage::Working { .. }
            | Stage::Collecting { .. }
            | Stage::Held { .. }
            | Stage::Releasing { gone: false } => {}
        }
        node.role = self.role_of_new(node.role);
        let known = self.nodes.entry(node.id.clone()).or_insert(node);
        known.heard = now;
    }

    fn reported(
        &mut self,
        now: Duration,
        id: &NodeId,
        attempt: Attempt,
        report: Report,
        effects: &mut Effects,
    ) {
        let current = self.attempt;
        let spare = self.is_spare(id);
        let working = matches!(self.stage, Stage::Working { .. }) && !spare;
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        if node.gone_at.is_some() || attempt > current || attempt < node.attempt {
            return;
        }
        node.heard = now;
        let was_silent = self.silent.remove(id);
        if attempt > node.attempt {
            node.attempt = attempt;
            node.results_files = 0;
            node.took_part = false;
        }
        // One that has files there was at work, whether we had heard of it by then or not.
        if (working || report.results_files > 0) && !node.took_part {
            // Another coordinator must know that executors may have written files there.
            node.took_part = true;
            effects.push(Effect::Save);
        }
        node.results_files = node.results_files.max(report.results_files);
        let failed = report.phase == NodePhase::Failed;
        let known = node.report.interrupted;
        let left = report.interrupted.filter(|_| known.is_none());
        node.report = report;
        if node.lost && node.role != Role::Master && !failed {
            node.lost = false;
            self.notice(format!("{id} is back"));
        } else if was_silent {
            self.notice(format!("{id} is heard again"));
        }
        self.look_for_life(now, id);
        self.claimed(id, effects);
        if let Some(left) = left {
            let secs = left.as_secs();
            self.notice(format!(
                "{id} is being taken away, in {secs} s: its spot instance is interrupted"
            ));
        }
    }

    fn machine_gone(&mut self, now: Duration, id: &NodeId) {
        let releasing = matches!(self.stage, Stage::Releasing { .. } | Stage::Closed);
        let Some(node) = self.nodes.get_mut(id).filter(|node| node.gone_at.is_none()) else {
            return;
        };
        node.gone_at = Some(now);
        if !releasing && !node.lost {
            node.lost = true;
            self.notice(format!("{id} is gone: its machine ended"));
        }
    }

    fn cancel_asked(&mut self, now: Duration, level: Cancel, effects: &mut Effects) {
        self.cancel = self.cancel.max(Some(level));
        match &self.stage {
            // The job has ended by itself: its results are saved unless that is refused too.
            Stage::Collecting {
                what: Collection::Commit { committing, .. },
                ..
            } => {
                if level == Cancel::Fast && !committing {
                    self.conclude(
                        now,
                        Outcome::Cancelled,
                        "cancelled while results were being uploaded",
                        effects,
                    );
                }
            }
            Stage::Collecting {
                what: Collection::Salvage { .. },
                since,
            } => {
                if level == Cancel::Fast {
                    let since = *since;
                    self.enter(
                        now,
                        Stage::Collecting {
                            since,
                            what: Collection::Salvage { results: false },
                        },
                        effects,
                    );
                }
            }
            Stage::Held { .. } => self.enter(now, Stage::Releasing { gone: false }, effects),
            Stage::Accepted | Stage::Arming | Stage::Forming { .. } | Stage::Working { .. } => {
                self.conclude(now, Outcome::Cancelled, "cancelled", effects);
            }
            Stage::Releasing { .. } | Stage::Closed => {}
        }
    }

    /// A run that is held for a look is held until then.
    fn extended(&mut self, now: Duration, deadline: Duration, effects: &mut Effects) {
        if let Stage::Held { until } = &mut self.stage
            && deadline > now
        {
            *until = deadline;
            self.spec.deadline = deadline;
            effects.push(Effect::Save);
        } else if self.ended.is_none() && deadline > now {
            self.spec.deadline = deadline;
            effects.push(Effect::Save);
        }
    }

    fn commit_read(&mut self, now: Duration, commit: Option<Commit>, effects: &mut Effects) {
        let Some(reason) = self.giving_up.take() else {
            return;
        };
        match commit {
            Some(commit) => self.job_done(now, &commit.into(), effects),
            None if self.ended.is_none() && self.may_retry(now) => self.next_attempt(now, &reason, effects),
            None => self.conclude(now, Outcome::InfraFailed, &reason, effects),
        }
    }

    fn fleet_gone(&mut self, now: Duration, effects: &mut Effects) {
        if self.stage == (Stage::Releasing { gone: false }) {
            for node in self.nodes.values_mut() {
                node.gone_at.get_or_insert(now);
            }
            self.stage = Stage::Releasing { gone: true };
            effects.push(Effect::WriteReceipt);
        }
    }

    fn receipt_written(&mut self, now: Duration, commit: Option<Commit>, effects: &mut Effects) {
        if self.stage == (Stage::Releasing { gone: true }) {
            let committed = commit.map(|commit| Ended::committed(commit.exit_code, &commit.cause));
            let thought = self.ended.clone();
            self.ended = Ended::settled(self.ended.take(), committed);
            if let (Some(thought), true) = (&thought, thought != self.ended) {
                self.notice(format!(
                    "a commit was found at the end; before: {}",
                    thought.reason
                ));
            }
            self.enter(now, Stage::Closed, effects);
        }
    }

    /// What follows from the state and the time, whatever the event was.
    pub(super) fn advance(&mut self, now: Duration, effects: &mut Effects) {
        self.notice_silence(now);
        self.notice_overdue(now);
        if self.giving_up.is_some() {
            return self.give_up_in_time(now, effects);
        }
        match self.stage.clone() {
            Stage::Arming => self.check_deadline(now, effects),
            Stage::Forming { since } => self.forming(now, since, effects),
            Stage::Working { no_workers_since, .. } => self.working(now, no_workers_since, effects),
            Stage::Collecting {
                since,
                what: Collection::Commit { end, committing },
            } => {
                self.committing(now, since, &end, committing, effects);
            }
            Stage::Collecting {
                since,
                what: Collection::Salvage { results },
            } => {
                self.salvaging(now, since, results, effects);
            }
            Stage::Held { until } => {
                if now >= until.min(self.spec.deadline) {
                    self.enter(now, Stage::Releasing { gone: false }, effects);
                }
            }
            Stage::Accepted | Stage::Releasing { .. } | Stage::Closed => {}
        }
    }

    fn notice_silence(&mut self, now: Duration) {
        if matches!(self.stage, Stage::Releasing { .. } | Stage::Closed) {
            return;
        }
        let (told, limit) = (self.spec.timing.silent_after, self.spec.timing.lost_after);
        let mut news = Vec::new();
        for node in self.nodes.values_mut().filter(|node| node.is_present()) {
            let silence = now.saturating_sub(node.heard);
            let secs = silence.as_secs();
            if silence > limit {
                node.lost = true;
                self.silent.remove(&node.id);
                news.push(format!("{} is lost: silent for {secs} s", node.id));
            } else if silence > told && self.silent.insert(node.id.clone()) {
                let limit = limit.as_secs();
                news.push(format!(
                    "{} is silent for {secs} s; it is given up after {limit} s",
                    node.id
                ));
            }
        }
        for text in news {
            self.notice(text);
        }
    }

    /// The store does not say whether there is a commit: that cannot be waited for beyond the deadline.
    fn give_up_in_time(&mut self, now: Duration, effects: &mut Effects) {
        if now >= self.spec.deadline + self.spec.timing.overtime
            && let Some(reason) = self.giving_up.take()
        {
            self.conclude(now, Outcome::InfraFailed, &reason, effects);
        }
    }

    /// A job that has ended is collected and committed all the same: that costs no more than to save it.
    fn over_budget(&mut self, now: Duration, reason: &str, effects: &mut Effects) {
        match self.stage {
            Stage::Accepted | Stage::Arming | Stage::Forming { .. } | Stage::Working { .. } => {
                self.conclude(now, Outcome::OverBudget, reason, effects);
            }
            Stage::Held { .. } => self.enter(now, Stage::Releasing { gone: false }, effects),
            Stage::Collecting { .. } | Stage::Releasing { .. } | Stage::Closed => {}
        }
    }

    fn check_deadline(&mut self, now: Duration, effects: &mut Effects) {
        if now >= self.spec.deadline {
            let reason = format!("the deadline of {} s passed", self.spec.deadline.as_secs());
            self.conclude(now, Outcome::TimedOut, &reason, effects);
        }
    }

    fn check_life(&mut self, now: Duration, effects: &mut Effects) {
        if let Some(why) = self.hangs(now) {
            self.conclude(now, Outcome::TimedOut, &why, effects);
        }
    }

    fn forming(&mut self, now: Duration, since: Duration, effects: &mut Effects) {
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

    fn working(&mut self, now: Duration, no_workers_since: Option<Duration>, effects: &mut Effects) {
        if self.node_failed(now, effects) || self.master_missing(effects) || self.master_goes(now, effects) {
            return;
        }
        let ended = self
            .master()
            .filter(|master| master.attempt == self.attempt)
            .and_then(|m| m.report.job.clone());
        if ended.as_ref().is_some_and(|end| end.stopped) {
            // Another coordinator has told it to, and either does not own the run or died before it could say why.
            return self.give_up(
                "the job was ended, and not by this coordinator".to_owned(),
                effects,
            );
        }
        if let Some(end) = ended {
            let what = Collection::Commit {
                end,
                committing: false,
            };
            return self.enter(now, Stage::Collecting { since: now, what }, effects);
        }
        self.check_deadline(now, effects);
        if self.ended.is_none() {
            self.mind_workers(now, no_workers_since, effects);
        }
    }

    fn mind_workers(&mut self, now: Duration, since: Option<Duration>, effects: &mut Effects) {
        let since = if self.spec.workers == 0 || self.workers().next().is_some() {
            None
        } else {
            Some(since.unwrap_or(now))
        };
        if let Stage::Working { no_workers_since, .. } = &mut self.stage {
            *no_workers_since = since;
        }
        let limit = self.spec.timing.without_workers;
        match since {
            None => self.check_life(now, effects),
            // It waits for them.
            Some(since) if now.saturating_sub(since) < limit => {}
            Some(_) => {
                let secs = limit.as_secs();
                self.give_up(
                    format!("all workers were lost and none came back within {secs} s"),
                    effects,
                );
            }
        }
    }

    fn committing(
        &mut self,
        now: Duration,
        since: Duration,
        end: &JobEnd,
        committing: bool,
        effects: &mut Effects,
    ) {
        if self.node_failed(now, effects) || self.master_missing(effects) {
            return;
        }
        let phase = self.master().and_then(|master| master.phase_in(self.attempt));
        if phase == Some(NodePhase::Committed) {
            return self.job_done(now, end, effects);
        }
        if now >= self.spec.deadline + self.spec.timing.overtime {
            let reason = "the results were not uploaded before the deadline and its overtime passed";
            return self.conclude(now, Outcome::TimedOut, reason, effects);
        }
        if !committing && self.all_collected() {
            if let Some(reason) = self.results_may_be_missing() {
                return self.give_up(reason, effects);
            }
            let what = Collection::Commit {
                end: end.clone(),
                committing: true,
            };
            self.enter(now, Stage::Collecting { since, what }, effects);
        }
    }

    fn all_collected(&self) -> bool {
        let mut nodes = self
            .present()
            .filter(|node| node.attempt == self.attempt || node.role == Role::Master);
        nodes.all(|node| {
            matches!(
                node.phase_in(self.attempt),
                Some(NodePhase::Collected | NodePhase::Committed)
            )
        })
    }

    /// A worker that is gone may have held files that exist nowhere else. Unless it is plain that executors wrote
    /// none, the results are not complete and must not be committed as if they were.
    fn results_may_be_missing(&self) -> Option<String> {
        let executors_wrote = self
            .workers()
            .any(|node| node.attempt == self.attempt && node.results_files > 0)
            || self
                .master()
                .is_some_and(|master| master.report.success_markers > 0);
        self.nodes
            .values()
            .filter(|node| !node.is_present() && node.role == Role::Worker && node.private_results)
            .filter(|node| node.attempt == self.attempt && node.took_part)
            .find(|node| executors_wrote || node.results_files > 0)
            .map(|node| format!("{} was lost and may have held a part of the results", node.id))
    }

    fn salvaging(&mut self, now: Duration, since: Duration, results: bool, effects: &mut Effects) {
        let saved = self.present().all(|node| {
            matches!(
                node.phase_in(self.attempt),
                Some(NodePhase::Collected | NodePhase::Committed | NodePhase::Failed | NodePhase::Leaving)
            )
        });
        let limit = if results {
            self.spec.timing.salvage
        } else {
            self.spec.timing.lost_after
        };
        // Whoever takes a run over begins to count anew: its end stands.
        let over = now >= self.spec.deadline + self.spec.timing.overtime;
        if saved || over || now.saturating_sub(since) >= limit {
            self.let_go(now, effects);
        }
    }

    /// A node that says it failed: the job's doing ends the run, a worker's own trouble only that worker.
    fn node_failed(&mut self, now: Duration, effects: &mut Effects) -> bool {
        let failed = self
            .present()
            .filter(|node| node.attempt == self.attempt)
            .find_map(|node| Some((node.id.clone(), node.role, node.report.failure.clone()?)));
        let Some((id, role, failure)) = failed else {
            return false;
        };
        match (failure.kind, role) {
            (FailureKind::Job, _) => {
                self.conclude(now, Outcome::JobFailed, &failure.message, effects);
                true
            }
            (FailureKind::Infra, Role::Master) => {
                self.drop_node(&id, format!("{id} failed: {}", failure.message));
                false
            }
            (FailureKind::Infra, Role::Worker | Role::Auto) => {
                self.drop_node(&id, format!("{id} failed and is given up: {}", failure.message));
                false
            }
        }
    }

    fn drop_node(&mut self, id: &NodeId, notice: String) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.lost = true;
        }
        self.notice(notice);
    }

    /// Whether this attempt had a master and has it no more. Another one that has come meanwhile does not take its place:
    /// the job began, and what it wrote is, on the one that is lost.
    fn master_missing(&mut self, effects: &mut Effects) -> bool {
        let lost = self
            .nodes
            .values()
            .rfind(|node| node.role == Role::Master && node.attempt == self.attempt && !node.is_present());
        let Some(id) = lost.map(|node| node.id.clone()) else {
            return false;
        };
        let why = self
            .notices
            .iter()
            .rfind(|notice| notice.starts_with(id.as_str()));
        let reason = why.cloned().unwrap_or_else(|| format!("{id} was lost"));
        self.give_up(reason, effects);
        true
    }

    /// Whether the master's machine is being taken away while its job is not done. It ends the job and saves what there is
    /// by itself; when it has, or cannot, the attempt is given up. A job that had ended before is collected as ever.
    fn master_goes(&mut self, now: Duration, effects: &mut Effects) -> bool {
        let attempt = self.attempt;
        let Some(master) = self
            .master()
            .filter(|node| node.is_going() && node.attempt == attempt)
        else {
            return false;
        };
        if master.report.job.as_ref().is_some_and(|end| !end.stopped) {
            return false;
        }
        let id = master.id.clone();
        let saved = matches!(
            master.report.phase,
            NodePhase::Collected | NodePhase::Committed | NodePhase::Failed | NodePhase::Leaving
        );
        if saved {
            self.drop_node(
                &id,
                format!("{id} was taken away: its spot instance is interrupted"),
            );
            self.master_missing(effects);
        } else {
            self.check_deadline(now, effects);
        }
        true
    }

    /// This attempt cannot go on; whether it had committed before is asked first.
    fn give_up(&mut self, reason: String, effects: &mut Effects) {
        if self.giving_up.is_none() {
            self.giving_up = Some(reason);
            effects.push(Effect::ReadCommit);
        }
    }

    fn may_retry(&self, now: Duration) -> bool {
        self.attempt.number() <= self.spec.retries && now < self.spec.deadline
    }

    fn next_attempt(&mut self, now: Duration, reason: &str, effects: &mut Effects) {
        self.attempt = self.attempt.next();
        self.open_election();
        self.notice(format!("attempt {} begins: {reason}", self.attempt));
        self.enter(now, Stage::Arming, effects);
        effects.push(Effect::Arm(self.attempt));
    }

    /// The job's end is durable.
    pub(super) fn job_done(&mut self, now: Duration, end: &JobEnd, effects: &mut Effects) {
        if end.exit_code == Some(0) && end.signal.is_none() {
            self.end(Outcome::Succeeded, "", Some(end));
        } else {
            let cause = if end.cause.is_empty() {
                "the job failed"
            } else {
                end.cause.as_str()
            };
            self.end(Outcome::JobFailed, cause, Some(end));
        }
        self.let_go(now, effects);
    }

    /// The run ends without a commit: save what there is, then release.
    fn conclude(&mut self, now: Duration, outcome: Outcome, reason: &str, effects: &mut Effects) {
        if matches!(self.stage, Stage::Releasing { .. } | Stage::Closed) {
            return;
        }
        self.giving_up = None;
        self.end(outcome, reason, None);
        let salvaged = matches!(
            self.stage,
            Stage::Collecting {
                what: Collection::Salvage { .. },
                ..
            }
        );
        let overtime = now >= self.spec.deadline + self.spec.timing.overtime;
        if salvaged || overtime || self.present().next().is_none() {
            return self.let_go(now, effects);
        }
        let results = self.cancel != Some(Cancel::Fast);
        self.enter(
            now,
            Stage::Collecting {
                since: now,
                what: Collection::Salvage { results },
            },
            effects,
        );
    }

    /// Everything that can be saved is saved.
    fn let_go(&mut self, now: Duration, effects: &mut Effects) {
        let failed = self
            .ended
            .as_ref()
            .is_some_and(|ended| ended.outcome == Outcome::JobFailed);
        let hold = self.spec.hold;
        if failed && hold > Duration::ZERO && self.cancel.is_none() && self.present().next().is_some() {
            return self.enter(now, Stage::Held { until: now + hold }, effects);
        }
        self.enter(now, Stage::Releasing { gone: false }, effects);
    }
}
