//! The machine of a team's server: no node, but the coordinator and a Consul beside it kept alive, from the boot until the
//! machine ends.

mod consul;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use mayfly_kit::admin::Admin;
use mayfly_kit::shutdown::{Signals, reached};
use mayfly_kit::telemetry::{self, Options};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::beside::{Kept, listen, write_private};
use crate::boot::Control;
use crate::supervise::{Keeper, Line, Spec, Stream};
use crate::watchdog;
use consul::Consul;

/// What programs get to end when the machine does: they keep nothing that matters.
const FAREWELL: Duration = Duration::from_secs(20);
const LINES: usize = 1_024;
/// Between two looks whether the server answers, and how long one may take.
const LOOK: Duration = Duration::from_millis(500);

/// What the coordinator is told, in a file that only this user reads.
#[derive(Serialize)]
struct Told<'a> {
    network: &'a str,
    instance: &'a str,
    listen: &'a str,
    public: Option<IpAddr>,
    home: PathBuf,
    bucket: &'a str,
    prefix: &'a str,
    region: &'a str,
    store_endpoint: Option<&'a str>,
    endpoint: Option<&'a str>,
    image: Option<&'a str>,
    consul: Option<&'a consul::Told>,
}

/// How it is started.
pub struct Start {
    /// What it is.
    pub control: Control,
    /// A folder for what lasts until the next boot.
    pub runtime: PathBuf,
    /// Written once the server answers, for whoever watches over the boot.
    pub marker: PathBuf,
    /// Log as JSON.
    pub json: bool,
}

/// Keeps the server alive until this is told to end.
///
/// # Errors
/// What makes it impossible: its folders cannot be written, signals cannot be listened for.
pub async fn run(start: Start) -> anyhow::Result<()> {
    telemetry::init(&Options {
        json: start.json,
        default_filter: "info",
        tee: None,
    })?;
    let (signals, mut level) = Signals::listen().context("listen for signals")?;
    let mut loops = JoinSet::new();
    loops.spawn(signals.count());
    loops.spawn(watchdog::feed(Admin::new()));
    let (lines, printed) = mpsc::channel(LINES);
    loops.spawn(print(printed));
    let at = listen(start.control.address);
    let consul = consul_beside(&start.control)?;
    let of_consul = consul.as_ref().map(|consul| &consul.told);
    let told = tell(&start, &at, of_consul).context("tell the coordinator what it is")?;
    let (done, is_done) = watch::channel(false);
    let mut kept = JoinSet::new();
    let specs = [
        Some(coordinator(&told, &start.runtime)?),
        consul.map(|consul| consul.spec),
    ];
    for spec in specs.into_iter().flatten() {
        let one = Kept {
            spec,
            farewell: FAREWELL,
            may_end: false,
        };
        kept.spawn(one.keep(lines.clone(), is_done.clone()));
    }
    tracing::info!(
        network = start.control.network,
        at,
        "this machine is the server of a team"
    );
    let served = async {
        answers(&at).await;
        let marked = tokio::fs::write(&start.marker, "").await;
        marked.with_context(|| format!("write {}", start.marker.display()))?;
        tracing::info!("the server answers");
        std::future::pending::<anyhow::Result<()>>().await
    };
    let ended = tokio::select! {
        failed = served => failed,
        () = reached(&mut level, 1) => Ok(()),
    };
    done.send_replace(true);
    while kept.join_next().await.is_some() {}
    loops.shutdown().await;
    ended
}

/// An image without the program does without Consul: the server does not need it.
fn consul_beside(control: &Control) -> anyhow::Result<Option<Consul>> {
    let Some(program) = &control.consul else {
        return Ok(None);
    };
    if !program.is_file() {
        tracing::error!(program = %program.display(), "there is no Consul in this image: the server does without");
        return Ok(None);
    }
    let keeper = std::env::current_exe().context("find the agent's executable")?;
    let consul = Consul::new(control, program, keeper).context("prepare Consul")?;
    Ok(Some(consul))
}

fn tell(start: &Start, listen: &str, consul: Option<&consul::Told>) -> io::Result<PathBuf> {
    let control = &start.control;
    let told = Told {
        network: &control.network,
        instance: &control.instance,
        listen,
        public: control.public,
        home: control.folder.join("control"),
        bucket: &control.bucket,
        prefix: &control.prefix,
        region: &control.region,
        store_endpoint: control.store_endpoint.as_deref(),
        endpoint: control.endpoint.as_deref(),
        image: control.image.as_deref(),
        consul,
    };
    let file = start.runtime.join("control.json");
    std::fs::create_dir_all(&start.runtime)?;
    write_private(&file, &serde_json::to_vec(&told)?)?;
    Ok(file)
}

/// The program `coordinator` beside this one.
fn coordinator(told: &Path, folder: &Path) -> io::Result<Spec> {
    let agent = std::env::current_exe()?;
    Ok(Spec {
        name: "coordinator".into(),
        stream: Stream::Agent,
        program: agent.with_file_name("coordinator").into(),
        args: vec!["on-control".into(), told.into()],
        env: std::env::vars_os().collect(),
        cwd: folder.to_owned(),
        keeper: Keeper::from(agent),
    })
}

/// Until somebody answers there.
async fn answers(at: &str) {
    let address: Option<SocketAddr> = at.parse().ok();
    loop {
        if let Some(address) = address
            && matches!(timeout(LOOK, TcpStream::connect(address)).await, Ok(Ok(_)))
        {
            return;
        }
        sleep(LOOK).await;
    }
}

/// What programs say goes to the service manager's log: there is no run that it belongs to.
#[expect(clippy::print_stderr, reason = "this is where they are read")]
async fn print(mut lines: mpsc::Receiver<Line>) {
    while let Some(line) = lines.recv().await {
        eprintln!("{}", line.text);
    }
}
