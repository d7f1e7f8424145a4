//! `serve`: the coordinator for several people or runs, in the foreground.

use std::path::{Path, PathBuf};

use mayfly_configs::{
    AdHoc, Given, SETTINGS_DEFAULTS, ServeLimits, Settings, StoreSettings, ad_hoc, load_settings,
};
use mayfly_kit::consul::Consul;
use mayfly_kit::shutdown;
use mayfly_kit::store::{Access, StoreConfig};
use serde_json::json;

use super::consul::ConsulArgs;
use super::failure::Failure;
use super::{browser, notify, out, secret, signals, storage};
use crate::consul::Sides;
use crate::embedded::{Embedded, Life, Options};
use crate::home::Home;
use crate::notify::Notify;
use crate::notify::reach::Reach;
use crate::record::SCHEMA;
use crate::transport::{Listen, Wished, raise_files};

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A flag wins over the environment, the environment over the settings file, that over the defaults.

Examples:
  coordinator serve --listen 127.0.0.1:7070
  coordinator serve --listen 0.0.0.0:7070 --public-url https://mayfly.example.org:7070
  coordinator serve --print-config > serve.yml        the defaults, to be edited
  coordinator serve --config serve.yml
  coordinator launch log-reg-iris --coordinator https://mayfly.example.org:7070 --fingerprint sha256:… \
      --token-file people.token")]
pub(crate) struct Flags {
    /// The settings file (YAML)
    #[arg(long, env = "MAYFLY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the default settings, with what each means, and do nothing
    #[arg(long)]
    print_config: bool,
    /// Address to listen on; TLS where it is not loopback [default: a free port of 127.0.0.1]
    #[arg(long, env = "MAYFLY_LISTEN", value_name = "IP:PORT")]
    listen: Option<String>,
    /// TLS on loopback too
    #[arg(long)]
    tls: bool,
    /// https://HOST:PORT by which agents and people reach it [default: the address itself]
    #[arg(long, env = "MAYFLY_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// The listener's certificate (PEM), then those that it was issued under [default: one of the coordinator's own]
    #[arg(long, requires = "key_file", value_name = "FILE")]
    cert_file: Option<String>,
    /// The key of that certificate (PEM)
    #[arg(long, requires = "cert_file", value_name = "FILE")]
    key_file: Option<String>,
    /// Address of the admin pages (/live, /ready, /metrics, /status) [default: a free port of 127.0.0.1]
    #[arg(long, env = "MAYFLY_ADMIN", value_name = "IP:PORT")]
    admin: Option<String>,
    /// Release of Spark that its nodes run [default: that of the job file's defaults]
    #[arg(long, env = "MAYFLY_SPARK", value_name = "VERSION")]
    spark: Option<String>,
    #[command(flatten)]
    consul: ConsulArgs,
    /// One JSON object: {schema, url, token, fingerprint, admin, page}
    #[arg(long)]
    json: bool,
    /// Show the runs in a browser
    #[arg(long)]
    open: bool,
}

impl Flags {
    /// The settings in force.
    fn settings(&self) -> Result<Settings, Failure> {
        let flags: [(&str, &'static [&'static str], &Option<String>); 6] = [
            ("--listen (MAYFLY_LISTEN)", &["listen"], &self.listen),
            (
                "--public-url (MAYFLY_PUBLIC_URL)",
                &["public_url"],
                &self.public_url,
            ),
            ("--cert-file", &["tls", "cert_file"], &self.cert_file),
            ("--key-file", &["tls", "key_file"], &self.key_file),
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
    let home = match (given, &settings.state) {
        (None, Some(state)) => std::path::absolute(state).unwrap_or_else(|_| state.clone()),
        (Some(_), _) | (None, None) => found.to_owned(),
    };
    let consul = settings.consul.map(ConsulArgs::from);
    let consul = consul.unwrap_or_default().sides()?;
    let options = Options {
        home: home.clone(),
        listen: Listen {
            address: Some(settings.listen),
            always_tls: flags.tls,
            files: settings.tls.map(|files| (files.cert_file, files.key_file)),
            public_url: settings.public_url,
            names: Vec::new(),
            connections: connections(&settings.limits),
        },
        runs_max: usize::try_from(settings.limits.runs).unwrap_or(usize::MAX),
        admin: Some(settings.admin),
        spark: settings.spark.map_or_else(default_spark, Ok)?,
        consul: consul.clone(),
        store: settings.store.as_ref().map(store_config).transpose()?,
        aws: settings.aws,
        life: Life::Server,
        notify: Notify {
            always: settings.notify,
            secret: notify::secret(settings.notify_secret_file.as_deref())?,
            reach: Reach::Public,
        },
    };
    serve(flags, &home, options, consul).await
}

async fn serve(flags: &Flags, home: &Path, options: Options, consul: Option<Sides>) -> Result<u8, Failure> {
    let mut signals = signals::counting()?;
    raise_files();
    let embedded = Embedded::start(options, |step| {
        out::note(&format!("{} {}", step.name, step.detail));
    })
    .await?;
    let announced = match consul {
        Some(sides) => Some(embedded.announce(Consul::open(&sides.own)?)),
        None => None,
    };
    tell(flags.json, &embedded, home)?;
    if flags.open {
        browser::show(home, &embedded.entrance("/"));
    }
    shutdown::reached(&mut signals.level, 1).await;
    if let Some(announced) = announced {
        announced.withdraw().await;
    }
    out::note("stopping when the runs that go on are closed; a second signal stops at once");
    tokio::select! {
        () = embedded.drained() => {}
        () = shutdown::reached(&mut signals.level, 2) => {}
    }
    tokio::select! {
        () = embedded.stop() => Ok(0),
        () = shutdown::reached(&mut signals.level, 3) => Err(Failure::silent(130)),
    }
}

/// What the settings say of connections.
fn connections(limits: &ServeLimits) -> Wished {
    let number = |wished: Option<u32>| wished.and_then(|wished| usize::try_from(wished).ok());
    Wished {
        strangers: number(limits.connections),
        per_address: number(limits.connections_per_address),
        nodes: number(limits.node_connections),
    }
}

/// The store that the settings name.
pub(super) fn store_config(store: &StoreSettings) -> Result<StoreConfig, Failure> {
    Ok(StoreConfig {
        endpoint: store.endpoint.clone(),
        bucket: store.bucket.clone(),
        prefix: storage::key_prefix(&store.prefix),
        region: store.region.clone(),
        access: Access::Keys {
            access_key: secret::read("the access key of the store", &store.access_key_file)?,
            secret_key: secret::read("the secret key of the store", &store.secret_key_file)?,
        },
    })
}

/// How people reach it. The token itself is in a file, for them to copy.
fn tell(json: bool, embedded: &Embedded, home: &Path) -> Result<(), Failure> {
    if json {
        return out::json(&json!({
            "schema": SCHEMA,
            "url": embedded.url,
            "token": embedded.token,
            "fingerprint": embedded.fingerprint.map(|print| print.to_string()),
            "admin": embedded.admin,
            "page": embedded.url,
        }));
    }
    let home = Home::open(home)?;
    out::line(&format!(
        "export MAYFLY_TOKEN_FILE={}",
        home.people_token().display()
    ))?;
    if let Some(print) = embedded.fingerprint {
        out::line(&format!("export MAYFLY_FINGERPRINT={print}"))?;
    }
    out::line(&format!(
        "# the runs in a browser: {}  (it asks for the token; --open does not)",
        embedded.url
    ))?;
    out::line(&format!("# admin pages: http://{}/status", embedded.admin))?;
    out::line(&format!(
        "# coordinator launch JOB --coordinator {}",
        embedded.url
    ))
}

/// The release that a job file has when it names none.
fn default_spark() -> Result<String, Failure> {
    let any = AdHoc {
        entry: "main.py".to_owned(),
        ..AdHoc::default()
    };
    Ok(ad_hoc(&any, &|_| None)?.spark.version)
}
