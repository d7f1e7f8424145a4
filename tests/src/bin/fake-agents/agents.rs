//! The agents' side: all of them in one process, each with a connection of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mayfly_proto::v1::Goal;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::OrderFile;
use crate::node::{FakeNode, Seen};

/// Interval of Sync: the coordinator of this bench is told the same.
const INTERVAL: Duration = Duration::from_secs(2);
/// Agents that connect and enrol at the same time.
const ENROLLING: usize = 64;
/// Longest until all are enrolled.
const ENROL_LIMIT: Duration = Duration::from_secs(120);
/// Intervals that pass before anything counts.
const WARM_UP: u32 = 2;

/// Enrols `nodes` agents, lets them sync for `window`, and prints what they saw.
pub(crate) async fn run(order: &Path, nodes: u32, window: Duration) -> anyhow::Result<()> {
    let order: OrderFile = serde_json::from_slice(&std::fs::read(order).context("read the order")?)?;
    let began = Instant::now();
    let mut fleet = timeout(ENROL_LIMIT, enrol_all(Arc::new(order), nodes))
        .await
        .context("enrol all agents")??;
    let enrolled = began.elapsed();
    let workers = nodes.saturating_sub(1);
    form(&mut fleet, workers).await?;
    let start = Instant::now();
    let (count_from, end) = (start + INTERVAL * WARM_UP, start + INTERVAL * WARM_UP + window);
    let mut tasks = JoinSet::new();
    for (mut node, number) in fleet.into_iter().zip(0u32..) {
        // Spread evenly: real agents start at different moments.
        let first = start + INTERVAL * number / nodes.max(1);
        tasks.spawn(async move { node.sync_until((first, end), count_from, INTERVAL, workers).await });
    }
    tokio::time::sleep_until(count_from).await;
    print(&json!({"counting": true, "enrol_secs": enrolled.as_secs_f64()}));
    tokio::time::sleep_until(end).await;
    print(&json!({"counted": true}));
    print(&summary(tasks.join_all().await));
    Ok(())
}

async fn enrol_all(order: Arc<OrderFile>, nodes: u32) -> anyhow::Result<Vec<FakeNode>> {
    let (gate, mut tasks) = (Arc::new(Semaphore::new(ENROLLING)), JoinSet::new());
    for number in 0..nodes {
        let (order, gate) = (Arc::clone(&order), Arc::clone(&gate));
        tasks.spawn(async move {
            let _turn = gate.acquire().await?;
            FakeNode::enrol(&order, number)
                .await
                .with_context(|| format!("node {number}"))
                .map(|node| (number, node))
        });
    }
    let mut fleet: Vec<(u32, FakeNode)> = tasks
        .join_all()
        .await
        .into_iter()
        .collect::<anyhow::Result<_>>()?;
    fleet.sort_by_key(|(number, _)| *number);
    Ok(fleet.into_iter().map(|(_, node)| node).collect())
}

/// One report of each, and the master's until the coordinator says that the fleet is formed.
async fn form(fleet: &mut [FakeNode], workers: u32) -> anyhow::Result<()> {
    for node in fleet.iter_mut().rev() {
        node.sync(workers).await?;
    }
    let master = fleet.first_mut().context("no master")?;
    for _ in 0..100 {
        if master.goal >= Goal::Work {
            return master.sync(workers).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        master.sync(workers).await?;
    }
    anyhow::bail!("the coordinator does not let the fleet work")
}

fn summary(all: Vec<Seen>) -> serde_json::Value {
    let errors: u64 = all.iter().map(|seen| seen.errors).sum();
    let last_error = all.iter().find_map(|seen| seen.last_error.clone());
    let sorted = |of: fn(&Seen) -> &Vec<Duration>| {
        let mut all: Vec<Duration> = all.iter().flat_map(of).copied().collect();
        all.sort();
        all
    };
    let (due, call) = (sorted(|seen| &seen.from_due), sorted(|seen| &seen.call));
    json!({
        "syncs": due.len(), "errors": errors, "last_error": last_error,
        "p50_ms": quantile(&due, 50), "p99_ms": quantile(&due, 99), "max_ms": quantile(&due, 100),
        "call_p50_ms": quantile(&call, 50), "call_p99_ms": quantile(&call, 99),
    })
}

/// Of sorted values, in milliseconds; 0 when there is none.
fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .map_or(0.0, |value| value.as_secs_f64() * 1e3)
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn print(line: &serde_json::Value) {
    println!("{line}");
}
