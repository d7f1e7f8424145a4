//! How many nodes one coordinator carries: the real server with a cloud of fake machines, and the agents of those
//! machines, in two processes so that the cost of each can be told.
//!
//! ```text
//! fake-agents coordinator FOLDER NODES SYNC_SECS   serves until its standard input ends; writes FOLDER/order.json
//! fake-agents agents ORDER NODES SECS              enrols, syncs for SECS, prints what it saw as JSON lines
//! ```

mod agents;
mod cloud;
mod node;
mod serve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// What a machine is told when it is made: where its coordinator is and how it proves what it is.
#[derive(Serialize, Deserialize)]
struct OrderFile {
    run: String,
    url: String,
    master_token: String,
    worker_token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [mode, path, nodes, secs] = args.as_slice() else {
        bail!("usage: coordinator|agents PATH NODES SECS")
    };
    let (path, nodes, secs) = (
        PathBuf::from(path),
        number(nodes)?,
        Duration::from_secs(number(secs)?.into()),
    );
    match mode.to_str() {
        Some("coordinator") => serve::run(&path, nodes, secs).await,
        Some("agents") => agents::run(&path, nodes, secs).await,
        _ => bail!("{} is neither coordinator nor agents", mode.display()),
    }
}

fn number(text: &OsString) -> anyhow::Result<u32> {
    let text = text.to_str().context("a number is needed")?;
    text.parse().with_context(|| format!("{text} is not a number"))
}
