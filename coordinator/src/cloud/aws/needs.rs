//! What a launch needs of AWS, one thing at a time: a launch takes them in order, `doctor` each for itself.

use mayfly_aws::catalog::{Image, Offer, Prices, find_image, is_standard, offers, prices, vcpus};
use mayfly_aws::network::{Network, Subnet};
use mayfly_configs::{InstanceType, Job};

use super::site::AwsSite;
use super::{CloudError, cloud_error};
use crate::check::{Check, Verdict};
use crate::cloud::Sizes;

/// Memory of a machine that its system and its agent need, in MiB: a tenth, and no less than this.
const SYSTEM_MIB: u64 = 512;

fn refuse(what: impl Into<String>) -> CloudError {
    CloudError::Permanent(what.into())
}

/// Types that a job names.
pub(super) struct Kinds {
    master: Vec<String>,
    workers: Vec<String>,
    /// Each once.
    all: Vec<String>,
}

impl Kinds {
    pub(super) fn of(job: &Job) -> Self {
        let (master, workers) = (names(&job.master.instance), names(&job.workers.machine.instance));
        let mut all = master.clone();
        all.extend(workers.iter().filter(|kind| !master.contains(kind)).cloned());
        Self { master, workers, all }
    }

    fn list(&self) -> String {
        self.all.join(", ")
    }

    /// What the machines leave to the engine.
    pub(super) fn sizes(&self, offers: &[Offer]) -> Sizes {
        let of = |kinds: &[String]| size(offers.iter().filter(|offer| kinds.contains(&offer.kind)));
        Sizes {
            master: of(&self.master),
            worker: of(&self.workers),
        }
    }
}

fn names<T: ToString>(kinds: &[T]) -> Vec<String> {
    kinds.iter().map(ToString::to_string).collect()
}

/// What the smallest of these types leaves to the engine: cores, and memory in bytes.
fn size<'a>(offers: impl Iterator<Item = &'a Offer> + Clone) -> (u32, u64) {
    let cores = offers.clone().map(|offer| offer.cores).min().unwrap_or(1);
    let memory = offers.map(|offer| offer.memory_mib).min().unwrap_or(0);
    let left = memory.saturating_sub((memory / 10).max(SYSTEM_MIB));
    (cores, left << 20)
}

/// The one architecture that all types have.
fn common_architecture(offers: &[Offer]) -> Option<String> {
    let first = offers.first()?;
    let common = |one: &&String| offers.iter().all(|offer| offer.architectures.contains(*one));
    // Types of today have one; of those that have more (t1, m1), 64 bits come last.
    first.architectures.iter().rfind(common).cloned()
}

/// The one architecture that all types have.
pub(super) fn architecture(kinds: &Kinds, offers: &[Offer]) -> Result<String, CloudError> {
    common_architecture(offers).ok_or_else(|| {
        refuse(format!(
            "{} have no processor architecture in common, and a run has one image: name types of one kind",
            kinds.list()
        ))
    })
}

/// Subnets whose zone has every type.
pub(super) fn subnets(network: &Network, kinds: &Kinds, offers: &[Offer]) -> Result<Vec<Subnet>, CloudError> {
    let has_all = |subnet: &&Subnet| offers.iter().all(|offer| offer.zones.contains(&subnet.zone));
    let found: Vec<Subnet> = network.subnets.iter().filter(has_all).cloned().collect();
    if found.is_empty() {
        return Err(refuse(format!(
            "no zone of the network {} has all of {}",
            network.name,
            kinds.list()
        )));
    }
    Ok(found)
}

fn machines(job: &Job) -> u32 {
    job.workers.count.saturating_add(1)
}

/// Whether the subnets have an address for every machine.
pub(super) fn addresses(job: &Job, subnets: &[Subnet]) -> Result<(), CloudError> {
    let check = addresses_check(job, subnets);
    match check.verdict {
        Verdict::Problem => Err(refuse(format!("{}: {}", check.found, check.advice))),
        Verdict::Ok | Verdict::NotChecked | Verdict::Warning => Ok(()),
    }
}

pub(super) fn addresses_check(job: &Job, subnets: &[Subnet]) -> Check {
    const NAME: &str = "addresses";
    let needed = machines(job);
    let first = subnets.first().map_or(0, |subnet| subnet.free);
    let all = subnets
        .iter()
        .fold(0u32, |sum, subnet| sum.saturating_add(subnet.free));
    let advice = "use fewer workers, or a network with larger subnets";
    if all < needed {
        let found = format!("{needed} machines need an address each, and the subnets have {all} free");
        return Check::of(NAME, Verdict::Problem, found, advice);
    }
    if first < needed {
        let found = format!(
            "no subnet has {needed} addresses free ({first} at most): the run would take several zones"
        );
        return Check::of(NAME, Verdict::Warning, found, advice);
    }
    Check::ok(NAME, format!("{first} free in the first zone, {needed} needed"))
}

impl AwsSite {
    /// What is known of the types.
    pub(super) async fn offers(&self, kinds: &Kinds) -> Result<Vec<Offer>, CloudError> {
        offers(&self.account, &kinds.all).await.map_err(cloud_error)
    }

    /// The image that machines of this architecture boot from.
    pub(super) async fn image(&self, job: &Job, architecture: &str) -> Result<Image, CloudError> {
        let named = self.image.as_deref();
        let of_spark = job.engine.definition().hook.is_some();
        let spark = of_spark.then_some(job.spark.version.as_str());
        let image = find_image(&self.account, named, architecture, spark).await;
        let image = image.map_err(cloud_error)?;
        if image.architecture.is_empty() || image.architecture == architecture {
            return Ok(image);
        }
        Err(refuse(format!(
            "the image {} is for {}, and {} have {architecture}",
            image.id,
            image.architecture,
            Kinds::of(job).list()
        )))
    }

    /// What the types cost.
    pub(super) async fn prices(&self, job: &Job, kinds: &Kinds) -> Result<Prices, CloudError> {
        let spot = job.master.spot || job.workers.machine.spot;
        prices(&self.account, &kinds.all, spot).await.map_err(cloud_error)
    }

    /// Whether the account may have so many vCPUs at all, in words. What others use of them now, a launch finds out.
    pub(super) async fn quota(&self, job: &Job, offers: &[Offer]) -> Result<String, CloudError> {
        let mut said = Vec::new();
        for spot in [false, true] {
            let needed = vcpus_needed(job, offers, spot);
            if needed == 0 {
                continue;
            }
            let what = if spot { "spot" } else { "on-demand" };
            let quota = vcpus(&self.account, spot).await.map_err(cloud_error)?;
            match quota {
                Some(quota) if quota < needed => {
                    return Err(refuse(format!(
                        "the job needs {needed} {what} vCPUs and the account's quota in {} is {quota}: ask for more in \
                         the console under Service Quotas, or use fewer or smaller machines",
                        self.account.region()
                    )));
                }
                Some(quota) => said.push(format!("{needed} of {quota} {what} vCPUs needed")),
                None => said.push(format!("{needed} {what} vCPUs needed, the quota is not known")),
            }
        }
        if said.is_empty() {
            return Ok("the types have quotas of their own".to_owned());
        }
        Ok(said.join("; "))
    }
}

pub(super) fn network_found(network: &Network) -> String {
    format!(
        "{}: {}, {} subnets, {}",
        network.name,
        network.vpc,
        network.subnets.len(),
        network.security_group
    )
}

pub(super) fn offers_found(offers: &[Offer]) -> String {
    let each = |offer: &Offer| format!("{} ({} vCPUs, {} MiB)", offer.kind, offer.cores, offer.memory_mib);
    offers.iter().map(each).collect::<Vec<_>>().join(", ")
}

pub(super) fn image_found(image: &Image) -> String {
    format!("{} for {}", image.id, image.architecture)
}

pub(super) fn subnets_found(subnets: &[Subnet]) -> String {
    let zones: Vec<&str> = subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    format!("every type in {}", zones.join(", "))
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
        let (cores, memory) = size([offer("big", 32_768, &[]), offer("small", 8_192, &[])].iter());
        assert_eq!((cores, memory >> 20), (2, 8_192 - 819));
        assert_eq!(size([offer("tiny", 1_024, &[])].iter()).1 >> 20, 512);
    }

    #[test]
    fn types_of_two_architectures_have_none_in_common() {
        let (arm, intel) = (offer("m7g", 1, &["arm64"]), offer("m7i", 1, &["x86_64"]));
        assert_eq!(
            common_architecture(std::slice::from_ref(&arm)).as_deref(),
            Some("arm64")
        );
        assert_eq!(common_architecture(&[arm, intel]), None);
        let old = offer("t1", 1, &["i386", "x86_64"]);
        assert_eq!(common_architecture(&[old]).as_deref(), Some("x86_64"));
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

    #[test]
    fn a_run_that_the_subnets_have_no_addresses_for_is_refused_and_one_that_spans_them_is_warned_of() {
        let flags = AdHoc {
            entry: "main.py".to_owned(),
            workers: Some(9),
            ..AdHoc::default()
        };
        let job = ad_hoc(&flags, &|_| None).unwrap();
        let verdict = |free: &[u32]| {
            let subnet = |&free: &u32| Subnet {
                id: "subnet-1".into(),
                zone: "a".into(),
                free,
            };
            let subnets: Vec<Subnet> = free.iter().map(subnet).collect();
            let check = addresses_check(&job, &subnets);
            assert_eq!(
                addresses(&job, &subnets).is_err(),
                check.verdict == Verdict::Problem
            );
            check.verdict
        };
        assert_eq!(verdict(&[10]), Verdict::Ok);
        assert_eq!(verdict(&[9, 1]), Verdict::Warning);
        assert_eq!(verdict(&[5, 4]), Verdict::Problem);
    }
}
