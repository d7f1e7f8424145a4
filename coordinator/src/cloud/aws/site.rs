//! Where in AWS fleets are launched, and what a job's machines will be there.

use std::time::Duration;

use mayfly_aws::Account;
use mayfly_aws::catalog::{Image, Prices};
use mayfly_aws::network::{Network, Subnet};
use mayfly_configs::Job;
use mayfly_kit::consul::ConsulSettings;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::CloudError;
use super::needs::{self, Kinds};
use super::network::Place;
use crate::cloud::Sizes;
use crate::price::{self, Bounds, Hourly, Quote};

/// One account, region and network. No `Debug`: it may hold a token of Consul.
pub struct AwsSite {
    /// Clients.
    pub account: Account,
    /// The network.
    pub network: Place,
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
    /// The machine that this coordinator runs on, where it is a run's own.
    pub own: Option<Own>,
}

/// A machine of a fleet that its coordinator lives on.
#[derive(Debug, Clone)]
pub struct Own {
    /// `i-…`.
    pub instance: String,
    /// Turns true once nobody else on it has anything left to do.
    pub done: watch::Receiver<bool>,
}

/// What a job's fleet is made from, as AWS has it now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
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

impl Plan {
    /// What the machines of this job cost.
    #[must_use]
    pub(super) fn quote(&self, job: &Job) -> Quote {
        let zone = self.subnets.first().map_or("", |subnet| &subnet.zone);
        let lots = price::lots(job, self.sizes, |types, spot| self.hourly(types, spot, zone));
        price::quote(lots, zone, Bounds::of(job, super::timing().overtime))
    }

    /// On demand the preferred type is what AWS gives where it has it; of spot any, so it is taken at the dearest.
    fn hourly(&self, types: &[String], spot: bool, zone: &str) -> Hourly {
        let most = self.prices.most(types).unwrap_or_default();
        let price = |kind: &String| self.prices.of(kind, zone, spot);
        let now = if spot {
            types.iter().filter_map(price).max()
        } else {
            types.first().and_then(price)
        };
        Hourly {
            now: now.unwrap_or(most),
            most,
        }
    }
}

impl AwsSite {
    /// Looks up all that a launch of this job needs, and stops at the first thing that is wrong. Nothing is made.
    pub(super) async fn plan(&self, job: &Job) -> Result<Plan, CloudError> {
        let network = self.network.complete(&self.account).await?;
        let kinds = Kinds::of(job);
        let offers = self.offers(&kinds).await?;
        let architecture = needs::architecture(&kinds, &offers)?;
        let image = self.image(job, &architecture).await?;
        let subnets = needs::subnets(&network, &kinds, &offers)?;
        needs::addresses(job, &subnets)?;
        self.quota(job, &offers).await?;
        let prices = self.prices(job, &kinds).await?;
        Ok(Plan {
            prices,
            network,
            subnets,
            image,
            sizes: kinds.sizes(&offers),
        })
    }
}
