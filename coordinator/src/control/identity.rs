//! What makes a server the same one on each of its machines: the key of its authority, and what its tokens are made from.

use anyhow::Context as _;
use mayfly_configs::ConsulPolicy;
use mayfly_kit::layout;
use mayfly_kit::store::{Created, Store};
use serde::{Deserialize, Serialize};

use crate::authority::Authority;
use crate::home::Home;
use crate::tokens::Tokens;

/// Shape of the object.
const VERSION: u32 = 1;
/// Largest that is read, in bytes.
const MAX: u64 = 64 << 10;

/// An identity. No `Debug`: all of it is secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    version: u32,
    /// The authority of its certificates, PEM, with its key.
    authority: String,
    /// What tokens of nodes are made from.
    secret: String,
    /// What people show.
    people: String,
}

impl Identity {
    /// Draws a new one.
    fn draw() -> anyhow::Result<Self> {
        let (authority, _) = Authority::fresh()?;
        let tokens = Tokens::generate().context("draw the server's tokens")?;
        let (secret, people) = tokens.parts();
        Ok(Self {
            version: VERSION,
            authority,
            secret: secret.to_owned(),
            people: people.to_owned(),
        })
    }

    /// That of the network's server, if it has one.
    ///
    /// # Errors
    /// The store does not answer, or what is there is none.
    pub async fn read(store: &Store, network: &str) -> anyhow::Result<Option<Self>> {
        let key = layout::control_identity(network);
        let Some(object) = store.get_capped(&key, MAX).await? else {
            return Ok(None);
        };
        // An error of the parser may quote what it has read.
        let parsed = serde_json::from_slice::<Self>(&object.bytes).ok();
        let ours = parsed.filter(|identity| identity.version == VERSION);
        let what = || {
            format!(
                "{} is not the identity of a server of this version",
                store.s3_url(&key)
            )
        };
        ours.with_context(what).map(Some)
    }

    /// That of the network's server: the first machine makes it, and of two at once one.
    ///
    /// # Errors
    /// As [`Identity::read`], or there are no random bytes.
    pub async fn kept(store: &Store, network: &str) -> anyhow::Result<Self> {
        if let Some(kept) = Self::read(store, network).await? {
            return Ok(kept);
        }
        let drawn = Self::draw()?;
        let text = serde_json::to_vec(&drawn).context("write the server's identity")?;
        match store.put_new(&layout::control_identity(network), text).await? {
            Created::Yes(_) => Ok(drawn),
            Created::Exists => {
                let kept = Self::read(store, network).await?;
                kept.context("the server's identity was taken away while it was being made")
            }
        }
    }

    /// Lays it down in the folder of a coordinator that has not been started there before.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn lay_down(&self, home: &Home) -> anyhow::Result<()> {
        Tokens::lay_down(home, &self.secret, &self.people)?;
        Authority::lay_down(home, &self.authority)?;
        Ok(())
    }

    /// What people show.
    #[must_use]
    pub fn people(&self) -> &str {
        &self.people
    }

    /// What people show to the server's Consul.
    #[must_use]
    pub fn people_in_consul(&self) -> String {
        let tokens = Tokens::of(self.secret.clone(), self.people.clone());
        tokens.consul(ConsulPolicy::People.name())
    }
}
