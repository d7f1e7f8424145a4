//! The block `aws` of the settings.

use std::ops::RangeInclusive;

use super::{NetworkAt, goes_with, values};
use crate::check::optional;
use crate::diag::{Problem, Sink};
use crate::read::Section;
use crate::units::Secs;

/// Seconds between two looks: AWS's limits on one side, a person who waits on the other.
const LOOK: RangeInclusive<u64> = 1..=60;

/// Where in AWS fleets are launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// The network.
    pub network: NetworkAt,
    /// Security group of the nodes, in a network that somebody else made.
    pub security_group: Option<String>,
    /// Instance profile of the nodes there.
    pub instance_profile: Option<String>,
    /// ARN of the role that jobs there get sessions of.
    pub job_role: Option<String>,
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

/// What is said of networks that somebody else made.
const OF_OTHERS: [&str; 3] = ["security_group", "instance_profile", "job_role"];

/// Reports the keys that a network of ours has no use for.
fn none_of(sink: &mut Sink, block: &Section<'_>, keys: &[&'static str]) -> bool {
    let before = sink.count();
    for field in keys.iter().filter_map(|key| block.get(key)) {
        let problem = Problem::new("is given for a network that has its own");
        field.report(
            sink,
            problem.help("it goes with `network: consul:PATH` or ids of subnets: remove it"),
        );
    }
    sink.count() == before
}

/// Outer none: wrong; inner none: no fleets on AWS.
pub(super) fn aws(sink: &mut Sink, block: &Section<'_>) -> Option<Option<AwsSettings>> {
    let network = optional(block.get("network"), |field| field.with(sink, values::network));
    let security_group = optional(block.get("security_group"), |field| {
        field.with(sink, values::security_group)
    });
    let instance_profile = optional(block.get("instance_profile"), |field| {
        field.with(sink, values::instance_profile)
    });
    let job_role = optional(block.get("job_role"), |field| field.with(sink, values::role_arn));
    let region = optional(block.get("region"), |field| field.with(sink, values::region));
    let profile = optional(block.get("profile"), |field| field.with(sink, values::aws_name));
    let endpoint = optional(block.get("endpoint"), |field| field.with(sink, values::base_url));
    let image = optional(block.get("image"), |field| field.with(sink, values::image));
    let key_pair = optional(block.get("key_pair"), |field| field.with(sink, values::aws_name));
    let look_every = block
        .need(sink, "look_every")
        .and_then(|field| field.duration(sink, LOOK));
    let (network, region, profile, endpoint) = (network?, region?, profile?, endpoint?);
    let (security_group, instance_profile, job_role) = (security_group?, instance_profile?, job_role?);
    let (image, key_pair, look_every) = (image?, key_pair?, look_every?);
    let Some(network) = network else {
        let idle = ["region", "profile", "endpoint", "image", "key_pair"];
        let all = [&idle[..], &OF_OTHERS].concat();
        return goes_with(sink, block, "network", &all).then_some(None);
    };
    if matches!(network, NetworkAt::Named(_)) && !none_of(sink, block, &OF_OTHERS) {
        return None;
    }
    Some(Some(AwsSettings {
        network,
        security_group,
        instance_profile,
        job_role,
        region,
        profile,
        endpoint,
        image,
        key_pair,
        look_every,
    }))
}
