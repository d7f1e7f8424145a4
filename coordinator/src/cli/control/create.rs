//! `control create`.

use std::net::IpAddr;
use std::time::Duration;

use mayfly_aws::catalog::{Image, find_image, offers, prices};
use mayfly_aws::control::{self, Parts, Policies, Wanted};
use mayfly_aws::network::Network;
use mayfly_configs::{IamPlace, Policy, S3Prefix};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::text::{Known, price};
use super::{Failure, Site, Which};
use crate::cli::{ask, out};
use crate::control::whereabouts::Whereabouts;
use crate::embedded::OpenStore;
use crate::record::Outcome;

/// Of the user data.
const VERSION: u32 = 1;
/// Between two looks at a machine that boots.
const LOOK: Duration = Duration::from_secs(2);
/// A machine whose server does not come up powers itself off after five minutes, and the next one gets as long.
const WAIT_MAX: Duration = Duration::from_secs(720);

/// Flags of `control create`.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(flatten)]
    which: Which,
    /// Type of its machine
    #[arg(long, default_value = "t4g.small", value_name = "TYPE")]
    instance: String,
    /// Whose people may connect, as an address block; may be repeated [default: as before; at first nobody outside]
    #[arg(long, value_parser = block, value_name = "CIDR")]
    from: Vec<String>,
    /// The image of its machine and of its nodes, as ami-… [default: the newest that fits]
    #[arg(long, env = "MAYFLY_IMAGE", value_name = "AMI")]
    image: Option<String>,
    /// Without Consul on it
    #[arg(long)]
    no_consul: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What the machine is told: no secret, since whoever is on the machine can read it.
#[derive(Serialize)]
struct UserData<'a> {
    version: u32,
    control: Settings<'a>,
}

#[derive(Serialize)]
struct Settings<'a> {
    consul: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_endpoint: Option<String>,
}

/// An address block as AWS has it: no bit of a machine is set.
fn block(text: &str) -> Result<String, String> {
    let help = "write an address block such as 203.0.113.0/24 or 203.0.113.7/32";
    let (address, bits) = text.split_once('/').ok_or(help)?;
    let address: IpAddr = address.parse().map_err(|_| help)?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= width).ok_or(help)?;
    let value = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let host = value.checked_shl(128 - width + bits).unwrap_or(0);
    if host != 0 {
        return Err(format!("{address} is not the first address of a /{bits}: {help}"));
    }
    Ok(format!("{address}/{bits}"))
}

/// Makes the server, and waits until it serves.
pub(super) async fn run(flags: &Flags) -> Result<u8, Failure> {
    let site = flags.which.open().await?;
    let network = complete(&site)?;
    let store = site.its_store().await?;
    let (image, hourly) = machine(&site, flags).await?;
    out::note(&format!("price  {}", price(hourly)));
    if !flags.yes && !agreed(&network.name).await? {
        return Err(Failure {
            code: Outcome::Cancelled.exit_code(),
            message: "nothing has been made".to_owned(),
        });
    }
    let wanted = Wanted {
        store: site.parts.store.clone().unwrap_or_default(),
        kind: flags.instance.clone(),
        image,
        from: (!flags.from.is_empty()).then(|| flags.from.clone()),
        user_data: user_data(flags, &site, &store)?,
        policies: policies(&site).await?,
        network,
    };
    let progress = |what: &str| out::note(&format!("making {what}"));
    control::create(&site.account, &wanted, progress).await?;
    let (parts, server) = up(&site, &store).await?;
    let known = Known {
        parts: &parts,
        server: Some(&server),
        hourly: Some(hourly),
    };
    known.show(flags.which.json)?;
    let name = &wanted.network.name;
    out::note(&format!(
        "for whoever launches: `coordinator control show {name} --client ~/.config/mayfly/client.yml` writes where it is, \
         whom to trust and the token"
    ));
    Ok(0)
}

fn complete(site: &Site) -> Result<Network, Failure> {
    let name = &site.parts.name;
    let remedy = |what: String| {
        Failure::usage(format!(
            "{what}; `coordinator network create {name} --bucket …` makes what is missing"
        ))
    };
    let network = site.parts.complete().map_err(|error| remedy(error.to_string()))?;
    if network.job_role.is_none() {
        return Err(remedy(format!("the network {name} has no role of jobs")));
    }
    Ok(network)
}

/// What it boots from, and what an hour of it costs.
async fn machine(site: &Site, flags: &Flags) -> Result<(Image, u64), Failure> {
    let kinds = [flags.instance.clone()];
    let offers = offers(&site.account, &kinds).await.map_err(Failure::usage)?;
    let architectures = offers.first().map(|offer| offer.architectures.clone());
    let architectures = architectures.unwrap_or_default();
    let architecture = architectures.first().map(String::as_str).unwrap_or_default();
    let image = find_image(&site.account, flags.image.as_deref(), architecture, None).await;
    let image = image.map_err(Failure::usage)?;
    if !image.architecture.is_empty() && !architectures.contains(&image.architecture) {
        return Err(Failure::usage(format!(
            "the image {} is for {}, and {} has {}",
            image.id,
            image.architecture,
            flags.instance,
            architectures.join(" and ")
        )));
    }
    let prices = prices(&site.account, &kinds, false).await?;
    Ok((image, prices.most(&kinds).unwrap_or_default()))
}

async fn agreed(name: &str) -> Result<bool, Failure> {
    if !ask::somebody() {
        return Err(Failure::usage(
            "nobody is there to agree to what it costs: say --yes",
        ));
    }
    Ok(ask::yes(&format!("Make the server of the network {name}?")).await)
}

fn user_data(flags: &Flags, site: &Site, store: &OpenStore) -> Result<String, Failure> {
    let data = UserData {
        version: VERSION,
        control: Settings {
            consul: !flags.no_consul,
            image: flags.image.as_deref(),
            endpoint: site.account.endpoint(),
            store_endpoint: store.config.endpoint.clone(),
        },
    };
    serde_json::to_string(&data).map_err(|error| Failure::chain("write the user data", &error))
}

async fn policies(site: &Site) -> Result<Policies, Failure> {
    let identity = site.account.identity().await?;
    let store = site.parts.store.as_deref().unwrap_or_default();
    let store = S3Prefix::new(store);
    let store = store.map_err(|problem| Failure::usage(format!("the store {}", problem.message)))?;
    let place = IamPlace::new(&identity.account, site.account.region(), &site.parts.name, store);
    let place = place.map_err(|problem| Failure::usage(format!("the network {}", problem.message)))?;
    let render = |policy: Policy| policy.render(&place).map_err(Failure::usage);
    Ok(Policies {
        trust: render(Policy::Trust)?,
        launcher: render(Policy::Launcher)?,
        control: render(Policy::Control)?,
    })
}

/// Waits until a machine that is there has said where it is.
async fn up(site: &Site, store: &OpenStore) -> Result<(Parts, Whereabouts), Failure> {
    let name = &site.parts.name;
    let until = Instant::now() + WAIT_MAX;
    let mut told = String::new();
    loop {
        let parts = control::find(&site.account, name).await?;
        let server = Whereabouts::read(&store.store, name).await?;
        let there = |server: &Whereabouts| {
            let mut all = parts.machines.iter();
            all.any(|machine| machine.id == server.instance && machine.state == "running")
        };
        if let Some(server) = server.filter(there) {
            return Ok((parts, server));
        }
        let state = waiting_for(&parts);
        if state != told {
            out::note(&format!("waiting for {state}"));
            told = state;
        }
        if Instant::now() >= until {
            return Err(Failure::infra(format!(
                "the server has not come up in {} s: waiting for {told}. What was made stays, and is paid for: \
                 `coordinator control show {name}` looks again, `aws ec2 get-console-output --instance-id …` has what its \
                 machine says, `coordinator control destroy {name} --yes` takes it away",
                WAIT_MAX.as_secs()
            )));
        }
        sleep(LOOK).await;
    }
}

fn waiting_for(parts: &Parts) -> String {
    if let Some(machine) = parts.machines.first() {
        return format!("{} to serve ({})", machine.id, machine.state);
    }
    let trouble = parts.group.as_ref().and_then(|group| group.trouble.clone());
    match trouble {
        Some(trouble) => format!("a machine; AWS says: {trouble}"),
        None => "a machine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_as_aws_has_them() {
        for good in [
            "203.0.113.0/24",
            "203.0.113.7/32",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "::1/128",
        ] {
            assert_eq!(block(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "203.0.113.7",
            "203.0.113.7/24",
            "203.0.113.0/33",
            "x/8",
            "2001:db8::1/32",
            "10.0.0.0/-1",
        ] {
            assert!(block(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn user_data_says_only_what_differs_from_aws() {
        let data = UserData {
            version: VERSION,
            control: Settings {
                consul: true,
                image: None,
                endpoint: None,
                store_endpoint: None,
            },
        };
        assert_eq!(
            serde_json::to_string(&data).unwrap(),
            r#"{"version":1,"control":{"consul":true}}"#
        );
    }
}
