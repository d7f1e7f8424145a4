//! Which network fleets are launched in: one of ours by its name, or one that somebody else made.

use crate::diag::Problem;
use crate::text::{quote, sized};

/// Longest value.
const MAX: usize = 512;
/// Most subnets: one for each zone.
const SUBNETS_MAX: usize = 16;
const IN_CONSUL: &str = "consul:";
const HELP: &str = "write the name of a network (`coordinator network create NAME` makes it), `consul:PATH` with its ids below \
                    PATH/generated/ in Consul, or ids of subnets with `,` between";

/// Where what is known of a network is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkAt {
    /// In the tags of a network of ours.
    Named(String),
    /// In Consul's KV, below `<path>/generated/`.
    Consul(String),
    /// Here: the ids of its subnets.
    Subnets(Vec<String>),
}

impl NetworkAt {
    /// Reads one.
    ///
    /// # Errors
    /// Says what would be one.
    pub fn new(text: &str) -> Result<Self, Problem> {
        sized(text, MAX)?;
        let found = match text.strip_prefix(IN_CONSUL) {
            Some(path) => is_path(path).then(|| Self::Consul(path.to_owned())),
            None if text.starts_with("subnet-") => subnets(text).map(Self::Subnets),
            None => is_name(text).then(|| Self::Named(text.to_owned())),
        };
        found.ok_or_else(|| Problem::new(format!("is {}", quote(text))).help(HELP))
    }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(plain)
}

/// Keys of Consul with a first part that is like a prefix of ours.
fn is_path(text: &str) -> bool {
    let (first, rest) = text.split_once('/').unwrap_or((text, "x"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let is_part = |part: &str| !["", ".", ".."].contains(&part) && part.chars().all(plain);
    is_name(first) && rest.split('/').all(is_part)
}

fn subnets(text: &str) -> Option<Vec<String>> {
    let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
    let good = |id: &String| id.strip_prefix("subnet-").is_some_and(is_hex);
    (ids.len() <= SUBNETS_MAX && ids.iter().all(good)).then_some(ids)
}

/// The digits of an id: 17, or 8 in older accounts.
pub(super) fn is_hex(digits: &str) -> bool {
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    [8, 17].contains(&digits.len()) && digits.bytes().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_name_a_place_in_consul_or_subnets() {
        assert_eq!(NetworkAt::new("default"), Ok(NetworkAt::Named("default".into())));
        for path in ["aws", "team/aws", "old/Project_1/x.y"] {
            let read = NetworkAt::new(&format!("consul:{path}"));
            assert_eq!(read, Ok(NetworkAt::Consul(path.into())));
        }
        let two = NetworkAt::new("subnet-1a2b3c4d, subnet-0123456789abcdef0").unwrap();
        assert!(matches!(two, NetworkAt::Subnets(ids) if ids.len() == 2));
        for bad in [
            "",
            "Default",
            "1a",
            "consul:",
            "consul:/aws",
            "consul:aws/",
            "consul:aws//x",
            "consul:aws/../x",
            "consul:Aws",
            "consul:aws/a b",
            "subnet-",
            "subnet-xyz",
            "subnet-1a2b3c4d,",
            "subnet-1a2b3c4d,vpc-1a2b3c4d",
            &"a".repeat(33),
        ] {
            assert!(NetworkAt::new(bad).is_err(), "{bad}");
        }
    }
}
