//! The baked image.

use aws_sdk_ec2::types::Image as Described;
use serde::{Deserialize, Serialize};

use crate::Account;
use crate::error::{AwsError, Kind, failed};
use crate::fleet::filter;
use crate::tags;

/// Tag with the version of Mayfly that is in an image.
const VERSION: &str = "mayfly:version";
/// Tag with the releases of Spark that are in an image, separated by spaces.
const SPARK: &str = "mayfly:spark";

/// An image that machines boot from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `ami-…`.
    pub id: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// Name of its root device.
    pub root_device: String,
    /// Releases of Spark in it; empty where its tag does not say.
    pub spark: Vec<String>,
}

fn image(described: &Described) -> Option<Image> {
    let tags = described.tags.as_deref().unwrap_or_default();
    let spark = tags
        .iter()
        .find(|tag| tag.key() == Some(SPARK))
        .and_then(|tag| tag.value());
    Some(Image {
        id: described.image_id.clone()?,
        architecture: described
            .architecture
            .as_ref()
            .map(|one| one.as_str().to_owned())
            .unwrap_or_default(),
        root_device: described
            .root_device_name
            .clone()
            .unwrap_or_else(|| "/dev/xvda".to_owned()),
        spark: spark
            .unwrap_or_default()
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect(),
    })
}

/// The image of this id; without one, the newest of this account that was baked for this architecture. Either has this
/// release of Spark, if one is asked for, or does not say what it has.
///
/// # Errors
/// There is none, or AWS refuses or does not answer.
pub async fn find_image(
    account: &Account,
    id: Option<&str>,
    architecture: &str,
    spark: Option<&str>,
) -> Result<Image, AwsError> {
    let asked = account.ec2.describe_images();
    let asked = match id {
        Some(id) => asked.image_ids(id),
        None => asked
            .owners("self")
            .filters(filter("tag-key", VERSION))
            .filters(filter(format!("tag:{}", tags::MANAGED.0), tags::MANAGED.1))
            .filters(filter("architecture", architecture))
            .filters(filter("state", "available")),
    };
    let answer = asked
        .send()
        .await
        .map_err(|error| failed("look for the image", error))?;
    let mut found = answer.images.unwrap_or_default();
    // ISO 8601 in UTC: the order of the texts is that of the times.
    found.sort_by(|a, b| b.creation_date().cmp(&a.creation_date()));
    let found = found.iter().filter_map(image);
    let has = |image: &Image| spark.is_none_or(|spark| image.spark.iter().any(|one| one == spark));
    let (mut fitting, others): (Vec<Image>, Vec<Image>) =
        found.partition(|image| image.spark.is_empty() || has(image));
    if !fitting.is_empty() {
        return Ok(fitting.swap_remove(0));
    }
    let (region, spark) = (account.region(), spark.unwrap_or_default());
    let what = match (id, others.first()) {
        (Some(id), Some(other)) => format!(
            "the image {id} has Spark {}, the job wants {spark}: name another image, or another `spark.version`",
            other.spark.join(", ")
        ),
        (Some(id), None) => format!("there is no image {id} in {region}"),
        (None, Some(other)) => format!(
            "the images in {region} for {architecture} have Spark {}, not {spark}: bake one (packer/README.md), name one, or \
             name another `spark.version`",
            other.spark.join(", ")
        ),
        (None, None) => {
            format!(
                "no image in {region} was baked for {architecture}: bake one (packer/README.md), or name one"
            )
        }
    };
    Err(AwsError::new(Kind::NotFound, "find the image", what))
}
