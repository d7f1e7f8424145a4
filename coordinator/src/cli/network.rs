//! `network`: the long-lived VPC that fleets are launched in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use mayfly_aws::Account;
use mayfly_aws::network::{self, Parts, Policies, Request};
use mayfly_configs::{IamPlace, NetworkAt, Policy, S3Prefix};
use serde_json::json;

use super::aws::AwsArgs;
use super::consul::ConsulArgs;
use super::failure::Failure;
use super::out;
use crate::cloud::aws::{InConsul, Place};
use crate::record::SCHEMA;

/// What a network is called unless it has a name.
pub(super) const DEFAULT: &str = "default";

/// Flags of `network`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator network create --bucket my-runs        VPC, subnets, way to S3, security group, role, bucket
  coordinator network create --bucket my-runs --consul http://127.0.0.1:8500 --consul-path aws
                                                     the same, with its ids in Consul below aws/generated/
  coordinator network create --bucket my-runs --private
                                                     machines without addresses of their own, behind a NAT gateway
  coordinator network show
  coordinator network show consul:aws                what somebody else wrote there
  coordinator network destroy --yes                  all but the bucket

Costs nothing by itself: it has no NAT gateway and no address, unless --private. Every step may be repeated.")]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a network, or what is missing of it
    Create(Create),
    /// Show what there is of a network
    Show(Show),
    /// Take a network away; its bucket stays
    Destroy(Destroy),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its name
    #[arg(default_value = DEFAULT, value_parser = name)]
    name: String,
    #[command(flatten)]
    aws: AwsArgs,
    /// One JSON object: {schema, complete, network}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Its name, `consul:PATH`, or ids of subnets with `,` between
    #[arg(default_value = DEFAULT, value_parser = anywhere)]
    network: NetworkAt,
    #[command(flatten)]
    aws: AwsArgs,
    /// One JSON object: {schema, complete, network}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    consul: ConsulArgs,
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    which: Which,
    /// Its address block, /16 to /24
    #[arg(long, default_value = "10.42.0.0/16", value_parser = block, value_name = "CIDR")]
    cidr: (Ipv4Addr, u8),
    /// No machine has an address of its own: all go out through a NAT gateway, which is paid for as long as the network is there
    #[arg(long)]
    private: bool,
    /// The bucket that runs are kept in; made when it is not there
    #[arg(long, value_name = "BUCKET")]
    bucket: String,
    /// First part of every key in the bucket
    #[arg(
        id = "store_prefix",
        long = "prefix",
        default_value = "",
        value_name = "PREFIX"
    )]
    prefix: String,
    /// Where to write its ids in Consul, below PATH/generated/, if Consul is named
    #[arg(long, default_value = CONSUL_PATH, value_parser = path, value_name = "PATH")]
    consul_path: String,
    #[command(flatten)]
    consul: ConsulArgs,
    /// A tag for everything that is made; may be repeated
    #[arg(long = "tag", value_parser = tag, value_name = "KEY=VALUE")]
    tags: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
struct Destroy {
    #[command(flatten)]
    which: Which,
    /// Really
    #[arg(long)]
    yes: bool,
}

/// Where the ids of a network are in Consul unless a path is named.
const CONSUL_PATH: &str = "aws";

/// What `--private` costs: AWS's price list of us-east-1 in 2025; other regions differ by some tenths.
const PRICE_OF_PRIVATE: &str = "a NAT gateway and its address cost about $0.05 an hour, some $36.50 a month, and $0.045 for each \
     GB that is not to S3 (us-east-1, 2025), until the network is destroyed";

/// Longest name of a network.
const NAME_MAX: usize = 32;

pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(plain);
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!("use 1 to {NAME_MAX} lower-case letters, digits and `-`, beginning with a letter")
    })
}

fn anywhere(text: &str) -> Result<NetworkAt, String> {
    NetworkAt::new(text).map_err(|problem| problem.to_string())
}

fn path(text: &str) -> Result<String, String> {
    anywhere(&format!("consul:{text}")).map(|_| text.to_owned())
}

/// A private block that AWS takes, which can be divided into subnets.
fn block(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let help = "write a private block of /16 to /24, such as 10.42.0.0/16";
    let (address, bits) = text.split_once('/').ok_or(help)?;
    let address: Ipv4Addr = address.parse().map_err(|_| help)?;
    let bits: u8 = bits
        .parse()
        .ok()
        .filter(|bits| (16..=24).contains(bits))
        .ok_or(help)?;
    let host = u32::from(address) & (u32::MAX >> bits);
    if !address.is_private() || host != 0 {
        return Err(help.to_owned());
    }
    Ok((address, bits))
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let ours = ["aws:", "mayfly:", "managed-by"]
        .iter()
        .any(|ours| key.starts_with(ours));
    if key.is_empty() || key.len() > 128 || value.len() > mayfly_aws::tags::VALUE_MAX || ours {
        return Err(
            "a tag has a key of 1 to 128 characters that is not reserved, and a value of 256 at most"
                .to_owned(),
        );
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Does what the verb says.
///
/// # Errors
/// AWS refuses or does not answer.
pub(crate) async fn run(flags: &Flags) -> Result<u8, Failure> {
    match &flags.verb {
        Verb::Create(flags) => create(flags).await,
        Verb::Show(flags) => {
            let account = flags.aws.open().await?;
            let consul = flags.consul.sides()?;
            let place = Place::at(&flags.network, consul.as_ref().map(|sides| &sides.own));
            let place = place.map_err(Failure::usage)?;
            show(flags.json, &place.find(&account).await?)
        }
        Verb::Destroy(flags) => destroy(flags).await,
    }
}

async fn policies(account: &Account, flags: &Create) -> Result<(Policies, String), Failure> {
    let identity = account.identity().await?;
    let store = S3Prefix::new(&format!("s3://{}/{}", flags.bucket, flags.prefix));
    let store = store.map_err(|problem| Failure::usage(format!("the store {}", problem.message)))?;
    let place = IamPlace::new(&identity.account, account.region(), &flags.which.name, store);
    let place = place.map_err(|problem| Failure::usage(format!("the network {}", problem.message)))?;
    let render = |policy: Policy| policy.render(&place).map_err(Failure::usage);
    let policies = Policies {
        trust: render(Policy::Trust)?,
        node: render(Policy::Node)?,
        job_trust: render(Policy::JobTrust)?,
        job: render(Policy::Job)?,
    };
    Ok((policies, render(Policy::Bucket)?))
}

async fn create(flags: &Create) -> Result<u8, Failure> {
    // What is wrong with it is said before anything is made.
    let consul = match flags.consul.sides()? {
        Some(sides) => Some(InConsul::open(&sides.own, &flags.consul_path).map_err(Failure::usage)?),
        None => None,
    };
    let account = flags.which.aws.open().await?;
    let (policies, of_bucket) = policies(&account, flags).await?;
    let request = Request {
        name: flags.which.name.clone(),
        block: flags.cidr,
        private: flags.private,
        store: format!("s3://{}/{}", flags.bucket, flags.prefix.trim_matches('/')),
        tags: flags.tags.iter().cloned().collect::<BTreeMap<_, _>>(),
    };
    if flags.private {
        out::note(PRICE_OF_PRIVATE);
    }
    out::note(&format!("making bucket {}", flags.bucket));
    network::ensure_bucket(&account, &flags.bucket, &of_bucket).await?;
    let progress = |what: &str| out::note(&format!("making {what}"));
    let parts = network::create(&account, &request, &policies, progress).await?;
    if let (Some(consul), Ok(network)) = (&consul, parts.complete()) {
        let written = consul.write(&network).await.map_err(Failure::infra)?;
        out::note(&format!("{}/ in Consul: {written} keys written", consul.folder()));
    }
    show(flags.which.json, &parts)
}

async fn destroy(flags: &Destroy) -> Result<u8, Failure> {
    let account = flags.which.aws.open().await?;
    if !flags.yes {
        let parts = network::find(&account, &flags.which.name).await?;
        show(flags.which.json, &parts)?;
        out::note("nothing has been taken away: say --yes");
        return Ok(0);
    }
    let progress = |what: &str| out::note(&format!("taking away {what}"));
    let left = network::destroy(&account, &flags.which.name, progress).await?;
    if left == Parts::none(&flags.which.name) && !flags.which.json {
        out::line(&format!("nothing is left of the network {}", flags.which.name))?;
        return Ok(0);
    }
    show(flags.which.json, &left)
}

fn show(as_json: bool, parts: &Parts) -> Result<u8, Failure> {
    let complete = parts.complete();
    if as_json {
        out::json(&json!({ "schema": SCHEMA, "complete": complete.is_ok(), "network": parts }))?;
        return Ok(0);
    }
    let rows = [
        ("VPC", &parts.vpc),
        ("block", &parts.cidr),
        ("store", &parts.store),
        ("internet gateway", &parts.gateway),
        ("NAT gateway", &parts.way_out.gateway),
        ("its address", &parts.way_out.address),
        ("route table", &parts.routes),
        ("way to S3", &parts.endpoint),
        ("security group", &parts.security_group),
        ("role of nodes", &parts.role),
        ("instance profile", &parts.profile),
        ("role of jobs", &parts.job_role),
    ];
    out::line(&format!("network {}", parts.name))?;
    for (what, id) in rows {
        out::line(&format!("  {what:<17} {}", id.as_deref().unwrap_or("-")))?;
    }
    for subnet in &parts.subnets {
        out::line(&format!(
            "  subnet            {}  {}  {} addresses free",
            subnet.id, subnet.zone, subnet.free
        ))?;
    }
    if let Err(lacks) = complete {
        out::note(&lacks.to_string());
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_private_block_that_can_be_divided_is_taken() {
        assert_eq!(block("10.42.0.0/16"), Ok((Ipv4Addr::new(10, 42, 0, 0), 16)));
        assert!(block("192.168.7.0/24").is_ok());
        for bad in [
            "",
            "10.42.0.0",
            "10.42.0.0/8",
            "10.42.0.0/25",
            "10.42.0.1/16",
            "8.8.0.0/16",
            "127.0.0.0/16",
            "x/16",
            "10.0.0.0/-1",
        ] {
            assert!(block(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_tags_are_checked() {
        assert!(name("default").is_ok() && name("a-1").is_ok());
        for bad in ["", "-a", "A", "a_b", "1a", &"a".repeat(33)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert_eq!(tag("team=data=x"), Ok(("team".to_owned(), "data=x".to_owned())));
        for bad in ["", "x", "=x", "aws:x=1", "mayfly:run=x", "managed-by=me"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }
}
