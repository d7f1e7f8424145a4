//! Three servers with ACLs.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::{BOOT, Consul, own_address};
use crate::wait;

/// Three servers with ACLs, default deny.
#[derive(Debug)]
pub struct Cluster {
    /// They all have the token that may do everything.
    pub servers: Vec<Consul>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// Starts it, and gives each server the token that it needs for its own records.
    #[must_use]
    pub fn new() -> Self {
        let addresses = [own_address(), own_address(), own_address()];
        let joins = addresses.map(|address| format!("-retry-join={address}"));
        let mut servers: Vec<Consul> = addresses.map(|address| server(address, &joins)).into();
        servers.iter_mut().for_each(Consul::spawn);
        servers.iter().for_each(Consul::wait_leader);
        let token = wait::until("the first token", wait::secs(BOOT), || {
            let (status, body) = servers[0].try_http("PUT", "/v1/acl/bootstrap", "").ok()?;
            let made: Value = serde_json::from_str(&body).ok()?;
            (status == 200).then(|| made["SecretID"].as_str().unwrap().to_owned())
        });
        servers
            .iter_mut()
            .for_each(|server| server.token = Some(token.clone()));
        let cluster = Self { servers };
        cluster.wait_known(&token);
        let rules = r#"node_prefix "" { policy = "write" } service_prefix "" { policy = "read" }"#;
        let own = cluster.token("servers", rules);
        for server in &cluster.servers {
            let body = json!({ "Token": own }).to_string();
            server.http("PUT", "/v1/agent/token/agent", &body);
        }
        cluster
    }

    /// Makes a token with one policy, of a file.
    #[must_use]
    pub fn token_of(&self, policy: &Path) -> String {
        let name = policy.file_stem().unwrap().to_str().unwrap();
        self.token(name, &fs::read_to_string(policy).unwrap())
    }

    fn token(&self, policy: &str, rules: &str) -> String {
        let server = &self.servers[0];
        server.json(
            "PUT",
            "/v1/acl/policy",
            &json!({ "Name": policy, "Rules": rules }),
        );
        let made = server.json(
            "PUT",
            "/v1/acl/token",
            &json!({ "Policies": [{ "Name": policy }] }),
        );
        let token = made["SecretID"].as_str().unwrap().to_owned();
        self.wait_known(&token);
        token
    }

    /// A server looks a token up in its own records, which may be behind the leader's: it is asked for what it has itself.
    fn wait_known(&self, token: &str) {
        for server in &self.servers {
            wait::until("a token to be known", wait::secs(BOOT), || {
                let (status, _) = server
                    .try_http_as(token, "GET", "/v1/acl/token/self?stale", "")
                    .ok()?;
                (status == 200).then_some(())
            });
        }
    }
}

fn server(address: IpAddr, joins: &[String]) -> Consul {
    let mut consul = Consul::new(address, Vec::new());
    let config = consul.dir.path().join("server.json");
    let settings = json!({
        "acl": { "enabled": true, "default_policy": "deny", "down_policy": "extend-cache" },
        "performance": { "raft_multiplier": 1 },
    });
    fs::write(&config, settings.to_string()).unwrap();
    let data = consul.dir.path().join("data");
    consul.args = [
        format!("-node=server-{}", address.to_string().replace('.', "-")),
        "-server".into(),
        "-bootstrap-expect=3".into(),
        "-retry-interval=1s".into(),
        format!("-data-dir={}", data.display()),
        format!("-config-file={}", config.display()),
    ]
    .into_iter()
    .chain(joins.iter().cloned())
    .collect();
    consul
}
