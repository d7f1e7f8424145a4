//! Which store a command reads: the one that the environment names, else the embedded one of the home.

use mayfly_configs::S3Prefix;
use mayfly_kit::store::{Access, StoreConfig};

use super::failure::Failure;

/// `s3://bucket/prefix`: as jobs have it in their environment.
pub(crate) const STORE_VAR: &str = "MAYFLY_STORE";

/// The store that the environment names, with the variables of AWS' own tools.
///
/// # Errors
/// It is not one, or its keys are missing.
pub(crate) fn named() -> Result<Option<StoreConfig>, Failure> {
    parse(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// The first part of every key below a prefix that has no `/` at its ends.
pub(crate) fn key_prefix(prefix: &str) -> String {
    if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}/")
    }
}

fn parse(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<StoreConfig>, Failure> {
    let Some(url) = variable(STORE_VAR) else {
        return Ok(None);
    };
    let place =
        S3Prefix::new(&url).map_err(|problem| Failure::usage(format!("{STORE_VAR} {}", problem.message)))?;
    let key = |name: &str| {
        variable(name)
            .ok_or_else(|| Failure::usage(format!("{STORE_VAR} is set, and {name} is not: both are needed")))
    };
    Ok(Some(StoreConfig {
        endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
        bucket: place.bucket().to_owned(),
        prefix: key_prefix(place.prefix()),
        region: variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| "us-east-1".to_owned()),
        access: Access::keys(key("AWS_ACCESS_KEY_ID")?, key("AWS_SECRET_ACCESS_KEY")?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<StoreConfig>, Failure> {
        parse(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_store_is_named_whole_or_not_at_all() {
        assert!(of(&[]).unwrap().is_none());
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let with = |url| of(&[("MAYFLY_STORE", url), keys[0], keys[1]]);
        let config = with("s3://team/mayfly/").unwrap().unwrap();
        assert_eq!(
            (config.bucket.as_str(), config.prefix.as_str()),
            ("team", "mayfly/")
        );
        assert_eq!(with("s3://team").unwrap().unwrap().prefix, "");
        assert!(with("team").is_err() && with("s3://").is_err());
        let lacks = of(&[("MAYFLY_STORE", "s3://team"), keys[0]]).err().unwrap();
        assert!(
            lacks.text().contains("AWS_SECRET_ACCESS_KEY is not"),
            "{}",
            lacks.text()
        );
    }
}
