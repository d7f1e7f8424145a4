//! Why a group does not get the machines it wants: from its scaling activities.

use aws_sdk_autoscaling::types::{Activity, ScalingActivityStatusCode};
use jiff::Timestamp;

use super::{Fleet, Trouble};
use crate::error::{AwsError, Kind, failed};
use crate::tags::Group;

/// Activities that are looked at: the newest ones.
const RECENT: i32 = 10;

/// What AWS says of a launch that failed is a sentence, at times with a code in it.
fn kind_of(said: &str) -> Kind {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '.');
    if let Some(kind) = said
        .split(word)
        .filter_map(|part| Kind::of_code(part.trim_end_matches('.')))
        .next()
    {
        return kind;
    }
    let said = said.to_ascii_lowercase();
    let has = |part: &str| said.contains(part);
    if has("capacity") && (has("do not have sufficient") || has("no spot capacity") || has("insufficient")) {
        Kind::Capacity
    } else if has("vcpu capacity than your current")
        || has("limit exceeded")
        || has("max spot instance count")
    {
        Kind::Quota
    } else if has("not authorized") || has("access denied") {
        Kind::Permission
    } else if has("not supported") || has("unsupported") {
        Kind::Unsupported
    } else if has("invalid") || has("does not exist") {
        Kind::Invalid
    } else {
        Kind::Transient
    }
}

fn trouble(activity: &Activity) -> Option<Trouble> {
    let failed = matches!(
        activity.status_code,
        Some(ScalingActivityStatusCode::Failed | ScalingActivityStatusCode::Cancelled)
    );
    let said = activity
        .status_message
        .as_deref()
        .filter(|said| failed && !said.is_empty())?;
    let at = activity.start_time?;
    Some(Trouble {
        kind: kind_of(said),
        said: said.to_owned(),
        at: Timestamp::from_second(at.secs()).ok()?,
    })
}

impl Fleet {
    /// The newest launch of a group, if it failed.
    ///
    /// # Errors
    /// AWS refuses or does not answer.
    pub async fn trouble(&self, group: Group) -> Result<Option<Trouble>, AwsError> {
        let name = self.name(group);
        let answer = self
            .account
            .groups
            .describe_scaling_activities()
            .auto_scaling_group_name(&name)
            .max_records(RECENT)
            .send()
            .await;
        let answer =
            answer.map_err(|error| failed(format!("ask why the group {name} lacks machines"), error))?;
        Ok(answer.activities.unwrap_or_default().iter().find_map(trouble))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_of_a_failed_launch_is_told_apart() {
        let cases = [
            (
                "We currently do not have sufficient m7g.large capacity in the Availability Zone you requested \
                 (us-east-1a). Launching EC2 instance failed.",
                Kind::Capacity,
            ),
            (
                "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available \
                 that matches your request. Launching EC2 instance failed.",
                Kind::Capacity,
            ),
            (
                "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance \
                 bucket that the specified instance type belongs to. Launching EC2 instance failed.",
                Kind::Quota,
            ),
            (
                "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. \
                 Launching EC2 instance failed.",
                Kind::Quota,
            ),
            (
                "You are not authorized to perform this operation. Launching EC2 instance failed.",
                Kind::Permission,
            ),
            (
                "Your requested instance type (t1.micro) is not supported in your requested Availability Zone \
                 (us-east-1e). Launching EC2 instance failed.",
                Kind::Unsupported,
            ),
            (
                "The image id '[ami-1]' does not exist. Launching EC2 instance failed.",
                Kind::Invalid,
            ),
            ("Something else went wrong.", Kind::Transient),
        ];
        for (said, kind) in cases {
            assert_eq!(kind_of(said), kind, "{said}");
        }
    }
}
