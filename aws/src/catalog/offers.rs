//! Instance types: what they are, and in which zones they are to be had.

use aws_sdk_ec2::types::{InstanceTypeInfo, LocationType};

use crate::Account;
use crate::error::{AwsError, Kind, failed};

/// An instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Such as `m7g.large`.
    pub kind: String,
    /// vCPUs.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// `x86_64` or `arm64`.
    pub architectures: Vec<String>,
    /// Zones of the region that have it.
    pub zones: Vec<String>,
}

fn offer(info: &InstanceTypeInfo) -> Option<Offer> {
    let cores = info.v_cpu_info.as_ref().and_then(|info| info.default_v_cpus);
    let memory = info.memory_info.as_ref().and_then(|info| info.size_in_mib);
    let processor = info.processor_info.as_ref();
    let architectures = processor
        .map(|info| info.supported_architectures())
        .unwrap_or_default();
    Some(Offer {
        kind: info.instance_type.as_ref()?.as_str().to_owned(),
        cores: cores.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        memory_mib: memory.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        architectures: architectures.iter().map(|one| one.as_str().to_owned()).collect(),
        zones: Vec::new(),
    })
}

/// What is known of these types, in their order.
///
/// # Errors
/// One of them does not exist or is not offered in this region, or AWS refuses or does not answer.
pub async fn offers(account: &Account, kinds: &[String]) -> Result<Vec<Offer>, AwsError> {
    let doing = || format!("ask for the instance types {}", kinds.join(", "));
    let asked = account
        .ec2
        .describe_instance_types()
        .set_instance_types(Some(kinds.iter().map(|kind| kind.as_str().into()).collect()));
    let answer = asked.send().await.map_err(|error| failed(doing(), error))?;
    let mut found: Vec<Offer> = answer
        .instance_types
        .unwrap_or_default()
        .iter()
        .filter_map(offer)
        .collect();
    let mut pages = account
        .ec2
        .describe_instance_type_offerings()
        .location_type(LocationType::AvailabilityZone)
        .filters(
            aws_sdk_ec2::types::Filter::builder()
                .name("instance-type")
                .set_values(Some(kinds.to_vec()))
                .build(),
        )
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failed(doing(), error))?;
        for offering in page.instance_type_offerings.unwrap_or_default() {
            let kind = offering.instance_type.as_ref().map(|kind| kind.as_str());
            if let Some(offer) = found.iter_mut().find(|offer| Some(offer.kind.as_str()) == kind) {
                offer.zones.extend(offering.location);
            }
        }
    }
    kinds
        .iter()
        .map(|kind| {
            let known = found.iter().find(|offer| offer.kind == *kind).cloned();
            known.ok_or_else(|| {
                AwsError::new(
                    Kind::Unsupported,
                    doing(),
                    format!("{kind} does not exist or is not offered in {}", account.region()),
                )
            })
        })
        .collect()
}
