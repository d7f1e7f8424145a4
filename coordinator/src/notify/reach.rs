//! Where a webhook may lead. A job's address is the word of whoever wrote the job: what posts to it may stand where that
//! person does not, beside services that trust their network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where addresses may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere but where instance metadata is: of whoever runs the coordinator.
    Anywhere,
    /// On the public internet alone.
    #[default]
    Public,
}

impl Reach {
    /// Whether this address may be connected to.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let never = match address {
            IpAddr::V4(v4) => is_never(v4),
            IpAddr::V6(v6) => {
                v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || is_metadata(v6)
            }
        };
        !never && (self == Self::Anywhere || is_public(address))
    }
}

fn is_never(v4: Ipv4Addr) -> bool {
    // Link-local holds the metadata of EC2, ECS and their like.
    v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local()
}

/// EC2's metadata on IPv6: fd00:ec2::254.
fn is_metadata(v6: Ipv6Addr) -> bool {
    v6.segments().starts_with(&[0xfd00, 0x0ec2])
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // 0/8, 100.64/10 (behind carriers), 192.0.0/24, 198.18/15 (benchmarks), 240/4.
            let special = a == 0
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || a >= 240;
            let protocol = matches!(v4.octets(), [192, 0, 0, _]);
            !(v4.is_private() || v4.is_loopback() || v4.is_documentation() || special || protocol)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // 2000::/3 is what is given out; of it, 2002::/16 and 64:ff9b::/96 hold other addresses, 2001:db8::/32 is for books.
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second == 0xdb8 || second == 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reaches_the_public_internet_and_nobody_the_metadata() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(
                Reach::Public.allows(ip(public)) && Reach::Anywhere.allows(ip(public)),
                "{public}"
            );
        }
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.5.4",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "198.18.0.1",
            "2002:a00:1::1",
        ] {
            assert!(!Reach::Public.allows(ip(private)), "{private}");
            assert!(Reach::Anywhere.allows(ip(private)), "{private}");
        }
        for never in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(
                !Reach::Public.allows(ip(never)) && !Reach::Anywhere.allows(ip(never)),
                "{never}"
            );
        }
    }
}
