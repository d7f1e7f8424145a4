//! What runs the job: a coordinator in this command, or one elsewhere.

use std::path::Path;
use std::time::Duration;

use mayfly_configs::Job;
use mayfly_kit::shutdown::{self, Level};
use mayfly_proto::v1::GetStoreRequest;
use tokio::sync::watch;

#[cfg(feature = "aws")]
use super::flags::Cloud;
use super::flags::Flags;
use crate::cli::client::{self, Client};
use crate::cli::failure::Failure;
use crate::cli::follow::Manner;
use crate::cli::view::Screen;
use crate::cli::{leftovers, notify, storage};
use crate::embedded::{Embedded, Life, Options};
use crate::toolchain::Step;
use crate::transport::Listen;

/// Longest wait for the record's last words.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// A connection to it, and the coordinator itself where it is in this command.
pub(super) struct Coordinator {
    pub(super) embedded: Option<Embedded>,
    pub(super) client: Client,
    pub(super) manner: Manner,
}

impl Coordinator {
    /// The one that is named, one that begins the run and leaves it to its own master, or one of this machine.
    ///
    /// # Errors
    /// It does not answer or cannot be started, or does not keep its runs where the job wants to be kept.
    pub(super) async fn open(
        flags: &Flags,
        job: &Job,
        home: &Path,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let kept = job.results.as_ref().map(ToString::to_string);
        if let Some(client) = flags.remote.connect(&flags.consul).await? {
            return Self::elsewhere(client, kept.as_deref()).await;
        }
        #[cfg(feature = "aws")]
        if flags.on == Some(Cloud::Aws) {
            return Self::placed(flags, kept.as_deref(), home, screen).await;
        }
        Self::here(flags, job, kept.as_deref(), home, screen).await
    }

    /// A server that others have started.
    async fn elsewhere(mut client: Client, kept: Option<&str>) -> Result<Self, Failure> {
        if let Some(kept) = kept {
            kept_there(&mut client, kept).await?;
        }
        Ok(Self {
            embedded: None,
            client,
            manner: Manner::Guest,
        })
    }

    /// What begins the run and follows it, which is driven on its own master.
    #[cfg(feature = "aws")]
    async fn placed(
        flags: &Flags,
        kept: Option<&str>,
        home: &Path,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let consul = flags.consul.sides()?.map(|sides| sides.nodes);
        screen.doing("looking for the network")?;
        let embedded = crate::cli::placed::open(&flags.aws, home, consul, kept).await?;
        screen.note(&store_line(&embedded))?;
        Self::of(embedded, Manner::Guest).await
    }

    /// One for this run alone, on machines that are processes here.
    async fn here(
        flags: &Flags,
        job: &Job,
        kept: Option<&str>,
        home: &Path,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let store = match kept {
            Some(kept) => Some(storage::at(kept).await?),
            None => None,
        };
        let options = Options {
            home: home.to_owned(),
            listen: Listen::default(),
            runs_max: 1,
            admin: None,
            spark: job.spark.version.clone(),
            consul: flags.consul.sides()?,
            store,
            aws: None,
            life: Life::Command,
            notify: notify::of_command()?,
        };
        let progress = |step: Step| {
            // When the screen cannot be written, the next line that matters fails too.
            let _ = screen.doing(&format!("{} {}", step.name, step.detail));
        };
        let embedded = Embedded::start(options, progress).await?;
        if kept.is_some() {
            screen.note(&store_line(&embedded))?;
        }
        for note in leftovers::notes(home, &embedded.store).await? {
            screen.note(&note)?;
        }
        Self::of(embedded, Manner::Own).await
    }

    async fn of(embedded: Embedded, manner: Manner) -> Result<Self, Failure> {
        Ok(Self {
            client: client::connect(&embedded.url, &embedded.token, None).await?,
            embedded: Some(embedded),
            manner,
        })
    }

    /// Lets the coordinator write the end of the run into its record, and ends it.
    pub(super) async fn close(self, level: &mut watch::Receiver<Level>) {
        drop(self.client);
        let Some(embedded) = self.embedded else {
            return;
        };
        let end = async {
            // Whatever keeps it: the receipt is there, and the next `gc` closes the record.
            let _ = tokio::time::timeout(CLOSE_LIMIT, embedded.drained()).await;
            embedded.stop().await;
        };
        tokio::select! {
            () = end => {}
            () = shutdown::reached(level, shutdown::LEVEL_MAX) => {}
        }
    }
}

/// Where the run is kept, for whoever wants to read it later.
fn store_line(embedded: &Embedded) -> String {
    let store = embedded.store.store.s3_url("");
    let store = store.trim_end_matches('/');
    format!("store    {store}  (the verbs that read want MAYFLY_STORE={store})")
}

/// Whether a coordinator elsewhere keeps its runs where the job wants to be kept.
async fn kept_there(client: &mut Client, kept: &str) -> Result<(), Failure> {
    let reply = client.get_store(GetStoreRequest {}).await;
    let place = reply
        .map_err(|status| client::refused("find the store", &status))?
        .into_inner();
    let there = format!("s3://{}/{}", place.bucket, place.prefix);
    if there.trim_end_matches('/') == kept.trim_end_matches('/') {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the job says `results: {kept}`, and this coordinator keeps its runs in {}: take that line out, or launch without \
         the coordinator",
        there.trim_end_matches('/')
    )))
}
