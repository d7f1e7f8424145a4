//! Loopback addresses: one for each node, so that ports are the same as in the cloud.

use std::net::{IpAddr, Ipv4Addr};

use mayfly_proto::RunId;
use sha2::{Digest as _, Sha256};

/// Nodes of one run share 127.x.y.0/24 and its neighbours; x avoids the ranges that resolvers and others use.
const FIRST: u8 = 16;
const LAST: u8 = 239;
const NODES_PER_NET: u32 = 250;

/// The address of the `index`-th machine of a run.
#[must_use]
pub(super) fn of(run: &RunId, index: u32) -> IpAddr {
    let digest = Sha256::digest(run.as_str());
    let seed = digest
        .iter()
        .take(4)
        .fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
    let nets = u32::from(LAST - FIRST) << 8;
    let net = (seed % nets).wrapping_add(index / NODES_PER_NET) % nets;
    let [_, _, high, low] = net.to_be_bytes();
    let [_, _, _, host] = (index % NODES_PER_NET + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, FIRST + high, low, host))
}

/// Whether this machine lets nodes have addresses of their own.
///
/// # Errors
/// It has no such address.
pub(crate) fn probe() -> std::io::Result<IpAddr> {
    let last = IpAddr::V4(Ipv4Addr::new(127, LAST, u8::MAX, u8::MAX - 1));
    std::net::TcpListener::bind((last, 0)).map(|_| last)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_of_a_run_are_loopback_and_distinct() {
        let run: RunId = "iris-abcdefgh".parse().unwrap();
        let all: HashSet<_> = (0..2_000).map(|n| of(&run, n)).collect();
        assert_eq!(all.len(), 2_000);
        assert!(
            all.iter()
                .all(|ip| ip.is_loopback() && *ip != IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
    }
}
