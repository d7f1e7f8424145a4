//! The host of a repository: looked up and checked, so that a name cannot lead to an address that no repository has.
//! (An address that stands in the URL itself is checked where the job file is.)

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use mayfly_configs::GitUrl;
use url::Url;

use super::SourceError;

/// Longest wait for the name service.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

/// Looks the host up. The answer is a value for `http.curloptResolve`, so that Git uses the very addresses that were
/// checked; `None` where the name is not ours to look up: ssh has aliases, a proxy asks by itself.
pub(crate) async fn check(url: &GitUrl) -> Result<Option<String>, SourceError> {
    if url.is_ssh() || proxied() {
        return Ok(None);
    }
    let shown = url.to_string();
    let unreachable = |message: String| SourceError::Unreachable {
        url: shown.clone(),
        message,
    };
    let port = Url::parse(&shown)
        .ok()
        .and_then(|u| u.port_or_known_default())
        .unwrap_or(443);
    let lookup = tokio::net::lookup_host((url.host(), port));
    let found: Vec<IpAddr> = match tokio::time::timeout(LOOKUP_LIMIT, lookup).await {
        Err(_) => return Err(unreachable("the name service does not answer".to_owned())),
        Ok(Err(_)) => return Err(unreachable(format!("there is no host {:?}", url.host()))),
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
    };
    if let Some(ip) = found.iter().find(|ip| forbidden(**ip)) {
        return Err(unreachable(format!(
            "its host is at {ip}, an address that no repository has"
        )));
    }
    let list: Vec<String> = found.iter().map(ToString::to_string).collect();
    Ok(Some(format!("{}:{port}:{}", url.host(), list.join(","))))
}

/// Addresses of metadata services and of nobody in particular. Private ones are allowed: a repository at the office
/// is a common thing, and who launches may reach it anyway.
fn forbidden(ip: IpAddr) -> bool {
    const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast() || ip == EC2_METADATA
        }
    }
}

fn proxied() -> bool {
    [
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "all_proxy",
        "ALL_PROXY",
    ]
    .iter()
    .any(|key| std::env::var_os(key).is_some_and(|v| !v.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_no_repositories() {
        for bad in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "fe80::1",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            assert!(forbidden(bad.parse().unwrap()), "{bad}");
        }
        for good in ["127.0.0.1", "10.0.0.7", "140.82.121.4", "2606:50c0::1"] {
            assert!(!forbidden(good.parse().unwrap()), "{good}");
        }
    }
}
