//! Adds a run up for its receipt: groups, waste, what other sizes would have come to, advice. Pure.

mod advice;
pub mod history;
mod predict;
mod waste;

use jiff::Timestamp;

use crate::record::{Account, Group, Role, Summary};

/// One machine of a run, with its times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lived {
    /// What it was for.
    pub(crate) role: Role,
    /// When its machine was started.
    pub(crate) started: Timestamp,
    /// When it was gone.
    pub(crate) ended: Timestamp,
    /// Cores it offered.
    pub(crate) cores: u32,
    /// Memory it offered, in bytes.
    pub(crate) memory_bytes: u64,
    /// What it used.
    pub(crate) usage: mayfly_proto::v1::Usage,
    /// What it cost, in millionths of a US dollar.
    pub(crate) cost_micros: u64,
    /// Whether it was lost.
    pub(crate) lost: bool,
}

impl Lived {
    fn secs(&self) -> f64 {
        secs(self.started, self.ended)
    }
}

/// What an account is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parts {
    /// All machines.
    pub(crate) machines: Vec<Lived>,
    /// When the last attempt began.
    pub(crate) attempt_began: Timestamp,
    /// When its job began and ended; `None` when it never did.
    pub(crate) working: Option<(Timestamp, Timestamp)>,
    /// From the record to `closed`, in seconds.
    pub(crate) total_secs: f64,
    /// Workers that were wanted.
    pub(crate) workers: u32,
    /// Whether it says what would have been better: the job succeeded, and none of its time was somebody's thinking.
    pub(crate) tells: bool,
    /// Spark's own numbers.
    pub(crate) spark: Option<Summary>,
}

/// Adds it up.
#[must_use]
pub(crate) fn of(parts: Parts) -> Account {
    let groups = [Role::Master, Role::Worker, Role::Auto]
        .into_iter()
        .filter_map(|role| group(role, &parts.machines))
        .collect();
    let waste = waste::of(&parts);
    let predictions = predict::all(&parts);
    let mut account = Account {
        node_secs: parts.machines.iter().map(Lived::secs).sum(),
        groups,
        waste,
        spark: None,
        predictions,
        advice: Vec::new(),
    };
    if parts.tells {
        account.advice = advice::of(&parts, &account);
    }
    account.spark = parts.spark;
    account
}

fn group(role: Role, machines: &[Lived]) -> Option<Group> {
    let mine: Vec<&Lived> = machines.iter().filter(|machine| machine.role == role).collect();
    let first = mine.first()?;
    let sum = |of: fn(&Lived) -> u64| {
        mine.iter()
            .map(|machine| of(machine))
            .fold(0, u64::saturating_add)
    };
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Group {
        role,
        nodes: count(mine.len()),
        lost: count(mine.iter().filter(|machine| machine.lost).count()),
        node_secs: mine.iter().map(|machine| machine.secs()).sum(),
        core_secs: mine
            .iter()
            .map(|machine| machine.secs() * f64::from(machine.cores))
            .sum(),
        cpu_core_secs: mine.iter().map(|machine| machine.usage.cpu_core_secs).sum(),
        memory_bytes: first.memory_bytes,
        peak_memory_bytes: mine
            .iter()
            .map(|machine| machine.usage.peak_memory_bytes)
            .max()
            .unwrap_or(0),
        disk_read_bytes: sum(|machine| machine.usage.disk_read_bytes),
        disk_written_bytes: sum(|machine| machine.usage.disk_written_bytes),
        network_received_bytes: sum(|machine| machine.usage.network_received_bytes),
        network_sent_bytes: sum(|machine| machine.usage.network_sent_bytes),
        cost_micros: sum(|machine| machine.cost_micros),
    })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a price that is far below 2^53 millionths; `as` saturates"
)]
fn scaled(micros: u64, by: f64) -> u64 {
    (micros as f64 * by).round() as u64
}

fn secs(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests;
