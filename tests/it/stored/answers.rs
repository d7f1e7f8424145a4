//! Answers of S3 that are no success, or look like one.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use data_encoding::BASE64;
use mayfly_kit::store::{Created, Multipart, Part, Replaced, Store, StoreError, StoreFault};
use sha2::{Digest as _, Sha256};

use super::canned::{Canned, error, reply};
use super::open;

const CREATED: &str = "<InitiateMultipartUploadResult><Bucket>stored</Bucket><Key>team/a</Key><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
const COMPLETED: &str = "<CompleteMultipartUploadResult><Bucket>stored</Bucket><Key>team/a</Key><ETag>\"x-1\"</ETag></CompleteMultipartUploadResult>";

/// Reads, looks, writes, lists: what becomes of each.
async fn all(store: &Store) -> Vec<(&'static str, StoreError)> {
    vec![
        ("get", store.get("a").await.map(drop).unwrap_err()),
        ("size", store.size("a").await.map(drop).unwrap_err()),
        ("put", store.put("a", "x").await.map(drop).unwrap_err()),
        ("put_new", store.put_new("a", "x").await.map(drop).unwrap_err()),
        ("list", store.list_all("a", 9).await.map(drop).unwrap_err()),
        ("digest", store.digest("a").await.map(drop).unwrap_err()),
        ("multipart", store.multipart("a").await.map(drop).unwrap_err()),
    ]
}

#[tokio::test]
async fn a_bucket_in_another_region_is_told_with_the_region_and_not_followed() {
    let elsewhere = [
        ("x-amz-bucket-region", "eu-west-1"),
        ("location", "http://169.254.169.254/latest/"),
    ];
    let answer = move |_: &Parts, _: usize| error(301, "PermanentRedirect", &elsewhere);
    let server = Canned::serve(answer).await;
    for (call, error) in all(&open(&server.url())).await {
        let fault = StoreFault::OtherRegion {
            tried: "us-east-1".to_owned(),
            actual: Some("eu-west-1".to_owned()),
        };
        assert_eq!(error.fault(), &fault, "{call}: {error}");
        assert!(error.is_permanent(), "{call}");
        let text = error.to_string();
        assert!(
            text.contains("set the store's region to eu-west-1"),
            "{call}: {text}"
        );
    }
    assert_eq!(server.asked().len(), 7, "asked again, or elsewhere");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_as_that() {
    let server = Canned::serve(|_, _| error(403, "RequestTimeTooSkewed", &[])).await;
    for (call, error) in all(&open(&server.url())).await {
        // The answer to a HEAD has no body, and so no reason.
        if call == "size" {
            assert!(matches!(error.fault(), StoreFault::Denied { .. }), "{error}");
            continue;
        }
        assert_eq!(error.fault(), &StoreFault::ClockSkew, "{call}: {error}");
        assert!(error.is_permanent(), "{call}");
        assert!(
            error.to_string().contains("this machine's clock"),
            "{call}: {error}"
        );
    }
}

/// Who may not list is told 403 for what is not there, as for what it may not read; a bucket whose reader pays says it too.
#[tokio::test]
async fn a_refusal_is_never_taken_for_an_absence() {
    let refuses = Canned::serve(|_, _| error(403, "AccessDenied", &[])).await;
    for (call, error) in all(&open(&refuses.url())).await {
        assert!(
            matches!(error.fault(), StoreFault::Denied { .. }),
            "{call}: {error}"
        );
        assert!(error.is_permanent(), "{call}");
        let text = error.to_string();
        assert!(
            text.contains("s3://stored/team/a") && text.contains("may read and write"),
            "{call}: {text}"
        );
    }
    let lacks = Canned::serve(|_, _| error(404, "NoSuchKey", &[])).await;
    let store = open(&lacks.url());
    assert_eq!(store.size("a").await.unwrap(), None);
    assert!(store.get("a").await.unwrap().is_none());
    assert!(store.digest("a").await.unwrap().is_none());
}

fn is_complete(head: &Parts) -> bool {
    head.method == Method::POST && head.uri.query().is_some_and(|query| query.contains("uploadId="))
}

/// The two requests of an upload in parts; its completion is answered by `last`.
fn in_parts(head: &Parts, last: impl Fn() -> Response<Body>) -> Response<Body> {
    if is_complete(head) {
        last()
    } else if head.method == Method::POST {
        reply(200, &[], CREATED)
    } else {
        reply(200, &[("etag", "\"p1\"")], "")
    }
}

async fn begun(store: &Store) -> (Multipart, Vec<Part>) {
    let upload = store.multipart("a").await.unwrap();
    let part = store.part(&upload, 1, Bytes::from_static(b"x")).await.unwrap();
    (upload, vec![part])
}

#[tokio::test]
async fn an_error_in_a_success_is_an_error() {
    for (code, permanent) in [
        ("InternalError", false),
        ("SlowDown", false),
        ("AccessDenied", true),
    ] {
        let server = Canned::serve(move |head, _| in_parts(head, || error(200, code, &[]))).await;
        let store = open(&server.url());
        let (upload, parts) = begun(&store).await;
        let error = store.complete(&upload, parts, 1, false).await.unwrap_err();
        assert_eq!(error.is_permanent(), permanent, "{code}: {error}");
        assert!(error.to_string().contains("s3://stored/team/a"), "{error}");
        if permanent {
            assert!(matches!(error.fault(), StoreFault::Denied { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn an_error_in_a_success_is_tried_again() {
    let server = Canned::serve(|head, before| {
        // The third request is the first completion.
        in_parts(head, || match before {
            2 => error(200, "InternalError", &[]),
            _ => reply(200, &[], COMPLETED),
        })
    });
    let server = server.await;
    let store = open(&server.url());
    let (upload, parts) = begun(&store).await;
    let done = store.complete(&upload, parts, 1, false).await.unwrap();
    assert_eq!(done, Created::Yes("\"x-1\"".to_owned()));
    assert_eq!(server.asked().iter().filter(|head| is_complete(head)).count(), 2);
}

/// Where a bucket encrypts with keys of its own, an entity tag is no MD5 of anything; where it keeps versions, or has kept
/// some, answers have more headers.
#[tokio::test]
async fn an_entity_tag_is_a_name_of_a_version_and_nothing_more() {
    let tag = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    let server = Canned::serve(move |head, _| {
        let headers = [
            ("etag", tag),
            ("x-amz-version-id", "null"),
            ("x-amz-server-side-encryption", "aws:kms"),
        ];
        let body = if head.method == Method::GET {
            "not empty"
        } else {
            ""
        };
        reply(200, &headers, body)
    });
    let server = server.await;
    let store = open(&server.url());
    let object = store.get("a").await.unwrap().unwrap();
    assert_eq!(
        (&object.bytes[..], object.etag.as_str()),
        (&b"not empty"[..], tag)
    );
    assert_eq!(
        store.put_new("a", "x").await.unwrap(),
        Created::Yes(tag.to_owned())
    );
    let replaced = store.replace("a", "y", &object.etag).await.unwrap();
    assert_eq!(replaced, Replaced::Yes(tag.to_owned()));
    let asked = server.asked();
    assert_eq!(asked.last().unwrap().headers["if-match"], tag);
    let (sum, size) = store.digest("a").await.unwrap().unwrap();
    assert_eq!((sum, size), (format!("{:x}", Sha256::digest("not empty")), 9));
}

/// A bucket that locks its objects takes no write without a checksum.
#[tokio::test]
async fn every_write_carries_a_checksum() {
    let sums = |head: &Parts| {
        head.headers
            .keys()
            .any(|name| name.as_str().starts_with("x-amz-checksum-") || name == "x-amz-trailer")
    };
    let server = Canned::serve(move |head, _| {
        if head.method == Method::PUT && !sums(head) {
            return error(400, "InvalidRequest", &[]);
        }
        in_parts(head, || reply(200, &[], COMPLETED))
    });
    let server = server.await;
    let store = open(&server.url());
    store.put("a", "x").await.unwrap();
    store.put_new("a", "x").await.unwrap();
    store.replace("a", "x", "\"e\"").await.unwrap();
    let sum = BASE64.encode(&Sha256::digest("x"));
    store
        .put_checked("a", Bytes::from_static(b"x"), &sum, true)
        .await
        .unwrap();
    let (upload, parts) = begun(&store).await;
    store.complete(&upload, parts, 1, true).await.unwrap();
    let begins = server.asked();
    let begins = begins
        .iter()
        .filter(|head| head.method == Method::POST && !is_complete(head));
    for head in begins {
        assert!(head.headers.contains_key("x-amz-checksum-algorithm"), "{head:?}");
    }
}

/// A proxy that took an upload apart may have left the name of its encoding on the object.
#[tokio::test]
async fn an_encoding_that_was_left_on_an_object_changes_none_of_its_bytes() {
    let text = "5;chunk-signature=0\r\nhello\r\n";
    let server = Canned::serve(move |_, _| {
        let headers = [("etag", "\"e\""), ("content-encoding", "aws-chunked,gzip")];
        reply(200, &headers, text)
    });
    let server = server.await;
    let store = open(&server.url());
    let object = store.get("a").await.unwrap().unwrap();
    assert_eq!(&object.bytes[..], text.as_bytes());
    let sum = format!("{:x}", Sha256::digest(text));
    assert_eq!(store.digest("a").await.unwrap(), Some((sum, text.len() as u64)));
}
