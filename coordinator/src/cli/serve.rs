//! `serve`: the coordinator for several people or runs, in the foreground.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mayfly_configs::{AdHoc, ad_hoc};
use mayfly_kit::shutdown::{self, Signals};
use serde_json::json;
use tokio::task::JoinSet;

use super::failure::Failure;
use super::out;
use crate::embedded::{Embedded, Life, Options};
use crate::home::Home;
use crate::record::SCHEMA;
use crate::transport::{Listen, raise_files};

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  coordinator serve --listen 127.0.0.1:7070\n  \
coordinator serve --listen 0.0.0.0:7070 --public-url https://mayfly.example:7070\n  \
coordinator launch log-reg-iris --coordinator https://mayfly.example:7070 --fingerprint sha256:… \
--token-file people.token")]
pub(crate) struct Flags {
    /// Address to listen on; TLS where it is not loopback [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// TLS on loopback too
    #[arg(long)]
    tls: bool,
    /// https://HOST:PORT by which agents and people reach it [default: the address itself]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The listener's certificate (PEM), then those that it was issued under [default: one of the coordinator's own]
    #[arg(long, requires = "key_file", value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, requires = "cert_file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Address of the admin pages (/live, /ready, /metrics, /status) [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// Release of Spark that its nodes run [default: that of the job file's defaults]
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
    /// One JSON object: {schema, url, token, fingerprint, admin}
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
    raise_files();
    let spark = match &flags.spark {
        Some(version) => version.clone(),
        None => default_spark()?,
    };
    let options = Options {
        home: home.to_owned(),
        listen: flags.listen(),
        admin: flags.admin,
        spark,
        life: Life::Server,
    };
    let embedded = Embedded::start(options, |step| {
        out::note(&format!("{} {}", step.name, step.detail));
    })
    .await?;
    if flags.json {
        out::json(&json!({
            "schema": SCHEMA,
            "url": embedded.url,
            "token": embedded.token,
            "fingerprint": embedded.fingerprint.map(|print| print.to_string()),
            "admin": embedded.admin,
        }))?;
    } else {
        tell(&embedded, home)?;
    }
    shutdown::reached(&mut level, 1).await;
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

impl Flags {
    fn listen(&self) -> Listen {
        Listen {
            address: self.listen,
            always_tls: self.tls,
            files: self.cert_file.clone().zip(self.key_file.clone()),
            public_url: self.public_url.clone(),
        }
    }
}

/// How people reach it. The token itself is in a file, for them to copy.
fn tell(embedded: &Embedded, home: &Path) -> Result<(), Failure> {
    let home = Home::open(home)?;
    out::line(&format!(
        "export MAYFLY_TOKEN_FILE={}",
        home.people_token().display()
    ))?;
    if let Some(print) = embedded.fingerprint {
        out::line(&format!("export MAYFLY_FINGERPRINT={print}"))?;
    }
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
