//! `serve`: the coordinator for several people or runs, in the foreground.

use std::net::SocketAddr;
use std::path::Path;

use mayfly_configs::{AdHoc, ad_hoc};
use mayfly_kit::consul::Consul;
use mayfly_kit::shutdown::{self, Signals};
use serde_json::json;
use tokio::task::JoinSet;

use super::args::Listen;
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::out;
use crate::embedded::{Embedded, Life, Options};
use crate::record::SCHEMA;

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  coordinator serve --listen 127.0.0.1:7070\n  \
MAYFLY_TOKEN=… coordinator launch log-reg-iris --coordinator http://127.0.0.1:7070 --detach")]
pub(crate) struct Flags {
    #[command(flatten)]
    listen: Listen,
    /// Address of the admin pages (/live, /ready, /metrics, /status) [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    consul: ConsulArgs,
    /// Release of Spark that its nodes run [default: that of the job file's defaults]
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
    /// One JSON object: {schema, url, token, admin}
    #[arg(long)]
    json: bool,
}

/// Serves until it is told to stop; runs that go on are waited for.
///
/// # Errors
/// The coordinator cannot be started.
pub(crate) async fn run(flags: &Flags, home: &Path) -> Result<u8, Failure> {
    let (signals, mut level) = Signals::listen().map_err(|e| Failure::chain("listen for signals", &e))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(signals.count());
    let spark = match &flags.spark {
        Some(version) => version.clone(),
        None => default_spark()?,
    };
    let consul = flags.consul.sides()?;
    let options = Options {
        home: home.to_owned(),
        listen: flags.listen.listen,
        admin: flags.admin,
        spark,
        consul: consul.as_ref().map(|sides| sides.nodes.clone()),
        life: Life::Server,
    };
    let embedded = Embedded::start(options, |step| {
        out::note(&format!("{} {}", step.name, step.detail));
    })
    .await?;
    let announced = match consul {
        Some(sides) => Some(embedded.announce(Consul::open(&sides.own)?)?),
        None => None,
    };
    if flags.json {
        out::json(
            &json!({ "schema": SCHEMA, "url": embedded.url, "token": embedded.token, "admin": embedded.admin }),
        )?;
    } else {
        out::line(&format!("export MAYFLY_TOKEN={}", embedded.token))?;
        out::line(&format!("# admin pages: http://{}/status", embedded.admin))?;
        out::line(&format!(
            "# coordinator launch JOB --coordinator {}",
            embedded.url
        ))?;
    }
    shutdown::reached(&mut level, 1).await;
    if let Some(announced) = announced {
        announced.withdraw().await;
    }
    out::note("stopping when the runs that go on are closed; a second signal stops at once");
    tokio::select! {
        () = embedded.drained() => {}
        () = shutdown::reached(&mut level, 2) => {}
    }
    tokio::select! {
        () = embedded.stop() => Ok(0),
        () = shutdown::reached(&mut level, 3) => Err(Failure::silent(130)),
    }
}

/// The release that a job file has when it names none.
fn default_spark() -> Result<String, Failure> {
    let any = AdHoc {
        entry: "main.py".to_owned(),
        ..AdHoc::default()
    };
    Ok(ad_hoc(&any, &|_| None)?.spark.version)
}
