//! Moves the end that the tags of a run's groups and machines say.

use aws_sdk_autoscaling::types::Tag as GroupTag;
use aws_sdk_ec2::types::Tag;
use jiff::Timestamp;

use super::group::group_tag;
use super::{Fleet, GroupState};
use crate::error::{AwsError, failed, gone};
use crate::tags::{self, Group};

/// Most things that are tagged with one call.
const AT_ONCE: usize = 500;

impl Fleet {
    /// Groups last: their tag says that all of it is done. What starts later has its tags from the template.
    ///
    /// # Errors
    /// AWS refuses or does not answer; the next call does it again.
    pub async fn move_deadline(
        &self,
        deadline: Timestamp,
        groups: &[(Group, GroupState)],
        machines: &[String],
    ) -> Result<(), AwsError> {
        let doing = || format!("move the end of {}", self.run);
        let tag = Tag::builder()
            .key(tags::DEADLINE)
            .value(deadline.to_string())
            .build();
        for some in machines.chunks(AT_ONCE) {
            let asked = self.account.ec2.create_tags().tags(tag.clone());
            let tagged = asked.set_resources(Some(some.to_vec())).send().await;
            // One that has just ended and is forgotten has no end to move.
            gone(tagged.map_err(|error| failed(doing(), error)))?;
        }
        let of_groups = groups
            .iter()
            .flat_map(|(group, _)| self.group_tags(*group, deadline));
        let asked = self.account.groups.create_or_update_tags();
        let tagged = asked.set_tags(Some(of_groups.collect())).send().await;
        tagged.map(|_| ()).map_err(|error| failed(doing(), error))
    }

    /// The tag that is moved, and the one that says whose group it is: only with that may it be changed.
    fn group_tags(&self, group: Group, deadline: Timestamp) -> [GroupTag; 2] {
        let name = tags::name(&self.run, group);
        [
            group_tag(&name, tags::MANAGED.0, tags::MANAGED.1),
            group_tag(&name, tags::DEADLINE, &deadline.to_string()),
        ]
    }
}
