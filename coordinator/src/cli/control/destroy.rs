//! `control destroy`.

use mayfly_aws::control;
use mayfly_kit::layout;
use mayfly_proto::RunId;

use super::text::Known;
use super::{Failure, Which};
use crate::cli::{out, runs};
use crate::control::whereabouts::Whereabouts;
use crate::embedded::OpenStore;

/// Most objects that a server has left, or more: then it is said again.
const OBJECTS_MAX: usize = 20_000;
/// Open runs that are named.
const NAMED: usize = 5;

/// Flags of `control destroy`.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(flatten)]
    which: Which,
    /// Really
    #[arg(long)]
    yes: bool,
    /// Although runs of it are open: nobody drives them any more, and AWS ends their machines when their lease runs out
    #[arg(long)]
    abandon_runs: bool,
}

/// Takes the server away, and last what it keeps in the store.
pub(super) async fn run(flags: &Flags) -> Result<u8, Failure> {
    let site = flags.which.open().await?;
    let network = &flags.which.network;
    let store = site.store().await?;
    if !flags.yes {
        let parts = control::find(&site.account, network).await?;
        let server = match &store {
            Some(store) => Whereabouts::read(&store.store, network).await?,
            None => None,
        };
        let known = Known {
            parts: &parts,
            server: server.as_ref(),
            hourly: None,
        };
        known.show(flags.which.json)?;
        out::note("nothing has been taken away: say --yes");
        return Ok(0);
    }
    if let Some(store) = &store
        && !flags.abandon_runs
    {
        refuse_open_runs(store, network).await?;
    }
    let progress = |what: &str| out::note(&format!("taking away {what}"));
    control::destroy(&site.account, network, progress).await?;
    match &store {
        Some(store) => forget(store, network).await?,
        None => out::note("the network does not name its store: what the server kept there stays"),
    }
    if !flags.which.json {
        out::line(&format!("nothing is left of the server of the network {network}"))?;
    }
    Ok(0)
}

async fn refuse_open_runs(store: &OpenStore, network: &str) -> Result<(), Failure> {
    let folder = layout::control_requests(network);
    let mut open = Vec::new();
    for entry in store.store.list_all(&folder, OBJECTS_MAX).await? {
        let name = entry
            .key
            .strip_prefix(&folder)
            .and_then(|name| name.strip_suffix(".json"));
        let Some(run) = name.and_then(|name| name.parse::<RunId>().ok()) else {
            continue;
        };
        // A request without a record never became a run.
        let is_there = store.store.size(&layout::record(&run)).await?.is_some();
        if is_there && !runs::record(&store.store, &run).await?.is_closed() {
            open.push(run.to_string());
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = open.iter().take(NAMED).map(String::as_str).collect();
    let dots = if open.len() > NAMED { ", …" } else { "" };
    Err(Failure::usage(format!(
        "{} runs of this server are open ({}{dots}), and nothing has been taken away: cancel them or wait for their end, or \
         say --abandon-runs",
        open.len(),
        named.join(", ")
    )))
}

async fn forget(store: &OpenStore, network: &str) -> Result<(), Failure> {
    let all = store
        .store
        .list_all(&layout::control(network), OBJECTS_MAX)
        .await?;
    if !all.is_empty() {
        out::note("taking away what it kept in the store");
    }
    for entry in all {
        store.store.delete(&entry.key).await?;
    }
    Ok(())
}
