//! Which nodes a run had when nobody is left who knew: those that its record names because they enrolled, and all that
//! left a folder on this machine, or logs in the store.

use std::collections::BTreeMap;

use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use mayfly_proto::{Attempt, NodeId};

use crate::home::Home;
use crate::record::{NodeUse, PhaseName, Role, RunRecord};

/// Nodes of one attempt that are looked at.
const NODES_MAX: usize = 10_000;

/// Every node that there is evidence of. What it used is not known: that was in the reports to the coordinator that died.
pub(super) async fn of(home: &Home, store: &Store, record: &RunRecord) -> Result<Vec<NodeUse>, StoreError> {
    let mut seen = with_folder(home, record);
    for attempt in (1..=record.attempt.number()).filter_map(|number| Attempt::try_from(number).ok()) {
        let logs = layout::logs(&record.run, attempt);
        let folders = store.list_folders(&logs, NODES_MAX).await?;
        seen.extend(folders.iter().filter_map(|name| name.parse().ok()));
    }
    let mut nodes: BTreeMap<NodeId, NodeUse> = seen
        .into_iter()
        .map(|node| (node.clone(), as_ordered(node, record)))
        .collect();
    for mark in &record.nodes {
        let unknown = as_ordered(mark.node.clone(), record);
        let told = NodeUse {
            cores: mark.cores,
            memory_bytes: mark.memory_bytes,
            kind: None,
            cost_micros: 0,
            lost: mark.lost || unknown.lost,
            ..unknown
        };
        nodes.insert(mark.node.clone(), told);
    }
    Ok(nodes.into_values().collect())
}

fn with_folder(home: &Home, record: &RunRecord) -> Vec<NodeId> {
    let Ok(entries) = std::fs::read_dir(home.run(&record.run)) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// A node as the job orders it. Whoever was not released was lost.
fn as_ordered(node: NodeId, record: &RunRecord) -> NodeUse {
    // What is no master is sized as the workers are.
    let role = if node.as_str().starts_with("master-") {
        Role::Master
    } else {
        Role::Worker
    };
    let (cores, memory_bytes) = role.size(&record.job);
    NodeUse {
        node,
        cores,
        memory_bytes,
        secs: None,
        cpu_core_secs: None,
        peak_memory_bytes: None,
        kind: None,
        cost_micros: 0,
        lost: !record
            .phases
            .iter()
            .any(|mark| mark.phase == PhaseName::Releasing),
    }
}
