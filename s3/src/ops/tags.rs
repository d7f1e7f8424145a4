//! Tags of objects.

use std::sync::Arc;

use hyper::StatusCode;
use s3s::dto::{GetObjectTaggingOutput, PutObjectTaggingInput, Tag};
use s3s::{S3Response, S3Result, s3_error};

use crate::ops::shared::blocking;
use crate::store::{Store, custom};

const TAGS_MAX: usize = 10;
const NAME_MAX: usize = 128;
const VALUE_MAX: usize = 256;

type Tags = Vec<(String, String)>;

/// Reads the `x-amz-tagging` header: a query string.
pub(crate) fn parse_header(text: &str) -> S3Result<Tags> {
    checked(
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect(),
    )
}

fn checked(tags: Tags) -> S3Result<Tags> {
    if tags.len() > TAGS_MAX {
        return Err(custom(
            "BadRequest",
            StatusCode::BAD_REQUEST,
            "an object cannot have more than 10 tags",
        ));
    }
    for (index, (name, value)) in tags.iter().enumerate() {
        if name.is_empty() || name.chars().count() > NAME_MAX || value.chars().count() > VALUE_MAX {
            return Err(s3_error!(
                InvalidTag,
                "the tag {name:?} is empty or too long, or its value is"
            ));
        }
        if tags.iter().take(index).any(|(other, _)| other == name) {
            return Err(s3_error!(InvalidTag, "there are two tags {name:?}"));
        }
    }
    Ok(tags)
}

fn from_dto(tags: Vec<Tag>) -> S3Result<Tags> {
    checked(
        tags.into_iter()
            .map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
            .collect(),
    )
}

pub(crate) async fn get(
    store: &Arc<Store>,
    bucket: String,
    key: String,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let object = blocking(store, move |store| store.object(&bucket, &key)).await?;
    let tag = |(name, value)| Tag {
        key: Some(name),
        value: Some(value),
    };
    let tag_set = object.meta.extra.tags.into_iter().map(tag).collect();
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set,
        ..GetObjectTaggingOutput::default()
    }))
}

pub(crate) async fn put(store: &Arc<Store>, input: PutObjectTaggingInput) -> S3Result<()> {
    let tags = from_dto(input.tagging.tag_set)?;
    set(store, input.bucket, input.key, tags).await
}

pub(crate) async fn set(store: &Arc<Store>, bucket: String, key: String, tags: Tags) -> S3Result<()> {
    blocking(store, move |store| {
        store.update_meta(&bucket, &key, |meta| meta.extra.tags = tags)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let tags = parse_header("a=1&b=x%20y&c").unwrap();
        assert_eq!(tags[1], ("b".to_owned(), "x y".to_owned()));
        assert_eq!(tags[2].1, "");
        let many: Vec<_> = (0..11).map(|n| format!("k{n}=v")).collect();
        for bad in [
            "a=1&a=2",
            "=1",
            &format!("{}=1", "k".repeat(129)),
            &many.join("&"),
        ] {
            assert!(parse_header(bad).is_err(), "{bad}");
        }
    }
}
