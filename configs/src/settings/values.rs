//! The rules of single settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::network::{NetworkAt, is_hex};
use crate::diag::Problem;
use crate::git::check_host;
use crate::s3::{check_bucket, check_prefix};
use crate::text::{clean, quote, sized};
use crate::units;

type Checked<T> = Result<T, Problem>;

pub(super) fn listen(text: &str) -> Checked<SocketAddr> {
    text.parse().map_err(|_| {
        Problem::new(format!("is {}, which is not an address and a port", quote(text)))
            .help("write IP:PORT, such as 127.0.0.1:7070, 0.0.0.0:7070 or [::]:7070")
    })
}

pub(super) fn path(text: &str) -> Checked<PathBuf> {
    sized(text, 4_096)?;
    clean(text)?;
    if text.starts_with('~') {
        let problem = Problem::new(format!("is {}: `~` is not expanded", quote(text)));
        return Err(problem.help("write the path in full"));
    }
    Ok(PathBuf::from(text))
}

/// `http://` or `https://`, a host and perhaps a port, nothing else.
pub(crate) fn base_url(text: &str) -> Checked<String> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(place) = rest else {
        return Err(Problem::new("is not an http or https URL")
            .help(URL_HELP)
            .secret());
    };
    host_and_port(place.strip_suffix('/').unwrap_or(place))?;
    Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
}

/// As [`base_url`], or `host:port` alone.
pub(super) fn address(text: &str) -> Checked<String> {
    if text.contains("://") {
        return base_url(text);
    }
    host_and_port(text)?;
    Ok(text.to_owned())
}

const URL_HELP: &str = "write http://host:port or https://host:port, with nothing behind it";

/// What is refused may hold a password: it is not repeated.
fn host_and_port(place: &str) -> Checked<()> {
    if place.contains(['@', '/', '?', '#']) {
        return Err(Problem::new("has more than a host and a port")
            .help(URL_HELP)
            .secret());
    }
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let number = units::whole(port).is_ok_and(|port| (1..=65_535).contains(&port));
    if !port.is_empty() && !number {
        let problem = Problem::new(format!("has the port {}", quote(port)));
        return Err(problem.help("a port is a number from 1 to 65535"));
    }
    clean(host)?;
    check_host(host).map_err(|problem| Problem {
        help: Some(URL_HELP.to_owned()),
        ..problem
    })
}

pub(super) fn bucket(text: &str) -> Checked<String> {
    check_bucket(text).map(|()| text.to_owned())
}

/// First part of the keys in a bucket, without `/` at its ends.
pub(super) fn key_prefix(text: &str) -> Checked<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    check_prefix(text).map(|()| text.to_owned())
}

pub(super) fn region(text: &str) -> Checked<String> {
    word(text, 32, "-", "write it as AWS does, such as eu-north-1")
}

pub(super) fn datacenter(text: &str) -> Checked<String> {
    word(text, 64, "-_", "write it as Consul does, such as dc1")
}

pub(super) fn consul_prefix(text: &str) -> Checked<String> {
    let help = "use 1 to 32 lower-case letters, digits and `-`, beginning with a letter, such as mayfly";
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text == text.to_ascii_lowercase() {
        return word(text, 32, "-", help);
    }
    Err(Problem::new(format!("is {}", quote(text))).help(help))
}

/// A network, as [`NetworkAt`] says.
pub(super) fn network(text: &str) -> Checked<NetworkAt> {
    NetworkAt::new(text)
}

pub(super) fn security_group(text: &str) -> Checked<String> {
    if text.strip_prefix("sg-").is_some_and(is_hex) {
        return Ok(text.to_owned());
    }
    let help = "write a security group's id, such as sg-0123456789abcdef0";
    Err(Problem::new(format!("is {}", quote(text))).help(help))
}

/// The name of an instance profile (IAM API reference, `InstanceProfileName`).
pub(super) fn instance_profile(text: &str) -> Checked<String> {
    word(
        text,
        128,
        "+=,.@-_",
        "write the name of an instance profile, not its ARN",
    )
}

/// The ARN of a role.
pub(super) fn role_arn(text: &str) -> Checked<String> {
    let help = "write the ARN of a role, such as arn:aws:iam::123456789012:role/jobs";
    let is_role = text.starts_with("arn:") && text.contains(":iam::") && text.contains(":role/");
    if is_role {
        return word(text, 2_048, "+=,.@-_:/", help);
    }
    Err(Problem::new(format!("is {}", quote(text))).help(help))
}

pub(super) fn image(text: &str) -> Checked<String> {
    let help = "write an image's id, such as ami-0123456789abcdef0";
    if text.starts_with("ami-") {
        return word(text, 32, "-", help);
    }
    Err(Problem::new(format!("is {}", quote(text))).help(help))
}

/// A profile or a key pair.
pub(super) fn aws_name(text: &str) -> Checked<String> {
    word(
        text,
        128,
        "-_.@+ ",
        "write it as `aws configure list-profiles` or the console shows it",
    )
}

fn word(text: &str, max: usize, others: &str, help: &str) -> Checked<String> {
    sized(text, max)?;
    if text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!("is {}", quote(text))).help(help))
}
