//! A network that somebody else made, by its ids.

use std::fmt;

use aws_sdk_ec2::types::{RouteTable, Subnet as Described};

use super::Subnet;
use super::find::{Parts, doing, profile};
use crate::Account;
use crate::error::{AwsError, Kind, failed};
use crate::fleet::filter;

/// Digits of an id: 17, or 8 in older accounts.
const DIGITS: [usize; 2] = [17, 8];

/// An id that AWS gave a thing of one kind, such as `vpc-0123456789abcdef0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    /// Checks that `text` is an id of this kind: `vpc`, `subnet`, `sg`.
    ///
    /// # Errors
    /// Says what would be one.
    pub fn new(kind: &str, text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        let fits = |digits: &str| DIGITS.contains(&digits.len()) && digits.bytes().all(hex);
        if digits.is_some_and(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("is not an id such as {kind}-0123456789abcdef0"))
    }

    /// As AWS writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is said of a network that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What people call it.
    pub name: String,
    /// The VPC, where it is said.
    pub vpc: Option<Id>,
    /// Its subnets; never empty.
    pub subnets: Vec<Id>,
    /// The zone of the subnet, where it is said.
    pub zone: Option<String>,
    /// Security group of the nodes.
    pub security_group: Option<Id>,
    /// Instance profile of the nodes.
    pub profile: Option<String>,
    /// ARN of the role that jobs get sessions of.
    pub job_role: Option<String>,
}

/// Looks up what is said: all of it must be there, and go together.
///
/// # Errors
/// Something is not there or does not go together, or AWS refuses or does not answer.
pub async fn given(account: &Account, given: &Given) -> Result<Parts, AwsError> {
    let mut parts = Parts::none(&given.name);
    let vpc = subnets(account, given, &mut parts).await?;
    if let Some(group) = &given.security_group {
        security_group(account, given, group, &vpc).await?;
        parts.security_group = Some(group.to_string());
    }
    parts.public = is_public(account, &parts, &vpc).await?;
    parts.vpc = Some(vpc);
    if let Some(name) = &given.profile {
        profile(account, &mut parts, name).await?;
    }
    parts.job_role.clone_from(&given.job_role);
    Ok(parts)
}

fn wrong(given: &Given, said: String) -> AwsError {
    AwsError::new(Kind::Invalid, format!("use the network {}", given.name), said)
}

/// Takes the subnets, and returns their VPC.
async fn subnets(account: &Account, given: &Given, parts: &mut Parts) -> Result<String, AwsError> {
    let ids = given.subnets.iter().map(ToString::to_string).collect();
    let answer = account
        .ec2
        .describe_subnets()
        .set_subnet_ids(Some(ids))
        .send()
        .await;
    let answer = answer.map_err(|error| failed(doing("subnets", &given.name), error))?;
    let found = answer.subnets.unwrap_or_default();
    let vpc = vpc_of(given, &found).map_err(|said| wrong(given, said))?;
    parts.subnets = found.iter().map(subnet).collect();
    Ok(vpc)
}

fn subnet(described: &Described) -> Subnet {
    let free = described.available_ip_address_count.unwrap_or(0);
    Subnet {
        id: described.subnet_id.clone().unwrap_or_default(),
        zone: described.availability_zone.clone().unwrap_or_default(),
        free: u32::try_from(free).unwrap_or(0),
    }
}

/// The one VPC of the subnets, if it is the one that is said.
fn vpc_of(given: &Given, found: &[Described]) -> Result<String, String> {
    let Some(vpc) = found.first().and_then(|subnet| subnet.vpc_id.clone()) else {
        return Err("none of its subnets is there".to_owned());
    };
    if let Some(other) = found.iter().find(|subnet| subnet.vpc_id.as_ref() != Some(&vpc)) {
        let (id, its) = (other.subnet_id(), other.vpc_id());
        return Err(format!(
            "its subnets are in several VPCs: {vpc}, and {} of {}",
            its.unwrap_or_default(),
            id.unwrap_or_default()
        ));
    }
    if let Some(said) = given.vpc.as_ref().filter(|said| said.as_str() != vpc) {
        return Err(format!("its subnets are in {vpc}, and not in {said}"));
    }
    let zones = || found.iter().filter_map(|subnet| subnet.availability_zone());
    if let Some(said) = given
        .zone
        .as_ref()
        .filter(|&said| zones().all(|zone| zone != said))
    {
        return Err(format!(
            "its subnet is in {}, and not in {said}",
            zones().collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(vpc)
}

async fn security_group(account: &Account, given: &Given, group: &Id, vpc: &str) -> Result<(), AwsError> {
    let asked = account.ec2.describe_security_groups().group_ids(group.as_str());
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("security group", &given.name), error))?;
    let found = answer.security_groups.unwrap_or_default();
    let its = found.first().and_then(|group| group.vpc_id.as_deref());
    if its == Some(vpc) {
        return Ok(());
    }
    Err(wrong(
        given,
        format!("the security group {group} is not in {vpc}, where its subnets are"),
    ))
}

/// Whether all its subnets have a route to an internet gateway.
async fn is_public(account: &Account, parts: &Parts, vpc: &str) -> Result<bool, AwsError> {
    let asked = account.ec2.describe_route_tables().filters(filter("vpc-id", vpc));
    let answer = asked.send().await;
    let answer = answer.map_err(|error| failed(doing("routes", &parts.name), error))?;
    let tables = answer.route_tables.unwrap_or_default();
    Ok(parts
        .subnets
        .iter()
        .all(|subnet| table_of(&tables, &subnet.id).is_some_and(leads_out)))
}

/// The subnet's own table, else the VPC's main one.
fn table_of<'a>(tables: &'a [RouteTable], subnet: &str) -> Option<&'a RouteTable> {
    let own = |table: &&RouteTable| {
        let mut all = table.associations().iter();
        all.any(|one| one.subnet_id() == Some(subnet))
    };
    let main = |table: &&RouteTable| table.associations().iter().any(|one| one.main() == Some(true));
    tables.iter().find(own).or_else(|| tables.iter().find(main))
}

fn leads_out(table: &RouteTable) -> bool {
    let mut gateways = table.routes().iter().filter_map(|route| route.gateway_id());
    gateways.any(|gateway| gateway.starts_with("igw-"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Route, RouteTableAssociation};

    use super::*;

    #[test]
    fn only_what_has_the_shape_of_an_id_is_one() {
        for good in ["vpc-0123456789abcdef0", "vpc-1a2b3c4d"] {
            assert_eq!(Id::new("vpc", good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "vpc",
            "vpc-",
            "vpc-0123",
            "vpc-0123456789ABCDEF0",
            "vpc-0123456789abcdefg",
            "subnet-0123456789abcdef0",
            "vpc-0123456789abcdef0\n",
            "vpc-0123456789abcdef0,vpc-1a2b3c4d",
            "../vpc-1a2b3c4d",
        ] {
            let why = Id::new("vpc", bad).unwrap_err();
            assert!(why.contains("vpc-0123456789abcdef0"), "{bad}");
        }
    }

    fn described(id: &str, vpc: &str, zone: &str) -> Described {
        Described::builder()
            .subnet_id(id)
            .vpc_id(vpc)
            .availability_zone(zone)
            .build()
    }

    fn said(vpc: Option<&str>, zone: Option<&str>) -> Given {
        Given {
            name: "theirs".into(),
            vpc: vpc.map(|vpc| Id(vpc.into())),
            subnets: Vec::new(),
            zone: zone.map(str::to_owned),
            security_group: None,
            profile: None,
            job_role: None,
        }
    }

    #[test]
    fn subnets_of_one_vpc_and_the_zone_that_is_said_are_taken_and_others_refused() {
        let one = [described("subnet-1", "vpc-1", "a")];
        let two = [one[0].clone(), described("subnet-2", "vpc-2", "b")];
        assert_eq!(vpc_of(&said(None, None), &one).unwrap(), "vpc-1");
        assert_eq!(vpc_of(&said(Some("vpc-1"), Some("a")), &one).unwrap(), "vpc-1");
        for (said, found, why) in [
            (said(None, None), &[][..], "none of its subnets"),
            (said(None, None), &two, "several VPCs"),
            (said(Some("vpc-9"), None), &one, "not in vpc-9"),
            (said(None, Some("b")), &one, "not in b"),
        ] {
            let error = vpc_of(&said, found).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_subnet_leads_out_by_its_own_table_or_the_main_one() {
        let table = |gateway: &str, association: RouteTableAssociation| {
            RouteTable::builder()
                .routes(Route::builder().gateway_id(gateway).build())
                .associations(association)
                .build()
        };
        let main = RouteTableAssociation::builder().main(true).build();
        let own = RouteTableAssociation::builder().subnet_id("subnet-1").build();
        let tables = [table("local", main), table("igw-1", own)];
        assert!(table_of(&tables, "subnet-1").is_some_and(leads_out));
        assert!(!table_of(&tables, "subnet-2").is_some_and(leads_out));
        assert!(table_of(&[], "subnet-1").is_none());
    }
}
