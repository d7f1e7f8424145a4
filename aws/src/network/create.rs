//! Makes what is missing of a network.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use aws_sdk_ec2::types::{
    AttributeBooleanValue, IpPermission, ResourceType, TagSpecification, UserIdGroupPair, VpcEndpointType,
};

use super::find::{Parts, find};
use super::roles::{Policies, ensure_roles};
use super::{thing, way_out};
use crate::Account;
use crate::error::{AwsError, Kind, failed};
use crate::fleet::ec2_tags;
use crate::tags;

/// Most zones that a network spans: one run uses one of them, and the next where there is no capacity.
const ZONES_MAX: usize = 4;
/// Bits that a subnet takes of the block: 16 subnets.
const SUBNET_BITS: u8 = 4;
const EVERYWHERE: &str = "0.0.0.0/0";

/// What network is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// Its address block; a prefix of 16 to 24.
    pub block: (Ipv4Addr, u8),
    /// Whether its machines have no addresses of their own, and go out through a NAT gateway, which is paid for.
    pub private: bool,
    /// `s3://bucket/prefix` of the runs that are launched in it.
    pub store: String,
    /// The user's own tags.
    pub tags: BTreeMap<String, String>,
}

impl Request {
    fn tags(&self, what: &str) -> BTreeMap<String, String> {
        let mut all = self.tags.clone();
        all.insert(tags::MANAGED.0.into(), tags::MANAGED.1.into());
        all.insert(tags::NETWORK.into(), self.name.clone());
        all.insert(tags::STORE.into(), self.store.clone());
        all.insert("Name".into(), thing(&self.name, what));
        all
    }

    pub(super) fn spec(&self, kind: ResourceType, what: &str) -> TagSpecification {
        TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(ec2_tags(&self.tags(what))))
            .build()
    }

    /// The same for a part of the way out.
    pub(super) fn spec_of_way_out(&self, kind: ResourceType) -> TagSpecification {
        let mut tags = self.tags(tags::WAY_OUT);
        tags.insert(tags::PART.into(), tags::WAY_OUT.into());
        TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(ec2_tags(&tags)))
            .build()
    }

    fn spec_of_vpc(&self) -> TagSpecification {
        let mut tags = self.tags("vpc");
        if self.private {
            tags.insert(tags::ACCESS.into(), tags::PRIVATE.into());
        }
        TagSpecification::builder()
            .resource_type(ResourceType::Vpc)
            .set_tags(Some(ec2_tags(&tags)))
            .build()
    }

    fn cidr(&self) -> String {
        format!("{}/{}", self.block.0, self.block.1)
    }

    /// The `n`-th subnet of the block.
    pub(super) fn subnet(&self, n: usize) -> String {
        let bits = self.block.1 + SUBNET_BITS;
        let step = 1u32 << (32 - u32::from(bits));
        let first = u32::from(self.block.0) + step * u32::try_from(n).unwrap_or(0);
        format!("{}/{bits}", Ipv4Addr::from(first))
    }
}

/// Makes what is missing, part by part, telling `progress` what it makes. Returns what there is then.
///
/// # Errors
/// AWS refuses or does not answer; what was made is found by the next call.
pub async fn create(
    account: &Account,
    request: &Request,
    policies: &Policies,
    mut progress: impl FnMut(&str) + Send,
) -> Result<Parts, AwsError> {
    let mut parts = find(account, &request.name).await?;
    refuse_if_other(request, &parts)?;
    let vpc = match parts.vpc.clone() {
        Some(vpc) => vpc,
        None => {
            progress("VPC");
            make_vpc(account, request).await?
        }
    };
    parts.vpc = Some(vpc.clone());
    // Also of one that is there: whoever made it may have died before this.
    name_machines(account, &vpc).await?;
    if parts.store.as_ref() != Some(&request.store) {
        name_store(account, &vpc, &request.store).await?;
    }
    if parts.gateway.is_none() || !parts.attached {
        progress("internet gateway");
        ensure_gateway(account, request, &vpc, &mut parts).await?;
    }
    let zones = zones(account).await?;
    for (n, zone) in zones.iter().enumerate() {
        if parts.subnets.iter().all(|subnet| subnet.zone != *zone) {
            progress(&format!("subnet in {zone}"));
            make_subnet(account, request, &vpc, n, zone).await?;
        }
    }
    parts.subnets = find(account, &request.name).await?.subnets;
    if let Some(zone) = zones.first().filter(|_| request.private) {
        way_out::ensure(account, request, &vpc, zone, &mut parts, &mut progress).await?;
    }
    ensure_routes(account, request, &vpc, &mut parts, &mut progress).await?;
    if parts.endpoint.is_none() {
        progress("way to S3");
        make_endpoint(
            account,
            request,
            &vpc,
            parts.routes.as_deref().unwrap_or_default(),
        )
        .await?;
    }
    if parts.security_group.is_none() {
        progress("security group");
    }
    ensure_security_group(account, request, &vpc, parts.security_group.clone()).await?;
    if parts.profile.is_none() || parts.job_role.is_none() {
        progress("roles of nodes and jobs");
    }
    ensure_roles(account, &request.name, &request.tags("node"), policies).await?;
    find(account, &request.name).await
}

/// A network that is there stays as private or public as it was made: machines may be in it.
fn refuse_if_other(request: &Request, parts: &Parts) -> Result<(), AwsError> {
    if parts.vpc.is_none() || parts.private == request.private {
        return Ok(());
    }
    let said = if parts.private {
        "it is there and private: say --private, or destroy it first"
    } else {
        "it is there and public: leave --private out, or destroy it first"
    };
    Err(AwsError::new(
        Kind::Invalid,
        format!("make the network {}", request.name),
        said,
    ))
}

/// A network that is there learns where its runs are kept.
async fn name_store(account: &Account, vpc: &str, store: &str) -> Result<(), AwsError> {
    let tag = BTreeMap::from([(tags::STORE.to_owned(), store.to_owned())]);
    let named = account
        .ec2
        .create_tags()
        .resources(vpc)
        .set_tags(Some(ec2_tags(&tag)))
        .send()
        .await;
    named
        .map(|_| ())
        .map_err(|error| failed(format!("tag the VPC {vpc} with its store"), error))
}

pub(super) fn lacks(what: &str) -> AwsError {
    AwsError::new(
        Kind::Transient,
        format!("make the {what}"),
        "AWS's answer has no id",
    )
}

async fn make_vpc(account: &Account, request: &Request) -> Result<String, AwsError> {
    let made = account
        .ec2
        .create_vpc()
        .cidr_block(request.cidr())
        .tag_specifications(request.spec_of_vpc())
        .send()
        .await;
    let made = made.map_err(|error| failed(format!("make a VPC of {}", request.cidr()), error))?;
    made.vpc.and_then(|vpc| vpc.vpc_id).ok_or_else(|| lacks("VPC"))
}

/// Machines that have a public address have a public name too.
async fn name_machines(account: &Account, vpc: &str) -> Result<(), AwsError> {
    let names = account
        .ec2
        .modify_vpc_attribute()
        .vpc_id(vpc)
        .enable_dns_hostnames(AttributeBooleanValue::builder().value(true).build())
        .send()
        .await;
    names
        .map(|_| ())
        .map_err(|error| failed(format!("give machines of {vpc} names"), error))
}

async fn ensure_gateway(
    account: &Account,
    request: &Request,
    vpc: &str,
    parts: &mut Parts,
) -> Result<(), AwsError> {
    let gateway = match parts.gateway.clone() {
        Some(gateway) => gateway,
        None => {
            let made = account
                .ec2
                .create_internet_gateway()
                .tag_specifications(request.spec(ResourceType::InternetGateway, "gateway"))
                .send()
                .await;
            let made = made.map_err(|error| failed("make an internet gateway", error))?;
            let id = made
                .internet_gateway
                .and_then(|gateway| gateway.internet_gateway_id);
            id.ok_or_else(|| lacks("internet gateway"))?
        }
    };
    let attached = account
        .ec2
        .attach_internet_gateway()
        .internet_gateway_id(&gateway)
        .vpc_id(vpc)
        .send()
        .await;
    match attached.map_err(|error| failed(format!("attach {gateway} to {vpc}"), error)) {
        Err(error) if error.code() == Some("Resource.AlreadyAssociated") => {}
        other => {
            other?;
        }
    }
    parts.gateway = Some(gateway);
    parts.attached = true;
    Ok(())
}

/// The zones of the region, in their order.
async fn zones(account: &Account) -> Result<Vec<String>, AwsError> {
    let answer = account
        .ec2
        .describe_availability_zones()
        .filters(crate::fleet::filter("opt-in-status", "opt-in-not-required"))
        .filters(crate::fleet::filter("state", "available"))
        .send()
        .await;
    let answer = answer.map_err(|error| failed("list the zones of the region", error))?;
    let mut zones: Vec<String> = answer
        .availability_zones
        .unwrap_or_default()
        .into_iter()
        .filter_map(|zone| zone.zone_name)
        .collect();
    zones.sort();
    zones.truncate(ZONES_MAX);
    Ok(zones)
}

async fn make_subnet(
    account: &Account,
    request: &Request,
    vpc: &str,
    n: usize,
    zone: &str,
) -> Result<(), AwsError> {
    let made = account
        .ec2
        .create_subnet()
        .vpc_id(vpc)
        .cidr_block(request.subnet(n))
        .availability_zone(zone)
        .tag_specifications(request.spec(ResourceType::Subnet, zone))
        .send()
        .await;
    made.map(|_| ())
        .map_err(|error| failed(format!("make the subnet {} in {zone}", request.subnet(n)), error))
}

async fn ensure_routes(
    account: &Account,
    request: &Request,
    vpc: &str,
    parts: &mut Parts,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), AwsError> {
    let table = match parts.routes.clone() {
        Some(table) => table,
        None => {
            progress("route table");
            let made = account
                .ec2
                .create_route_table()
                .vpc_id(vpc)
                .tag_specifications(request.spec(ResourceType::RouteTable, "routes"))
                .send()
                .await;
            let made = made.map_err(|error| failed("make a route table", error))?;
            let id = made.route_table.and_then(|table| table.route_table_id);
            id.ok_or_else(|| lacks("route table"))?
        }
    };
    let out = match &parts.way_out.gateway {
        Some(nat) if request.private => Out::Nat(nat),
        _ => Out::Internet(parts.gateway.as_deref().unwrap_or_default()),
    };
    lead_out(account, &table, out).await?;
    for subnet in &parts.subnets {
        if parts.associated.iter().any(|(known, _)| *known == subnet.id) {
            continue;
        }
        let done = account
            .ec2
            .associate_route_table()
            .route_table_id(&table)
            .subnet_id(&subnet.id)
            .send()
            .await;
        done.map_err(|error| failed(format!("give {} its routes", subnet.id), error))?;
    }
    parts.routes = Some(table);
    Ok(())
}

/// What machines reach the world through.
#[derive(Debug, Clone, Copy)]
pub(super) enum Out<'a> {
    /// Their own addresses.
    Internet(&'a str),
    /// The one address of a gateway.
    Nat(&'a str),
}

/// Everything that is not within leads there.
pub(super) async fn lead_out(account: &Account, table: &str, out: Out<'_>) -> Result<(), AwsError> {
    let (internet, nat) = match out {
        Out::Internet(id) => (Some(id.to_owned()), None),
        Out::Nat(id) => (None, Some(id.to_owned())),
    };
    let routed = account
        .ec2
        .create_route()
        .route_table_id(table)
        .destination_cidr_block(EVERYWHERE)
        .set_gateway_id(internet.clone())
        .set_nat_gateway_id(nat.clone())
        .send()
        .await;
    match routed.map_err(|error| failed(format!("make the way out of {table}"), error)) {
        Err(error) if error.code() == Some("RouteAlreadyExists") => {}
        other => return other.map(|_| ()),
    }
    // It may lead to a gateway that somebody took away.
    let replaced = account
        .ec2
        .replace_route()
        .route_table_id(table)
        .destination_cidr_block(EVERYWHERE)
        .set_gateway_id(internet)
        .set_nat_gateway_id(nat)
        .send()
        .await;
    replaced
        .map(|_| ())
        .map_err(|error| failed(format!("lead {table} another way out"), error))
}

async fn make_endpoint(account: &Account, request: &Request, vpc: &str, table: &str) -> Result<(), AwsError> {
    let made = account
        .ec2
        .create_vpc_endpoint()
        .vpc_id(vpc)
        .vpc_endpoint_type(VpcEndpointType::Gateway)
        .service_name(format!("com.amazonaws.{}.s3", account.region()))
        .route_table_ids(table)
        .tag_specifications(request.spec(ResourceType::VpcEndpoint, "s3"))
        .send()
        .await;
    made.map(|_| ())
        .map_err(|error| failed(format!("make a way from {vpc} to S3"), error))
}

/// Nodes talk to nodes and out, and nobody in.
async fn ensure_security_group(
    account: &Account,
    request: &Request,
    vpc: &str,
    known: Option<String>,
) -> Result<(), AwsError> {
    let group = match known {
        Some(group) => group,
        None => {
            let made = account
                .ec2
                .create_security_group()
                .group_name(thing(&request.name, "nodes"))
                .description("Mayfly: nodes talk to nodes and out, and nobody in")
                .vpc_id(vpc)
                .tag_specifications(request.spec(ResourceType::SecurityGroup, "nodes"))
                .send()
                .await;
            let made = made.map_err(|error| failed("make a security group", error))?;
            made.group_id.ok_or_else(|| lacks("security group"))?
        }
    };
    let within = IpPermission::builder()
        .ip_protocol("-1")
        .user_id_group_pairs(UserIdGroupPair::builder().group_id(&group).build())
        .build();
    let allowed = account
        .ec2
        .authorize_security_group_ingress()
        .group_id(&group)
        .ip_permissions(within)
        .send()
        .await;
    match allowed.map_err(|error| failed(format!("let the nodes of {group} talk to each other"), error)) {
        Err(error) if error.kind() == Kind::Exists => Ok(()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_divide_the_block() {
        let request = Request {
            name: "default".into(),
            block: (Ipv4Addr::new(10, 42, 0, 0), 16),
            private: false,
            store: String::new(),
            tags: BTreeMap::new(),
        };
        assert_eq!(request.cidr(), "10.42.0.0/16");
        assert_eq!(request.subnet(0), "10.42.0.0/20");
        assert_eq!(request.subnet(3), "10.42.48.0/20");
    }
}
