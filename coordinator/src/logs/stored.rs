//! The output of a run as it is in the store: chunks of text, by node and stream.

use std::collections::BTreeMap;

use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use mayfly_proto::{Attempt, NodeId, RunId};

use super::{CHUNK_MAX, unpack};

/// Chunks of one attempt that are listed: of 64 nodes with 4 GiB each, at a MiB a chunk.
const CHUNKS_MAX: usize = 300_000;

/// One chunk; in order, all chunks of a stream of a node are its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunk {
    /// The node.
    pub node: String,
    /// `job`, `engine` or `agent`.
    pub stream: String,
    /// From 0.
    pub number: u32,
    /// Where it is.
    pub key: String,
}

/// Why a chunk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is there, and is no text that was packed.
    #[error("{key} cannot be unpacked")]
    Packed {
        /// Which.
        key: String,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
}

/// All chunks of an attempt, by node, stream and number.
///
/// # Errors
/// The store does not answer.
pub async fn chunks(store: &Store, run: &RunId, attempt: Attempt) -> Result<Vec<Chunk>, StoreError> {
    let prefix = layout::logs(run, attempt);
    let entries = store.list_all(&prefix, CHUNKS_MAX).await?;
    let mut chunks: Vec<Chunk> = entries
        .into_iter()
        .filter_map(|entry| chunk(&prefix, entry.key))
        .collect();
    chunks.sort();
    Ok(chunks)
}

/// The chunks of one stream, node by node; of one node if it is named.
///
/// # Errors
/// The store does not answer.
pub async fn of_stream(
    store: &Store,
    run: &RunId,
    attempt: Attempt,
    stream: &str,
    node: Option<&str>,
) -> Result<Vec<Chunk>, StoreError> {
    let mut chunks = chunks(store, run, attempt).await?;
    chunks.retain(|chunk| chunk.stream == stream && node.is_none_or(|node| node == chunk.node));
    Ok(chunks)
}

/// `<node>/<stream>-<number>.log.gz` below the prefix.
fn chunk(prefix: &str, key: String) -> Option<Chunk> {
    let (node, file) = key.strip_prefix(prefix)?.split_once('/')?;
    let (stream, number) = file.strip_suffix(".log.gz")?.rsplit_once('-')?;
    let chunk = Chunk {
        node: node.parse::<NodeId>().ok()?.to_string(),
        stream: stream.to_owned(),
        number: number.parse().ok()?,
        key: String::new(),
    };
    Some(Chunk { key, ..chunk })
}

/// The text of a chunk by its key; `None` when it was removed since it was listed.
///
/// # Errors
/// The store does not give it, or it cannot be unpacked.
pub async fn text(store: &Store, key: &str) -> Result<Option<String>, ChunkError> {
    let Some(object) = store.get_capped(key, CHUNK_MAX).await? else {
        return Ok(None);
    };
    let text = unpack(&object.bytes).map_err(|source| ChunkError::Packed {
        key: key.to_owned(),
        source,
    })?;
    Ok(Some(text))
}

/// The last lines of each node's output in one stream, oldest first. Reads from the end, and no more than is needed.
///
/// # Errors
/// See [`text`].
pub async fn tail(
    store: &Store,
    chunks: &[Chunk],
    stream: &str,
    lines: usize,
) -> Result<BTreeMap<String, Vec<String>>, ChunkError> {
    let mut tails: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for chunk in chunks.iter().rev().filter(|chunk| chunk.stream == stream) {
        let tail = tails.entry(chunk.node.clone()).or_default();
        let wanted = lines.saturating_sub(tail.len());
        if wanted == 0 {
            continue;
        }
        let text = text(store, &chunk.key).await?.unwrap_or_default();
        // Newest first, until all chunks are read.
        tail.extend(text.lines().rev().take(wanted).map(str::to_owned));
    }
    tails.values_mut().for_each(|tail| tail.reverse());
    Ok(tails)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_told_from_what_else_is_there() {
        let of = |key: &str| chunk("p/", key.to_owned()).map(|c| (c.node, c.stream, c.number));
        assert_eq!(
            of("p/master-1/job-000012.log.gz"),
            Some(("master-1".to_owned(), "job".to_owned(), 12))
        );
        for other in [
            "p/x/job-000001.log.gz",
            "p/master-1/job-x.log.gz",
            "q/a",
            "p/a",
            "p/master-1/job.log.gz",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
