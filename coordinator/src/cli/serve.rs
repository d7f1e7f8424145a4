//! `serve`: the coordinator for several people or runs, in the foreground.

use std::path::Path;

use mayfly_kit::shutdown::{self, Signals};
use serde_json::json;
use tokio::task::JoinSet;

use super::args::Listen;
use super::failure::Failure;
use super::out;
use crate::embedded::{Embedded, Options};
use crate::record::SCHEMA;

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  coordinator serve --listen 127.0.0.1:7070\n  \
MAYFLY_TOKEN=… coordinator launch log-reg-iris --coordinator http://127.0.0.1:7070 --detach")]
pub struct Flags {
    #[command(flatten)]
    listen: Listen,
    /// One JSON object: {schema, url, token}
    #[arg(long)]
    json: bool,
}

/// Serves until it is told to stop; runs that go on are told to end first.
///
/// # Errors
/// The coordinator cannot be started.
pub async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let (signals, mut level) = Signals::listen().map_err(|e| Failure::chain("listen for signals", &e))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(signals.count());
    let options = Options { home: home.to_owned(), listen: flags.listen.listen };
    let embedded = Embedded::start(options, |step| out::note(&step.to_string())).await?;
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "url": embedded.url, "token": embedded.token }))?;
    } else {
        out::line(&format!("export MAYFLY_TOKEN={}", embedded.token))?;
        out::line(&format!("# coordinator launch JOB --coordinator {}", embedded.url))?;
    }
    shutdown::reached(&mut level, 1).await;
    out::note("stopping; a second signal stops at once");
    tokio::select! {
        () = embedded.stop() => Ok(0),
        () = shutdown::reached(&mut level, 2) => Err(Failure::silent(130)),
    }
}
