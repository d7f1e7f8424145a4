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
