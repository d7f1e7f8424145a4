//! The client of Consul, of both programs.
//!
//! Consul is a help and never a need: every call has an end, no answer is larger than a bound, and nothing that is read
//! is believed before it is checked. Names are checked before they are sent, because Consul 1.8.7 takes a service name
//! with a line feed or `/..;` in it.
//!
//! * [`Consul`]: KV ([`Consul::get`] …), services ([`Consul::register`] …), sessions ([`Consul::create_session`] …),
//!   and the ACLs of a Consul that is ours alone ([`Consul::bootstrap`] …);
//! * [`ConsulSettings`]: which Consul; [`ConsulError`]: what went wrong and what to do;
//! * [`Presence`]: keeps one service registered, whatever happens to Consul;
//! * `wire`: the one module that knows consulrs and its HTTP client.

mod acl;
mod error;
mod health;
mod kv;
mod names;
mod presence;
mod service;
mod session;
mod settings;
mod txn;
mod wire;

pub use acl::Bootstrap;
pub use error::{ConsulError, ConsulFault};
pub use health::{Found, Instance, Query};
pub use kv::{Cas, KV_MAX_BYTES, Value};
pub use presence::Presence;
pub use service::{Health, Kind, Service};
pub use session::SessionId;
pub use settings::{ConsulSettings, DEFAULT_PREFIX, SettingsError};
pub use txn::{Put, parts};

use std::sync::Arc;

/// A Consul agent or server. Clones share its connections.
#[derive(Clone)]
pub struct Consul {
    wire: Arc<wire::Wire>,
    prefix: Arc<str>,
}

impl Consul {
    /// Checks the settings and makes a client. No request is made.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn open(settings: &ConsulSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            wire: Arc::new(wire::Wire::new(settings)?),
            prefix: settings.prefix.as_str().into(),
        })
    }

    /// Whether its address is one of this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        settings::is_local(self.address())
    }

    /// `http://host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.wire.address()
    }
}
