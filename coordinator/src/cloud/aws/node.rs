//! Machines of AWS as nodes of a run.

use jiff::Timestamp;
use mayfly_aws::catalog::Prices;
use mayfly_aws::fleet::{Instance, State};
use mayfly_aws::tags::Group;
use mayfly_proto::NodeId;

use super::blueprint::role;
use crate::cloud::{Machine, Offer};

/// The node on a machine: its role and AWS's own name of it, so that a person finds it in the console.
pub(super) fn id(group: Group, instance: &str) -> Option<NodeId> {
    format!("{}-{instance}", group.role()).parse().ok()
}

/// A machine as it was seen now, over what was known of it.
pub(super) fn seen(
    instance: &Instance,
    known: Option<&Machine>,
    prices: &Prices,
    now: Timestamp,
) -> Option<Machine> {
    let ended = known.and_then(|known| known.ended);
    let offer = known.and_then(|known| known.offer.as_ref());
    let known_price = offer.map(|offer| offer.hourly_micros);
    let paid_until = offer.and_then(|offer| offer.paid_until);
    let price = prices.of(&instance.kind, &instance.zone, instance.spot);
    // Spot never costs more than on demand.
    let price = price.or_else(|| prices.of(&instance.kind, &instance.zone, false));
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
            paid_until: paid_until.or((instance.state != State::Up).then_some(now)),
            hourly_micros: known_price.or(price).unwrap_or_default(),
        }),
    })
}
