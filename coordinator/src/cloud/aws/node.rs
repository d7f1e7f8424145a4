//! Machines of AWS as nodes of a run.

use jiff::Timestamp;
use mayfly_aws::fleet::{Instance, State};
use mayfly_aws::tags::Group;
use mayfly_proto::NodeId;

use crate::cloud::{Machine, Offer};
use crate::run::Role;

/// What a machine of a group is for.
pub(super) fn role(group: Group) -> Role {
    match group {
        Group::Master => Role::Master,
        Group::Workers => Role::Worker,
    }
}

/// The node on a machine: its role and AWS's own name of it, so that a person finds it in the console.
pub(super) fn id(group: Group, instance: &str) -> Option<NodeId> {
    format!("{}-{instance}", group.role()).parse().ok()
}

/// A machine as it was seen now, over what was known of it. `hourly` is what an hour of it costs now.
pub(super) fn seen(
    instance: &Instance,
    known: Option<&Machine>,
    hourly: Option<u64>,
    now: Timestamp,
) -> Option<Machine> {
    let ended = known.and_then(|known| known.ended);
    let offer = known.and_then(|known| known.offer.as_ref());
    let known_price = offer.map(|offer| offer.hourly_micros);
    let paid_until = offer.and_then(|offer| offer.paid_until);
    Some(Machine {
        id: instance.id.clone(),
        node: id(instance.group, &instance.id)?,
        role: role(instance.group),
        address: instance.address.or(known.and_then(|known| known.address)),
        started: instance.launched,
        ended: match instance.state {
            State::Ended => ended.or(Some(now)),
            // Once it has ended it stays so, whatever a late answer says.
            State::Up | State::Ending => ended,
        },
        offer: Some(Offer {
            kind: instance.kind.clone(),
            zone: instance.zone.clone(),
            spot: instance.spot,
            paid_until: paid_until.or_else(|| {
                let told = instance
                    .told_to_end
                    .filter(|told| *told >= instance.launched && *told <= now);
                (instance.state != State::Up).then_some(told.unwrap_or(now))
            }),
            hourly_micros: known_price.or(hourly).unwrap_or_default(),
        }),
    })
}
