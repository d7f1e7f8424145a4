//! Wires the agent up: who it is, its loops, its state machine, and its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use mayfly_kit::admin::Admin;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::imds::Imds;
use mayfly_kit::shutdown::{Level, Signals};
use mayfly_kit::store::Store;
use mayfly_kit::telemetry::{self, Options, Tee};
use mayfly_proto::v1::Usage;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::access;
use crate::again::Keep;
use crate::attempt::{Common, Facts};
use crate::beside::Beside;
use crate::carry::{Carrier, Visited};
use crate::cgroup;
use crate::collect::Collector;
use crate::config::{Access, NodeConfig, RoleName};
use crate::consul;
use crate::driver::Driver;
use crate::engine;
use crate::identity::{Door, Enrolled};
use crate::logs::{self, Order as LogOrder, Place, Redactor, Tail, live};
use crate::metrics::{Board, Metrics, Standing};
use crate::node::{Node, Role, Why};
use crate::notice::{Lookout, Notice};
use crate::staged::Staged;
use crate::supervise::{Keeper, Line, Stream};
use crate::sync::{Report, Sources, Sync};
use crate::usage::watch_usage;
use crate::visits::Visits;
use crate::watchdog;
use crate::written::{Written, watch_results};

/// Port of the admin pages; every node has an address of its own.
pub const ADMIN_PORT: u16 = 9464;
const EVENTS: usize = 256;
const LOG_ORDERS: usize = 16;
/// For the last words to reach those who watch.
const LAST_WORDS_MAX: Duration = Duration::from_secs(2);
/// For a thread that still reads a file.
pub const THREADS_MAX: Duration = Duration::from_secs(1);
/// Longest from the moment in which a node has ended what it had started to the end of its process, when nobody answers any
/// more.
pub const LEAVING_MAX: Duration = crate::driver::FAREWELL_MAX
    .saturating_add(consul::FAREWELL_MAX)
    .saturating_add(LAST_WORDS_MAX)
    .saturating_add(THREADS_MAX);

/// Of loops that wait for others, as long as those take.
const UNBOUND: Duration = Duration::MAX;

/// How the agent is started.
pub struct Start {
    /// `node.json`.
    pub config: NodeConfig,
    /// Whether the results folder is this node's own.
    pub private_results: bool,
    /// Folder that [`NodeConfig::shared`] shows on this node.
    pub own: PathBuf,
    /// Who says when the machine is taken away; `None` for one that is not lent.
    pub spot: Option<Imds>,
    /// How long results are uploaded when the lease has passed; zero where they outlive the node.
    pub salvage: Duration,
    /// Written once the node is taken in, for whoever watches over the boot.
    pub marker: Option<PathBuf>,
    /// What is kept for a process after this one, where one may follow.
    pub keep: Option<Keep>,
    /// The run's coordinator, where it lives on this machine.
    pub beside: Option<Beside>,
    /// Log as JSON.
    pub json: bool,
}

/// Runs a node to its end and returns why it ended.
///
/// # Errors
/// What makes a node impossible: its folder cannot be written, nobody takes it in.
pub async fn run(mut start: Start) -> anyhow::Result<Why> {
    let boot = Instant::now();
    let (lines, line_receiver) = mpsc::channel(logs::QUEUE);
    let options = Options {
        json: start.json,
        default_filter: "info",
        tee: Some(tee(lines.clone())),
    };
    telemetry::init(&options)?;
    let (signals, level) = Signals::listen().context("listen for signals")?;
    let admin = Admin::new();
    // Before anybody can ask.
    let (latch, ready) = (admin.latch("enrolled"), admin.latch("ready"));
    admin.build_info("agent", env!("CARGO_PKG_VERSION"));
    let metrics = Metrics::new(&admin);
    let mut loops = JoinSet::new();
    loops.spawn(signals.count());
    // What dead agents have left in this place. What resists is for whoever comes next.
    let _resists = cgroup::sweep();
    let admin_port = serve_admin(&start.config, &admin, &mut loops).await;

    loops.spawn(watchdog::feed(admin.clone()));
    let (logs, log_orders) = mpsc::channel(LOG_ORDERS);
    let (place, place_seen) = watch::channel(None);
    let (session, session_seen) = watch::channel(None);
    let (live, pusher) = live::queue();
    let tail = Tail::default();
    let of_consul = start
        .config
        .consul
        .as_ref()
        .and_then(|consul| consul.token.clone());
    let of_store = match &start.config.store.access {
        Access::Keys { secret_key, .. } => Some(secret_key.clone()),
        // They come and go: whoever fetches them says so.
        Access::InstanceProfile(_) | Access::Chain(_) => None,
    };
    let secrets: Vec<String> = [start.config.join_token.clone()]
        .into_iter()
        .chain(of_store)
        .chain(of_consul)
        .collect();
    let keeping = logs::keep(logs::Parts {
        lines: line_receiver,
        orders: log_orders,
        redactor: Redactor::new(&secrets),
        folder: start.config.folder.join("logs"),
        place: place_seen,
        live,
        tail: tail.clone(),
        pulse: admin.watch("logs", UNBOUND),
    });
    loops.spawn(async move {
        if let Err(error) = keeping.await {
            tracing::error!(error = &error as &dyn std::error::Error, "logs cannot be kept");
        }
    });
    loops.spawn(pusher.run(session_seen, admin.watch("push", UNBOUND)));

    let agent = std::env::current_exe().context("find the agent's executable")?;
    let keeper = Keeper::new(agent, start.config.job_user.clone());
    let (done, is_done) = watch::channel(false);
    let mut coordinator = JoinSet::new();
    if let Some(beside) = start.beside {
        coordinator.spawn(beside.keep(keeper.clone(), lines.clone(), is_done));
    }
    let mut door = Door::new(&start.config, start.private_results)?;
    let unsaved = start.keep.as_ref().and_then(Keep::unsaved);
    if let Some(keep) = &start.keep {
        door = door.kept(keep.clone())?;
    }
    let Some(enrolled) = enrol(&mut door, level.clone()).await? else {
        return Ok(Why::Signal);
    };
    drop(latch);
    if let Some(marker) = &start.marker {
        crash::around(Point::AgentMark, tokio::fs::write(marker, ""))
            .await
            .with_context(|| format!("write {}", marker.display()))?;
    }
    tracing::info!(run = %enrolled.session.run, node = %enrolled.session.node, "taken in");
    let Enrolled {
        session: known,
        token,
        spec,
        sync_interval,
    } = enrolled;
    if let Some(consul) = &mut start.config.consul
        && !spec.consul_token.is_empty()
    {
        consul.token = Some(spec.consul_token.clone());
    }
    let secrets = [&token, &spec.engine_secret, &spec.consul_token];
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        logs.send(LogOrder::Learn(secret.clone()))
            .await
            .context("the keeper of the logs has ended")?;
    }
    for secret in spec.secret_env.iter().filter_map(|name| spec.env.get(name)) {
        logs.send(LogOrder::Learn(secret.clone()))
            .await
            .context("the keeper of the logs has ended")?;
    }
    if let Some(unsaved) = &unsaved {
        tracing::warn!(attempt = %unsaved.attempt, "the process before this one has died: what it left is saved");
        logs.send(LogOrder::Begin(unsaved.attempt))
            .await
            .context("the keeper of the logs has ended")?;
    }
    let definition = engine::definition(&spec).map_err(anyhow::Error::msg)?;
    let definition = Arc::new(definition);
    let store = Store::open(&start.config.store);
    let store_access = access::of_job(&start.config, logs.clone(), &mut loops);
    let store_access = store_access
        .await
        .context("serve the job's access to the store")?;
    place.send_replace(Some(Place {
        store: store.clone(),
        run: known.run.clone(),
        node: known.node.clone(),
    }));
    session.send_replace(Some(known.clone()));

    let folder = &start.config.folder;
    let opened = keeper.open_folder(folder);
    opened.with_context(|| format!("let the job's user into {}", folder.display()))?;

    let (usage, usage_seen) = watch::channel(Usage::default());
    let folder = start.config.folder.clone();
    // Nodes of one machine have addresses of the machine's own network.
    let alone = !start.config.address.is_loopback();
    loops.spawn(watch_usage(
        folder,
        alone,
        usage,
        admin.watch("usage", Duration::from_secs(30)),
    ));
    let (written, written_seen) = watch::channel(Written::default());
    loops.spawn(watch_results(
        start.own.join("results"),
        written,
        admin.watch("results", Duration::from_secs(60)),
    ));
    let (report, report_seen) = watch::channel(Report::default());
    let (facts, facts_seen) = watch::channel(Facts::default());
    let (progress, progress_seen) = watch::channel(crate::upload::Progress::default());
    let staged = Arc::new(Staged::default());
    let (standing, standing_seen) = watch::channel(Standing::default());
    let board = Board {
        boot,
        cores: start.config.cores,
        memory_bytes: start.config.memory_bytes,
        standing: standing_seen,
        usage: usage_seen.clone(),
        upload: progress_seen.clone(),
        facts: facts_seen.clone(),
    };
    admin.collect(move || board.families());
    let (event_sender, events) = mpsc::channel(EVENTS);
    let (notice, notice_seen) = watch::channel(Notice::None);
    if let Some(imds) = start.spot {
        let lookout = Lookout {
            imds,
            notice,
            events: event_sender.clone(),
            failures: metrics.notice_failures.clone(),
            pulse: admin.watch("notice", Duration::from_secs(60)),
        };
        loops.spawn(lookout.run());
    }
    let visits = Arc::new(Visits::default());
    let carrier = Carrier {
        session: session.subscribe(),
        facts: facts_seen.clone(),
        node: report.subscribe(),
        visits: Visited::new(&start.config, &spec, &definition, Arc::clone(&visits)),
    };
    loops.spawn(carrier.run(admin.watch("carry", UNBOUND)));
    loops.spawn(
        Sync {
            door,
            session,
            sources: Sources {
                node: report_seen,
                facts: facts_seen,
                usage: usage_seen,
                tail: tail.clone(),
                upload: progress_seen,
                written: written_seen,
                staged: Arc::clone(&staged),
                notice: notice_seen,
                admin_port,
            },
            events: event_sender.clone(),
            boot,
            interval: sync_interval,
            pulse: admin.watch("sync", Duration::from_secs(60)),
            metrics,
        }
        .run(),
    );
    let (seeking, seeking_seen) = watch::channel(None);
    let (standing_for, standing_for_seen) = watch::channel(None);
    let sources = consul::Sources {
        definition: Arc::clone(&definition),
        node: report.subscribe(),
        seeking: seeking_seen,
        standing_for: standing_for_seen,
        events: event_sender.clone(),
        admin: admin.clone(),
    };
    let with_consul = consul::start(&start.config, &known.node, sources);
    let role = match start.config.role {
        RoleName::Master => Role::Master,
        RoleName::Worker => Role::Worker,
        RoleName::Auto => Role::Auto,
    };
    let deadline = start.config.deadline_secs.map(Duration::from_secs);
    let first_lease = Duration::from_secs(start.config.alone_secs);
    let common = Common {
        spec,
        definition,
        session: known,
        store,
        store_access,
        keeper,
        results: start.config.shared.join("results"),
        config: start.config,
        lines,
        logs,
        tail,
        facts,
        staged,
        events: event_sender,
        visits,
    };
    let node = Node::new(role, boot.elapsed() + first_lease)
        .until(deadline)
        .salvaging(start.salvage);
    let driver = Driver {
        node: match unsaved {
            Some(unsaved) => node.again(unsaved),
            None => node,
        },
        keep: start.keep,
        boot,
        events,
        collector: Collector {
            common: Arc::new(common),
            results: start.own.join("results"),
            private_results: start.private_results,
            progress,
        },
        report,
        seeking,
        standing_for,
        signals: level,
        ready: Some(ready),
        pulse: admin.watch("node", Duration::from_secs(30)),
        standing,
    };
    let why = driver.run().await;
    with_consul.farewell().await;
    let _ = timeout(LAST_WORDS_MAX, loops.shutdown()).await;
    // This machine is the last one to go: its coordinator ends the others before.
    done.send_replace(true);
    while coordinator.join_next().await.is_some() {}
    Ok(why)
}

/// Asks to be taken in; `None` when a signal came first.
async fn enrol(door: &mut Door, mut level: watch::Receiver<Level>) -> anyhow::Result<Option<Enrolled>> {
    tokio::select! {
        enrolled = door.enrol() => Ok(Some(enrolled?)),
        () = mayfly_kit::shutdown::reached(&mut level, 1) => Ok(None),
    }
}

/// The agent's own lines go where the job's go. One that finds the queue full is on standard error only.
fn tee(lines: mpsc::Sender<Line>) -> Tee {
    Arc::new(move |text| {
        let _ = lines.try_send(Line {
            stream: Stream::Agent,
            text: text.to_owned(),
        });
    })
}

/// Returns the port, or 0. A node works without its pages: a second agent at one address is told from them, not stopped
/// by them.
async fn serve_admin(config: &NodeConfig, admin: &Admin, loops: &mut JoinSet<()>) -> u16 {
    let address = SocketAddr::new(config.address, ADMIN_PORT);
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let admin = admin.clone();
            loops.spawn(async move {
                let _ = admin.serve(listener, Router::new(), std::future::pending()).await;
            });
            ADMIN_PORT
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no admin pages at {address}"
            );
            0
        }
    }
}
