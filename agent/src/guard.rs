//! Closes instance metadata to the job's user.
//!
//! A hop limit stops containers, not processes of the machine itself. So packets of the job's user to the addresses of the
//! metadata are refused by the kernel, by the user's number; the agent, who is root, still gets through.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};

/// Metadata, and what stands in for it in containers.
const CLOSED: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
];

/// Why metadata cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The program is not there.
    #[error(
        "there is no nft on this machine: without it jobs, which run as a user of their own, reach the machine's instance metadata; \
         install nftables, as the image does"
    )]
    Missing,
    /// The program is there and cannot be run.
    #[error("run nft")]
    Run(#[source] io::Error),
    /// It refused the rules.
    #[error("nft refuses the rules that close instance metadata to the job: {0}")]
    Refused(String),
}

/// Closes the metadata, and `also`, to the user of this number.
///
/// # Errors
/// The rules are not in place: nothing of a job may run.
pub fn close(uid: u32, also: Option<IpAddr>) -> Result<(), GuardError> {
    let spawned = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut nft = match spawned {
        Ok(nft) => nft,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(GuardError::Missing),
        Err(error) => return Err(GuardError::Run(error)),
    };
    if let Some(mut input) = nft.stdin.take() {
        // One that ended early says why on its other side.
        let _ended = input.write_all(rules(uid, also).as_bytes());
    }
    let done = nft.wait_with_output().map_err(GuardError::Run)?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(GuardError::Refused(
        said.lines().next().unwrap_or_default().to_owned(),
    ))
}

/// Replaces what there was of ours, and touches nothing else.
fn rules(uid: u32, also: Option<IpAddr>) -> String {
    let fixed = CLOSED.iter().filter_map(|text| text.parse().ok());
    let closed = fixed.chain(also.filter(|address| !CLOSED.contains(&address.to_string().as_str())));
    let lines: String = closed
        .map(|address: IpAddr| {
            let family = if address.is_ipv4() { "ip" } else { "ip6" };
            format!("    meta skuid {uid} {family} daddr {address} reject\n")
        })
        .collect();
    format!(
        "table inet mayfly {{}}\ndelete table inet mayfly\ntable inet mayfly {{\n  chain output {{\n    type filter hook \
         output priority 0; policy accept;\n{lines}  }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_the_user_and_every_address_once() {
        let text = rules(990, "127.3.3.3".parse().ok());
        assert_eq!(text.matches("meta skuid 990").count(), CLOSED.len() + 1, "{text}");
        assert!(
            text.contains("ip6 daddr fd00:ec2::254 reject") && text.contains("ip daddr 127.3.3.3 reject")
        );
        assert_eq!(rules(1, CLOSED[0].parse().ok()), rules(1, None));
    }
}
