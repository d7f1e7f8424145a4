//! Where in AWS fleets are launched, and what a job's machines will be there.

use std::time::Duration;

use mayfly_aws::Account;
use mayfly_aws::catalog::{Image, Offer, Prices, find_image, is_standard, offers, prices, vcpus};
use mayfly_aws::network::{self, Network, Subnet};
use mayfly_configs::{InstanceType, Job};
use mayfly_kit::consul::ConsulSettings;

use super::{CloudError, Sizes, cloud_error};

/// Memory of a machine that its system and its agent need, in MiB: a tenth, and no less than this.
const SYSTEM_MIB: u64 = 512;

/// One account, region and network. No `Debug`: it may hold a token of Consul.
pub struct AwsSite {
    /// Clients.
    pub account: Account,
    /// Name of the network.
    pub network: String,
    /// The image, unless it is looked for by its tags.
    pub image: Option<String>,
    /// Key pair for whoever wants to log in.
    pub key_pair: Option<String>,
    /// Where nodes register.
    pub consul: Option<ConsulSettings>,
    /// URL of the store, where it is not AWS's own.
    pub store_endpoint: Option<String>,
    /// Between two looks at the machines of a run.
    pub look_every: Duration,
}

/// What a job's fleet is made from, as AWS has it now.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The network.
    pub network: Network,
    /// Its subnets whose zones have every type, the preferred one first; never empty.
    pub subnets: Vec<Subnet>,
    /// The image.
    pub image: Image,
    /// What its machines offer to the engine.
    pub sizes: Sizes,
    /// What they cost.
    pub prices: Prices,
}

fn refuse(what: impl Into<String>) -> CloudError {
    CloudError::Permanent(what.into())
}

/// What the smallest of these types leaves to the engine: cores, and memory in bytes.
fn size(offers: &[Offer]) -> (u32, u64) {
    let cores = offers.iter().map(|offer| offer.cores).min().unwrap_or(1);
    let memory = offers.iter().map(|offer| offer.memory_mib).min().unwrap_or(0);
    let left = memory.saturating_sub((memory / 10).max(SYSTEM_MIB));
    (cores, left << 20)
}

/// The one architecture that all types have.
fn architecture(offers: &[Offer]) -> Option<String> {
    let first = offers.first()?;
    let common = |one: &&String| offers.iter().all(|offer| offer.architectures.contains(*one));
    // Types of today have one; of those that have more (t1, m1), 64 bits come last.
    first.architectures.iter().rfind(common).cloned()
}

fn names<T: ToString>(kinds: &[T]) -> Vec<String> {
    kinds.iter().map(ToString::to_string).collect()
}

impl AwsSite {
    /// Looks up all that a launch of this job needs. Nothing is made.
    pub(super) async fn plan(&self, job: &Job) -> Result<Plan, CloudError> {
        let parts = network::find(&self.account, &self.network)
            .await
            .map_err(cloud_error)?;
        let network = parts.complete().map_err(|error| {
            refuse(format!(
                "{error}; `coordinator network create {}` makes it",
                self.network
            ))
        })?;
        let (master, workers) = (names(&job.master.instance), names(&job.workers.machine.instance));
        let mut all = master.clone();
        all.extend(workers.iter().filter(|kind| !master.contains(kind)).cloned());
        let offers = offers(&self.account, &all).await.map_err(cloud_error)?;
        let of = |kinds: &[String]| -> Vec<Offer> {
            offers
                .iter()
                .filter(|offer| kinds.contains(&offer.kind))
                .cloned()
                .collect()
        };
        let architecture = architecture(&offers).ok_or_else(|| {
            refuse(format!(
                "{} have no processor architecture in common, and a run has one image: name types of one kind",
                all.join(", ")
            ))
        })?;
        let image = find_image(
            &self.account,
            self.image.as_deref(),
            &architecture,
            &job.spark.version,
        );
        let image = image.await.map_err(cloud_error)?;
        if !image.architecture.is_empty() && image.architecture != architecture {
            return Err(refuse(format!(
                "the image {} is for {}, and {} have {architecture}",
                image.id,
                image.architecture,
                all.join(", ")
            )));
        }
        let subnets = subnets(&network, &offers);
        if subnets.is_empty() {
            return Err(refuse(format!(
                "no zone of the network {} has all of {}",
                self.network,
                all.join(", ")
            )));
        }
        self.check_quota(job, &offers).await?;
        let spot = job.master.spot || job.workers.machine.spot;
        let prices = prices(&self.account, &all, spot).await.map_err(cloud_error)?;
        Ok(Plan {
            prices,
            network,
            subnets,
            image,
            sizes: Sizes {
                master: size(&of(&master)),
                worker: size(&of(&workers)),
            },
        })
    }
}

impl AwsSite {
    /// Whether the account may have so many vCPUs at all. What others use of them now, a launch finds out.
    async fn check_quota(&self, job: &Job, offers: &[Offer]) -> Result<(), CloudError> {
        for spot in [false, true] {
            let needed = vcpus_needed(job, offers, spot);
            if needed == 0 {
                continue;
            }
            let quota = vcpus(&self.account, spot).await.map_err(cloud_error)?;
            if let Some(quota) = quota.filter(|&quota| quota < needed) {
                let what = if spot { "spot" } else { "on-demand" };
                return Err(refuse(format!(
                    "the job needs {needed} {what} vCPUs and the account's quota in {} is {quota}: ask for more in the \
                     console under Service Quotas, or use fewer or smaller machines",
                    self.account.region()
                )));
            }
        }
        Ok(())
    }
}

/// vCPUs of the ordinary families that a job takes on demand, or as spot, when it gets the smallest of its types.
fn vcpus_needed(job: &Job, offers: &[Offer], spot: bool) -> u32 {
    let least = |kinds: &[InstanceType]| -> u32 {
        let of = |kind: &InstanceType| offers.iter().find(|offer| offer.kind == kind.as_str());
        let all_standard = kinds.iter().all(|kind| is_standard(kind.as_str()));
        let cores = kinds.iter().filter_map(of).map(|offer| offer.cores).min();
        cores.filter(|_| all_standard).unwrap_or(0)
    };
    let (master, workers) = (&job.master, &job.workers);
    let as_spot = |is_spot: bool, count: u32, on_demand: u32| match (is_spot, spot) {
        (true, true) => count.saturating_sub(on_demand),
        (true, false) => on_demand.min(count),
        (false, true) => 0,
        (false, false) => count,
    };
    let of_workers = as_spot(workers.machine.spot, workers.count, workers.on_demand);
    let of_master = as_spot(master.spot, 1, 0);
    least(&master.instance)
        .saturating_mul(of_master)
        .saturating_add(least(&workers.machine.instance).saturating_mul(of_workers))
}

/// Subnets whose zone has every type.
fn subnets(network: &Network, offers: &[Offer]) -> Vec<Subnet> {
    let has_all = |subnet: &&Subnet| offers.iter().all(|offer| offer.zones.contains(&subnet.zone));
    network.subnets.iter().filter(has_all).cloned().collect()
}

#[cfg(test)]
mod tests {
    use mayfly_configs::{AdHoc, ad_hoc};

    use super::*;

    fn offer(kind: &str, memory_mib: u64, architectures: &[&str]) -> Offer {
        Offer {
            kind: kind.into(),
            cores: 2,
            memory_mib,
            architectures: names(architectures),
            zones: vec!["a".into()],
        }
    }

    #[test]
    fn the_smallest_type_sizes_the_executors_and_the_system_keeps_its_part() {
        let (cores, memory) = size(&[offer("big", 32_768, &[]), offer("small", 8_192, &[])]);
        assert_eq!((cores, memory >> 20), (2, 8_192 - 819));
        assert_eq!(size(&[offer("tiny", 1_024, &[])]).1 >> 20, 512);
    }

    #[test]
    fn types_of_two_architectures_have_none_in_common() {
        let (arm, intel) = (offer("m7g", 1, &["arm64"]), offer("m7i", 1, &["x86_64"]));
        assert_eq!(architecture(std::slice::from_ref(&arm)).as_deref(), Some("arm64"));
        assert_eq!(architecture(&[arm, intel]), None);
        let old = offer("t1", 1, &["i386", "x86_64"]);
        assert_eq!(architecture(&[old]).as_deref(), Some("x86_64"));
    }

    #[test]
    fn the_quota_of_spot_and_that_on_demand_are_needed_apart() {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            workers: Some(5),
            sets: vec![
                ("workers.spot".into(), "true".into()),
                ("workers.on_demand".into(), "1".into()),
            ],
            ..AdHoc::default()
        };
        let mut job = ad_hoc(&flags, &|_| None).unwrap();
        let offers = [offer("m7g.large", 8_192, &["arm64"])];
        assert_eq!(vcpus_needed(&job, &offers, false), 4);
        assert_eq!(vcpus_needed(&job, &offers, true), 8);
        job.workers.machine.instance = vec![InstanceType::new("g5g.xlarge").unwrap()];
        assert_eq!(
            vcpus_needed(&job, &offers, true),
            0,
            "others have quotas of their own"
        );
    }
}
