//! The store of a coordinator: embedded, over a folder of this machine, or one that others serve.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mayfly_kit::store::{Access, Store, StoreConfig};
use tokio::task::JoinSet;

use super::addresses::loopback;
use crate::grpc;
use crate::home::{BUCKET, Home};

/// Region of the embedded store: any would do, clients want one.
const REGION: &str = "us-east-1";
/// What is asked of a store to see whether it answers; nothing is there.
const PROBE: &str = "runs/probe";

/// The store alone. No `Debug`: it knows the keys.
pub struct OpenStore {
    /// A client of it.
    pub store: Store,
    /// How others open it.
    pub config: StoreConfig,
    /// The bucket's folder on this machine, where the store is the embedded one.
    pub folder: Option<PathBuf>,
    server: Option<mayfly_s3::Server>,
    /// What carries its connections, where it is reached through a coordinator elsewhere.
    _way: JoinSet<()>,
}

/// Serves the embedded store of `home` on a free port and opens it.
///
/// # Errors
/// The folder cannot be used, or no port is free.
pub async fn open_store(home: &Path) -> anyhow::Result<OpenStore> {
    open_store_at(&Home::open(home)?, loopback()).await
}

/// The same on an address of the caller's choice.
///
/// # Errors
/// As [`open_store`].
pub async fn open_store_at(home: &Home, listen: SocketAddr) -> anyhow::Result<OpenStore> {
    let keys = home.keys()?;
    let config = mayfly_s3::Config {
        root: home.store(),
        listen,
        access_key: keys.access_key.clone(),
        secret_key: keys.secret_key.clone(),
        region: REGION.into(),
    };
    let server = mayfly_s3::Server::start(config)
        .await
        .context("start the embedded store")?;
    let config = StoreConfig {
        endpoint: Some(grpc::url(server.addr())),
        bucket: BUCKET.into(),
        prefix: String::new(),
        region: REGION.into(),
        access: Access::keys(keys.access_key, keys.secret_key),
    };
    let store = Store::open(&config);
    store
        .ensure_bucket()
        .await
        .context("make the bucket of the embedded store")?;
    Ok(OpenStore {
        store,
        config,
        folder: Some(home.store().join(BUCKET)),
        server: Some(server),
        _way: JoinSet::new(),
    })
}

impl OpenStore {
    /// A store that somebody else serves.
    ///
    /// # Errors
    /// It does not answer, or not to these keys.
    pub async fn elsewhere(config: StoreConfig) -> anyhow::Result<Self> {
        let store = Store::open(&config);
        let asked = store.get(PROBE).await;
        asked.with_context(|| format!("the store {} cannot be used", store.s3_url("")))?;
        Ok(Self {
            store,
            config,
            folder: None,
            server: None,
            _way: JoinSet::new(),
        })
    }

    /// The same, reached as long as these tasks live.
    #[must_use]
    pub(crate) fn by(self, way: JoinSet<()>) -> Self {
        Self { _way: way, ..self }
    }

    /// Where the embedded store listens.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(mayfly_s3::Server::addr)
    }

    /// Stops serving.
    pub async fn close(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
    }

    /// `store` of `node.json`.
    pub(super) fn for_nodes(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::to_value(&self.config).context("write the store's address for nodes")
    }
}
