//! `logs`: the output of a run, out of the store alone.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use mayfly_kit::layout;
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, NodeId, RunId};
use serde_json::json;

use super::args::RunArg;
use super::failure::Failure;
use super::{out, plain, runs};
use crate::record::SCHEMA;

/// Time between two looks with `--follow`.
const PERIOD: Duration = Duration::from_secs(1);
/// Largest chunk, compressed and as text, in bytes.
const CHUNK_MAX: u64 = 64 << 20;

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  coordinator logs last -f\n  coordinator logs last --node worker-1 --stream engine"
)]
pub(crate) struct Flags {
    #[command(flatten)]
    run: RunArg,
    /// Go on until the run is closed
    #[arg(long, short)]
    follow: bool,
    /// Only this node (master-1, worker-2, …)
    #[arg(long, value_name = "NODE")]
    node: Option<NodeId>,
    /// Which output
    #[arg(long, value_enum, default_value_t)]
    stream: Stream,
    /// Only this attempt [default: the last one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// One JSON object for each line: {schema, run, attempt, node, stream, line}
    #[arg(long)]
    json: bool,
}

/// Which output of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Stream {
    /// The job's own.
    #[default]
    Job,
    /// That of Spark's Master and Workers.
    Engine,
    /// The agent's.
    Agent,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Engine => "engine",
            Self::Agent => "agent",
        }
    }
}

/// One chunk of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Chunk {
    node: String,
    number: u32,
    key: String,
}

/// Prints the output.
///
/// # Errors
/// There is no such run, or the store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let mut shown = HashSet::new();
    loop {
        let record = runs::record(&open.store, &id).await?;
        // Asked before the chunks are: what was written before the end is then seen for sure.
        let closed = record.is_closed();
        let attempt = flags
            .attempt
            .map_or(Ok(record.attempt), Attempt::try_from)
            .map_err(Failure::usage)?;
        for chunk in chunks(&open.store, &id, attempt, flags).await? {
            if shown.insert(chunk.key.clone()) {
                print(&open.store, &id, attempt, flags, &chunk).await?;
            }
        }
        if !flags.follow || closed {
            break;
        }
        tokio::time::sleep(PERIOD).await;
    }
    if shown.is_empty() {
        out::note(&format!(
            "no {} output of {id} is in the store",
            flags.stream.name()
        ));
    }
    Ok(0)
}

async fn chunks(store: &Store, run: &RunId, attempt: Attempt, flags: &Flags) -> Result<Vec<Chunk>, Failure> {
    let prefix = layout::logs(run, attempt);
    let keys = runs::keys(store, &prefix).await?;
    let mut chunks: Vec<Chunk> = keys
        .into_iter()
        .filter_map(|(key, _)| chunk(&prefix, key, flags.stream.name()))
        .collect();
    chunks.retain(|chunk| flags.node.as_ref().is_none_or(|node| node.as_str() == chunk.node));
    chunks.sort();
    Ok(chunks)
}

/// `<node>/<stream>-<number>.log.gz` below the prefix.
fn chunk(prefix: &str, key: String, stream: &str) -> Option<Chunk> {
    let (node, file) = key.strip_prefix(prefix)?.split_once('/')?;
    let number = file
        .strip_suffix(".log.gz")?
        .strip_prefix(stream)?
        .strip_prefix('-')?
        .parse()
        .ok()?;
    let node = node.parse::<NodeId>().ok()?.to_string();
    Some(Chunk { node, number, key })
}

async fn print(
    store: &Store,
    run: &RunId,
    attempt: Attempt,
    flags: &Flags,
    chunk: &Chunk,
) -> Result<(), Failure> {
    // Removed between the listing and now: nothing to show.
    let Some(object) = store.get_capped(&chunk.key, CHUNK_MAX).await? else {
        return Ok(());
    };
    let text = unpack(&object.bytes)
        .map_err(|e| Failure::infra(format!("{} cannot be unpacked: {e}", chunk.key)))?;
    let many = flags.node.is_none() && flags.stream != Stream::Job;
    for line in text.lines() {
        if flags.json {
            out::json(&json!({
                "schema": SCHEMA, "run": run, "attempt": attempt, "node": chunk.node,
                "stream": flags.stream.name(), "line": line,
            }))?;
        } else if many {
            out::line(&format!("{}  {}", chunk.node, plain::line(line)))?;
        } else {
            out::line(&plain::line(line))?;
        }
    }
    Ok(())
}

fn unpack(bytes: &[u8]) -> std::io::Result<String> {
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(CHUNK_MAX)
        .read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_told_from_what_else_is_there() {
        let of = |key: &str| chunk("p/", key.to_owned(), "job").map(|c| (c.node, c.number));
        assert_eq!(
            of("p/master-1/job-000012.log.gz"),
            Some(("master-1".to_owned(), 12))
        );
        for other in [
            "p/master-1/engine-000001.log.gz",
            "p/x/job-000001.log.gz",
            "p/master-1/job-x.log.gz",
            "q/a",
            "p/a",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
