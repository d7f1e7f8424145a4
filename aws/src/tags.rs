//! The tags that say what a thing is for, and the names that a run's things have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mayfly_proto::RunId;

/// Key and value of the tag that everything of ours has.
pub const MANAGED: (&str, &str) = ("managed-by", "mayfly");
/// The run.
pub const RUN: &str = "mayfly:run";
/// `master` or `worker`.
pub const ROLE: &str = "mayfly:role";
/// `master` or `workers`.
pub const GROUP: &str = "mayfly:group";
/// End of the run in RFC 3339, UTC.
pub const DEADLINE: &str = "mayfly:deadline";
/// URL of the coordinator.
pub const COORDINATOR: &str = "mayfly:coordinator";
/// `s3://bucket/prefix` of the run's store.
pub const STORE: &str = "mayfly:store";
/// Who launched it.
pub const OWNER: &str = "mayfly:owner";
/// The network that a thing is part of.
pub const NETWORK: &str = "mayfly:network";

/// What a part of a network is for, where it is not for machines of runs: [`WAY_OUT`].
pub const PART: &str = "mayfly:part";
/// The part through which machines without addresses of their own reach the world.
pub const WAY_OUT: &str = "way-out";
/// Of a VPC whose machines have no addresses of their own: [`PRIVATE`].
pub const ACCESS: &str = "mayfly:access";
/// See [`ACCESS`].
pub const PRIVATE: &str = "private";

/// The network whose team this machine serves: it belongs to no run, and has no end.
pub const CONTROL: &str = "mayfly:control";

/// Longest value of a tag, in characters (Amazon EC2 user guide, "Tag restrictions").
pub const VALUE_MAX: usize = 256;

/// One kind of machine of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// One machine, which drives the job.
    Master,
    /// The others.
    Workers,
}

impl Group {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Master, Self::Workers];

    /// Its name in tags and in names of things.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Workers => "workers",
        }
    }

    /// What a machine of it is.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Workers => "worker",
        }
    }

    /// The group whose machines have this role.
    #[must_use]
    pub fn of_role(role: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.role() == role)
    }
}

/// Name of a group and of its launch template: the same run makes the same names, so that every step may be repeated.
#[must_use]
pub fn name(run: &RunId, group: Group) -> String {
    format!("mayfly-{run}-{}", group.name())
}

/// What the tags of a run say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The run.
    pub run: RunId,
    /// Its end.
    pub deadline: Timestamp,
    /// Where its coordinator is.
    pub coordinator: String,
    /// Where its record is.
    pub store: String,
    /// Who launched it.
    pub owner: String,
    /// The user's own.
    pub own: BTreeMap<String, String>,
}

impl Labels {
    /// All tags of a group, in the order of their keys.
    #[must_use]
    pub fn of(&self, group: Group) -> BTreeMap<String, String> {
        let mut tags = self.own.clone();
        let ours = [
            (MANAGED.0, MANAGED.1.to_owned()),
            (RUN, self.run.to_string()),
            (ROLE, group.role().to_owned()),
            (GROUP, group.name().to_owned()),
            (DEADLINE, self.deadline.to_string()),
            (COORDINATOR, self.coordinator.clone()),
            (STORE, self.store.clone()),
            (OWNER, self.owner.clone()),
            ("Name", name(&self.run, group)),
        ];
        for (key, value) in ours {
            // What is cut is only for people: ids and URLs are shorter than this.
            tags.insert(key.to_owned(), value.chars().take(VALUE_MAX).collect());
        }
        tags
    }
}
