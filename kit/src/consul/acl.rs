//! ACLs of a Consul that is ours alone: its first token, policies, and tokens that are known beforehand.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{At, ConsulError, ConsulFault};
use super::{Consul, names};

/// Answer to the first request of a new Consul.
#[derive(Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// The token that may do everything; nobody is told it again. No `Debug`: it is a secret.
    Token(String),
    /// It was told before. Who may write into Consul's data folder may have it told again, with this number in the file
    /// `acl-bootstrap-reset` there (Consul documentation, "Reset the ACL system").
    Closed {
        /// The number.
        reset_index: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    #[serde(rename = "SecretID")]
    secret_id: Option<String>,
    #[serde(rename = "ID")]
    id: Option<String>,
}

impl Consul {
    /// Asks for the token that may do everything.
    ///
    /// # Errors
    /// Consul cannot be asked, or its answer cannot be believed.
    pub async fn bootstrap(&self) -> Result<Bootstrap, ConsulError> {
        let at = self.at_acl("ask for the first token");
        match self.wire.put_json(&at, "acl/bootstrap", None).await {
            Ok(answer) => {
                let made: Made = answer.parse(&at)?;
                let token = made.secret_id.ok_or_else(|| at.not_consul("no token"))?;
                Ok(Bootstrap::Token(token))
            }
            Err(error) => match reset_index(error.fault()) {
                Some(reset_index) => Ok(Bootstrap::Closed { reset_index }),
                None => Err(error),
            },
        }
    }

    /// Makes a policy, or brings the one of this name to what it shall be.
    ///
    /// # Errors
    /// As [`Consul::bootstrap`]; the name is none.
    pub async fn ensure_policy(&self, name: &str, rules: &str) -> Result<(), ConsulError> {
        let at = self.at_acl(&format!("write the policy {name}"));
        if !names::is_id(name) {
            return Err(at.unsendable(format!("{name:?} is not a name that we use")));
        }
        let body = json!({ "Name": name, "Rules": rules });
        match self.wire.put_json(&at, "acl/policy", Some(body.clone())).await {
            Err(error) if is_there(error.fault()) => {}
            other => return other.map(|_| ()),
        }
        let found = self
            .wire
            .get_json(&at, &format!("acl/policy/name/{name}"))
            .await?;
        let found: Made = found.ok_or_else(|| at.not_consul("404"))?.parse(&at)?;
        let id = found.id.filter(|id| is_uuid(id));
        let id = id.ok_or_else(|| at.not_consul("a policy without an id"))?;
        let mut body = body;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("ID".into(), Value::String(id.clone()));
        }
        let path = format!("acl/policy/{id}");
        self.wire.put_json(&at, &path, Some(body)).await.map(|_| ())
    }

    /// Makes a token that is this secret and has this policy; one that is there stays.
    ///
    /// # Errors
    /// As [`Consul::bootstrap`]; the secret is no UUID.
    pub async fn ensure_token(&self, secret: &str, policy: &str) -> Result<(), ConsulError> {
        let at = self.at_acl(&format!("make a token of the policy {policy}"));
        if !is_uuid(secret) {
            return Err(at.unsendable("a token that is no UUID"));
        }
        let body = json!({ "SecretID": secret, "Description": policy, "Policies": [{ "Name": policy }] });
        match self.wire.put_json(&at, "acl/token", Some(body)).await {
            Err(error) if is_there(error.fault()) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Gives Consul's own agent the token that it needs for its own records.
    ///
    /// # Errors
    /// As [`Consul::bootstrap`].
    pub async fn set_agent_token(&self, secret: &str) -> Result<(), ConsulError> {
        let at = self.at_acl("give the agent its token");
        let body = json!({ "Token": secret });
        let given = self.wire.put_json(&at, "agent/token/agent", Some(body)).await;
        given.map(|_| ())
    }

    fn at_acl(&self, doing: &str) -> At<'_> {
        self.at(
            doing.into(),
            r#"acl = "write", agent_prefix "" { policy = "write" }"#.into(),
        )
    }
}

/// Consul says it in words only.
fn reset_index(fault: &ConsulFault) -> Option<u64> {
    let (ConsulFault::Denied { said, .. } | ConsulFault::Refused { said, .. }) = fault else {
        return None;
    };
    let (_, rest) = said.split_once("reset index: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// `A Policy with Name "x" already exists`, `SecretID already in use`: with status 500 in older releases.
fn is_there(fault: &ConsulFault) -> bool {
    let ConsulFault::Refused { said, .. } = fault else {
        return false;
    };
    said.contains("already exists") || said.contains("already in use")
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c) || c == '-';
    lengths == [8, 4, 4, 4, 12] && text.chars().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_consul_says_in_words_is_understood() {
        let refused = |said: &str| ConsulFault::Refused {
            status: 500,
            said: said.into(),
        };
        let denied = ConsulFault::Denied {
            rule: String::new(),
            said: "Permission denied: ACL bootstrap no longer allowed (reset index: 13)".into(),
        };
        assert_eq!(reset_index(&denied), Some(13));
        assert_eq!(reset_index(&refused("No cluster leader")), None);
        assert_eq!(reset_index(&ConsulFault::Timeout), None);
        assert!(is_there(&refused(
            "Invalid Policy: A Policy with Name \"x\" already exists"
        )));
        assert!(!is_there(&refused("no")));
        assert!(is_uuid("0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"));
        for bad in ["", "0a0a0a0a", "0A0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a", "../x"] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }
}
