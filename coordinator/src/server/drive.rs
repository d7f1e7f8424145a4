//! Driving a run: what it takes, and the task that does so until the run is closed or another's.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_proto::RunId;

use super::{Launch, Server};
use crate::cloud::{Meeting, Offered, Order, Plan};
use crate::driver::{Context, Driver, Seat, Start, Stop};
use crate::home::RunLock;

/// The owner of a run turns ten times a second; one that has not for so long is stuck.
const DRIVER_TURN_MAX: Duration = Duration::from_secs(30);

/// A run that is about to be driven.
pub(super) struct Ready {
    pub(super) offered: Offered,
    pub(super) start: Start,
    pub(super) order: Order,
    pub(super) etag: String,
    pub(super) lock: RunLock,
}

impl Server {
    /// What the cloud of a run is told.
    pub(super) fn order(
        &self,
        run: &RunId,
        launch: &Launch,
        deadline: Timestamp,
        plan: Plan,
        meeting: Meeting,
    ) -> Order {
        Order {
            run: run.clone(),
            meeting,
            fingerprint: self.fingerprint_for_nodes(),
            joining: self.parts.tokens.joining(run),
            store: self.parts.store.s3_url(""),
            owner: launch.owner.clone(),
            deadline,
            plan,
            job: launch.job.clone(),
        }
    }

    /// From now on the run has an owner here, and is found.
    pub(super) async fn drive(self: &Arc<Self>, launch: &Launch, ready: Ready) {
        let (seat, handle) = Seat::new();
        let run = ready.order.run.clone();
        self.enter(&run, launch, &ready.offered, ready.order.plan.sizes, handle)
            .await;
        let server = Arc::clone(self);
        self.drivers.spawn(async move { server.own(ready, seat).await });
    }

    /// Drives a run until it is closed or another's.
    pub(super) async fn own(self: Arc<Self>, ready: Ready, seat: Seat) {
        let Ready {
            offered,
            start,
            order,
            etag,
            lock,
        } = ready;
        let run = order.run.clone();
        let context = Context {
            cloud: Arc::clone(&offered.cloud),
            store: self.parts.store.clone(),
            home: self.parts.home.clone(),
            order,
            etag,
            yields: self.puts_on_master(),
            notify: self.parts.notify.clone(),
        };
        let pulse = self.admin.watch(run.as_str(), DRIVER_TURN_MAX);
        match Driver::new(context, start, seat).drive(pulse).await {
            Stop::Closed => {
                self.put_away(&run).await;
                self.clear_folder(&run).await;
                self.forget_older(run.clone()).await;
            }
            Stop::Superseded(seat) if self.puts_on_master() => {
                return self.follow_and_close(run, seat, lock).await;
            }
            // Its folder and its nodes are the other coordinator's.
            Stop::Superseded(_) => {
                self.runs.write().await.remove(&run);
            }
            Stop::Left => {}
        }
        offered.cloud.forget(&run).await;
        drop(lock);
    }
}
