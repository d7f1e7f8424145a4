//! What a run's machines are made of: from its order and what AWS has.

use jiff::Timestamp;
use mayfly_aws::fleet::{Blueprint, ConsulAt, JobRole, Make, UserData};
use mayfly_aws::tags::{Group, Labels};
use mayfly_configs::Machine;

use super::node::role;
use super::site::{AwsSite, Plan};
use crate::cloud::{Meeting, Order};

/// Shape of the user data.
const VERSION: u32 = 1;
const GIB: u64 = 1 << 30;

pub(super) fn blueprint(site: &AwsSite, order: &Order, plan: &Plan) -> Blueprint {
    Blueprint {
        labels: Labels {
            run: order.run.clone(),
            // Machines compare it with the date of their metadata.
            deadline: site.account.clock().theirs(order.deadline),
            coordinator: order.meeting.address().to_owned(),
            store: order.store.clone(),
            owner: order.owner.clone(),
            own: order.job.tags.clone(),
        },
        image: plan.image.id.clone(),
        root_device: plan.image.root_device.clone(),
        subnets: plan.subnets.iter().map(|subnet| subnet.id.clone()).collect(),
        security_group: plan.network.security_group.clone(),
        profile: plan.network.profile.clone(),
        key_pair: site.key_pair.clone(),
        public_address: plan.network.public,
        master: make(&order.job.master, 0),
        workers: make(&order.job.workers.machine, order.job.workers.on_demand),
    }
}

fn make(machine: &Machine, on_demand: u32) -> Make {
    Make {
        types: machine.instance.iter().map(ToString::to_string).collect(),
        spot: machine.spot,
        on_demand_base: on_demand,
        disk_gib: u32::try_from(machine.disk_bytes.div_ceil(GIB)).unwrap_or(u32::MAX),
    }
}

/// What machines that start now are told.
pub(super) fn user_data(
    site: &AwsSite,
    order: &Order,
    job_role: Option<&str>,
    group: Group,
    now: Timestamp,
) -> UserData {
    let (join_token, package_key) = match &order.meeting {
        Meeting::At(_) | Meeting::InRecord | Meeting::Arranged => {
            (order.joining.token(role(group), now), None)
        }
        Meeting::OnMaster { key, until } => {
            let key = (group == Group::Master).then(|| key.clone());
            (order.joining.token_until(role(group), *until), key)
        }
    };
    UserData {
        version: VERSION,
        join_token,
        package_key,
        fingerprint: order.fingerprint.map(|print| print.to_string()),
        consul: site.consul.as_ref().map(|consul| ConsulAt {
            address: consul.address.clone(),
            datacenter: consul.datacenter.clone(),
            prefix: consul.prefix.clone(),
        }),
        store_endpoint: site.store_endpoint.clone(),
        job_role: job_role.map(|arn| JobRole {
            arn: arn.to_owned(),
            endpoint: site.account.endpoint(),
        }),
    }
}
