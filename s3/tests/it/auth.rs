//! Who may ask.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use mayfly_s3::{Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{BUCKET, Rig, client, code};

async fn plain_get(rig: &Rig, path: &str) -> String {
    let mut stream = TcpStream::connect(rig.server.addr()).await.unwrap();
    let host = rig.server.addr();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn strangers_are_refused() {
    let rig = Rig::new().await;
    let wrong = client(&rig.server, "key", "wrong")
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await;
    assert_eq!(code(wrong), "SignatureDoesNotMatch");
    assert_eq!(
        code(client(&rig.server, "who", "secret").list_buckets().send().await),
        "InvalidAccessKeyId"
    );
    assert!(plain_get(&rig, "/bucket/k").await.contains("AccessDenied"));
    assert!(rig.keys().await.is_empty());
}

#[tokio::test]
async fn presigned_urls() {
    let rig = Rig::new().await;
    rig.put("k", b"presigned body").await;
    let config = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let signed = rig
        .client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .presigned(config)
        .await
        .unwrap();
    let path = signed
        .uri()
        .split_once(&rig.server.addr().to_string())
        .unwrap()
        .1
        .to_owned();
    assert!(plain_get(&rig, &path).await.ends_with("presigned body"));
    assert!(
        plain_get(&rig, &path.replace("/k?", "/other?"))
            .await
            .contains("SignatureDoesNotMatch")
    );
    assert!(
        plain_get(&rig, &path.replace("Expires=60", "Expires=61"))
            .await
            .contains("SignatureDoesNotMatch")
    );
}

#[tokio::test]
async fn only_this_machine_is_listened_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        root: folder.path().to_owned(),
        listen: ([0, 0, 0, 0], 0).into(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        region: "us-east-1".to_owned(),
    };
    assert!(Server::start(config).await.is_err());
}
