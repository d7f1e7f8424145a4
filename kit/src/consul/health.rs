//! Services of others: what is asked, and what of the answer is believed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::error::ConsulError;
use super::service::{Kind, is_usable};
use super::{Consul, names};

/// Instances that are looked at; there is one of what we look for.
const INSTANCES_MAX: usize = 64;
/// Reasons that are kept.
const REFUSED_MAX: usize = 8;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The kind of service.
    pub kind: Kind,
    /// Tags that it must have.
    pub tags: Vec<(&'static str, String)>,
    /// Who looks: where this is no loopback address, none is believed.
    pub from: IpAddr,
}

/// An instance whose checks all pass, checked: its address is one of a machine, its port is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id in Consul.
    pub id: String,
    /// Where it is.
    pub address: SocketAddr,
    tags: Vec<String>,
}

impl Instance {
    /// The value of a tag `name=value`; `None` without one, or with two that differ.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        let mut values = self
            .tags
            .iter()
            .filter_map(|tag| tag.strip_prefix(name)?.strip_prefix('='));
        let first = values.next()?;
        values.all(|other| other == first).then_some(first)
    }
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What can be believed, sorted by id.
    pub instances: Vec<Instance>,
    /// Why other instances cannot.
    pub refused: Vec<String>,
    /// To give to [`Consul::healthy`] next time, so that it returns when something has changed; 0 when it shall not wait.
    pub index: u64,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Service")]
    service: RawInstance,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawInstance {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: i64,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Consul {
    /// Instances of a service whose checks all pass. With an `index` of an earlier answer it returns when there is news,
    /// or after `wait`.
    ///
    /// # Errors
    /// Consul cannot be asked, or its answer makes no sense. One instance that makes none is only left out.
    pub async fn healthy(&self, query: &Query, index: u64, wait: Duration) -> Result<Found, ConsulError> {
        let name = self.service_name(query.kind);
        let rule =
            format!("service \"{name}\" {{ policy = \"read\" }} node_prefix \"\" {{ policy = \"read\" }}");
        let at = self.at(format!("look for {name}"), rule);
        let tags: Vec<String> = query
            .tags
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if let Some(bad) = tags.iter().find(|tag| !names::is_tag(tag)) {
            return Err(at.unsendable(format!("{bad:?} is not a tag that we use")));
        }
        let block = (index > 0).then_some((index, wait));
        let (got, entries): (u64, Vec<Entry>) = self.wire.healthy(&at, &name, &tags, block).await?;
        let mut found = sorted_out(entries, &tags, query.from);
        found.index = next_index(index, got);
        Ok(found)
    }
}

/// An index that goes back belongs to another Consul, or to one that has lost what it knew: begin anew.
fn next_index(known: u64, got: u64) -> u64 {
    if got < known { 0 } else { got }
}

fn sorted_out(entries: Vec<Entry>, tags: &[String], from: IpAddr) -> Found {
    let mut found = Found {
        instances: Vec::new(),
        refused: Vec::new(),
        index: 0,
    };
    let all = entries.len();
    for entry in entries.into_iter().take(INSTANCES_MAX) {
        match checked(entry.service, tags, from) {
            Ok(instance) => found.instances.push(instance),
            Err(why) if found.refused.len() < REFUSED_MAX => found.refused.push(why),
            Err(_) => {}
        }
    }
    if all > INSTANCES_MAX {
        found
            .refused
            .push(format!("{all} instances, only {INSTANCES_MAX} are looked at"));
    }
    found
        .instances
        .sort_by(|a, b| (&a.id, a.address).cmp(&(&b.id, b.address)));
    found.instances.dedup();
    found
}

fn checked(raw: RawInstance, wanted: &[String], from: IpAddr) -> Result<Instance, String> {
    if !names::is_id(&raw.id) {
        let shown: String = raw.id.chars().take(60).collect();
        return Err(format!("the id {shown:?} is not one of ours"));
    }
    let bad = |what: &str| Err(format!("{}: {what}", raw.id));
    let tags = raw.tags.unwrap_or_default();
    if let Some(missing) = wanted.iter().find(|tag| !tags.contains(tag)) {
        return bad(&format!("it has no tag {missing}"));
    }
    let Ok(ip) = raw.address.parse::<IpAddr>() else {
        let shown: String = raw.address.chars().take(60).collect();
        return bad(&format!("its address {shown:?} is not an IP address"));
    };
    if !is_usable(ip) || (ip.is_loopback() && !from.is_loopback()) {
        return bad(&format!("its address {ip} cannot be reached from {from}"));
    }
    let Some(port) = u16::try_from(raw.port).ok().filter(|port| *port > 0) else {
        return bad(&format!("its port {} is not 1 to 65535", raw.port));
    };
    Ok(Instance {
        id: raw.id,
        address: SocketAddr::new(ip, port),
        tags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    fn entries(json: &str) -> Vec<Entry> {
        serde_json::from_str(json).unwrap()
    }

    fn entry(address: &str, port: i64) -> String {
        format!(
            r#"{{"Node":{{"Address":"10.0.0.1"}},"Service":{{"ID":"m","Service":"mayfly-master","Tags":["run=a"],"Address":{address:?},"Port":{port}}},"Checks":[]}}"#
        )
    }

    fn one(address: &str, port: i64, from: IpAddr) -> Result<SocketAddr, String> {
        let found = sorted_out(
            entries(&format!("[{}]", entry(address, port))),
            &["run=a".into()],
            from,
        );
        assert_eq!(found.instances.len() + found.refused.len(), 1);
        found
            .instances
            .first()
            .map(|i| i.address)
            .ok_or_else(|| found.refused.join("; "))
    }

    #[test]
    fn only_addresses_that_a_peer_can_use_are_believed() {
        assert_eq!(one("10.0.0.7", 7077, HERE), Ok("10.0.0.7:7077".parse().unwrap()));
        assert_eq!(one("fd00::7", 7077, HERE), Ok("[fd00::7]:7077".parse().unwrap()));
        for address in [
            "",
            "0.0.0.0",
            "::",
            "0.1.2.3",
            "master.example.org",
            "10.0.0.7\n",
            " 10.0.0.7",
            "10.0.0.7:80",
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.169.254",
            "fe80::1",
            "-Xagent",
        ] {
            assert!(one(address, 7077, HERE).is_err(), "{address:?}");
        }
        for port in [0, -1, 70_000, i64::MAX] {
            assert!(one("10.0.0.7", port, HERE).is_err(), "{port}");
        }
        // On one machine, the nodes are at loopback addresses.
        assert!(one("127.3.2.1", 7077, "127.0.0.1".parse().unwrap()).is_ok());
    }

    #[test]
    fn instances_without_our_tags_and_twofold_ones_are_left_out() {
        let wanted = ["run=b".to_owned()];
        let found = sorted_out(entries(&format!("[{}]", entry("10.0.0.7", 1))), &wanted, HERE);
        assert!(
            found.instances.is_empty() && found.refused[0].contains("run=b"),
            "{found:?}"
        );
        let no_tags = entries(r#"[{"Service":{"ID":"m","Tags":null,"Address":"10.0.0.7","Port":1}}]"#);
        assert!(sorted_out(no_tags, &wanted, HERE).instances.is_empty());
        let two = format!("[{0},{0},{1}]", entry("10.0.0.7", 1), entry("10.0.0.8", 1));
        let found = sorted_out(entries(&two), &["run=a".into()], HERE);
        assert_eq!(
            found.instances.len(),
            2,
            "one id at two addresses is two instances"
        );
    }

    #[test]
    fn a_tag_that_is_there_twice_has_no_value() {
        let instance = |tags: &[&str]| Instance {
            id: "m".into(),
            address: "10.0.0.7:1".parse().unwrap(),
            tags: tags.iter().map(|&t| t.to_owned()).collect(),
        };
        assert_eq!(instance(&["attempt=2", "run=a"]).tag("attempt"), Some("2"));
        assert_eq!(instance(&["attempt=2", "attempt=3"]).tag("attempt"), None);
        assert_eq!(instance(&["attempts=2"]).tag("attempt"), None);
    }

    #[test]
    fn an_answer_of_many_instances_is_bounded() {
        let many = vec![entry("10.0.0.7", 0); 1000].join(",");
        let found = sorted_out(entries(&format!("[{many}]")), &[], HERE);
        assert!(found.instances.is_empty() && found.refused.len() <= REFUSED_MAX + 1);
    }

    #[test]
    fn an_index_that_goes_back_begins_anew() {
        assert_eq!(next_index(0, 17), 17);
        assert_eq!(next_index(17, 17), 17);
        assert_eq!(next_index(17, 3), 0);
        assert_eq!(next_index(17, 0), 0);
    }
}
