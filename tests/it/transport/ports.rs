//! Where the processes of a run listen.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mayfly_tests::{Run, procs};

use super::launch::node_json;

/// Where Spark's Master takes jobs from everybody, unless it is told not to.
const REST_PORT: u16 = 6066;

/// Every socket that a process of the run listens at is one of those that the engine and the agent need.
pub(crate) fn only_where_it_may(run: &Run<'_>) {
    let own: BTreeSet<IpAddr> = ["master-1", "worker-1"]
        .iter()
        .map(|node| node_json(run, node)["address"].as_str().unwrap().parse().unwrap())
        .collect();
    let found = listening(run);
    for port in [9464, 7077] {
        assert!(
            found.iter().any(|at| at.port() == port),
            "nothing at {port}: {found:?}"
        );
    }
    for at in &found {
        let here = at.ip() == Ipv4Addr::LOCALHOST || at.ip() == Ipv6Addr::LOCALHOST;
        // Spark, its pages too, at the node's own address; Python and its JVM meet on loopback. Nobody on every interface.
        assert!(
            own.contains(&at.ip()) || here,
            "a node listens at {at}; all: {found:?}"
        );
        assert_ne!(at.port(), REST_PORT, "jobs can be submitted over HTTP: {found:?}");
    }
}

/// Sockets in state LISTEN of all processes of the run.
fn listening(run: &Run<'_>) -> BTreeSet<SocketAddr> {
    listening_of(procs::of(&run.id).into_iter().map(|process| process.pid))
}

/// The same of these processes.
pub(crate) fn listening_of(pids: impl IntoIterator<Item = i32>) -> BTreeSet<SocketAddr> {
    let mut inodes = BTreeSet::new();
    for pid in pids {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
        for link in entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
        {
            let text = link.to_string_lossy().into_owned();
            if let Some(inode) = text.strip_prefix("socket:[") {
                inodes.insert(inode.trim_end_matches(']').to_owned());
            }
        }
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = fields.filter(|fields| fields[3] == "0A" && inodes.contains(fields[9]));
    ours.map(|fields| socket(fields[1])).collect()
}

/// `0100007F:1F90`: words of four bytes in the machine's order, and the port.
fn socket(text: &str) -> SocketAddr {
    let (address, port) = text.split_once(':').unwrap();
    let words = address.as_bytes().chunks(8);
    let bytes: Vec<u8> = words
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap())
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&bytes[..]).unwrap()).to_canonical(),
    };
    SocketAddr::new(ip, u16::from_str_radix(port, 16).unwrap())
}
