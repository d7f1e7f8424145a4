//! Multipart uploads.

use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, ObjectAttributes,
};

use crate::rig::{BUCKET, Rig, bytes, code};

const MIN: usize = 5 << 20;

async fn begin(rig: &Rig, key: &str) -> String {
    let begun = rig
        .client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .content_type("text/x");
    begun
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap()
}

async fn part(rig: &Rig, key: &str, id: &str, number: i32, body: &str) -> CompletedPart {
    let sent = rig
        .client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number);
    let sent = sent
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .body(bytes(body))
        .send()
        .await
        .unwrap();
    let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
    part.set_checksum_crc32(sent.checksum_crc32).build()
}

fn listed(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder()
        .set_parts(Some(parts.to_vec()))
        .build()
}

macro_rules! complete {
    ($rig:expr, $key:expr, $id:expr, $parts:expr) => {
        $rig.client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key($key)
            .upload_id($id)
            .multipart_upload(listed($parts))
    };
}

#[tokio::test]
async fn parts_become_one_object() {
    let rig = Rig::new().await;
    let id = begin(&rig, "k").await;
    let (a, b) = ("a".repeat(MIN), "tail");
    let parts = [
        part(&rig, "k", &id, 1, &a).await,
        part(&rig, "k", &id, 2, b).await,
    ];
    assert!(rig.is_absent("k").await);
    let done = complete!(rig, "k", &id, &parts).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{:?}", done.e_tag());
    assert!(done.checksum_crc32().unwrap().ends_with("-2"));
    let again = complete!(rig, "k", &id, &parts).send().await.unwrap();
    assert_eq!(
        again.e_tag, done.e_tag,
        "a repeated Complete gets the same answer"
    );
    assert_eq!(rig.get("k").await, format!("{a}{b}").as_bytes());
    let head = rig
        .client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.e_tag, head.checksum_crc32),
        (done.e_tag, done.checksum_crc32)
    );
    assert_eq!(head.content_type.as_deref(), Some("text/x"));
    let second = rig
        .client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .part_number(2)
        .send()
        .await
        .unwrap();
    assert_eq!(second.parts_count(), Some(2));
    assert_eq!(second.body.collect().await.unwrap().to_vec(), b.as_bytes());
    let asked = rig.client.get_object_attributes().bucket(BUCKET).key("k");
    let asked = asked
        .object_attributes(ObjectAttributes::ObjectParts)
        .object_attributes(ObjectAttributes::Checksum);
    let told = asked.send().await.unwrap();
    assert_eq!(told.object_parts.unwrap().parts().len(), 2);
    assert!(told.checksum.is_some());
}

#[tokio::test]
async fn wrong_parts_are_refused() {
    let rig = Rig::new().await;
    let id = begin(&rig, "k").await;
    let (a, b) = (
        part(&rig, "k", &id, 1, "a").await,
        part(&rig, "k", &id, 2, "b").await,
    );
    assert_eq!(
        code(complete!(rig, "k", &id, &[b.clone(), a.clone()]).send().await),
        "InvalidPartOrder"
    );
    assert_eq!(
        code(complete!(rig, "k", &id, &[a.clone(), b.clone()]).send().await),
        "EntityTooSmall"
    );
    let wrong = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(b.e_tag.clone())
        .build();
    assert_eq!(
        code(complete!(rig, "k", &id, &[wrong]).send().await),
        "InvalidPart"
    );
    let never = CompletedPart::builder()
        .part_number(9)
        .set_e_tag(a.e_tag.clone())
        .build();
    assert_eq!(
        code(complete!(rig, "k", &id, &[never]).send().await),
        "InvalidPart"
    );
    assert_eq!(
        code(
            complete!(rig, "other", &id, std::slice::from_ref(&a))
                .send()
                .await
        ),
        "NoSuchUpload"
    );
    assert_eq!(
        code(
            complete!(rig, "k", "../../etc", std::slice::from_ref(&a))
                .send()
                .await
        ),
        "NoSuchUpload"
    );
    let whole = complete!(rig, "k", &id, std::slice::from_ref(&a)).checksum_crc32("AAAAAA==");
    assert_eq!(code(whole.send().await), "BadDigest");
    rig.put("k", b"there").await;
    let create = complete!(rig, "k", &id, std::slice::from_ref(&a)).if_none_match("*");
    assert_eq!(code(create.send().await), "PreconditionFailed");
    assert_eq!(rig.get("k").await, b"there");
    rig.client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(code(complete!(rig, "k", &id, &[a]).send().await), "NoSuchUpload");
}

#[tokio::test]
async fn parts_and_uploads_are_listed_in_pages() {
    let rig = Rig::new().await;
    let id = begin(&rig, "d/k").await;
    for number in [3, 1, 2] {
        part(&rig, "d/k", &id, number, "x").await;
    }
    let list = || {
        rig.client
            .list_parts()
            .bucket(BUCKET)
            .key("d/k")
            .upload_id(&id)
            .max_parts(2)
    };
    let first = list().send().await.unwrap();
    assert_eq!(
        first
            .parts()
            .iter()
            .filter_map(|part| part.part_number)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        (first.is_truncated(), first.next_part_number_marker()),
        (Some(true), Some("2"))
    );
    let rest = list().part_number_marker("2").send().await.unwrap();
    assert_eq!((rest.parts().len(), rest.is_truncated()), (1, Some(false)));
    begin(&rig, "e").await;
    let uploads = || rig.client.list_multipart_uploads().bucket(BUCKET);
    assert_eq!(uploads().prefix("d/").send().await.unwrap().uploads().len(), 1);
    let first = uploads().max_uploads(1).send().await.unwrap();
    assert_eq!(
        (first.next_key_marker(), first.is_truncated()),
        (Some("d/k"), Some(true))
    );
    let rest = uploads()
        .key_marker("d/k")
        .upload_id_marker(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(rest.uploads()[0].key(), Some("e"));
}

#[tokio::test]
async fn a_part_may_be_copied() {
    let rig = Rig::new().await;
    rig.put("src", b"0123456789").await;
    let id = begin(&rig, "k").await;
    let copy = |range: &str| {
        let copy = rig
            .client
            .upload_part_copy()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&id)
            .part_number(1);
        copy.copy_source(format!("{BUCKET}/src"))
            .copy_source_range(range)
            .send()
    };
    assert_eq!(code(copy("bytes=5-10").await), "InvalidRange");
    let result = copy("bytes=2-4").await.unwrap().copy_part_result.unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(result.e_tag)
        .build();
    complete!(rig, "k", &id, &[part]).send().await.unwrap();
    assert_eq!(rig.get("k").await, b"234");
}

/// The file that holds all parts of the only upload under way.
fn body_of(rig: &Rig, id: &str) -> std::path::PathBuf {
    rig.folder
        .path()
        .join(".mayfly-s3/uploads")
        .join(BUCKET)
        .join(id)
        .join("body")
}

fn inode(path: &std::path::Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
}

async fn parts_of(rig: &Rig, id: &str, bodies: &[(i32, &str)]) -> Vec<CompletedPart> {
    let mut parts = Vec::new();
    for (number, body) in bodies {
        parts.push(part(rig, "k", id, *number, body).await);
    }
    parts.sort_by_key(|part| part.part_number);
    parts
}

#[tokio::test]
async fn parts_of_one_length_become_the_object_without_being_copied() {
    let rig = Rig::new().await;
    let (a, b) = ("a".repeat(MIN), "b".repeat(MIN));
    for create in [true, false] {
        let id = begin(&rig, "k").await;
        let parts = parts_of(&rig, &id, &[(2, &b), (3, "tail"), (1, &a)]).await;
        let body = inode(&body_of(&rig, &id));
        let complete = complete!(rig, "k", &id, &parts);
        let complete = complete.set_if_none_match(create.then(|| "*".to_owned()));
        complete.send().await.unwrap();
        assert_eq!(inode(&rig.folder.path().join(BUCKET).join("k")), body);
        assert_eq!(rig.get("k").await, format!("{a}{b}tail").as_bytes());
        assert!(!body_of(&rig, &id).parent().unwrap().exists());
    }
}

#[tokio::test]
async fn the_last_upload_of_a_part_counts_and_one_with_a_bad_digest_does_not() {
    let rig = Rig::new().await;
    let id = begin(&rig, "k").await;
    let (a, b, c) = ("a".repeat(MIN), "b".repeat(MIN), "c".repeat(MIN));
    let wrong = |number: i32, body: &str| {
        let sent = rig.client.upload_part().bucket(BUCKET).key("k").upload_id(&id);
        let sent = sent.part_number(number).checksum_crc32("AAAAAA==");
        sent.body(bytes(body)).send()
    };
    assert_eq!(code(wrong(2, &c).await), "BadDigest", "before the right one");
    parts_of(&rig, &id, &[(1, &c)]).await;
    let parts = parts_of(&rig, &id, &[(1, &a), (2, &b), (3, "tail")]).await;
    for number in 1..=3 {
        assert_eq!(code(wrong(number, "x").await), "BadDigest");
        assert_eq!(code(wrong(number, &c).await), "BadDigest");
    }
    rig.put("k", b"there").await;
    let refused = complete!(rig, "k", &id, &parts).if_none_match("*");
    assert_eq!(code(refused.send().await), "PreconditionFailed");
    complete!(rig, "k", &id, &parts).send().await.unwrap();
    assert_eq!(rig.get("k").await, format!("{a}{b}tail").as_bytes());
}

#[tokio::test]
async fn parts_of_any_length_and_number_become_one_object() {
    let rig = Rig::new().await;
    let (a, b, c) = ("a".repeat(MIN), "b".repeat(MIN + 1), "c".repeat(MIN + 2));
    for bodies in [
        [(1, &*a), (2, &*b), (3, &*c), (4, "tail")],
        [(1, &*c), (2, &*b), (3, &*a), (4, "tail")],
        [(4, "tail"), (1, &*a), (2, &*a), (3, &*a)],
        [(2, &*a), (3, &*a), (5, &*a), (7, "tail")],
    ] {
        let id = begin(&rig, "k").await;
        let parts = parts_of(&rig, &id, &bodies).await;
        complete!(rig, "k", &id, &parts).send().await.unwrap();
        let mut sorted = bodies.to_vec();
        sorted.sort_by_key(|(number, _)| *number);
        let whole: String = sorted.iter().map(|(_, body)| *body).collect();
        assert!(rig.get("k").await == whole.as_bytes());
    }
    let id = begin(&rig, "k").await;
    let parts = parts_of(&rig, &id, &[(1, &a), (2, &b), (3, &c)]).await;
    complete!(rig, "k", &id, &parts[..1]).send().await.unwrap();
    assert_eq!(
        rig.get("k").await,
        a.as_bytes(),
        "parts that are not listed do not count"
    );
}

#[tokio::test]
async fn a_part_may_have_any_tag_when_its_client_says_so_and_sends_a_checksum() {
    let rig = Rig::new().await;
    let id = begin(&rig, "k").await;
    let md5 = "\"5d41402abc4b2a76b9719d911017c592\"";
    let send = |sum: Option<&str>| {
        let sent = rig.client.upload_part().bucket(BUCKET).key("k").upload_id(&id);
        let sent = sent.part_number(1).set_checksum_crc32(sum.map(str::to_owned));
        let any = |http: &mut aws_sdk_s3::config::http::HttpRequest| {
            http.headers_mut().insert("x-mayfly-etag", "any");
        };
        sent.body(bytes("hello")).customize().mutate_request(any).send()
    };
    assert_eq!(send(None).await.unwrap().e_tag(), Some(md5));
    assert_eq!(code(send(Some("AAAAAA==")).await), "BadDigest");
    let first = send(Some("NhCmhg==")).await.unwrap().e_tag;
    let second = send(Some("NhCmhg==")).await.unwrap().e_tag;
    assert!(first.as_deref() != Some(md5) && first != second, "{first:?}");
    let listed = |tag: Option<String>| {
        let part = CompletedPart::builder().part_number(1).set_e_tag(tag);
        part.checksum_crc32("NhCmhg==").build()
    };
    let replaced = complete!(rig, "k", &id, &[listed(first)]).send().await;
    assert_eq!(code(replaced), "InvalidPart");
    complete!(rig, "k", &id, &[listed(second)]).send().await.unwrap();
    assert_eq!(rig.get("k").await, b"hello");
}
