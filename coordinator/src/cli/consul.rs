//! Flags that say which Consul.

use std::path::{Path, PathBuf};

use mayfly_configs::{ConsulFile, Given};
use mayfly_kit::consul::{Consul, ConsulSettings, DEFAULT_PREFIX};

use super::failure::Failure;
use super::secret;
use crate::consul::Sides;

/// Which Consul; none without an address. The variables are those of Consul's own command line, where it has one.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Consul")]
pub(crate) struct ConsulArgs {
    /// Address of Consul: nodes register there [default: no Consul]
    #[arg(long = "consul", env = "CONSUL_HTTP_ADDR", value_name = "URL")]
    pub(crate) address: Option<String>,
    /// File with the token of this command
    #[arg(
        long = "consul-token-file",
        env = "CONSUL_HTTP_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the token that nodes get, which may do less [default: the token of this command]
    #[arg(
        long = "consul-node-token-file",
        env = "CONSUL_NODE_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub(crate) node_token_file: Option<PathBuf>,
    /// PEM file with the only authorities that an https address is trusted by [default: the public ones]
    #[arg(long = "consul-ca-file", env = "CONSUL_CACERT", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Datacenter [default: that of the agent at the address]
    #[arg(long = "consul-datacenter", env = "CONSUL_DATACENTER", value_name = "NAME")]
    pub(crate) datacenter: Option<String>,
    /// First part of all our names in Consul [default: mayfly]
    #[arg(long = "consul-prefix", env = "MAYFLY_CONSUL_PREFIX", value_name = "NAME")]
    pub(crate) prefix: Option<String>,
}

fn token_in(path: &Path) -> Result<String, Failure> {
    secret::read("the token of Consul", path)
}

impl From<ConsulFile> for ConsulArgs {
    fn from(file: ConsulFile) -> Self {
        Self {
            address: Some(file.address),
            token_file: file.token_file,
            node_token_file: file.node_token_file,
            ca_file: file.ca_file,
            datacenter: file.datacenter,
            prefix: Some(file.prefix),
        }
    }
}

impl ConsulArgs {
    /// What flags and environment say, to lie over the settings of a server.
    pub(crate) fn given(&self) -> Vec<Given> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let all: [(&str, &'static [&'static str], Option<String>); 6] = [
            (
                "--consul (CONSUL_HTTP_ADDR)",
                &["consul", "address"],
                self.address.clone(),
            ),
            (
                "--consul-token-file (CONSUL_HTTP_TOKEN_FILE)",
                &["consul", "token_file"],
                path(&self.token_file),
            ),
            (
                "--consul-node-token-file (CONSUL_NODE_TOKEN_FILE)",
                &["consul", "node_token_file"],
                path(&self.node_token_file),
            ),
            (
                "--consul-ca-file (CONSUL_CACERT)",
                &["consul", "ca_file"],
                path(&self.ca_file),
            ),
            (
                "--consul-datacenter (CONSUL_DATACENTER)",
                &["consul", "datacenter"],
                self.datacenter.clone(),
            ),
            (
                "--consul-prefix (MAYFLY_CONSUL_PREFIX)",
                &["consul", "prefix"],
                self.prefix.clone(),
            ),
        ];
        let set = |(flag, key, text): (&'static str, &'static [&'static str], Option<String>)| {
            let text = text.filter(|text| !text.is_empty())?;
            Some(Given { flag, key, text })
        };
        all.into_iter().filter_map(set).collect()
    }

    /// Consul as this command uses it, where the command cannot do without.
    ///
    /// # Errors
    /// None is named, or as [`ConsulArgs::sides`].
    pub(crate) fn named(&self) -> Result<ConsulSettings, Failure> {
        let sides = self.sides()?;
        sides.map(|sides| sides.own).ok_or_else(|| {
            Failure::usage("which Consul? say --consul http://127.0.0.1:8500, or set CONSUL_HTTP_ADDR")
        })
    }

    /// Reads the token files and checks everything; `None` without an address.
    ///
    /// # Errors
    /// A file cannot be read, or a value cannot be used.
    pub(crate) fn sides(&self) -> Result<Option<Sides>, Failure> {
        let Some(address) = self.address.as_deref().filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        let token = self.token_file.as_deref().map(token_in).transpose()?;
        let of_nodes = self.node_token_file.as_deref().map(token_in).transpose()?;
        let own = ConsulSettings {
            address: address.to_owned(),
            token,
            // Nodes read it too, from folders of their own.
            ca_file: self.ca_file.as_deref().map(absolute).transpose()?,
            datacenter: self.datacenter.clone(),
            prefix: self.prefix.clone().unwrap_or_else(|| DEFAULT_PREFIX.into()),
        };
        // Opening makes no request.
        Consul::open(&own)?;
        let nodes = ConsulSettings {
            token: of_nodes.or_else(|| own.token.clone()),
            ..own.clone()
        };
        nodes.check()?;
        Ok(Some(Sides { own, nodes }))
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_get_a_token_of_their_own_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let mut args = ConsulArgs {
            address: Some("127.0.0.1:8500".into()),
            token_file: file("own", "own-token\n"),
            ..ConsulArgs::default()
        };
        let sides = args.sides().unwrap().unwrap();
        assert_eq!(sides.own, sides.nodes);
        assert_eq!(
            (sides.own.token.as_deref(), &*sides.own.prefix),
            (Some("own-token"), "mayfly")
        );
        args.node_token_file = file("node", "node-token");
        assert_eq!(
            args.sides().unwrap().unwrap().nodes.token.as_deref(),
            Some("node-token")
        );
        for (name, text) in [("empty", " \n"), ("two", "a b"), ("long", &"x".repeat(300))] {
            args.node_token_file = file(name, text);
            let failure = args.sides().unwrap_err();
            assert!(!failure.message.contains("own-token"), "{}", failure.message);
        }
        args.node_token_file = Some(dir.path().join("missing"));
        assert!(args.sides().unwrap_err().message.contains("missing"));
    }

    #[test]
    fn without_an_address_there_is_no_consul() {
        for address in [None, Some(String::new())] {
            let args = ConsulArgs {
                address,
                token_file: Some("/nonexistent".into()),
                ..ConsulArgs::default()
            };
            assert_eq!(args.sides().unwrap(), None);
        }
        let bad = ConsulArgs {
            address: Some("unix:///run/consul".into()),
            ..ConsulArgs::default()
        };
        assert!(bad.sides().is_err());
    }
}
