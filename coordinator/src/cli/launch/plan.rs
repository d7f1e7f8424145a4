//! What is about to happen, in a few lines.

use mayfly_configs::{Job, Machine, display_size};
use mayfly_proto::v1::{PlanReply, PlannedMachines, Role};

use crate::cli::plain;
use crate::cli::view::units::dollars;
use crate::source::Source;

/// What runs, from where, on what, for how long at most.
#[must_use]
pub(crate) fn lines(job: &Job, code: &Source, holder: Option<&str>, dirty: bool, aws: bool) -> Vec<String> {
    let from = holder.map(|holder| format!(" of {holder}")).unwrap_or_default();
    let short: String = code.commit.chars().take(10).collect();
    let with = if dirty { " with uncommitted work" } else { "" };
    let folder = if code.path.is_empty() {
        String::new()
    } else {
        format!("{}/", code.path)
    };
    let engine = match job.engine.name() {
        "spark" => String::new(),
        other => format!(", with {other}"),
    };
    vec![
        format!("job      {}{from}: {folder}{}{engine}", job.name, job.code.what()),
        format!("code     {} at {short}{with}", code.repo),
        if aws {
            format!("fleet    {} on AWS", aws_fleet(job))
        } else {
            format!("fleet    {} on this machine", fleet(job))
        },
        format!(
            "limits   forms within {}, ends within {}{}",
            duration(job.limits.form.0),
            duration(job.limits.deadline.0),
            patience(job)
        ),
    ]
}

/// When a job that hangs is ended before its deadline, if it is.
fn patience(job: &Job) -> String {
    let stall = job.stall().filter(|stall| *stall < job.limits.deadline);
    stall.map_or_else(String::new, |stall| {
        format!(", or after {} without a sign of life", duration(stall.0))
    })
}

/// `1 master (1 core, 1 GiB) + 2 workers (…)`.
#[must_use]
pub(crate) fn fleet(job: &Job) -> String {
    let size = |cores: u32, memory: u64| {
        let plural = if cores == 1 { "" } else { "s" };
        format!("{cores} core{plural}, {}", display_size(memory))
    };
    if job.alike {
        let Machine {
            cores, memory_bytes, ..
        } = job.master;
        let all = job.workers.count.saturating_add(1);
        return format!(
            "{all} nodes alike ({}), one of them the master",
            size(cores, memory_bytes)
        );
    }
    let master = format!("1 master ({})", size(job.master.cores, job.master.memory_bytes));
    let workers = &job.workers;
    if workers.count == 0 {
        return master;
    }
    let plural = if workers.count == 1 { "" } else { "s" };
    let least = if workers.min < workers.count {
        format!(", at least {}", workers.min)
    } else {
        String::new()
    };
    let each = size(workers.machine.cores, workers.machine.memory_bytes);
    format!("{master} + {} worker{plural} ({each}{least})", workers.count)
}

/// `1 master (m7g.large) + 2 workers (m7g.large or m6g.large, spot)`.
fn aws_fleet(job: &Job) -> String {
    let each = |machine: &Machine| {
        let kinds: Vec<String> = machine.instance.iter().map(ToString::to_string).collect();
        let spot = if machine.spot { ", spot" } else { "" };
        format!("{}{spot}", kinds.join(" or "))
    };
    let workers = &job.workers;
    let plural = if workers.count == 1 { "" } else { "s" };
    format!(
        "1 master ({}) + {} worker{plural} ({})",
        each(&job.master),
        workers.count,
        each(&workers.machine)
    )
}

/// What it costs, if anything.
#[must_use]
pub(crate) fn price(plan: &PlanReply) -> Vec<String> {
    if plan.hourly_micros == 0 {
        return Vec::new();
    }
    let each: Vec<String> = plan.machines.iter().map(machines).collect();
    let bound = if plan.capped {
        "where its budget (limits.cost) stops it".to_owned()
    } else {
        format!("if it goes on to its deadline ({})", duration(plan.deadline_secs))
    };
    vec![
        format!(
            "price    {} an hour in {}: {}",
            dollars(plan.hourly_micros),
            plain::line(&plan.zone),
            each.join(" + ")
        ),
        format!("at most  {}, {bound}", dollars(plan.worst_micros)),
    ]
}

/// `4 workers (m7g.large or m6g.large, spot) at $0.0312`.
fn machines(planned: &PlannedMachines) -> String {
    let what = match planned.role() {
        Role::Master => "master",
        Role::Worker => "worker",
        Role::Auto | Role::Unspecified => "node",
    };
    let plural = if planned.count == 1 { "" } else { "s" };
    let types = plain::line(&planned.types.join(" or "));
    let spot = if planned.spot { ", spot" } else { "" };
    let price = dollars(planned.hourly_micros);
    format!("{} {what}{plural} ({types}{spot}) at {price}", planned.count)
}

/// `90s`, `5m`, `1h30m`: as a job file has it.
#[must_use]
pub(crate) fn duration(secs: u64) -> String {
    let parts = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
    ];
    let text: String = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_its_price_and_its_worst_case() {
        let lot = |role: Role, count, spot, hourly_micros| PlannedMachines {
            role: role.into(),
            count,
            types: vec!["m7g.large".to_owned(), "m6g.large".to_owned()],
            spot,
            hourly_micros,
            ..PlannedMachines::default()
        };
        let mut plan = PlanReply {
            zone: "eu-north-1a".to_owned(),
            machines: vec![
                lot(Role::Master, 1, false, 81_600),
                lot(Role::Worker, 4, true, 31_200),
            ],
            hourly_micros: 206_400,
            worst_micros: 1_234_567,
            deadline_secs: 7_200,
            ..PlanReply::default()
        };
        assert_eq!(
            price(&plan),
            [
                "price    $0.2064 an hour in eu-north-1a: 1 master (m7g.large or m6g.large) at $0.0816 + 4 workers \
                 (m7g.large or m6g.large, spot) at $0.0312",
                "at most  $1.23, if it goes on to its deadline (2h)"
            ]
        );
        plan.capped = true;
        assert!(price(&plan)[1].ends_with("where its budget (limits.cost) stops it"));
        plan.hourly_micros = 0;
        assert!(price(&plan).is_empty());
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for (secs, text) in [(0, "0s"), (90, "1m30s"), (3600, "1h"), (90_000, "1d1h")] {
            assert_eq!(duration(secs), text);
        }
    }
}
