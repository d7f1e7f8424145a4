//! The block `aws` of the settings.

use std::ops::RangeInclusive;

use super::{goes_with, values};
use crate::check::optional;
use crate::diag::Sink;
use crate::read::Section;
use crate::units::Secs;

/// Seconds between two looks: AWS's limits on one side, a person who waits on the other.
const LOOK: RangeInclusive<u64> = 1..=60;

/// Where in AWS fleets are launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// Name of the network.
    pub network: String,
    /// Its region, unless it is that of the profile or the environment.
    pub region: Option<String>,
    /// Profile of the AWS CLI's configuration.
    pub profile: Option<String>,
    /// URL of all services, where they are not AWS's own.
    pub endpoint: Option<String>,
    /// The image, unless it is looked for by its tags.
    pub image: Option<String>,
    /// Key pair for whoever wants to log in.
    pub key_pair: Option<String>,
    /// Between two looks at the machines of a run.
    pub look_every: Secs,
}

/// Outer none: wrong; inner none: no fleets on AWS.
pub(super) fn aws(sink: &mut Sink, block: &Section<'_>) -> Option<Option<AwsSettings>> {
    let network = optional(block.get("network"), |field| field.with(sink, values::network));
    let region = optional(block.get("region"), |field| field.with(sink, values::region));
    let profile = optional(block.get("profile"), |field| field.with(sink, values::aws_name));
    let endpoint = optional(block.get("endpoint"), |field| field.with(sink, values::base_url));
    let image = optional(block.get("image"), |field| field.with(sink, values::image));
    let key_pair = optional(block.get("key_pair"), |field| field.with(sink, values::aws_name));
    let look_every = block
        .need(sink, "look_every")
        .and_then(|field| field.duration(sink, LOOK));
    let (network, region, profile, endpoint) = (network?, region?, profile?, endpoint?);
    let (image, key_pair, look_every) = (image?, key_pair?, look_every?);
    let Some(network) = network else {
        let idle = ["region", "profile", "endpoint", "image", "key_pair"];
        return goes_with(sink, block, "network", &idle).then_some(None);
    };
    Some(Some(AwsSettings {
        network,
        region,
        profile,
        endpoint,
        image,
        key_pair,
        look_every,
    }))
}
