//! What AWS refused, told apart by what to do about it.

use std::error::Error;
use std::fmt;

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use mayfly_kit::error::chain;

pub use crate::kind::Kind;

/// A request to AWS failed, after the retries that it deserved.
#[derive(Debug)]
pub struct AwsError {
    kind: Kind,
    doing: String,
    code: Option<String>,
    said: String,
}

impl AwsError {
    /// Of our own making.
    pub(crate) fn new(kind: Kind, doing: impl Into<String>, said: impl Into<String>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            code: None,
            said: said.into(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// AWS's own code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The hint that goes with the kind.
    fn hint(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Quota => {
                Some("ask for more in the console under Service Quotas, or use fewer or smaller machines")
            }
            Kind::Permission => Some("`configs/iam` has the policies that Mayfly needs"),
            Kind::Credentials => Some("see `aws configure list`, or log in again"),
            _ => None,
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: ", self.doing)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(self.said.trim_end_matches('.'))?;
        match self.hint() {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for AwsError {}

/// What failed while `doing` something.
pub(crate) fn failed<E, R>(doing: impl Into<String>, error: aws_sdk_ec2::error::SdkError<E, R>) -> AwsError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    let service = error.as_service_error();
    let code = service.and_then(|service| service.code()).map(ToOwned::to_owned);
    let message = service
        .and_then(|service| service.message())
        .map(ToOwned::to_owned);
    let named = code.as_deref().and_then(Kind::of_code);
    let said = message.unwrap_or_else(|| chain(&error));
    let kind = match named {
        Some(kind) => kind,
        None if service.is_some() => Kind::Transient,
        // Nothing was sent: there was nothing to sign it with.
        None if said.contains("credentials") => Kind::Credentials,
        None => Kind::Transient,
    };
    let said = match service {
        Some(_) => said,
        None => unsigned(&said).unwrap_or(said),
    };
    AwsError {
        kind,
        doing: doing.into(),
        code,
        said,
    }
}

/// What the SDK tells in many lines, of every place where it looked for credentials: that there are none, and what is wrong
/// with the one place that somebody may have named. `None` when it tells of something else.
fn unsigned(said: &str) -> Option<String> {
    let (_, places) = said.split_once("no credentials found in chain")?;
    let profile = places
        .lines()
        .find_map(|line| line.trim().strip_prefix("Profile: ")?.split(": ").nth(1));
    Some(match profile {
        Some(why) => format!("there are no credentials: {why}"),
        None => "there are no credentials on this machine".to_owned(),
    })
}

/// Whether it went well or what was named is not there.
pub(crate) fn gone<T>(result: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_credentials_is_told_so_in_one_line() {
        let said = "dispatch failure: other: the credential provider was not enabled: no credentials found in chain. Attempted:\n  \
                    Environment: the credential provider was not enabled: environment variable not set\n  \
                    Profile: the credential provider was not enabled";
        let known = unsigned(said).unwrap();
        assert_eq!(known, "there are no credentials on this machine");
        let named = format!(
            "{said}: profile `missing` was not defined: could not find source profile missing\n  X: y"
        );
        let known = unsigned(&named).unwrap();
        assert_eq!(
            known,
            "there are no credentials: profile `missing` was not defined"
        );
        assert_eq!(unsigned("dispatch failure: timeout"), None);
    }
}
