//! Buckets and plain objects.

use aws_sdk_s3::types::{BucketLocationConstraint, Delete, MetadataDirective, ObjectIdentifier};

use crate::rig::{BUCKET, Rig, bytes, client, code};

#[tokio::test]
async fn buckets() {
    let rig = Rig::new().await;
    let s3 = &rig.client;
    assert_eq!(
        code(s3.create_bucket().bucket(BUCKET).send().await),
        "BucketAlreadyOwnedByYou"
    );
    assert_eq!(code(s3.head_bucket().bucket("nope").send().await), "404");
    assert_eq!(
        code(s3.delete_bucket().bucket("nope").send().await),
        "NoSuchBucket"
    );
    assert_eq!(
        code(s3.create_bucket().bucket("UPPER").send().await),
        "InvalidBucketName"
    );
    let located = s3.get_bucket_location().bucket(BUCKET).send().await.unwrap();
    assert!(
        located
            .location_constraint
            .is_none_or(|at| at == BucketLocationConstraint::from(""))
    );
    assert!(
        s3.get_bucket_versioning()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap()
            .status
            .is_none()
    );
    rig.put("a/b/c", b"x").await;
    assert_eq!(
        code(s3.delete_bucket().bucket(BUCKET).send().await),
        "BucketNotEmpty"
    );
    s3.delete_object()
        .bucket(BUCKET)
        .key("a/b/c")
        .send()
        .await
        .unwrap();
    s3.delete_bucket().bucket(BUCKET).send().await.unwrap();
    assert!(
        s3.list_buckets()
            .send()
            .await
            .unwrap()
            .buckets
            .unwrap_or_default()
            .is_empty()
    );
}

#[tokio::test]
async fn an_object_keeps_its_headers() {
    let rig = Rig::new().await;
    let put = rig
        .client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(bytes("hello"));
    let put = put
        .content_type("text/plain")
        .cache_control("no-cache")
        .content_language("de");
    let put = put
        .metadata("one", "1")
        .metadata("big", "v".repeat(1500))
        .tagging("a=1&b=2");
    assert_eq!(
        put.send().await.unwrap().e_tag.unwrap(),
        "\"5d41402abc4b2a76b9719d911017c592\""
    );
    let got = rig
        .client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.cache_control(), Some("no-cache"));
    assert_eq!(got.content_language(), Some("de"));
    assert_eq!(got.metadata().unwrap()["one"], "1");
    assert_eq!(got.tag_count(), Some(2));
    let large = rig
        .client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .metadata("big", "v".repeat(2049));
    assert_eq!(code(large.send().await), "MetadataTooLarge");
}

#[tokio::test]
async fn an_encoding_of_the_request_is_not_the_objects() {
    let rig = Rig::new().await;
    for (said, kept) in [
        ("aws-chunked", None),
        ("aws-chunked,gzip", Some("gzip")),
        ("gzip, aws-chunked", Some("gzip")),
        ("gzip", Some("gzip")),
    ] {
        let put = rig.client.put_object().bucket(BUCKET).key("k");
        put.content_encoding(said)
            .body(bytes("hello"))
            .send()
            .await
            .unwrap();
        let got = rig
            .client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_encoding(), kept, "{said}");
        assert_eq!(rig.get("k").await, b"hello", "{said}");
    }
}

#[tokio::test]
async fn ranges() {
    let rig = Rig::new().await;
    rig.put("r", b"0123456789").await;
    let get = |range: &str| {
        rig.client
            .get_object()
            .bucket(BUCKET)
            .key("r")
            .range(range)
            .send()
    };
    for (range, expected) in [
        ("bytes=0-0", "0"),
        ("bytes=7-", "789"),
        ("bytes=-3", "789"),
        ("bytes=5-99", "56789"),
    ] {
        let got = get(range).await.unwrap();
        let shown = got.content_range().unwrap().to_owned();
        assert_eq!(
            got.body.collect().await.unwrap().to_vec(),
            expected.as_bytes(),
            "{range}"
        );
        assert!(shown.ends_with("/10"), "{shown}");
    }
    assert_eq!(code(get("bytes=10-").await), "InvalidRange");
    assert_eq!(code(get("bytes=-0").await), "InvalidRange");
}

#[tokio::test]
async fn a_range_that_cannot_be_read_is_none() {
    let rig = Rig::new().await;
    let tag = rig.put("r", b"0123456789").await;
    for range in ["bytes=5-2", "bytes=x-", "bytes=0-1,3-4", "lines=0-1", "5"] {
        let get = |key: &str| rig.client.get_object().bucket(BUCKET).key(key).range(range);
        let got = get("r").send().await.unwrap();
        let told = (got.content_range, got.content_length, got.e_tag);
        assert_eq!(told, (None, Some(10), Some(tag.clone())), "{range}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"0123456789");
        let head = rig.client.head_object().bucket(BUCKET).key("r").range(range);
        let head = head.send().await.unwrap();
        assert_eq!(
            (head.content_range, head.content_length),
            (None, Some(10)),
            "{range}"
        );
        assert_eq!(code(get("none").send().await), "NoSuchKey");
        let stranger = client(&rig.server, "key", "wrong");
        let asked = stranger.get_object().bucket(BUCKET).key("r").range(range);
        assert_eq!(code(asked.send().await), "SignatureDoesNotMatch");
    }
}

#[tokio::test]
async fn copies() {
    let rig = Rig::new().await;
    let s3 = &rig.client;
    s3.put_object()
        .bucket(BUCKET)
        .key("src")
        .metadata("a", "1")
        .body(bytes("x"))
        .send()
        .await
        .unwrap();
    let copy = |to: &str| {
        s3.copy_object()
            .bucket(BUCKET)
            .key(to)
            .copy_source(format!("{BUCKET}/src"))
    };
    copy("dst").send().await.unwrap();
    assert_eq!(
        s3.head_object()
            .bucket(BUCKET)
            .key("dst")
            .send()
            .await
            .unwrap()
            .metadata
            .unwrap()["a"],
        "1"
    );
    copy("dst")
        .metadata_directive(MetadataDirective::Replace)
        .metadata("b", "2")
        .send()
        .await
        .unwrap();
    let replaced = s3
        .head_object()
        .bucket(BUCKET)
        .key("dst")
        .send()
        .await
        .unwrap()
        .metadata
        .unwrap();
    assert_eq!(
        replaced.into_iter().collect::<Vec<_>>(),
        [("b".to_owned(), "2".to_owned())]
    );
    assert_eq!(code(copy("src").send().await), "InvalidRequest");
    assert_eq!(
        code(copy("dst").copy_source_if_match("\"no\"").send().await),
        "PreconditionFailed"
    );
    let missing = s3
        .copy_object()
        .bucket(BUCKET)
        .key("dst")
        .copy_source(format!("{BUCKET}/nope"));
    assert_eq!(code(missing.send().await), "NoSuchKey");
}

#[tokio::test]
async fn deletes() {
    let rig = Rig::new().await;
    rig.put("a", b"1").await;
    rig.put("d/b", b"2").await;
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder()
        .objects(named("a"))
        .objects(named("d/b"))
        .objects(named("nope"))
        .build()
        .unwrap();
    let answer = rig
        .client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.deleted().len(), 3);
    assert!(rig.keys().await.is_empty());
    assert!(
        !rig.folder.path().join(BUCKET).join("d").exists(),
        "the folder went with its last object"
    );
}
