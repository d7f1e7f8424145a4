//! What went wrong with Consul, in words that say what to do about it.

use std::error::Error;
use std::fmt;

/// Characters of Consul's own words that are shown.
const SAID_MAX: usize = 200;

pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// A request to Consul failed. It was made once: the caller knows when the next one is due.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ConsulError(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{doing}, Consul at {address}: {fault}")]
struct Inner {
    doing: String,
    address: String,
    fault: ConsulFault,
    #[source]
    source: Option<Cause>,
}

/// Kinds of failure, as far as they ask for different answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsulFault {
    /// We do not send this name, or this much.
    Unsendable {
        /// What is wrong, and what would be right.
        what: String,
    },
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did, or what answers does not speak HTTP.
    Broken,
    /// 403: the token lacks a rule.
    Denied {
        /// The rule that a policy of the token must have.
        rule: String,
        /// Consul's own words.
        said: String,
    },
    /// 429.
    RateLimited,
    /// The servers have no leader now.
    NoLeader,
    /// Its servers know no way to the datacenter of the settings.
    NoDatacenter {
        /// The datacenter.
        name: String,
    },
    /// The answer sends us elsewhere, where we do not go.
    Redirect {
        /// HTTP status.
        status: u16,
    },
    /// The answer is larger than any that we asked for.
    TooLarge {
        /// The bound, in bytes.
        max: usize,
    },
    /// What answers there is not Consul, or not one that we understand.
    NotConsul {
        /// What is strange about the answer.
        what: &'static str,
    },
    /// Anything else Consul refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// Consul's own words.
        said: String,
    },
}

impl fmt::Display for ConsulFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsendable { what } => f.write_str(what),
            Self::Connect => f.write_str("cannot connect: is it running, and is the address right?"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Broken => {
                f.write_str("the connection broke off, or it is not HTTP: was it stopped just now?")
            }
            Self::Denied { rule, said } => {
                write!(
                    f,
                    "access denied ({said}): give its token a policy with  {rule}  (configs/consul has policies)"
                )
            }
            Self::RateLimited => f.write_str("it limits the rate of requests (429)"),
            Self::NoLeader => {
                f.write_str("its servers have no leader: see `consul operator raft list-peers`")
            }
            Self::NoDatacenter { name } => {
                write!(
                    f,
                    "it knows no way to the datacenter {name:?}: is that its name? See `consul members -wan`"
                )
            }
            Self::Redirect { status } => {
                write!(
                    f,
                    "it redirects (HTTP {status}), which is not followed: give the address of Consul itself"
                )
            }
            Self::TooLarge { max } => write!(f, "the answer is larger than {max} bytes"),
            Self::NotConsul { what } => {
                write!(f, "this is not an answer of Consul ({what}): check the address")
            }
            Self::Refused { status, said } => write!(f, "refused (HTTP {status}): {said}"),
        }
    }
}

impl ConsulError {
    /// The kind of failure.
    #[must_use]
    pub fn fault(&self) -> &ConsulFault {
        &self.0.fault
    }

    /// True when the same request will fail the same way until somebody changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match &self.0.fault {
            ConsulFault::Unsendable { .. } | ConsulFault::Denied { .. } | ConsulFault::TooLarge { .. } => {
                true
            }
            ConsulFault::Connect
            | ConsulFault::Timeout
            | ConsulFault::Broken
            | ConsulFault::RateLimited
            | ConsulFault::NoLeader
            | ConsulFault::NoDatacenter { .. }
            | ConsulFault::Redirect { .. }
            | ConsulFault::NotConsul { .. } => false,
            ConsulFault::Refused { status, .. } => (400..500).contains(status),
        }
    }
}

/// What is being done, where, and which rule it needs.
pub(super) struct At<'a> {
    pub(super) doing: String,
    pub(super) rule: String,
    pub(super) address: &'a str,
    pub(super) datacenter: Option<&'a str>,
}

impl At<'_> {
    pub(super) fn fault(&self, fault: ConsulFault) -> ConsulError {
        self.caused(fault, None)
    }

    pub(super) fn caused(&self, fault: ConsulFault, source: Option<Cause>) -> ConsulError {
        ConsulError(Box::new(Inner {
            doing: self.doing.clone(),
            address: self.address.to_owned(),
            fault,
            source,
        }))
    }

    pub(super) fn not_consul(&self, what: &'static str) -> ConsulError {
        self.fault(ConsulFault::NotConsul { what })
    }

    pub(super) fn unsendable(&self, what: impl Into<String>) -> ConsulError {
        self.fault(ConsulFault::Unsendable { what: what.into() })
    }

    /// Of an answer that is no success.
    pub(super) fn status(&self, status: u16, body: &[u8]) -> ConsulError {
        let text: String = String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(SAID_MAX)
            .collect();
        let said = crate::telemetry::escape(&text);
        self.fault(match status {
            300..=399 => ConsulFault::Redirect { status },
            401 | 403 => ConsulFault::Denied {
                rule: self.rule.clone(),
                said,
            },
            429 => ConsulFault::RateLimited,
            500.. if said.contains("No cluster leader") => ConsulFault::NoLeader,
            500.. if said.contains("No path to datacenter") => ConsulFault::NoDatacenter {
                name: self.datacenter.unwrap_or_default().to_owned(),
            },
            _ => ConsulFault::Refused { status, said },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_says_what_to_do() {
        let at = At {
            doing: "register mayfly-master".into(),
            rule: r#"service "mayfly-master" { policy = "write" }"#.into(),
            address: "http://127.0.0.1:8500",
            datacenter: Some("eu-1"),
        };
        let told = |status, body: &str| at.status(status, body.as_bytes()).to_string();
        assert!(told(403, "Permission denied").contains(r#"service "mayfly-master" { policy = "write" }"#));
        assert!(told(500, "No cluster leader").contains("no leader"));
        assert!(told(500, "No path to datacenter").contains("\"eu-1\""));
        assert!(told(429, "").contains("429"));
        assert!(told(301, "").contains("not followed"));
        let forged = told(500, &format!("a\nforged line {}", "x".repeat(10_000)));
        assert!(!forged.contains('\n') && forged.len() < 400, "{forged}");
        assert!(at.status(403, b"").is_permanent() && !at.status(500, b"").is_permanent());
    }
}
