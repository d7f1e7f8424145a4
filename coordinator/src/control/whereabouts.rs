//! Where a server is, as it says itself in the store.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use mayfly_kit::layout;
use mayfly_kit::store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::record::SCHEMA;

/// Largest that is read, in bytes.
const MAX: u64 = 64 << 10;

/// `server.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Version of this shape.
    pub schema: u32,
    /// Where the network reaches it: nodes, and people in it or connected to it.
    pub url: String,
    /// Where the internet does, if its machine has a public address.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Authority that its certificate comes from.
    pub fingerprint: String,
    /// Consul beside it, for those in the network.
    #[serde(default)]
    pub consul: Option<String>,
    /// The machine, by AWS's name.
    pub instance: String,
    /// Since when it is there.
    pub since: Timestamp,
}

impl Whereabouts {
    /// Of a server that listens here.
    #[must_use]
    pub fn new(url: &str, public: Option<SocketAddr>, fingerprint: String, instance: &str) -> Self {
        Self {
            schema: SCHEMA,
            url: url.to_owned(),
            public_url: public.map(|address| format!("https://{address}")),
            fingerprint,
            consul: None,
            instance: instance.to_owned(),
            since: Timestamp::now(),
        }
    }

    /// Where people reach it: by the internet, where it has an address there.
    #[must_use]
    pub fn for_people(&self) -> &str {
        self.public_url.as_deref().unwrap_or(&self.url)
    }

    /// What the server of a network has said last; `None` when it has said nothing that can be read.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn read(store: &Store, network: &str) -> Result<Option<Self>, StoreError> {
        let object = store.get_capped(&layout::control_server(network), MAX).await?;
        Ok(object.and_then(|object| serde_json::from_slice(&object.bytes).ok()))
    }

    /// Says it.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn write(&self, store: &Store, network: &str) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        store.put(&layout::control_server(network), text).await?;
        Ok(())
    }
}

/// An address of this machine at the port that it listens on.
#[must_use]
pub fn at_port(address: Option<IpAddr>, listen: SocketAddr) -> Option<SocketAddr> {
    address.map(|address| SocketAddr::new(address, listen.port()))
}
