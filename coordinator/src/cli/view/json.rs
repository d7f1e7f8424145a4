//! Events as JSON objects, one a line: `{"schema":1,"event":"view"|"log"|"note"|"receipt",…}`; the receipt is the last.

use mayfly_proto::v1::{LogBatch, NodeView, RunView};
use serde_json::{Value, json};

use super::names::{node_word, outcome_word, phase_word};
use crate::record::{Receipt, SCHEMA};

/// A view.
#[must_use]
pub fn view(view: &RunView) -> Value {
    let outcome = outcome_word(view.outcome());
    json!({
        "schema": SCHEMA, "event": "view", "run": view.run_id, "job": view.job, "commit": view.commit,
        "phase": phase_word(view.phase()), "attempt": view.attempt,
        "outcome": if outcome.is_empty() { Value::Null } else { outcome.into() },
        "reason": view.reason, "workers_wanted": view.workers_wanted, "workers_min": view.workers_min,
        "nodes": view.nodes.iter().map(node).collect::<Vec<_>>(),
        "progress": view.progress.as_ref().map(|p| json!({
            "jobs_done": p.jobs_done, "jobs_total": p.jobs_total, "stages_done": p.stages_done,
            "stages_total": p.stages_total, "tasks_done": p.tasks_done, "tasks_total": p.tasks_total,
            "tasks_failed": p.tasks_failed,
        })),
        "usual": view.usual.iter().map(|u| json!({ "phase": phase_word(u.phase()), "secs": u.secs })).collect::<Vec<_>>(),
        "cost_micros": view.cost_micros, "hourly_micros": view.hourly_micros, "budget_cents": view.budget_cents,
        "notices": view.notices, "now_ms": view.now_ms, "deadline_ms": view.deadline_ms, "location": view.location,
    })
}

fn node(node: &NodeView) -> Value {
    let usage = node.usage.unwrap_or_default();
    json!({
        "node": node.node_id, "state": node_word(node), "status": node.status, "address": node.address,
        "cores": node.cores, "memory_bytes": node.memory_bytes, "cpu_cores": usage.cpu_cores,
        "used_memory_bytes": usage.memory_bytes, "attempt": node.attempt, "spot": node.spot,
        "inputs": node.staged.map(|s| json!({
            "files": s.files, "bytes": s.bytes, "files_total": s.files_total, "bytes_total": s.bytes_total,
            "whole": s.whole,
        })),
    })
}

/// Lines of output.
#[must_use]
pub fn log(batch: &LogBatch) -> Value {
    json!({
        "schema": SCHEMA, "event": "log", "run": batch.run_id, "node": batch.node_id, "attempt": batch.attempt,
        "stream": batch.stream, "first_line": batch.first_line, "lines": batch.lines,
    })
}

/// Something a person should know.
#[must_use]
pub(crate) fn note(text: &str) -> Value {
    json!({ "schema": SCHEMA, "event": "note", "text": text })
}

/// Where a session is used.
#[must_use]
pub(crate) fn session(url: &str) -> Value {
    json!({ "schema": SCHEMA, "event": "session", "url": url })
}

/// The end.
#[must_use]
pub(crate) fn receipt(receipt: &Receipt) -> Value {
    json!({ "schema": SCHEMA, "event": "receipt", "receipt": receipt })
}
