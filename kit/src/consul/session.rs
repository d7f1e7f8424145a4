//! Sessions: what a lock belongs to. One that is not renewed ends. Then the keys that it had locked are deleted, and may
//! be locked again after the lock's delay.

use super::error::{At, ConsulError};
use super::{Consul, names};

/// Shortest that Consul allows; it may take twice as long to notice.
const TTL: &str = "10s";
const LOCK_DELAY: &str = "1s";

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    pub(super) fn checked(id: &str) -> Option<Self> {
        names::is_session(id).then(|| Self(id.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Consul {
    /// Makes a session that lives for ten seconds after it was last renewed.
    ///
    /// # Errors
    /// Consul cannot be asked, or its answer cannot be believed.
    pub async fn create_session(&self, name: &str) -> Result<SessionId, ConsulError> {
        let at = self.at_session("make a session");
        if !names::is_id(name) {
            return Err(at.unsendable(format!("{name:?} is not a name that we use")));
        }
        let id = self.wire.create_session(&at, name, TTL, LOCK_DELAY).await?;
        SessionId::checked(&id).ok_or_else(|| at.not_consul("an id that is not a session's"))
    }

    /// Lets it live on; false when it has ended.
    ///
    /// # Errors
    /// As [`Consul::create_session`].
    pub async fn renew_session(&self, session: &SessionId) -> Result<bool, ConsulError> {
        let at = self.at_session("renew a session");
        self.wire.renew_session(&at, session.as_str()).await
    }

    /// Ends it; the keys that it had locked are deleted.
    ///
    /// # Errors
    /// As [`Consul::create_session`].
    pub async fn destroy_session(&self, session: &SessionId) -> Result<(), ConsulError> {
        let at = self.at_session("end a session");
        self.wire.destroy_session(&at, session.as_str()).await
    }

    fn at_session(&self, doing: &str) -> At<'_> {
        self.at(doing.into(), r#"session_prefix "" { policy = "write" }"#.into())
    }
}
