//! `logs`: the output of a run, out of the store alone.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum as _;
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, NodeId, RunId};
use serde_json::json;

use super::args::RunArg;
use super::failure::Failure;
use super::{out, plain, runs};
use crate::logs::stored::{self, Chunk, ChunkError};
use crate::record::{RunRecord, SCHEMA};

/// Time between two looks with `--follow`.
const PERIOD: Duration = Duration::from_secs(1);
/// Bytes that are written at once.
const BLOCK: usize = 64 * 1024;

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  coordinator logs last -f\n  coordinator logs last --tail 100\n  coordinator logs last --node worker-1 --stream engine"
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
    /// Only the last lines of each node
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<usize>,
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
    /// That of the engine: Spark's Master and Workers, Dask's scheduler, …
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

/// Prints the output.
///
/// # Errors
/// There is no such run, or the store cannot be read.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let open = runs::open(home).await?;
    let id = runs::find(&open.store, &flags.run.run).await?;
    let mut shown = HashSet::new();
    let mut tail = flags.tail;
    let mut first = None;
    loop {
        let record = runs::record(&open.store, &id).await?;
        // Asked before the chunks are: what was written before the end is then seen for sure.
        let closed = record.is_closed();
        let last = wanted(flags, &record)?;
        // One that was followed may have ended between two looks: its rest comes before the next one.
        let mut attempt = *first.get_or_insert(last);
        while attempt <= last {
            let printer = Printer::of(&open.store, &record, attempt, flags);
            printer.news(tail.take(), &mut shown).await?;
            attempt = attempt.next();
        }
        if !flags.follow || closed {
            break;
        }
        tokio::time::sleep(PERIOD).await;
    }
    if shown.is_empty() {
        out::note(&nothing(&open.store, &id, flags).await?);
    }
    Ok(0)
}

/// The attempt that is named, or else the one of now.
fn wanted(flags: &Flags, record: &RunRecord) -> Result<Attempt, Failure> {
    flags
        .attempt
        .map_or(Ok(record.attempt), Attempt::try_from)
        .map_err(Failure::usage)
}

/// Says that there is nothing, and what there is instead.
async fn nothing(store: &Store, id: &RunId, flags: &Flags) -> Result<String, Failure> {
    let record = runs::record(store, id).await?;
    let printer = Printer::of(store, &record, wanted(flags, &record)?, flags);
    let mut there = Vec::new();
    for stream in Stream::value_variants()
        .iter()
        .filter(|one| **one != flags.stream)
    {
        if !printer.chunks(*stream).await?.is_empty() {
            there.push(format!("--stream {}", stream.name()));
        }
    }
    let whose = flags
        .node
        .as_ref()
        .map_or_else(|| id.to_string(), |node| format!("{node} in {id}"));
    let nothing = format!("no {} output of {whose} is in the store", flags.stream.name());
    Ok(if there.is_empty() {
        nothing
    } else {
        format!("{nothing}; there is some with {}", there.join(" and with "))
    })
}

struct Printer<'a> {
    store: &'a Store,
    run: &'a RunId,
    attempt: Attempt,
    flags: &'a Flags,
}

impl<'a> Printer<'a> {
    fn of(store: &'a Store, record: &'a RunRecord, attempt: Attempt, flags: &'a Flags) -> Self {
        Self {
            store,
            run: &record.run,
            attempt,
            flags,
        }
    }

    /// Prints the chunks that were not shown yet, or only the last lines of all.
    async fn news(&self, tail: Option<usize>, shown: &mut HashSet<String>) -> Result<(), Failure> {
        let chunks = self.chunks(self.flags.stream).await?;
        if let Some(lines) = tail {
            self.tail(&chunks, lines).await?;
            shown.extend(chunks.into_iter().map(|chunk| chunk.key));
            return Ok(());
        }
        for chunk in chunks {
            if shown.insert(chunk.key.clone()) {
                self.chunk(&chunk).await?;
            }
        }
        Ok(())
    }

    async fn chunks(&self, stream: Stream) -> Result<Vec<Chunk>, Failure> {
        let node = self.flags.node.as_ref().map(NodeId::as_str);
        Ok(stored::of_stream(self.store, self.run, self.attempt, stream.name(), node).await?)
    }

    /// One chunk at a time: a log may be larger than memory.
    async fn chunk(&self, chunk: &Chunk) -> Result<(), Failure> {
        // Removed between the listing and now: nothing to show.
        let Some(text) = stored::text(self.store, &chunk.key).await.map_err(broken)? else {
            return Ok(());
        };
        self.lines(&chunk.node, text.lines())
    }

    async fn tail(&self, chunks: &[Chunk], lines: usize) -> Result<(), Failure> {
        let tails = stored::tail(self.store, chunks, self.flags.stream.name(), lines).await;
        for (node, lines) in tails.map_err(broken)? {
            self.lines(&node, lines.iter().map(String::as_str))?;
        }
        Ok(())
    }

    /// Prints lines of a node.
    fn lines<'t>(&self, node: &str, lines: impl Iterator<Item = &'t str>) -> Result<(), Failure> {
        let mut block = String::new();
        for line in lines {
            block.push_str(&self.shown(node, line)?);
            block.push('\n');
            if block.len() >= BLOCK {
                out::lines(&block)?;
                block.clear();
            }
        }
        out::lines(&block)
    }

    /// A line as it is printed.
    fn shown(&self, node: &str, line: &str) -> Result<String, Failure> {
        if self.flags.json {
            return out::json_text(&json!({
                "schema": SCHEMA, "run": self.run, "attempt": self.attempt, "node": node,
                "stream": self.flags.stream.name(), "line": line,
            }));
        }
        let many = self.flags.node.is_none() && self.flags.stream != Stream::Job;
        if many {
            return Ok(format!("{node}  {}", plain::line(line)));
        }
        Ok(plain::line(line))
    }
}

fn broken(error: ChunkError) -> Failure {
    match error {
        ChunkError::Store(error) => error.into(),
        packed @ ChunkError::Packed { .. } => Failure::chain("", &packed),
    }
}
