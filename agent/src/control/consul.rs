//! The Consul beside a team's server: one server alone, closed to everybody without a token.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use nix::unistd::chown;
use serde::Serialize;
use serde_json::json;

use crate::boot::Control;
use crate::jobuser::JobUser;
use crate::supervise::{Keeper, Spec, Stream};

/// Whom the image has for it.
const USER: &str = "mayfly-consul";
const PORT: u16 = 8500;

/// What the coordinator is told of it.
#[derive(Serialize)]
pub(super) struct Told {
    address: String,
    data: PathBuf,
}

/// A Consul that can be started.
pub(super) struct Consul {
    pub(super) spec: Spec,
    pub(super) told: Told,
}

impl Consul {
    /// `program`, with its data in its user's home, or in the server's folder where the image has no such user.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub(super) fn new(control: &Control, program: &Path, keeper: PathBuf) -> io::Result<Self> {
        let user = JobUser::named(USER).ok();
        let home = user.as_ref().map(|user| user.home.clone());
        let folder = home.unwrap_or_else(|| control.folder.join("consul"));
        let data = folder.join("control");
        std::fs::create_dir_all(&data)?;
        let config = data.join("server.json");
        std::fs::write(&config, settings().to_string())?;
        if let Some(user) = &user {
            for path in [&data, &config] {
                chown(path, Some(user.uid.into()), Some(user.gid.into()))?;
            }
        }
        let address = control.address;
        let args = [
            "agent".to_owned(),
            "-server".to_owned(),
            "-bootstrap-expect=1".to_owned(),
            format!("-node={}", control.instance),
            format!("-bind={}", inner(address)),
            format!("-client={address}"),
            format!("-data-dir={}", data.display()),
            format!("-config-file={}", config.display()),
            "-log-level=warn".to_owned(),
        ];
        Ok(Self {
            spec: Spec {
                name: "consul".into(),
                stream: Stream::Agent,
                program: program.into(),
                args: args.into_iter().map(Into::into).collect(),
                env: std::env::vars_os().collect(),
                cwd: folder,
                keeper: Keeper::new(keeper, user),
            },
            told: Told {
                address: format!("http://{address}:{PORT}"),
                data,
            },
        })
    }
}

/// Where servers speak with each other: there is one, so nobody else is let in, whatever the security group says. A machine
/// whose own address is of loopback has it there.
fn inner(address: IpAddr) -> IpAddr {
    if address.is_loopback() {
        address
    } else {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

fn settings() -> serde_json::Value {
    json!({
        "acl": { "enabled": true, "default_policy": "deny", "down_policy": "extend-cache" },
        "ports": { "dns": -1, "grpc": -1, "serf_wan": -1 },
        "performance": { "raft_multiplier": 1 },
        "disable_update_check": true,
        "leave_on_terminate": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_for_others() {
        assert_eq!(inner("10.42.0.7".parse().unwrap()), Ipv4Addr::LOCALHOST);
        let own: IpAddr = "127.42.0.7".parse().unwrap();
        assert_eq!(inner(own), own);
        assert_eq!(settings()["acl"]["default_policy"], "deny");
    }
}
