//! Checksums: verified, kept, shown. What fails leaves nothing.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};

use crate::rig::{BUCKET, Rig, bytes, code};

#[tokio::test]
async fn every_algorithm_is_kept() {
    let rig = Rig::new().await;
    for algo in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        let put = rig
            .client
            .put_object()
            .bucket(BUCKET)
            .key(algo)
            .body(bytes("hello"));
        let put = put
            .checksum_algorithm(ChecksumAlgorithm::from(algo))
            .send()
            .await
            .unwrap();
        let head = rig
            .client
            .head_object()
            .bucket(BUCKET)
            .key(algo)
            .checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let put = [
            put.checksum_crc32,
            put.checksum_crc32_c,
            put.checksum_crc64_nvme,
            put.checksum_sha1,
            put.checksum_sha256,
        ];
        let kept = [
            head.checksum_crc32,
            head.checksum_crc32_c,
            head.checksum_crc64_nvme,
            head.checksum_sha1,
            head.checksum_sha256,
        ];
        assert_eq!(put.iter().flatten().count(), 1, "{algo}");
        assert_eq!(put, kept, "{algo}");
        assert_eq!(head.checksum_type, Some(ChecksumType::FullObject));
    }
}

#[tokio::test]
async fn a_bad_digest_stores_nothing() {
    let rig = Rig::new().await;
    rig.put("old", b"old").await;
    for size in [3, 1_000_000] {
        let body = "x".repeat(size);
        let put = |key: &str| rig.client.put_object().bucket(BUCKET).key(key).body(bytes(&body));
        for key in ["old", "new"] {
            assert_eq!(
                code(put(key).checksum_crc32("AAAAAA==").send().await),
                "BadDigest"
            );
            assert_eq!(
                code(put(key).content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await),
                "BadDigest"
            );
            assert_eq!(code(put(key).content_md5("short").send().await), "InvalidDigest");
            assert_eq!(
                code(put(key).checksum_sha1("AAAA").send().await),
                "InvalidRequest"
            );
        }
    }
    assert_eq!(rig.get("old").await, b"old");
    assert!(rig.is_absent("new").await);
    let own = rig.folder.path().join(".mayfly-s3/tmp");
    let left = std::fs::read_dir(own)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    assert!(
        left.flat_map(|folder| std::fs::read_dir(folder).unwrap())
            .next()
            .is_none(),
        "a temporary file is left"
    );
}

#[tokio::test]
async fn without_a_checksum_one_is_made() {
    let rig = Rig::new().await;
    rig.put("k", b"hello").await;
    let head = rig.client.head_object().bucket(BUCKET).key("k");
    assert!(head.clone().send().await.unwrap().checksum_crc64_nvme.is_none());
    assert!(
        head.checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap()
            .checksum_crc64_nvme
            .is_some()
    );
}
