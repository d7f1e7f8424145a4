//! Collects from the store what a cause follows from.

use mayfly_kit::store::Store;
use mayfly_proto::Attempt;

use super::{Facts, Held, Lines, explain};
use crate::logs::stored::{self, Chunk, ChunkError};
use crate::record::{Ended, Outcome, RunRecord, Summary, Why};
use crate::spark;

/// Last lines of the job's output.
const OUTPUT_LINES: usize = 3_000;
/// Last lines of each node's daemon and agent.
const NODE_LINES: usize = 200;
/// Nodes whose daemons and agents are read.
const NODES_MAX: usize = 16;

/// Why a run that has ended did so; `None` for one that succeeded. `nodes` is what the receipt knows of their memory.
///
/// # Errors
/// The store does not answer.
pub async fn why(
    store: &Store,
    record: &RunRecord,
    ended: &Ended,
    nodes: Vec<Held>,
    spark: Option<Summary>,
) -> Result<Option<Why>, ChunkError> {
    if ended.outcome == Outcome::Succeeded {
        return Ok(None);
    }
    let attempt = record.attempt;
    let mut chunks = stored::chunks(store, &record.run, attempt).await?;
    let known = first_nodes(&chunks);
    chunks.retain(|chunk| known.contains(&chunk.node));
    let read = |stream, lines| tail(store, &chunks, stream, lines);
    // A job's output comes from the master alone.
    let output = read("job", OUTPUT_LINES).await?.into_iter().next();
    let facts = Facts {
        record: record.clone(),
        outcome: ended.outcome,
        reason: ended.reason.clone(),
        exit_code: ended.exit_code,
        output: output.map_or_else(|| ended.last_lines.clone(), |lines| lines.lines),
        engine: read("engine", NODE_LINES).await?,
        agent: read("agent", NODE_LINES).await?,
        spark,
        nodes,
    };
    Ok(Some(explain(&facts)))
}

/// Spark's own numbers of an attempt, for [`why`]: a log that cannot be had is no reason to say nothing.
pub async fn spark(store: &Store, record: &RunRecord, attempt: Attempt) -> Option<Summary> {
    match spark::gather::summary(store, &record.run, attempt).await {
        Ok(summary) => summary,
        Err(error) => {
            tracing::warn!(%error, run = %record.run, "the event log cannot be read");
            None
        }
    }
}

/// The master, and some of the others.
fn first_nodes(chunks: &[Chunk]) -> Vec<String> {
    let mut nodes: Vec<String> = chunks.iter().map(|chunk| chunk.node.clone()).collect();
    nodes.dedup();
    nodes.sort_by_key(|node| (!node.starts_with("master"), node.clone()));
    nodes.truncate(NODES_MAX);
    nodes
}

async fn tail(store: &Store, chunks: &[Chunk], stream: &str, lines: usize) -> Result<Vec<Lines>, ChunkError> {
    let tails = stored::tail(store, chunks, stream, lines).await?;
    Ok(tails
        .into_iter()
        .map(|(node, lines)| Lines { node, lines })
        .collect())
}
