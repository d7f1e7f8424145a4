//! The clouds that a coordinator offers: this machine, and AWS where the settings name a network there.

use std::sync::Arc;

use mayfly_configs::AwsSettings;
use mayfly_kit::store::StoreConfig;

use crate::cloud::Offered;
use crate::cloud::local::{LocalCloud, Patience, Site, timing};
use crate::consul::Sides;
use crate::home::Home;

/// Machines that are processes of this one.
pub(super) fn local(home: Home, site: Site, patience: Patience) -> Offered {
    Offered {
        name: "local",
        cloud: Arc::new(LocalCloud::new(home, site)),
        timing: timing(patience),
    }
}

/// The cloud of AWS, as the settings have it.
#[cfg(feature = "aws")]
pub(super) async fn aws(
    settings: &AwsSettings,
    store: &StoreConfig,
    consul: Option<Sides>,
) -> anyhow::Result<Offered> {
    let place = mayfly_aws::Place {
        region: settings.region.clone(),
        profile: settings.profile.clone(),
        endpoint: settings.endpoint.clone(),
    };
    let site = crate::cloud::aws::AwsSite {
        account: mayfly_aws::Account::open(&place).await?,
        network: crate::cloud::aws::Place::of(settings, consul.as_ref().map(|sides| &sides.own))?,
        image: settings.image.clone(),
        key_pair: settings.key_pair.clone(),
        consul: consul.map(|sides| sides.nodes),
        store_endpoint: store.endpoint.clone(),
        look_every: settings.look_every.as_duration(),
        own: None,
    };
    Ok(Offered {
        name: "aws",
        cloud: Arc::new(crate::cloud::aws::AwsCloud::new(site)),
        timing: crate::cloud::aws::timing(),
    })
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
pub(super) async fn aws(
    _settings: &AwsSettings,
    _store: &StoreConfig,
    _consul: Option<Sides>,
) -> anyhow::Result<Offered> {
    anyhow::bail!("the settings name a network of AWS, and this program was built without the feature `aws`")
}
