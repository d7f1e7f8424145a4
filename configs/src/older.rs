//! The files of the older system (`spark.yml` and its companions): recognised by their keys, and made into blocks of ours
//! that keep their places, so that every check and every message of a job file is theirs too.
//!
//! `keys` says what became of each key, `block` moves one block, `import` writes the job file.

mod block;
mod import;
mod keys;

pub use import::{Import, import};
pub(crate) use keys::name_now;

use crate::SHARED;
use crate::diag::{Problem, Sink};
use crate::keys::JOB;
use crate::tree::{Entry, Node, Value};

/// Keys of `aws.yml`; two of them make a file one.
const NETWORK: [&str; 13] = [
    "region",
    "availability_zone",
    "key_pair",
    "ami_id",
    "cidr_block",
    "enable_dns_hostnames",
    "path_to_generated_aws_properties",
    "vpc_name",
    "gateway_name",
    "route_table_cidr_block_all",
    "subnet_name",
    "map_public_ip_on_launch",
    "security_group_name",
];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One of ours, or nothing that is known.
    Ours,
    /// `spark.yml`, or `r-server.yml`.
    Jobs,
    /// `aws.yml`.
    Network,
}

fn kind(root: &Node) -> Kind {
    let Value::Map(entries) = &root.value else {
        return Kind::Ours;
    };
    let network = |entry: &&Entry| {
        NETWORK.contains(&entry.key.as_str()) && matches!(entry.node.value, Value::Scalar { .. })
    };
    if entries.iter().filter(network).count() >= 2 {
        return Kind::Network;
    }
    let has = |entry: &Entry, known: &dyn Fn(&str) -> bool| match &entry.node.value {
        Value::Map(keys) => keys.iter().any(|key| known(&key.key)),
        Value::Null | Value::Scalar { .. } | Value::List(_) => false,
    };
    let old = |entry: &Entry| has(entry, &|key| keys::fate(key).is_some());
    let new =
        |entry: &Entry| entry.key == SHARED || (!old(entry) && has(entry, &|key| JOB.of("").contains(&key)));
    if entries.iter().any(old) && !entries.iter().any(new) {
        return Kind::Jobs;
    }
    Kind::Ours
}

/// The file as one of ours; `base` are the compiled-in defaults. One of ours comes back as it is; none when the sink knows why.
pub(crate) fn modernise(sink: &mut Sink, base: &[Entry], root: Node) -> Option<Node> {
    match kind(&root) {
        Kind::Ours => Some(root),
        Kind::Jobs => {
            let jobs = block::all(sink, base, &root)?;
            let entries = jobs.into_iter().map(|job| job.into_entry(sink)).collect();
            Some(Node {
                value: Value::Map(entries),
                ..root
            })
        }
        Kind::Network => {
            let problem = Problem::new(
                "this is the network of the older system (aws.yml), made once for all clusters; it holds no jobs",
            );
            let help = "no job needs it: launch or import the file with the jobs (spark.yml), and keep no network for it";
            sink.report(root.place, "", problem.help(help));
            None
        }
    }
}
