// Read by the build script, too.

/// A bug that somebody might have made: in this file of the product, `was` became `becomes`. Without a file it is one of what
/// carries out the decisions of the pure code, which is modelled here.
pub struct Bug {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The file.
    pub file: &'static str,
    /// The text that is there, once: an expression, or whole statements.
    pub was: &'static str,
    /// What it becomes.
    pub becomes: &'static str,
    /// Seeds in which it must be found.
    pub budget: u64,
    /// The first that finds it, as `simulate --planted` says. It is tried first, which saves all others until the world of it
    /// becomes another.
    pub seed: u64,
}

const fn bug(name: &'static str, file: &'static str, was: &'static str, becomes: &'static str, budget: u64, seed: u64) -> Bug {
    Bug { name, file, was, becomes, budget, seed }
}

/// All of them. Rows of one name are one bug: where two guards keep one promise, both must go.
pub const BUGS: &[Bug] = &[
    bug("lease-past-the-end", "coordinator/src/cloud/aws/ledger.rs", "until.min(now + LEASE)", "now + LEASE", 300, 5),
    bug("lease-never-moved-on", "coordinator/src/cloud/aws/ledger.rs", "lease >= self.lease + LEASE_STEP", "false", 300, 15),
    bug("not-found-is-gone", "coordinator/src/cloud/aws/ledger.rs", "at.saturating_sub(since) >= FORGOTTEN", "true", 600, 15),
    bug("names-drawn-not-derived", "aws/src/tags.rs", "format!(\"mayfly-{run}-{}\", group.name())", "format!(\"mayfly-{run}-{}-{}\", group.name(), crate::planted::drawn())", 300, 1),
    bug("budget-forgets-the-dead", "coordinator/src/driver/budget.rs", "machines.iter().map(|machine| machine.cost_micros(now)).sum()", "machines.iter().filter(|machine| machine.ended.is_none()).map(|machine| machine.cost_micros(now)).sum()", 300, 0),
    bug("budget-not-kept", "coordinator/src/driver/budget.rs", "spent == 0 || needed < u128::from(cents.saturating_mul(CENT))", "true", 1000, 227),
    bug("an-early-look-counts", "coordinator/src/driver/task.rs", "releasing && released", "releasing", 3000, 494),
    bug("closed-without-looking", "coordinator/src/driver/task.rs", "machines.iter().all(|machine| machine.ended.is_some())", "true", 300, 2),
    bug("node-ignores-its-lease", "agent/src/node.rs", "now >= self.lease_until", "false", 1000, 4),
    bug("job-is-started-again", "agent/src/node/pursue.rs", "role == Role::Master && self.job == Job::None", "role == Role::Master && self.job != Job::Running", 600, 8),
    bug("job-before-its-fleet", "agent/src/node/pursue.rs", "wish.goal == Goal::Work", "wish.goal >= Goal::Form", 600, 38),
    bug("attempts-without-end", "coordinator/src/run/retry.rs", "self.attempt.number() <= self.spec.retries && now < self.spec.deadline", "now < self.spec.deadline", 1000, 25),
    bug("deadline-not-kept", "coordinator/src/run/limits.rs", "self.conclude(now, Outcome::TimedOut, &reason, effects);", "let _ = reason;", 300, 93),
    bug("life-is-looked-for-on-the-master-alone", "coordinator/src/run/stall.rs", "there.all(is_quiet)", "there.filter(|node| node.role == super::Role::Master).all(is_quiet)", 1000, 51),
    bug("a-job-may-hang", "coordinator/src/run/working.rs", "self.hangs(now)", "None::<String>", 1000, 236),
    bug("lost-too-soon", "coordinator/src/run/losses.rs", "silence > limit", "silence > limit / 8", 600, 152),
    bug("replaced-twice", "coordinator/src/run/desired.rs", "self.spec.workers.saturating_add(going)", "self.spec.workers.saturating_add(going).saturating_add(1)", 300, 0),
    bug("machine-before-its-killer", "coordinator/src/cloud/aws/ledger.rs", "state.desired == 0 && target > 0", "false", 3000, 1_009),
    bug("machine-before-its-killer", "coordinator/src/run/desired.rs", "self.attempt > Attempt::FIRST", "self.attempt >= Attempt::FIRST", 3000, 1_009),
    bug("workers-parts-are-forgotten", "coordinator/src/run/desired.rs", "node.role == Role::Master || node.private_results", "node.role == Role::Master", 300, 1),
    bug("commit-before-all-is-in", "coordinator/src/run/collecting.rs", "!committing && self.all_collected()", "!committing", 600, 10),
    bug("lost-parts-are-committed", "coordinator/src/run/collecting.rs", "self.results_may_be_missing()", "None::<String>", 3000, 44),
    bug("success-without-a-commit", "coordinator/src/run/collecting.rs", "phase == Some(NodePhase::Committed)", "matches!(phase, Some(NodePhase::Collected | NodePhase::Committed))", 300, 1),
    bug("exit-code-not-looked-at", "coordinator/src/record.rs", "exit_code == Some(0)", "exit_code.is_some()", 300, 11),
    bug("outcome-is-changed", "coordinator/src/run.rs", "self.ended.is_none()", "true", 3000, 738),
    bug("commit-found-and-repeated", "coordinator/src/run/retry.rs", "self.job_done(now, &commit.into(), effects)", "{ let _ = commit; self.next_attempt(now, &reason, effects) }", 6000, 1_820),
    bug("adopt-forgets-the-time", "coordinator/src/driver/past.rs", "since(record, now.max(last))", "{ let _ = (now, last); Duration::ZERO }", 2000, 969),
    bug("adopt-does-not-arm", "coordinator/src/run/adopt.rs", "run.stage == Stage::Arming", "false", 3000, 1_742),
    bug("adopt-does-not-wait", "coordinator/src/run/adopt.rs", "node.heard = now;", "{}", 1000, 37),
    bug("gc-the-wrong-way-round", "coordinator/src/gc/verdict.rs", "if now <= deadline + GRACE {\n        return Verdict::Alive;\n    }", "if now > deadline + GRACE { return Verdict::Alive; } else { return Verdict::LeftOver; }", 2000, 54),
    bug("milliseconds-read-as-seconds", "agent/src/sync/answer.rs", "Duration::from_millis(wire.lease_ms)", "Duration::from_secs(wire.lease_ms)", 1000, 4),
    bug("lease-told-too-short", "coordinator/src/grpc/encode.rs", "millis(desired.lease)", "millis(desired.sync)", 300, 10),
    bug("a-machine-never-listed-is-gone", "coordinator/src/cloud/aws/ledger.rs", "self.unlisted.is_empty() || since >= FORGOTTEN", "true", 6000, 1_582),
    bug("own-sleep-is-their-silence", "coordinator/src/run.rs", "deaf > ATTENTIVE", "false", 3000, 498),
    bug("the-newcomer-is-the-master", "coordinator/src/run.rs", "masters.min_by_key(|node| node.since)", "masters.max_by_key(|node| node.since)", 3000, 1_913),
    bug("no-workers-are-missed", "coordinator/src/run/working.rs", "self.spec.workers == 0 || self.workers().next().is_some()", "self.workers().next().is_some()", 300, 122),
    bug("job-begins-while-given-up", "coordinator/src/run/desired.rs", "self.giving_up.is_none() && self.master().is_some_and(|master| master.id == node.id)", "self.master().is_some_and(|master| master.id == node.id)", 6000, 157),
    bug("attempt-not-given-up", "coordinator/src/driver/decide.rs", "Next::Ask(self, Call::PutNew(decision, bytes))", "{ let _ = (decision, bytes); Next::Done(None) }", 1000, 276),
    bug("attempt-not-given-up", "coordinator/src/run/desired.rs", "node.role == Role::Master && node.attempt < self.attempt", "{ let _ = node; false }", 1000, 276),
    bug("commit-over-another", "", "", "", 6000, 1_298),
    bug("record-over-another", "", "", "", 6000, 90),
    bug("release-without-groups", "", "", "", 3000, 0),
];
