//! A coordinator elsewhere, or the one on this machine that drives a run.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use mayfly_kit::consul::Consul;
use mayfly_proto::RunId;
use mayfly_proto::v1::{ListRequest, RunView};

use super::client::{self, Access, Client};
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::{runs, settings};
use crate::consul::find_coordinator;
use crate::embedded::{Embedded, OpenStore};
use crate::home::Home;
use crate::server::Control;

/// What stands for the coordinator that Consul knows.
const IN_CONSUL: &str = "consul";
/// What stands for a coordinator in the command, whatever the settings say.
const NONE: &str = "none";
/// What stands for the newest run.
const LAST: &str = "last";

/// Which coordinator.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Coordinator")]
pub(crate) struct Remote {
    /// Use the coordinator at this URL, or the one that Consul knows, instead of one in this command [default: that of
    /// the client's settings, else none]
    #[arg(long, env = "MAYFLY_COORDINATOR", value_name = "URL|consul|none")]
    coordinator: Option<String>,
    #[command(flatten)]
    access: Access,
    /// The client's settings file (YAML) [default: ~/.config/mayfly/client.yml, where there is one]
    #[arg(long, env = "MAYFLY_CLIENT_CONFIG", value_name = "FILE")]
    client_config: Option<PathBuf>,
}

/// A run and a connection to its coordinator.
pub(crate) struct Reached {
    pub(crate) client: Client,
    pub(crate) run: String,
    /// What follows the run in this command, where its coordinator cannot be reached itself.
    pub(crate) follower: Option<Embedded>,
}

/// A run that was looked for.
pub(crate) enum Found {
    /// Somebody drives it.
    Open(Reached),
    /// It is over.
    Closed(RunId),
}

/// What the environment and the client's settings say, without a flag.
#[derive(clap::Parser)]
struct Unsaid {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    consul: ConsulArgs,
}

/// A connection to the coordinator that the environment or the client's settings name, if they do.
///
/// # Errors
/// As [`Remote::connect`].
pub(crate) async fn of_environment() -> Result<Option<Client>, Failure> {
    let unsaid = Unsaid::try_parse_from(["coordinator"]);
    let Unsaid { remote, consul } = unsaid.map_err(|error| Failure::usage(error.to_string()))?;
    remote.connect(&consul).await
}

/// A connection to the coordinator of an open run: the one on this machine, else the one that the environment or the
/// client's settings name; `None` where neither answers.
pub(crate) async fn coordinator_of(home: &Path, id: &RunId) -> Option<Client> {
    if let Some(control) = control(home, id).ok().flatten()
        && let Ok(client) = connect_to(&control).await
    {
        return Some(client);
    }
    of_environment().await.ok().flatten()
}

/// Whether the environment or the client's settings name a coordinator.
///
/// # Errors
/// The settings file is wrong.
pub(crate) fn is_in_environment() -> Result<bool, Failure> {
    let unsaid = Unsaid::try_parse_from(["coordinator"]);
    unsaid
        .map_err(|error| Failure::usage(error.to_string()))?
        .remote
        .is_named()
}

impl Remote {
    /// A connection to it, where one is named.
    ///
    /// # Errors
    /// It cannot be found or reached, or is not to be trusted.
    pub(crate) async fn connect(&self, consul: &ConsulArgs) -> Result<Option<Client>, Failure> {
        let (named, access) = self.chosen()?;
        let url = match named.as_deref() {
            None | Some(NONE) => return Ok(None),
            Some(IN_CONSUL) => in_consul(consul).await?,
            Some(url) => url.to_owned(),
        };
        let client = client::connect(&url, &access.token()?, access.trust()?).await?;
        Ok(Some(client))
    }

    /// Whether one is named at all.
    ///
    /// # Errors
    /// The settings file is wrong.
    pub(crate) fn is_named(&self) -> Result<bool, Failure> {
        Ok(self.chosen()?.0.is_some_and(|named| named != NONE))
    }

    /// The coordinator in force, and how to come to it. What the settings file says of its coordinator is not for
    /// another one: a token is shown to whom it was meant for alone.
    fn chosen(&self) -> Result<(Option<String>, Access), Failure> {
        let named = self
            .coordinator
            .as_deref()
            .map(|named| named.trim_end_matches('/'));
        let named = named.filter(|named| !named.is_empty()).map(str::to_owned);
        if named.as_deref() == Some(NONE) {
            return Ok((named, self.access.clone()));
        }
        let file = settings::of_client(self.client_config.as_deref())?;
        if named.is_some() && named != file.coordinator {
            return Ok((named, self.access.clone()));
        }
        Ok((file.coordinator.clone(), self.access.over(&file)?))
    }

    /// The coordinator of a run: the one that is named, else the one on this machine.
    ///
    /// # Errors
    /// There is no such run, or nobody who drives it can be reached.
    pub(crate) async fn of_run(
        &self,
        consul: &ConsulArgs,
        home: &Path,
        wanted: &str,
    ) -> Result<Found, Failure> {
        if let Some(mut client) = self.connect(consul).await? {
            let reply = client.list(ListRequest {}).await;
            let views = reply
                .map_err(|s| client::refused("list the runs", &s))?
                .into_inner()
                .runs;
            let run = pick(&views, wanted)?;
            return Ok(Found::Open(Reached {
                client,
                run,
                follower: None,
            }));
        }
        let open = runs::open_here(home).await?;
        let id = runs::find(&open.store, wanted).await?;
        let record = runs::record(&open.store, &id).await?;
        if record.is_closed() {
            open.close().await;
            return Ok(Found::Closed(id));
        }
        if record.on_master {
            return follow(home, open, &id).await;
        }
        open.close().await;
        if let Some(network) = &record.control {
            return Err(Failure::usage(format!(
                "{id} is driven by the server of the network {network}: name it with --coordinator, or in \
                 ~/.config/mayfly/client.yml, which `coordinator control show {network} --client FILE` writes"
            )));
        }
        let Some(control) = control(home, &id)? else {
            return Err(Failure::infra(format!(
                "no coordinator of {id} lives on this machine: its nodes end by themselves; `coordinator gc --yes` \
                 removes what is left"
            )));
        };
        reach(&control, &id).await
    }
}

async fn connect_to(control: &Control) -> Result<Client, Failure> {
    let trust = client::pinned(control.fingerprint.as_deref())?;
    client::connect(&control.url, &control.token, trust).await
}

async fn reach(control: &Control, id: &RunId) -> Result<Found, Failure> {
    Ok(Found::Open(Reached {
        client: connect_to(control).await?,
        run: id.to_string(),
        follower: None,
    }))
}

/// Through the command on this machine that follows the run already, or by following it here.
#[cfg(feature = "aws")]
async fn follow(home: &Path, open: OpenStore, id: &RunId) -> Result<Found, Failure> {
    if let Some(control) = control(home, id)? {
        let reached = reach(&control, id).await;
        // Else that command is gone, and left its address.
        if reached.is_ok() {
            open.close().await;
            return reached;
        }
    }
    let follower = super::placed::follow(home, open, id).await?;
    Ok(Found::Open(Reached {
        client: client::connect(&follower.url, &follower.token, None).await?,
        run: id.to_string(),
        follower: Some(follower),
    }))
}

#[cfg(not(feature = "aws"))]
async fn follow(_home: &Path, open: OpenStore, id: &RunId) -> Result<Found, Failure> {
    open.close().await;
    Err(Failure::usage(format!(
        "{id} is on AWS, and this program was built without the feature `aws`"
    )))
}

async fn in_consul(consul: &ConsulArgs) -> Result<String, Failure> {
    let found = find_coordinator(&Consul::open(&consul.named()?)?).await?;
    found.ok_or_else(|| {
        Failure::infra("Consul knows no coordinator: start one with `coordinator serve --consul URL`, or name it with --coordinator URL")
    })
}

/// A run by its id, by the beginning of it, or the newest.
fn pick(views: &[RunView], wanted: &str) -> Result<String, Failure> {
    let began = |view: &&RunView| view.phases.first().map_or(0, |span| span.began_ms);
    let found: Vec<&RunView> = match wanted {
        LAST => views.iter().max_by_key(began).into_iter().collect(),
        id => views.iter().filter(|view| view.run_id.starts_with(id)).collect(),
    };
    let exact = found.iter().find(|view| view.run_id == wanted);
    match (exact, found.as_slice()) {
        (Some(view), _) | (None, [view]) => Ok(view.run_id.clone()),
        (None, []) if wanted == LAST => Err(Failure::usage(
            "the coordinator drives no run; `coordinator list` shows those of the store",
        )),
        (None, []) => Err(Failure::usage(format!(
            "the coordinator drives no run {wanted:?}; `coordinator list` shows those of the store"
        ))),
        (None, several) => Err(Failure::usage(format!(
            "{wanted:?} is the beginning of {} runs, such as {} and {}",
            several.len(),
            several.first().map_or("", |view| &view.run_id),
            several.last().map_or("", |view| &view.run_id),
        ))),
    }
}

/// How the coordinator of a run is reached; `None` when there is none on this machine.
fn control(home: &Path, run: &RunId) -> Result<Option<Control>, Failure> {
    // Whoever only reads makes no folder.
    if !home.is_dir() {
        return Ok(None);
    }
    let path = Home::open(home)?.control(run);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::usage(format!("cannot read {}: {e}", path.display()))),
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed
        .map(Some)
        .map_err(|e| Failure::infra(format!("{} cannot be read: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use mayfly_proto::v1::PhaseSpan;

    use super::*;

    fn view(run: &str, began_ms: i64) -> RunView {
        RunView {
            run_id: run.into(),
            phases: vec![PhaseSpan {
                began_ms,
                ..PhaseSpan::default()
            }],
            ..RunView::default()
        }
    }

    #[test]
    fn a_run_is_named_by_its_beginning_or_as_the_last_one() {
        let views = [
            view("iris-abcdefgh", 2),
            view("iris-abzzzzzz", 1),
            view("iris", 0),
        ];
        assert_eq!(pick(&views, "last").unwrap(), "iris-abcdefgh");
        assert_eq!(pick(&views, "iris-abz").unwrap(), "iris-abzzzzzz");
        assert_eq!(
            pick(&views, "iris").unwrap(),
            "iris",
            "a whole id is no beginning"
        );
        assert!(pick(&views, "iris-ab").unwrap_err().text().contains("2 runs"));
        assert!(pick(&views, "flights").is_err() && pick(&[], "last").is_err());
    }
}
