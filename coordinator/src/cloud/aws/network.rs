//! The network that fleets are launched in: one of ours, or one that somebody else made, whose ids are in the settings or in
//! Consul's KV, under the keys that the system before this one used.
//!
//! What is read from Consul is a claim: the ids must look like ids, and AWS must know them, and know them together.

use mayfly_aws::Account;
use mayfly_aws::network::{self, Given, Id, Network, Parts};
use mayfly_configs::{AwsSettings, NetworkAt};
use mayfly_kit::consul::{Cas, Consul, ConsulError, ConsulSettings, Put};

use super::{CloudError, cloud_error};
use crate::cloud::transient;

/// Longest value that is read.
const VALUE_MAX: usize = 2_048;
/// Keys of the older system, below [`FOLDER`].
const VPC: &str = "vpc_id";
const SUBNET: &str = "subnet_id";
const SECURITY_GROUP: &str = "default_security_group_id";
const ZONE: &str = "availability_zone";
/// What it had not: networks of ours have several subnets and roles of their own.
const SUBNETS: &str = "subnet_ids";
const PROFILE: &str = "instance_profile";
const JOB_ROLE: &str = "job_role";
const FOLDER: &str = "generated";

/// Which network.
#[derive(Clone)]
pub enum Place {
    /// One of ours, by its name.
    Named(String),
    /// By its ids.
    Given(Given),
    /// By those that Consul has; what the settings say goes before.
    InConsul(InConsul, Given),
}

impl Place {
    /// The network that the settings name.
    ///
    /// # Errors
    /// An id is none, or it is in Consul and no Consul is named.
    pub fn of(settings: &AwsSettings, consul: Option<&ConsulSettings>) -> Result<Self, CloudError> {
        let mut place = Self::at(&settings.network, consul).map_err(CloudError::Permanent)?;
        if let Self::Given(given) | Self::InConsul(_, given) = &mut place {
            let group = settings.security_group.as_deref();
            given.security_group = group
                .map(|text| id("sg", text))
                .transpose()
                .map_err(CloudError::Permanent)?;
            given.profile.clone_from(&settings.instance_profile);
            given.job_role.clone_from(&settings.job_role);
        }
        Ok(place)
    }

    /// The same, with nothing said of it but where it is.
    ///
    /// # Errors
    /// As [`Place::of`].
    pub fn at(network: &NetworkAt, consul: Option<&ConsulSettings>) -> Result<Self, String> {
        match network {
            NetworkAt::Named(name) => Ok(Self::Named(name.clone())),
            NetworkAt::Subnets(ids) => {
                let subnets = ids
                    .iter()
                    .map(|text| id("subnet", text))
                    .collect::<Result<_, _>>()?;
                Ok(Self::Given(Given {
                    subnets,
                    ..unsaid(&ids.join(", "))
                }))
            }
            NetworkAt::Consul(path) => {
                let consul = consul.ok_or_else(|| {
                    format!(
                        "the network is consul:{path}, and no Consul is named (--consul, or `consul.address`)"
                    )
                })?;
                Ok(Self::InConsul(
                    InConsul::open(consul, path)?,
                    unsaid(&format!("consul:{path}")),
                ))
            }
        }
    }

    /// What there is of it now.
    ///
    /// # Errors
    /// AWS or Consul refuse or do not answer, or what Consul says is not to be believed.
    pub async fn find(&self, account: &Account) -> Result<Parts, CloudError> {
        let found = match self {
            Self::Named(name) => network::find(account, name).await,
            Self::Given(given) => network::given(account, given).await,
            Self::InConsul(there, over) => network::given(account, &there.read(over).await?).await,
        };
        found.map_err(cloud_error)
    }

    /// The network, with nothing missing.
    pub(super) async fn complete(&self, account: &Account) -> Result<Network, CloudError> {
        let network = self.find(account).await?.complete();
        let network =
            network.map_err(|error| CloudError::Permanent(format!("{error}; {}", self.remedy())))?;
        if network.job_role.is_none() && matches!(self, Self::Named(_)) {
            let lacks = format!(
                "the network {} has no role of jobs; {}",
                network.name,
                self.remedy()
            );
            return Err(CloudError::Permanent(lacks));
        }
        Ok(network)
    }

    fn remedy(&self) -> String {
        match self {
            Self::Named(name) => format!("`coordinator network create {name}` makes it"),
            Self::Given(_) => {
                "say it in the settings: `security_group`, `instance_profile` of `aws`".to_owned()
            }
            Self::InConsul(there, _) => format!(
                "write it to Consul below {}/, or say it in the settings: `security_group`, `instance_profile` of `aws`",
                there.folder()
            ),
        }
    }
}

fn id(kind: &str, text: &str) -> Result<Id, String> {
    Id::new(kind, text).map_err(|why| format!("{text:?} {why}"))
}

/// A network of which nothing is said but its name.
fn unsaid(name: &str) -> Given {
    Given {
        name: name.to_owned(),
        vpc: None,
        subnets: Vec::new(),
        zone: None,
        security_group: None,
        profile: None,
        job_role: None,
    }
}

/// Ids of a network in Consul's KV.
#[derive(Clone)]
pub struct InConsul {
    consul: Consul,
    path: String,
    /// Below the first part of the path, which is the client's prefix.
    below: String,
}

impl InConsul {
    /// A place in Consul; makes no request.
    ///
    /// # Errors
    /// The path or a setting cannot be used.
    pub fn open(settings: &ConsulSettings, path: &str) -> Result<Self, String> {
        let (prefix, rest) = path.split_once('/').unwrap_or((path, ""));
        let settings = ConsulSettings {
            prefix: prefix.to_owned(),
            ..settings.clone()
        };
        Ok(Self {
            consul: Consul::open(&settings).map_err(|error| error.to_string())?,
            path: path.to_owned(),
            below: if rest.is_empty() {
                FOLDER.to_owned()
            } else {
                format!("{rest}/{FOLDER}")
            },
        })
    }

    /// The folder of its keys.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}/{FOLDER}", self.path)
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.below)
    }

    /// What Consul says, checked; what `over` says goes before.
    async fn read(&self, over: &Given) -> Result<Given, CloudError> {
        let mut claims = Vec::new();
        for name in [VPC, SUBNETS, SUBNET, SECURITY_GROUP, ZONE, PROFILE, JOB_ROLE] {
            let value = self.consul.get(&self.key(name)).await.map_err(asked)?;
            claims.extend(value.map(|value| (name, value.bytes)));
        }
        checked(&claims, over).map_err(|why| {
            CloudError::Permanent(format!(
                "the network in Consul below {}/ cannot be used: {why}",
                self.folder()
            ))
        })
    }

    /// Writes the ids of a network that is complete; keys that are right already stay as they are. Returns how many were
    /// written.
    ///
    /// # Errors
    /// Consul refuses or does not answer, or somebody else changed a key meanwhile.
    pub async fn write(&self, network: &Network) -> Result<usize, CloudError> {
        let mut puts = Vec::new();
        for (name, text) in facts(network) {
            let key = self.key(name);
            let was = self.consul.get(&key).await.map_err(asked)?;
            if was.as_ref().is_some_and(|was| was.bytes == text.as_bytes()) {
                continue;
            }
            puts.push(Put {
                key,
                value: text.into_bytes(),
                cas: was.map_or(Cas::New, |was| Cas::Unchanged(was.modify_index)),
            });
        }
        if puts.is_empty() || self.consul.put_all(&puts).await.map_err(asked)? {
            return Ok(puts.len());
        }
        Err(CloudError::Permanent(format!(
            "somebody changed {}/ in Consul meanwhile: nothing is written; do it again",
            self.folder()
        )))
    }
}

fn asked(error: ConsulError) -> CloudError {
    if error.is_permanent() {
        return CloudError::Permanent(mayfly_kit::error::chain(&error));
    }
    transient("ask Consul for the network", error)
}

/// Keys and values; the zone is that of the one subnet that the older system knew.
fn facts(network: &Network) -> Vec<(&'static str, String)> {
    let mut subnets = network.subnets.clone();
    // Free addresses change; the first zone stays.
    subnets.sort_by(|a, b| a.zone.cmp(&b.zone));
    let ids: Vec<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    let first = subnets.first();
    let mut facts = vec![
        (VPC, network.vpc.clone()),
        (SUBNET, first.map(|subnet| subnet.id.clone()).unwrap_or_default()),
        (SECURITY_GROUP, network.security_group.clone()),
        (ZONE, first.map(|subnet| subnet.zone.clone()).unwrap_or_default()),
        (SUBNETS, ids.join(",")),
        (PROFILE, network.profile.clone()),
    ];
    facts.extend(network.job_role.clone().map(|role| (JOB_ROLE, role)));
    facts
}

/// Values of Consul as a network, or what is wrong with them.
fn checked(claims: &[(&str, Vec<u8>)], over: &Given) -> Result<Given, String> {
    let claim = |name: &str| -> Result<Option<String>, String> {
        let found = claims.iter().find(|(known, _)| *known == name);
        found.map(|(_, bytes)| text(name, bytes)).transpose()
    };
    let id = |kind, name: &str| -> Result<Option<Id>, String> {
        let of = |text: String| Id::new(kind, &text).map_err(|why| format!("{name} {why}"));
        claim(name)?.map(of).transpose()
    };
    let subnets = match claim(SUBNETS)? {
        Some(list) => list
            .split(',')
            .map(|one| Id::new("subnet", one.trim()).map_err(|why| format!("{SUBNETS} has one that {why}")))
            .collect::<Result<_, _>>()?,
        None => id("subnet", SUBNET)?.into_iter().collect::<Vec<_>>(),
    };
    if subnets.is_empty() {
        return Err(format!("there is no {SUBNET}"));
    }
    let named = |name: &str, others: &str| -> Result<Option<String>, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        let good = |text: String| {
            let fits = !text.is_empty() && text.chars().all(plain);
            fits.then_some(text).ok_or_else(|| format!("{name} is not one"))
        };
        claim(name)?.map(good).transpose()
    };
    Ok(Given {
        name: over.name.clone(),
        vpc: id("vpc", VPC)?,
        // A zone says where the one subnet is.
        zone: named(ZONE, "-")?.filter(|_| subnets.len() == 1),
        subnets,
        security_group: match &over.security_group {
            Some(group) => Some(group.clone()),
            None => id("sg", SECURITY_GROUP)?,
        },
        profile: match &over.profile {
            Some(profile) => Some(profile.clone()),
            None => named(PROFILE, "+=,.@-_")?,
        },
        job_role: match &over.job_role {
            Some(role) => Some(role.clone()),
            None => named(JOB_ROLE, "+=,.@-_:/")?,
        },
    })
}

/// A value as text, without what an editor leaves at its end.
fn text(name: &str, bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > VALUE_MAX {
        return Err(format!("{name} has {} bytes", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{name} is not text"))?;
    Ok(text.trim_end_matches(['\r', '\n', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use mayfly_aws::network::Subnet;
    use proptest::prelude::*;

    use super::*;

    const GROUP: &str = "sg-0123456789abcdef0";

    fn nothing_said() -> Given {
        unsaid("consul:aws")
    }

    fn claims<'a>(pairs: &[(&'a str, &str)]) -> Vec<(&'a str, Vec<u8>)> {
        pairs
            .iter()
            .map(|(name, value)| (*name, value.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn what_the_older_system_wrote_is_read() {
        let older = claims(&[
            (VPC, "vpc-1a2b3c4d"),
            (SUBNET, "subnet-1a2b3c4d\n"),
            (SECURITY_GROUP, GROUP),
            (ZONE, "eu-west-1a"),
        ]);
        let read = checked(&older, &nothing_said()).unwrap();
        assert_eq!(read.subnets, [Id::new("subnet", "subnet-1a2b3c4d").unwrap()]);
        assert_eq!(read.zone.as_deref(), Some("eu-west-1a"));
        assert_eq!((read.profile, read.job_role), (None, None));
    }

    #[test]
    fn what_we_write_is_read_back_and_the_settings_go_before_it() {
        let subnet = |id: &str, zone: &str| Subnet {
            id: id.into(),
            zone: zone.into(),
            free: 1,
        };
        let network = Network {
            name: "default".into(),
            vpc: "vpc-1a2b3c4d".into(),
            subnets: vec![subnet("subnet-bbbbbbbb", "b"), subnet("subnet-aaaaaaaa", "a")],
            security_group: GROUP.into(),
            profile: "mayfly-default-node".into(),
            role_arn: "arn:aws:iam::111122223333:role/mayfly-default-node".into(),
            job_role: Some("arn:aws:iam::111122223333:role/mayfly-default-job".into()),
            public: true,
        };
        let facts = facts(&network);
        let written: Vec<(&str, Vec<u8>)> = facts
            .iter()
            .map(|(name, text)| (*name, text.clone().into_bytes()))
            .collect();
        let read = checked(&written, &nothing_said()).unwrap();
        let ids: Vec<&str> = read.subnets.iter().map(Id::as_str).collect();
        assert_eq!(ids, ["subnet-aaaaaaaa", "subnet-bbbbbbbb"]);
        assert_eq!(
            (read.profile, read.job_role),
            (Some(network.profile), network.job_role)
        );
        let said = Given {
            profile: Some("theirs".into()),
            ..nothing_said()
        };
        assert_eq!(
            checked(&written, &said).unwrap().profile.as_deref(),
            Some("theirs")
        );
    }

    #[test]
    fn what_is_no_id_is_refused_by_its_key() {
        let subnet = (SUBNET, "subnet-1a2b3c4d");
        for (bad, said) in [
            (vec![], "there is no subnet_id"),
            (
                vec![(SUBNET, "subnet-1a2b3c4d,subnet-2a2b3c4d")],
                "subnet_id is not an id",
            ),
            (
                vec![(SUBNETS, "subnet-1a2b3c4d,igw-1a2b3c4d")],
                "subnet_ids has one that",
            ),
            (vec![subnet, (VPC, "vpc-*")], "vpc_id is not an id"),
            (
                vec![subnet, (SECURITY_GROUP, "sg-1; reboot")],
                "default_security_group_id is not an id",
            ),
            (
                vec![subnet, (ZONE, "eu-west-1a\u{1b}[2J")],
                "availability_zone is not one",
            ),
            (vec![subnet, (PROFILE, "")], "instance_profile is not one"),
            (
                vec![subnet, (JOB_ROLE, "arn:aws:iam::1:role/${x}")],
                "job_role is not one",
            ),
        ] {
            let error = checked(&claims(&bad), &nothing_said()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let large = vec![(SUBNET, vec![b'a'; VALUE_MAX + 1])];
        assert!(checked(&large, &nothing_said()).unwrap_err().contains("bytes"));
        assert!(
            checked(&[(SUBNET, vec![0xff])], &nothing_said())
                .unwrap_err()
                .contains("not text")
        );
    }

    proptest! {
        #[test]
        fn whatever_consul_says_only_ids_come_of_it(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 7)
        ) {
            let names = [VPC, SUBNETS, SUBNET, SECURITY_GROUP, ZONE, PROFILE, JOB_ROLE];
            let claims: Vec<(&str, Vec<u8>)> = names.into_iter().zip(values).collect();
            if let Ok(given) = checked(&claims, &nothing_said()) {
                prop_assert!(given.subnets.iter().all(|id| id.as_str().starts_with("subnet-")));
            }
        }
    }
}
