//! Join tokens: bound to one run and one role, and short-lived.

use std::time::Duration;

use jiff::Timestamp;

use super::{digest, same};
use crate::run::Role;

/// How long a machine has from its order to its enrolment. A node that has enrolled shows its session token instead.
pub const LIFE: Duration = Duration::from_secs(600);

/// Makes and checks the join tokens of one run. No `Debug`: it is a secret.
#[derive(Clone)]
pub struct Joining {
    secret: String,
}

/// Why a join token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It was never made here, or for something else.
    #[error("the join token is not of this run and role")]
    Foreign,
    /// It was good once.
    #[error(
        "the join token has expired: a machine has {} minutes from its order to its enrolment, where its coordinator renews it",
        LIFE.as_secs() / 60
    )]
    Expired,
}

impl Joining {
    pub(super) fn new(secret: String) -> Self {
        Self { secret }
    }

    /// A token for a machine that is ordered now.
    #[must_use]
    pub fn token(&self, role: Role, now: Timestamp) -> String {
        self.token_until(role, now.checked_add(LIFE).unwrap_or(Timestamp::MAX))
    }

    /// A token for every machine of a role that is started before this time.
    #[must_use]
    pub fn token_until(&self, role: Role, until: Timestamp) -> String {
        let until = until.as_second();
        format!("{until}.{}", self.digest(role, until))
    }

    /// Whether a node with this token may be taken in now.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&self, token: &str, role: Role, now: Timestamp) -> Result<(), JoinError> {
        let (until, shown) = token.split_once('.').ok_or(JoinError::Foreign)?;
        let until: i64 = until.parse().map_err(|_| JoinError::Foreign)?;
        if !same(shown, &self.digest(role, until)) {
            return Err(JoinError::Foreign);
        }
        if now.as_second() > until {
            return Err(JoinError::Expired);
        }
        Ok(())
    }

    fn digest(&self, role: Role, until: i64) -> String {
        digest(&self.secret, &["join", role.name(), &until.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_join_token_is_good_for_one_role_of_one_run_for_a_while() {
        let (ours, others) = (Joining::new("a".into()), Joining::new("b".into()));
        let token = ours.token(Role::Worker, at(1_000));
        assert_eq!(ours.check(&token, Role::Worker, at(1_000)), Ok(()));
        assert_eq!(ours.check(&token, Role::Worker, at(1_600)), Ok(()));
        assert_eq!(
            ours.check(&token, Role::Worker, at(1_601)),
            Err(JoinError::Expired)
        );
        assert_eq!(
            ours.check(&token, Role::Master, at(1_000)),
            Err(JoinError::Foreign)
        );
        assert_eq!(
            others.check(&token, Role::Worker, at(1_000)),
            Err(JoinError::Foreign)
        );
    }

    #[test]
    fn the_expiry_cannot_be_moved() {
        let ours = Joining::new("a".into());
        let token = ours.token(Role::Master, at(1_000));
        let moved = token.replacen("1600", "9999999", 1);
        assert_ne!(moved, token);
        for bad in [
            moved.as_str(),
            "",
            ".",
            "1600",
            "1600.",
            "x.y",
            "99999999999999999999.a",
        ] {
            assert_eq!(
                ours.check(bad, Role::Master, at(1_000)),
                Err(JoinError::Foreign),
                "{bad}"
            );
        }
    }
}
