//! The folder as people see it: plain files, changed by hand, with links that must not lead anywhere.

use std::os::unix::fs::symlink;

use crate::rig::{BUCKET, Rig, code};

#[tokio::test]
async fn an_object_is_a_plain_file() {
    let rig = Rig::new().await;
    rig.put("results/a b.txt", b"hello").await;
    let file = rig.folder.path().join(BUCKET).join("results/a b.txt");
    assert_eq!(std::fs::read(file).unwrap(), b"hello");
}

#[tokio::test]
async fn what_changes_by_hand_is_noticed() {
    let rig = Rig::new().await;
    let folder = rig.folder.path().join(BUCKET);
    std::fs::create_dir_all(folder.join("sub/empty")).unwrap();
    std::fs::write(folder.join("sub/hand"), b"hello").unwrap();
    assert_eq!(rig.keys().await, ["sub/hand"]);
    let head = || rig.client.head_object().bucket(BUCKET).key("sub/hand").send();
    assert_eq!(
        head().await.unwrap().e_tag(),
        Some("\"5d41402abc4b2a76b9719d911017c592\"")
    );
    rig.put("sub/hand", b"put").await;
    std::fs::write(folder.join("sub/hand"), b"edited").unwrap();
    assert_eq!(
        head().await.unwrap().e_tag(),
        Some("\"683dc5278b1fbbd98a996cecc3ffd06a\"")
    );
}

#[tokio::test]
async fn links_lead_nowhere() {
    let rig = Rig::new().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    let folder = rig.folder.path().join(BUCKET);
    symlink(outside.path().join("secret"), folder.join("file")).unwrap();
    symlink(outside.path(), folder.join("dir")).unwrap();
    assert!(rig.keys().await.is_empty());
    for key in ["file", "dir/secret", "../../etc/passwd"] {
        assert_eq!(
            code(rig.client.get_object().bucket(BUCKET).key(key).send().await),
            "NoSuchKey"
        );
    }
    for key in ["file", "dir/secret", "dir/new", "../escaped", "/etc/mayfly"] {
        rig.put(key, b"mine").await;
        assert_eq!(rig.get(key).await, b"mine");
        rig.client
            .delete_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
    }
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    symlink(outside.path(), rig.folder.path().join("linked-bucket")).unwrap();
    assert_eq!(
        code(
            rig.client
                .get_object()
                .bucket("linked-bucket")
                .key("secret")
                .send()
                .await
        ),
        "NoSuchBucket"
    );
}

#[tokio::test]
async fn what_a_dead_server_left_is_swept() {
    let rig = Rig::new().await;
    let tmp = rig.folder.path().join(".mayfly-s3/tmp");
    std::fs::create_dir_all(tmp.join("dead")).unwrap();
    std::fs::write(tmp.join("dead/1"), b"half").unwrap();
    std::fs::write(tmp.join("dead.lock"), b"").unwrap();
    let living = std::fs::read_dir(&tmp).unwrap().count() - 2;
    let second = crate::rig::serve(rig.folder.path()).await;
    assert!(!tmp.join("dead").exists() && !tmp.join("dead.lock").exists());
    assert_eq!(
        std::fs::read_dir(&tmp).unwrap().count(),
        living + 2,
        "the living keep theirs"
    );
    second.stop().await;
    rig.put("k", b"still works").await;
    rig.server.stop().await;
}
