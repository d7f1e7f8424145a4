//! The projection of a run for people.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_proto::{NodeId, v1};

use super::past::at;
use super::{Context, budget};
use crate::cloud::Machine;
use crate::record::{Outcome, PhaseName, RunRecord};
use crate::run::{Node, NodePhase, Role, Run, Stage};

/// Time alone changes the view so often, and no more: each change goes to everybody who watches.
const STEP_MS: i64 = 500;
/// Cost is shown in steps of a hundredth of a cent, for the same reason; that of a closed run is what its receipt says.
const COST_STEP: u64 = 100;

pub(super) fn of(
    run: &Run,
    record: &RunRecord,
    context: &Context,
    machines: &[Machine],
    receipt: &str,
    usual: &BTreeMap<PhaseName, f64>,
) -> v1::RunView {
    let ended = run.ended.as_ref();
    v1::RunView {
        run_id: record.run.to_string(),
        job: record.job.name.to_string(),
        phase: phase(run.phase()).into(),
        attempt: run.attempt.number(),
        phases: run
            .marks
            .iter()
            .map(|mark| v1::PhaseSpan {
                phase: phase(mark.phase).into(),
                attempt: mark.attempt.number(),
                began_ms: at_ms(record, mark.at),
            })
            .collect(),
        outcome: ended
            .map_or(v1::Outcome::Unspecified, |ended| outcome(ended.outcome))
            .into(),
        reason: ended.map(|ended| ended.reason.clone()).unwrap_or_default(),
        exit_code: ended.and_then(|ended| ended.exit_code),
        last_lines: ended.map(|ended| ended.last_lines.clone()).unwrap_or_default(),
        nodes: nodes(run, machines),
        progress: run.master().and_then(|master| master.report.progress.clone()),
        workers_wanted: run.spec.workers,
        workers_min: run.spec.min_workers,
        commit: record.commit.clone(),
        location: context.store.s3_url(&layout::run(&record.run)),
        now_ms: Timestamp::now().as_millisecond() / STEP_MS * STEP_MS,
        deadline_ms: at_ms(record, run.held_until().unwrap_or(run.spec.deadline)),
        // Only a closed run shows its receipt: before that it may still change hands.
        receipt_json: if run.stage == Stage::Closed {
            receipt.to_owned()
        } else {
            String::new()
        },
        notices: run.notices.iter().cloned().chain(held(run, record)).collect(),
        cloud: record.cloud.clone(),
        cost_micros: cost_micros(run, machines),
        hourly_micros: budget::hourly(machines),
        budget_cents: record.job.limits.cost_cents,
        usual: usual
            .iter()
            .map(|(name, secs)| v1::PhaseUsual {
                phase: phase(*name).into(),
                secs: *secs,
            })
            .collect(),
    }
}

/// Until when the machines of a job that failed stay, and how that is changed.
fn held(run: &Run, record: &RunRecord) -> Option<String> {
    let (until, id) = (at(record, run.held_until()?), &record.run);
    let until = until.strftime("%Y-%m-%d %H:%M:%S UTC");
    Some(format!(
        "held until {until} for a look: `coordinator extend {id} --by 30m` keeps it, `coordinator cancel {id}` releases it"
    ))
}

fn cost_micros(run: &Run, machines: &[Machine]) -> u64 {
    let spent = budget::spent(machines, Timestamp::now());
    match run.stage {
        Stage::Closed => spent,
        _ => spent / COST_STEP * COST_STEP,
    }
}

/// Nodes that enrolled, and machines that have not yet.
fn nodes(run: &Run, machines: &[Machine]) -> Vec<v1::NodeView> {
    let is_spot = |machine: &Machine| machine.offer.as_ref().is_some_and(|offer| offer.spot);
    let spot: BTreeSet<&NodeId> = machines
        .iter()
        .filter(|machine| is_spot(machine))
        .map(|machine| &machine.node)
        .collect();
    let known = run.nodes.values();
    let mut views: Vec<_> = known.map(|one| node(one, spot.contains(&one.id))).collect();
    let booting = machines
        .iter()
        .filter(|machine| !run.nodes.contains_key(&machine.node));
    views.extend(booting.map(|machine| {
        v1::NodeView {
            node_id: machine.node.to_string(),
            role: role(machine.role).into(),
            status: if machine.ended.is_some() {
                "ended before it enrolled"
            } else {
                "boots"
            }
            .into(),
            address: machine
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            gone: machine.ended.is_some(),
            spot: is_spot(machine),
            ..v1::NodeView::default()
        }
    }));
    views.sort_by(|a, b| a.node_id.cmp(&b.node_id));
    views
}

fn node(node: &Node, spot: bool) -> v1::NodeView {
    v1::NodeView {
        node_id: node.id.to_string(),
        role: role(node.role).into(),
        phase: node_phase(node.report.phase).into(),
        status: node.report.status.clone(),
        address: node.address.clone(),
        cores: node.cores,
        memory_bytes: node.memory_bytes,
        usage: Some(node.report.usage),
        lost: node.lost,
        gone: node.gone_at.is_some(),
        attempt: node.attempt.number(),
        collected: node.report.collected,
        staged: node.report.staged,
        engine_ui: node.report.engine_ui.clone(),
        admin: admin(node).map(|at| at.to_string()).unwrap_or_default(),
        spot,
    }
}

fn admin(node: &Node) -> Option<SocketAddr> {
    let port = node.report.admin_port?.get();
    Some(SocketAddr::new(node.address.parse().ok()?, port))
}

fn at_ms(record: &RunRecord, from_start: Duration) -> i64 {
    at(record, from_start).as_millisecond()
}

fn role(role: Role) -> v1::Role {
    match role {
        Role::Master => v1::Role::Master,
        Role::Worker => v1::Role::Worker,
        Role::Auto => v1::Role::Auto,
    }
}

fn phase(phase: PhaseName) -> v1::Phase {
    match phase {
        PhaseName::Accepted => v1::Phase::Accepted,
        PhaseName::Arming => v1::Phase::Arming,
        PhaseName::Forming => v1::Phase::Forming,
        PhaseName::Working => v1::Phase::Working,
        PhaseName::Collecting => v1::Phase::Collecting,
        PhaseName::Releasing => v1::Phase::Releasing,
        PhaseName::Closed => v1::Phase::Closed,
    }
}

fn outcome(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Succeeded => v1::Outcome::Succeeded,
        Outcome::JobFailed => v1::Outcome::JobFailed,
        Outcome::InfraFailed => v1::Outcome::InfraFailed,
        Outcome::TimedOut => v1::Outcome::TimedOut,
        Outcome::OverBudget => v1::Outcome::OverBudget,
        Outcome::Cancelled => v1::Outcome::Cancelled,
    }
}

fn node_phase(phase: NodePhase) -> v1::NodePhase {
    match phase {
        NodePhase::Preparing => v1::NodePhase::Preparing,
        NodePhase::Ready => v1::NodePhase::Ready,
        NodePhase::Working => v1::NodePhase::Working,
        NodePhase::Ended => v1::NodePhase::Ended,
        NodePhase::Collecting => v1::NodePhase::Collecting,
        NodePhase::Collected => v1::NodePhase::Collected,
        NodePhase::Committed => v1::NodePhase::Committed,
        NodePhase::Failed => v1::NodePhase::Failed,
        NodePhase::Leaving => v1::NodePhase::Leaving,
    }
}
