//! The settings of `coordinator serve`: one file over the compiled-in defaults, flags and environment over that. Read
//! like a job file, with the same errors. Nothing in it is secret: secrets are named by their files.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::check::{optional, spark_version};
use crate::diag::{Errors, Problem, Sink};
use crate::keys::SETTINGS;
use crate::merge::merge;
use crate::read::{Field, Section};
use crate::text::quote;
use crate::tree::{self, Entry, Value};
use crate::webhook::{self, Webhook};
use crate::{finish, sets};

mod aws;
mod network;
pub(crate) mod values;

pub use aws::AwsSettings;
pub use network::NetworkAt;

/// The compiled-in settings, which are their reference too.
pub const SETTINGS_DEFAULTS: &str = include_str!("../coordinator.yml");

/// A line of such a file.
const EXAMPLE: &str = "listen: 0.0.0.0:7070";
/// More runs at once than any machine can drive.
const RUNS: RangeInclusive<u32> = 1..=100_000;
/// More connections than any process can have files for.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;

/// What `coordinator serve` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where gRPC listens.
    pub listen: SocketAddr,
    /// Where the admin pages are.
    pub admin: SocketAddr,
    /// How others reach it (`http://` or `https://`, a host, perhaps a port), where that is not `listen`.
    pub public_url: Option<String>,
    /// The folder of its own things, unless it is looked for.
    pub state: Option<PathBuf>,
    /// Release of Spark that its nodes run, unless it is that of the job file's defaults.
    pub spark: Option<String>,
    /// A store of S3; none is the embedded one.
    pub store: Option<StoreSettings>,
    /// Consul, where there is one.
    pub consul: Option<ConsulFile>,
    /// The certificate that it shows, unless it has an authority of its own.
    pub tls: Option<TlsFiles>,
    /// Where in AWS fleets are launched, if anywhere.
    pub aws: Option<AwsSettings>,
    /// What it lets others take.
    pub limits: ServeLimits,
    /// Who is told of every run.
    pub notify: Vec<Webhook>,
    /// File that holds what they are signed with.
    pub notify_secret_file: Option<PathBuf>,
}

/// How much others may take of a server. What is not named comes from the files that its process may open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Runs that are not closed.
    pub runs: u32,
    /// Connections of people, and of nodes until they have proven who they are.
    pub connections: Option<u32>,
    /// Of these, from one address.
    pub connections_per_address: Option<u32>,
    /// Connections of nodes that have proven who they are.
    pub node_connections: Option<u32>,
}

/// A store of S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The bucket.
    pub bucket: String,
    /// First part of every key; may be empty.
    pub prefix: String,
    /// Its region.
    pub region: String,
    /// Its URL, where it is not AWS's own.
    pub endpoint: Option<String>,
    /// File that holds the access key.
    pub access_key_file: PathBuf,
    /// File that holds the secret key.
    pub secret_key_file: PathBuf,
}

/// Which Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulFile {
    /// `http://host:port`, `https://host:port` or `host:port`.
    pub address: String,
    /// File that holds the ACL token.
    pub token_file: Option<PathBuf>,
    /// File that holds the ACL token that nodes get, unless it is the same.
    pub node_token_file: Option<PathBuf>,
    /// PEM file of the authorities that are trusted.
    pub ca_file: Option<PathBuf>,
    /// Datacenter, unless it is the agent's own.
    pub datacenter: Option<String>,
    /// First part of every name and key of ours.
    pub prefix: String,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the certificate and its chain.
    pub cert_file: PathBuf,
    /// PEM file of its key.
    pub key_file: PathBuf,
}

/// A setting that was given outside of the file, by a flag or in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The flag, as messages name it.
    pub flag: &'static str,
    /// The key in the file, its block first.
    pub key: &'static [&'static str],
    /// The value.
    pub text: String,
}

/// Checks settings: those `given` over the file (its name and its text) over the compiled-in ones.
///
/// # Errors
/// Everything that is wrong.
pub fn parse_settings(file: Option<(&Path, &str)>, given: &[Given]) -> Result<Settings, Errors> {
    let mut sink = Sink::default();
    let name = "the compiled-in coordinator.yml";
    let mut entries = read(&mut sink, name, SETTINGS_DEFAULTS, EXAMPLE);
    let mut base = PathBuf::new();
    if let Some((path, text)) = file {
        if text.len() > crate::MAX_FILE_BYTES {
            return Err(Errors::of_file(&path.to_string_lossy(), crate::file::too_large()));
        }
        let own = read(&mut sink, &path.to_string_lossy(), text, EXAMPLE);
        entries = merge(&entries, &own);
        base = path.parent().map(Path::to_owned).unwrap_or_default();
    }
    let files = sink.sources();
    for one in given {
        let text = std::slice::from_ref(&one.text);
        entries = merge(
            &entries,
            &sets::flag(&mut sink, one.flag, one.key, text, false).unwrap_or_default(),
        );
    }
    let paths = Paths { base, files };
    let settings = (sink.count() == 0).then(|| settings(&mut sink, &paths, &entries));
    finish(sink, settings.flatten()).map(|(settings, _)| settings)
}

/// The keys of one text; nothing when there are none, or when the sink knows why.
pub(crate) fn read(sink: &mut Sink, name: &str, text: &str, example: &str) -> Vec<Entry> {
    let source = sink.add_source(name, text);
    let Some(root) = tree::parse(sink, source, text, 0) else {
        return Vec::new();
    };
    match root.value {
        Value::Map(entries) => entries,
        Value::Null => Vec::new(),
        Value::Scalar { .. } | Value::List(_) => {
            let problem = Problem::new(format!("the file holds {}, not settings", root.value.kind()));
            sink.report(
                root.place,
                "",
                problem.help(format!("write `key: value` lines, such as `{example}`")),
            );
            Vec::new()
        }
    }
}

/// What the paths of the file are relative to; those of flags are taken as they are.
pub(crate) struct Paths {
    pub(crate) base: PathBuf,
    /// Sources below this number are files.
    pub(crate) files: usize,
}

impl Paths {
    pub(crate) fn read(&self, sink: &mut Sink, field: &Field<'_>) -> Option<PathBuf> {
        let path = field.with(sink, values::path)?;
        if self.is_of_file(field) {
            return Some(self.base.join(path));
        }
        Some(path)
    }

    fn is_of_file(&self, field: &Field<'_>) -> bool {
        field.node.place.source < self.files
    }
}

fn settings(sink: &mut Sink, paths: &Paths, entries: &[Entry]) -> Option<Settings> {
    let top = Section::open(sink, &SETTINGS, "", "", entries);
    let listen = need(sink, &top, "listen", values::listen);
    let admin = need(sink, &top, "admin", values::listen);
    let public_url = optional(top.get("public_url"), |field| field.with(sink, values::base_url));
    let state = optional(top.get("state"), |field| paths.read(sink, &field));
    let spark = optional(top.get("spark"), |field| field.with(sink, spark_version));
    let store = top
        .sub(sink, "store")
        .and_then(|block| store(sink, paths, &block));
    let consul = top
        .sub(sink, "consul")
        .and_then(|block| consul(sink, paths, &block));
    let tls = optional(top.get("tls"), |_| top.sub(sink, "tls"))
        .and_then(|block| block.map_or(Some(None), |block| tls(sink, paths, &block)));
    let aws = top.sub(sink, "aws").and_then(|block| aws::aws(sink, &block));
    let limits = top.sub(sink, "limits").and_then(|block| limits(sink, &block));
    let notify = optional(top.get("notify"), |field| webhook::read(sink, &field));
    let notify_secret_file = optional(top.get("notify_secret_file"), |field| paths.read(sink, &field));
    Some(Settings {
        listen: listen?,
        admin: admin?,
        public_url: public_url?,
        state: state?,
        spark: spark?,
        store: store?,
        consul: consul?,
        tls: tls?,
        aws: aws?,
        limits: limits?,
        notify: notify?.unwrap_or_default(),
        notify_secret_file: notify_secret_file?,
    })
}

fn limits(sink: &mut Sink, block: &Section<'_>) -> Option<ServeLimits> {
    let runs = block.need(sink, "runs").and_then(|field| field.int(sink, RUNS));
    let mut most = |key| optional(block.get(key), |field| field.int(sink, CONNECTIONS));
    let connections = most("connections");
    let connections_per_address = most("connections_per_address");
    let node_connections = most("node_connections");
    Some(ServeLimits {
        runs: runs?,
        connections: connections?,
        connections_per_address: connections_per_address?,
        node_connections: node_connections?,
    })
}

fn need<T>(
    sink: &mut Sink,
    section: &Section<'_>,
    key: &'static str,
    check: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<T> {
    section.need(sink, key).and_then(|field| field.with(sink, check))
}

/// Outer none: wrong; inner none: the embedded one.
fn store(sink: &mut Sink, paths: &Paths, block: &Section<'_>) -> Option<Option<StoreSettings>> {
    let prefix = need(sink, block, "prefix", values::key_prefix);
    let region = need(sink, block, "region", values::region);
    let bucket = optional(block.get("bucket"), |field| field.with(sink, values::bucket));
    let endpoint = optional(block.get("endpoint"), |field| field.with(sink, values::base_url));
    let access = optional(block.get("access_key_file"), |field| paths.read(sink, &field));
    let secret = optional(block.get("secret_key_file"), |field| paths.read(sink, &field));
    let (prefix, region, endpoint) = (prefix?, region?, endpoint?);
    let (bucket, access, secret) = (bucket?, access?, secret?);
    if bucket.is_none() {
        let idle = ["endpoint", "access_key_file", "secret_key_file"];
        return goes_with(sink, block, "bucket", &idle).then_some(None);
    }
    let complete = goes_with(sink, block, "access_key_file", &["bucket"])
        && goes_with(sink, block, "secret_key_file", &["bucket"]);
    if !complete {
        return None;
    }
    Some(Some(StoreSettings {
        bucket: bucket?,
        prefix,
        region,
        endpoint,
        access_key_file: access?,
        secret_key_file: secret?,
    }))
}

fn consul(sink: &mut Sink, paths: &Paths, block: &Section<'_>) -> Option<Option<ConsulFile>> {
    let prefix = need(sink, block, "prefix", values::consul_prefix);
    let address = optional(block.get("address"), |field| field.with(sink, values::address));
    let token_file = optional(block.get("token_file"), |field| paths.read(sink, &field));
    let node_token_file = optional(block.get("node_token_file"), |field| paths.read(sink, &field));
    let ca_file = optional(block.get("ca_file"), |field| paths.read(sink, &field));
    let datacenter = optional(block.get("datacenter"), |field| {
        field.with(sink, values::datacenter)
    });
    let (token_file, node_token_file) = (token_file?, node_token_file?);
    let (prefix, ca_file, datacenter) = (prefix?, ca_file?, datacenter?);
    let Some(address) = address? else {
        // Of the environment they may be there for other programs.
        let mut idle = vec!["token_file", "node_token_file", "ca_file", "datacenter"];
        idle.retain(|key| block.get(key).is_some_and(|field| paths.is_of_file(&field)));
        return goes_with(sink, block, "address", &idle).then_some(None);
    };
    Some(Some(ConsulFile {
        address,
        token_file,
        node_token_file,
        ca_file,
        datacenter,
        prefix,
    }))
}

fn tls(sink: &mut Sink, paths: &Paths, block: &Section<'_>) -> Option<Option<TlsFiles>> {
    let cert = optional(block.get("cert_file"), |field| paths.read(sink, &field))?;
    let key = optional(block.get("key_file"), |field| paths.read(sink, &field))?;
    let whole = goes_with(sink, block, "cert_file", &["key_file"])
        && goes_with(sink, block, "key_file", &["cert_file"]);
    if !whole {
        return None;
    }
    Some(
        cert.zip(key)
            .map(|(cert_file, key_file)| TlsFiles { cert_file, key_file }),
    )
}

/// Reports the keys that mean nothing without `wanted`.
pub(crate) fn goes_with(
    sink: &mut Sink,
    block: &Section<'_>,
    wanted: &'static str,
    keys: &[&'static str],
) -> bool {
    if block.get(wanted).is_some() {
        return true;
    }
    let before = sink.count();
    for field in keys.iter().filter_map(|key| block.get(key)) {
        let problem = Problem::new(format!("is given without {}", quote(wanted)));
        field.report(
            sink,
            problem.help(format!("add `{wanted}` beside it, or remove it")),
        );
    }
    sink.count() == before
}
