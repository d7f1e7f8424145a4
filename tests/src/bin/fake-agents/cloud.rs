//! A cloud whose machines are agents in another process: it hands out the order and says that all are there.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mayfly_configs::Job;
use mayfly_coordinator::cloud::{Cloud, CloudError, Machine, Order, Pace, Plan, Sight};
use mayfly_coordinator::home::write_private;
use mayfly_coordinator::run::{Role, Wanted};
use mayfly_proto::{NodeId, RunId};

use crate::OrderFile;

/// Machines that exist as soon as they are wanted and end as soon as they are not.
pub(crate) struct FakeCloud {
    order: PathBuf,
    machines: Mutex<Vec<Machine>>,
}

impl FakeCloud {
    /// A cloud that writes its order into this file.
    pub(crate) fn new(order: PathBuf) -> Self {
        Self {
            order,
            machines: Mutex::default(),
        }
    }

    fn machines(&self) -> std::sync::MutexGuard<'_, Vec<Machine>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cloud for FakeCloud {
    async fn plan(&self, job: &Job) -> Result<Plan, CloudError> {
        Ok(Plan::as_ordered(job))
    }

    async fn arm(&self, order: &Order) -> Result<(), CloudError> {
        let file = OrderFile {
            run: order.run.to_string(),
            url: order.meeting.address().to_owned(),
            master_token: order.joining.token(Role::Master, Timestamp::now()),
            worker_token: order.joining.token(Role::Worker, Timestamp::now()),
        };
        let text = serde_json::to_vec(&file).map_err(std::io::Error::other);
        let written = text.and_then(|text| write_private(&self.order, &text));
        written.map_err(|source| CloudError::Transient {
            what: "write the order".into(),
            source,
        })
    }

    async fn keep(&self, _run: &RunId, wanted: Wanted, _until: Timestamp) -> Result<(), CloudError> {
        let mut machines = self.machines();
        if machines.is_empty() {
            machines.extend((1..=wanted.masters).map(|n| machine(NodeId::master(n), Role::Master)));
            // It has no Consul, and so no job whose nodes are alike.
            machines.extend((1..=wanted.workers).map(|n| machine(NodeId::worker(n), Role::Worker)));
        }
        Ok(())
    }

    async fn end(&self, _run: &RunId, node: &NodeId) -> Result<(), CloudError> {
        for machine in self.machines().iter_mut().filter(|machine| machine.node == *node) {
            machine.ended.get_or_insert(Timestamp::now());
        }
        Ok(())
    }

    async fn observe(&self, _run: &RunId) -> Result<Sight, CloudError> {
        Ok(Sight {
            machines: self.machines().clone(),
            ..Sight::default()
        })
    }

    async fn forget(&self, _run: &RunId) {}

    fn pace(&self) -> Pace {
        Pace {
            keeping: Duration::from_millis(500),
            releasing: Duration::from_millis(50),
        }
    }

    async fn release(&self, _run: &RunId) -> Result<(), CloudError> {
        let now = Timestamp::now();
        for machine in self.machines().iter_mut() {
            machine.ended.get_or_insert(now);
        }
        Ok(())
    }
}

fn machine(node: NodeId, role: Role) -> Machine {
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Machine {
        id: node.to_string(),
        node,
        role,
        address,
        started: Timestamp::now(),
        ended: None,
        offer: None,
    }
}
