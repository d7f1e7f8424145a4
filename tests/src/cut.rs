//! A server that some processes of this machine can reach and others cannot.

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, OnceLock};

use crate::proxy::{Pass, Proxy, Rule};

/// Stands before a server and carries every byte, except those of processes that are cut off: theirs do not arrive, either
/// way, before the network is whole again. Nobody is told.
#[derive(Debug)]
pub struct Cut(Proxy<Off>);

/// The processes that are cut off.
#[derive(Debug, Default)]
struct Off(Mutex<HashSet<i32>>);

impl Rule for Off {
    type Client = Client;

    fn greet(&self, client: &mut TcpStream) -> Option<Client> {
        Some(Client::new(client))
    }

    fn pass(&self, client: &Client) -> Pass {
        let off = self.0.lock().unwrap();
        if !off.is_empty() && client.pid().is_some_and(|pid| off.contains(&pid)) {
            Pass::Hold
        } else {
            Pass::Carry
        }
    }
}

/// Who has connected.
#[derive(Debug)]
struct Client {
    peer: Option<SocketAddr>,
    pid: OnceLock<i32>,
}

impl Client {
    fn new(stream: &TcpStream) -> Self {
        let client = Self {
            peer: stream.peer_addr().ok(),
            pid: OnceLock::new(),
        };
        client.pid();
        client
    }

    /// Its process. The kernel's table is read in pieces while others change it, so that a look may miss it: the next
    /// one finds it.
    fn pid(&self) -> Option<i32> {
        if self.pid.get().is_none()
            && let Some(pid) = self.peer.and_then(owner)
        {
            let _ = self.pid.set(pid);
        }
        self.pid.get().copied()
    }
}

impl Cut {
    /// Before the server at `http://host:port`.
    ///
    /// # Panics
    /// That is no address, or there is no port left.
    #[must_use]
    pub fn before(url: &str) -> Self {
        Self(Proxy::before(url, Off::default()))
    }

    /// `http://host:port` of this.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// From now on nothing gets through from or to this process.
    ///
    /// # Panics
    /// Another thread has panicked.
    pub fn off(&self, pid: i32) {
        self.0.rule().0.lock().unwrap().insert(pid);
    }

    /// What is on its way arrives, and what comes after it.
    ///
    /// # Panics
    /// Another thread has panicked.
    pub fn on(&self, pid: i32) {
        self.0.rule().0.lock().unwrap().remove(&pid);
    }
}

/// The process that has the other end of a connection from this machine.
fn owner(peer: SocketAddr) -> Option<i32> {
    let SocketAddr::V4(peer) = peer else { return None };
    let local = format!(
        "{:08X}:{:04X}",
        u32::from_le_bytes(peer.ip().octets()),
        peer.port()
    );
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let columns = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let inode = columns
        .filter(|columns| columns.get(1) == Some(&local.as_str()))
        .find_map(|columns| columns.get(9).map(|inode| format!("socket:[{inode}]")))?;
    let all = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten();
        let mut targets = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        targets.any(|target| target.as_os_str() == inode.as_str())
    })
}
