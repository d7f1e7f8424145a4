//! Where the coordinator of a run lives: here, or on the fleet's own master.

use std::sync::Arc;

use jiff::Timestamp;
use mayfly_kit::crash::{self, Point};
use mayfly_kit::layout;
use mayfly_kit::store::StoreError;
use mayfly_kit::tls::Fingerprint;
use mayfly_proto::RunId;

use super::{Launch, Server, ServerError};
use crate::cloud::Meeting;
use crate::driver::Seat;
use crate::home::RunLock;
use crate::placed::follow::{End, Follower};
use crate::placed::package::{Package, Place};
use crate::placed::wish::Wish;
use crate::record::RunRecord;

/// Where the coordinators of runs live.
pub enum Placement {
    /// In this process, which nodes reach.
    Here,
    /// Each on its fleet's own master: this process begins runs and follows them.
    OnMaster(Placing),
    /// On this machine, which is the master of the one run that there is.
    Master,
    /// In this process, the server of a team, whose machine AWS replaces: the next one goes on from what is in the store.
    Control {
        /// The network that it serves.
        network: String,
    },
}

/// What this process gives the coordinator on a master. No `Debug`: it holds a key.
pub struct Placing {
    /// Authority of the run's certificates, PEM.
    pub authority: String,
    /// What nodes pin of it.
    pub fingerprint: Fingerprint,
    /// Where the fleet is.
    pub place: Place,
}

/// Who drives a run, for people.
fn driver_of(record: &RunRecord) -> String {
    match &record.control {
        Some(network) => format!("the server of the network {network}"),
        None if record.on_master => "the one on its own master".to_owned(),
        None => format!(
            "{}; where nobody answers there any more, `coordinator gc` in that one's folder ends the run",
            record.coordinator
        ),
    }
}

impl Server {
    /// Whether its runs are driven on their own masters, and only followed from here.
    pub(super) fn puts_on_master(&self) -> bool {
        match self.parts.placement {
            Placement::OnMaster(_) => true,
            Placement::Here | Placement::Master | Placement::Control { .. } => false,
        }
    }

    /// What the record says of the coordinator's address: nothing, as long as it is not where it shall be.
    pub(super) fn own_url(&self) -> String {
        match self.parts.placement {
            Placement::Here | Placement::Master | Placement::Control { .. } => self.parts.url.clone(),
            Placement::OnMaster(_) => String::new(),
        }
    }

    pub(super) fn fingerprint_for_nodes(&self) -> Option<Fingerprint> {
        match &self.parts.placement {
            Placement::Here | Placement::Master | Placement::Control { .. } => self.fingerprint(),
            Placement::OnMaster(placing) => Some(placing.fingerprint),
        }
    }

    /// How the machines of a run that is made now find their coordinator. Whatever that one begins with is in the store
    /// before there is a machine.
    pub(super) async fn meeting(
        &self,
        run: &RunId,
        launch: &Launch,
        deadline: Timestamp,
    ) -> Result<Meeting, ServerError> {
        let placing = match &self.parts.placement {
            Placement::OnMaster(placing) => placing,
            Placement::Control { .. } => return Ok(Meeting::InRecord),
            Placement::Here | Placement::Master => return Ok(Meeting::At(self.parts.url.clone())),
        };
        let (secret, people) = self.parts.tokens.parts();
        let package = Package::new(
            launch.clone(),
            secret.to_owned(),
            people.to_owned(),
            placing.authority.clone(),
            placing.place.clone(),
            self.parts.notify.secret.as_deref().map(str::to_owned),
        );
        let (sealed, key) = package.seal()?;
        let place = layout::package(run);
        let put = self.parts.store.put(&place, sealed);
        crash::around(Point::PackagePut, put).await?;
        Wish::prepare(&self.parts.store, run).await?;
        Ok(Meeting::OnMaster { key, until: deadline })
    }

    /// How a run that is taken over goes on.
    pub(super) fn meeting_again(&self) -> Meeting {
        match self.parts.placement {
            Placement::Here => Meeting::At(self.parts.url.clone()),
            Placement::Control { .. } => Meeting::InRecord,
            Placement::OnMaster(_) | Placement::Master => Meeting::Arranged,
        }
    }

    /// Nobody begins with it any more.
    pub(super) async fn put_away(&self, run: &RunId) {
        let store = &self.parts.store;
        let away = match &self.parts.placement {
            Placement::Here => Ok(()),
            Placement::OnMaster(_) | Placement::Master => store.put(&layout::package(run), Vec::new()).await,
            Placement::Control { network } => store.delete(&layout::control_request(network, run)).await,
        };
        if let Err(error) = away {
            tracing::warn!(%run, %error, "what the run's coordinator began with is left in the store");
        }
    }

    /// The same request again: the run is there. One whose coordinator lives elsewhere is followed; one that nobody drives,
    /// since its launch died or lost the store's answer, is taken over; one that another coordinator drives is that one's.
    pub(super) async fn found(self: &Arc<Self>, run: &RunId, lock: RunLock) -> Result<(), ServerError> {
        if self.puts_on_master() {
            return self.follow(run, lock).await;
        }
        match self.open_record(run).await? {
            Some(open) => self.go_on(run, open, lock).await,
            None => self.not_ours(run, lock).await,
        }
    }

    /// The run of a request is over, or another coordinator drives it: then nobody is told that this one does. What was kept
    /// of the request is of no use here.
    async fn not_ours(&self, run: &RunId, _held: RunLock) -> Result<(), ServerError> {
        let Some((record, _)) = self.record_of(run).await? else {
            return Err(ServerError::Foreign(run.clone()));
        };
        if record.is_closed() {
            self.clear_folder(run).await;
            return Ok(());
        }
        // In a folder of this home there may be nodes.
        if record.folder.as_deref() != Some(self.parts.home.run(run).as_path()) {
            self.clear_folder(run).await;
        }
        Err(ServerError::Elsewhere {
            run: run.clone(),
            by: driver_of(&record),
        })
    }

    /// Follows a run that another command launched, here or elsewhere.
    ///
    /// # Errors
    /// There is none, or another command on this machine follows it.
    pub async fn follow_of_another(self: &Arc<Self>, run: &RunId) -> Result<(), ServerError> {
        let Some(lock) = self.parts.home.lock(run)? else {
            return Err(ServerError::Foreign(run.clone()));
        };
        self.follow(run, lock).await
    }

    /// Follows a run that another command launched.
    ///
    /// # Errors
    /// There is none, or its record cannot be read.
    pub(super) async fn follow(self: &Arc<Self>, run: &RunId, lock: RunLock) -> Result<(), ServerError> {
        let (record, _) = self
            .record_of(run)
            .await?
            .ok_or_else(|| ServerError::NoSuchRun(run.clone()))?;
        let offered = self.offered(&record.cloud)?;
        let launch = self.request_of(run, &record);
        let plan = self.plan_of(&record, &offered).await?;
        let (seat, handle) = Seat::new();
        self.enter(run, &launch, &offered, plan.sizes, handle).await;
        self.write_control(run);
        let (server, run) = (Arc::clone(self), run.clone());
        self.drivers
            .spawn(async move { server.follow_and_close(run, seat, lock).await });
        Ok(())
    }

    /// Follows a run until it is closed, or until it is this one's to close.
    pub(super) async fn follow_and_close(self: Arc<Self>, run: RunId, mut seat: Seat, lock: RunLock) {
        loop {
            let follower = Follower::new(&self.parts.store, &run, &mut seat);
            if follower.until_the_end().await == End::Closed {
                self.clear_folder(&run).await;
                return self.forget_older(run).await;
            }
            match self.take_over(&run).await {
                // It was closed, or claimed, in between: the next look says which.
                Ok(None) => {}
                Ok(Some(ready)) => {
                    let ready = ready(lock);
                    // The same task would be a future inside itself.
                    return Box::pin(self.own(ready, seat)).await;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(%run, error, "the run cannot be taken over; trying again");
                }
            }
        }
    }

    pub(super) async fn record_of(&self, run: &RunId) -> Result<Option<(RunRecord, String)>, StoreError> {
        let Some(object) = self.parts.store.get(&layout::record(run)).await? else {
            return Ok(None);
        };
        match serde_json::from_slice(&object.bytes) {
            Ok(record) => Ok(Some((record, object.etag))),
            Err(error) => {
                tracing::error!(%run, %error, "the record of this run cannot be read: it is left alone");
                Ok(None)
            }
        }
    }
}
