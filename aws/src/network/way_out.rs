//! The way out of a private network: a NAT gateway with an address, in a public subnet of its own. It is paid for by the hour
//! and by what goes through it; what goes to S3 does not.

use std::time::Duration;

use aws_sdk_ec2::types::{DomainType, NatGateway, NatGatewayState, ResourceType, Tag};
use serde::Serialize;

use super::create::{Out, Request, lacks, lead_out};
use super::destroy::delete_routes;
use super::find::{Parts, doing, tagged};
use crate::Account;
use crate::error::{AwsError, Kind, failed, gone};
use crate::tags;

/// Which subnet of the block is its own: the last.
const SUBNET: usize = 15;
/// A gateway is there, or gone, after a minute or two.
const EVERY: Duration = Duration::from_secs(3);
const LOOKS: usize = 100;

/// What there is of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WayOut {
    /// The subnet that it is in.
    pub subnet: Option<String>,
    /// Route table of that subnet.
    pub routes: Option<String>,
    /// That subnet, with the id of the association.
    pub associated: Vec<(String, String)>,
    /// `eipalloc-…`.
    pub address: Option<String>,
    /// `nat-…`.
    pub gateway: Option<String>,
}

/// Whether a thing of the network is part of its way out.
pub(super) fn is_way_out(tags: &[Tag]) -> bool {
    tags.iter()
        .any(|tag| tag.key() == Some(tags::PART) && tag.value() == Some(tags::WAY_OUT))
}

/// Address and gateway; the subnet and its routes are among the others of the network.
pub(super) async fn find(account: &Account, parts: &mut Parts) -> Result<(), AwsError> {
    let answer = account
        .ec2
        .describe_addresses()
        .filters(tagged(&parts.name))
        .send()
        .await;
    let answer = answer.map_err(|error| failed(doing("address", &parts.name), error))?;
    // That of a team's server has the tag of the network, too.
    let address = answer.addresses().iter().find(|one| is_way_out(one.tags()));
    parts.way_out.address = address.and_then(|one| one.allocation_id.clone());
    let all = gateways(account, &parts.name).await?;
    let there = all.into_iter().find(|one| {
        matches!(
            one.state(),
            Some(NatGatewayState::Pending | NatGatewayState::Available)
        )
    });
    parts.way_out.gateway = there.and_then(|one| one.nat_gateway_id);
    Ok(())
}

/// Also those that are going, or failed.
async fn gateways(account: &Account, name: &str) -> Result<Vec<NatGateway>, AwsError> {
    let asked = account.ec2.describe_nat_gateways().filter(tagged(name));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("NAT gateway", name), error))?;
    let mut all = answer.nat_gateways.unwrap_or_default();
    let own = |tag: &Tag| tag.key() == Some(tags::NETWORK) && tag.value() == Some(name);
    all.retain(|one| one.tags().iter().any(own));
    Ok(all)
}

/// Makes what is missing of it, and waits until it is there.
pub(super) async fn ensure(
    account: &Account,
    request: &Request,
    vpc: &str,
    zone: &str,
    parts: &mut Parts,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), AwsError> {
    let subnet = match parts.way_out.subnet.clone() {
        Some(subnet) => subnet,
        None => {
            progress(&format!("subnet of the NAT gateway in {zone}"));
            make_subnet(account, request, vpc, zone).await?
        }
    };
    routes(account, request, vpc, &subnet, parts).await?;
    let address = match parts.way_out.address.clone() {
        Some(address) => address,
        None => {
            progress("address of the NAT gateway");
            allocate(account, request).await?
        }
    };
    let gateway = match parts.way_out.gateway.clone() {
        Some(gateway) => gateway,
        None => {
            progress("NAT gateway");
            make_gateway(account, request, &subnet, &address).await?
        }
    };
    until_available(account, &request.name, &gateway).await?;
    parts.way_out.subnet = Some(subnet);
    parts.way_out.address = Some(address);
    parts.way_out.gateway = Some(gateway);
    Ok(())
}

async fn make_subnet(
    account: &Account,
    request: &Request,
    vpc: &str,
    zone: &str,
) -> Result<String, AwsError> {
    let block = request.subnet(SUBNET);
    let made = account
        .ec2
        .create_subnet()
        .vpc_id(vpc)
        .cidr_block(&block)
        .availability_zone(zone)
        .tag_specifications(request.spec_of_way_out(ResourceType::Subnet))
        .send()
        .await;
    let made = made.map_err(|error| failed(format!("make the subnet {block} in {zone}"), error))?;
    let id = made.subnet.and_then(|subnet| subnet.subnet_id);
    id.ok_or_else(|| lacks("subnet"))
}

/// The gateway itself goes out by the internet gateway.
async fn routes(
    account: &Account,
    request: &Request,
    vpc: &str,
    subnet: &str,
    parts: &Parts,
) -> Result<(), AwsError> {
    let table = match parts.way_out.routes.clone() {
        Some(table) => table,
        None => {
            let made = account
                .ec2
                .create_route_table()
                .vpc_id(vpc)
                .tag_specifications(request.spec_of_way_out(ResourceType::RouteTable))
                .send()
                .await;
            let made = made.map_err(|error| failed("make a route table", error))?;
            let id = made.route_table.and_then(|table| table.route_table_id);
            id.ok_or_else(|| lacks("route table"))?
        }
    };
    let internet = parts.gateway.as_deref().unwrap_or_default();
    lead_out(account, &table, Out::Internet(internet)).await?;
    if !parts.way_out.associated.is_empty() {
        return Ok(());
    }
    let done = account
        .ec2
        .associate_route_table()
        .route_table_id(&table)
        .subnet_id(subnet)
        .send()
        .await;
    done.map(|_| ())
        .map_err(|error| failed(format!("give {subnet} its routes"), error))
}

async fn allocate(account: &Account, request: &Request) -> Result<String, AwsError> {
    let made = account
        .ec2
        .allocate_address()
        .domain(DomainType::Vpc)
        .tag_specifications(request.spec_of_way_out(ResourceType::ElasticIp))
        .send()
        .await;
    let made = made.map_err(|error| failed("get an address for the NAT gateway", error))?;
    made.allocation_id.ok_or_else(|| lacks("address"))
}

async fn make_gateway(
    account: &Account,
    request: &Request,
    subnet: &str,
    address: &str,
) -> Result<String, AwsError> {
    let made = account
        .ec2
        .create_nat_gateway()
        .subnet_id(subnet)
        .allocation_id(address)
        .tag_specifications(request.spec_of_way_out(ResourceType::Natgateway))
        .send()
        .await;
    let made = made.map_err(|error| failed(format!("make a NAT gateway in {subnet}"), error))?;
    let id = made.nat_gateway.and_then(|gateway| gateway.nat_gateway_id);
    id.ok_or_else(|| lacks("NAT gateway"))
}

async fn until_available(account: &Account, name: &str, gateway: &str) -> Result<(), AwsError> {
    let what = || format!("make the NAT gateway {gateway}");
    for _ in 0..LOOKS {
        let all = gateways(account, name).await?;
        let found = all.iter().find(|one| one.nat_gateway_id() == Some(gateway));
        match found.and_then(NatGateway::state) {
            Some(NatGatewayState::Available) => return Ok(()),
            Some(NatGatewayState::Failed) => {
                let why = found.and_then(NatGateway::failure_message);
                return Err(AwsError::new(Kind::Invalid, what(), why.unwrap_or("it failed")));
            }
            _ => tokio::time::sleep(EVERY).await,
        }
    }
    Err(AwsError::new(
        Kind::Transient,
        what(),
        "it is not there yet: the same command waits on",
    ))
}

/// Gateway, address, routes and subnet, in the order that AWS allows.
pub(super) async fn take_away(
    account: &Account,
    parts: &Parts,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), AwsError> {
    let way_out = &parts.way_out;
    if let Some(gateway) = &way_out.gateway {
        progress("NAT gateway");
        let asked = account.ec2.delete_nat_gateway().nat_gateway_id(gateway);
        let deleted = asked.send().await;
        gone(deleted.map_err(|error| failed(format!("delete {gateway}"), error)))?;
    }
    until_none(account, &parts.name).await?;
    if let Some(address) = &way_out.address {
        progress("address of the NAT gateway");
        let released = account.ec2.release_address().allocation_id(address).send().await;
        gone(released.map_err(|error| failed(format!("give the address {address} back"), error)))?;
    }
    if let Some(table) = &way_out.routes {
        delete_routes(account, table, &way_out.associated).await?;
    }
    if let Some(subnet) = &way_out.subnet {
        progress("subnet of the NAT gateway");
        let deleted = account.ec2.delete_subnet().subnet_id(subnet).send().await;
        gone(deleted.map_err(|error| failed(format!("delete {subnet}"), error)))?;
    }
    Ok(())
}

/// Its address cannot be given back before it is gone.
async fn until_none(account: &Account, name: &str) -> Result<(), AwsError> {
    for _ in 0..LOOKS {
        let all = gateways(account, name).await?;
        let ended = |one: &NatGateway| {
            matches!(
                one.state(),
                Some(NatGatewayState::Deleted | NatGatewayState::Failed)
            )
        };
        if all.iter().all(ended) {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
    Err(AwsError::new(
        Kind::Transient,
        format!("destroy the network {name}"),
        "its NAT gateway is still going: the same command goes on",
    ))
}
