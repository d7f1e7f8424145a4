//! `serve`: the coordinator for several people or runs, in the foreground.

use std::path::{Path, PathBuf};

use mayfly_configs::{AdHoc, Given, SETTINGS_DEFAULTS, Settings, ad_hoc, load_settings};
use mayfly_kit::consul::Consul;
use mayfly_kit::shutdown::{self, Signals};
use serde_json::json;
use tokio::task::JoinSet;

use super::consul::ConsulArgs;
use super::failure::Failure;
use super::out;
use crate::consul::Sides;
use crate::embedded::{Embedded, Life, Options};
use crate::record::SCHEMA;

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A flag wins over the environment, the environment over the settings file, that over the defaults.

Examples:
  coordinator serve --listen 127.0.0.1:7070
  coordinator serve --print-config > serve.yml        the defaults, to be edited
  coordinator serve --config serve.yml
  MAYFLY_TOKEN=… coordinator launch log-reg-iris --coordinator http://127.0.0.1:7070 --detach")]
pub(crate) struct Flags {
    /// The settings file (YAML)
    #[arg(long, env = "MAYFLY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the default settings, with what each means, and do nothing
    #[arg(long)]
    print_config: bool,
    /// Address to listen on [default: a free port of 127.0.0.1]
    #[arg(long, env = "MAYFLY_LISTEN", value_name = "IP:PORT")]
    listen: Option<String>,
    /// Address of the admin pages (/live, /ready, /metrics, /status) [default: a free port of 127.0.0.1]
    #[arg(long, env = "MAYFLY_ADMIN", value_name = "IP:PORT")]
    admin: Option<String>,
    /// Release of Spark that its nodes run [default: that of the job file's defaults]
    #[arg(long, env = "MAYFLY_SPARK", value_name = "VERSION")]
    spark: Option<String>,
    #[command(flatten)]
    consul: ConsulArgs,
    /// One JSON object: {schema, url, token, admin}
    #[arg(long)]
    json: bool,
}

impl Flags {
    /// The settings in force.
    fn settings(&self) -> Result<Settings, Failure> {
        let flags: [(&str, &'static [&'static str], &Option<String>); 3] = [
            ("--listen (MAYFLY_LISTEN)", &["listen"], &self.listen),
            ("--admin (MAYFLY_ADMIN)", &["admin"], &self.admin),
            ("--spark (MAYFLY_SPARK)", &["spark"], &self.spark),
        ];
        let mut given = self.consul.given();
        for (flag, key, text) in flags {
            given.extend(text.clone().map(|text| Given { flag, key, text }));
        }
        Ok(load_settings(self.config.as_deref(), &given)?)
    }
}

/// Serves until it is told to stop; runs that go on are waited for. `given` is the folder that flags or the environment
/// name, `found` the one to use when the settings name none either.
///
/// # Errors
/// The settings are wrong, or the coordinator cannot be started.
pub(crate) async fn run(flags: &Flags, given: Option<&Path>, found: &Path) -> Result<u8, Failure> {
    if flags.print_config {
        out::line(SETTINGS_DEFAULTS.trim_end())?;
        return Ok(0);
    }
    let settings = flags.settings()?;
    refuse_unused(&settings)?;
    let home = match (given, &settings.state) {
        (None, Some(state)) => std::path::absolute(state).unwrap_or_else(|_| state.clone()),
        (Some(_), _) | (None, None) => found.to_owned(),
    };
    let consul = settings.consul.map(ConsulArgs::from);
    let consul = consul.unwrap_or_default().sides()?;
    let options = Options {
        home,
        listen: Some(settings.listen),
        admin: Some(settings.admin),
        spark: settings.spark.map_or_else(default_spark, Ok)?,
        consul: consul.as_ref().map(|sides| sides.nodes.clone()),
        life: Life::Server,
    };
    serve(flags.json, options, consul).await
}

async fn serve(json: bool, options: Options, consul: Option<Sides>) -> Result<u8, Failure> {
    let (signals, mut level) = Signals::listen().map_err(|e| Failure::chain("listen for signals", &e))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(signals.count());
    let embedded = Embedded::start(options, |step| {
        out::note(&format!("{} {}", step.name, step.detail));
    })
    .await?;
    let announced = match consul {
        Some(sides) => Some(embedded.announce(Consul::open(&sides.own)?)?),
        None => None,
    };
    tell(json, &embedded)?;
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

/// How it is reached.
fn tell(json: bool, embedded: &Embedded) -> Result<(), Failure> {
    if json {
        return out::json(
            &json!({ "schema": SCHEMA, "url": embedded.url, "token": embedded.token, "admin": embedded.admin }),
        );
    }
    out::line(&format!("export MAYFLY_TOKEN={}", embedded.token))?;
    out::line(&format!("# admin pages: http://{}/status", embedded.admin))?;
    out::line(&format!(
        "# coordinator launch JOB --coordinator {}",
        embedded.url
    ))
}

/// A setting that would have no effect must not look as if it had.
fn refuse_unused(settings: &Settings) -> Result<(), Failure> {
    let unused = [
        ("public_url", settings.public_url.is_some()),
        ("store", settings.store.is_some()),
        ("tls", settings.tls.is_some()),
    ];
    match unused.into_iter().find(|(_, set)| *set) {
        None => Ok(()),
        Some((key, _)) => Err(Failure::usage(format!(
            "the settings have `{key}`, which this version does not use yet: remove it"
        ))),
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
