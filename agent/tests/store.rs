//! Store, upload and commit against our own S3 server over a real socket.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE64;
use mayfly_agent::commit::{self, CommitError, Committed, Obstacle, Request};
use mayfly_agent::upload::{self, Progress, Target, UploadError, Uploaded};
use mayfly_kit::layout;
use mayfly_kit::records::{Commit, Manifest, SCHEMA};
use mayfly_kit::store::{Access, Created, Replaced, Store, StoreConfig, StoreFault};
use mayfly_proto::{Attempt, NodeId, RunId};
use mayfly_s3::{Config, Server};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;

#[path = "store/flaws.rs"]
mod flaws;

const SECRET: &str = "test-secret-key";

struct Rig {
    _server: Server,
    folder: TempDir,
    store: Store,
    config: StoreConfig,
}

async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Config {
        root: folder.path().join("store"),
        listen: "127.0.0.1:0".parse().unwrap(),
        access_key: "test".into(),
        secret_key: SECRET.into(),
        region: "eu-central-1".into(),
    });
    let server = server.await.unwrap();
    let config = StoreConfig {
        endpoint: Some(format!("http://{}", server.addr())),
        bucket: "mayfly".into(),
        prefix: "team/".into(),
        region: "eu-central-1".into(),
        access: Access::keys("test", SECRET),
    };
    let store = Store::open(&config);
    store.ensure_bucket().await.unwrap();
    store.ensure_bucket().await.unwrap();
    Rig {
        _server: server,
        folder,
        store,
        config,
    }
}

fn run_id() -> RunId {
    "flights-abcdefgh".parse().unwrap()
}

async fn send(rig: &Rig, folder: &Path) -> Result<Uploaded, UploadError> {
    let prefix = layout::results(&run_id(), Attempt::FIRST);
    let target = Target {
        store: rig.store.clone(),
        prefix,
        only_new: true,
        selection: Arc::default(),
    };
    upload::folder(folder, &target, &watch::Sender::new(Progress::default())).await
}

#[tokio::test]
async fn objects_are_created_once_and_replaced_by_version_only() {
    let Rig { store, .. } = &rig().await;
    assert!(store.get("a").await.unwrap().is_none());
    let Created::Yes(first) = store.put_new("a", "one").await.unwrap() else {
        panic!("exists")
    };
    assert_eq!(store.put_new("a", "two").await.unwrap(), Created::Exists);
    assert!(
        matches!(store.put_new("a", "one").await.unwrap(), Created::Yes(_)),
        "a retry of the same write"
    );
    let Replaced::Yes(second) = store.replace("a", "two", &first).await.unwrap() else {
        panic!("conflict")
    };
    assert_eq!(
        store.replace("a", "three", &first).await.unwrap(),
        Replaced::Conflict
    );
    assert_eq!(
        store.replace("none", "x", &second).await.unwrap(),
        Replaced::Conflict
    );
    let object = store.get("a").await.unwrap().unwrap();
    assert_eq!((&object.bytes[..], object.etag), (&b"two"[..], second));
    store.delete("a").await.unwrap();
    store.delete("a").await.unwrap();
    assert_eq!(store.size("a").await.unwrap(), None);
    assert_eq!(store.s3_url("a"), "s3://mayfly/team/a");
}

#[tokio::test]
async fn listings_go_over_pages_and_folders() {
    let Rig { store, .. } = &rig().await;
    for n in 0..1003 {
        store.put(&format!("runs/r{}/{n:04}", n % 3), "x").await.unwrap();
    }
    assert_eq!(store.list_all("runs/", 5000).await.unwrap().len(), 1003);
    assert_eq!(store.list_all("runs/", 7).await.unwrap().len(), 7);
    assert_eq!(store.list_folders("runs/", 10).await.unwrap(), ["r0", "r1", "r2"]);
    assert_eq!(store.list_folders("runs/", 2).await.unwrap(), ["r0", "r1"]);
    assert!(store.list_folders("none/", 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let rig = rig().await;
    let open = |change: fn(&mut StoreConfig)| {
        let mut config = rig.config.clone();
        change(&mut config);
        Store::open(&config)
    };
    let denied = open(|c| c.access = Access::keys("test", "wrong"))
        .put("a", "x")
        .await
        .unwrap_err();
    assert!(matches!(denied.fault(), StoreFault::Denied { .. }), "{denied}");
    let missing = open(|c| c.bucket = "other".into()).get("a").await.unwrap_err();
    assert_eq!(
        missing.fault(),
        &StoreFault::NoBucket {
            bucket: "other".into()
        }
    );
    let away = open(|c| c.endpoint = Some("http://127.0.0.1:1".into()))
        .get("a")
        .await
        .unwrap_err();
    assert!(matches!(away.fault(), StoreFault::Connect { .. }), "{away}");
    assert!(!away.is_permanent() && denied.is_permanent() && missing.is_permanent());
    for text in [denied.to_string(), missing.to_string(), away.to_string()] {
        assert!(text.contains("s3://") && !text.contains(SECRET), "{text}");
    }
    rig.store.put("big", vec![0; 100]).await.unwrap();
    let large = rig.store.get_capped("big", 99).await.unwrap_err();
    assert_eq!(large.fault(), &StoreFault::TooLarge { size: 100, max: 99 });
}

#[tokio::test]
async fn a_folder_arrives_whole_without_links_and_leftovers() {
    let rig = rig().await;
    let results = rig.folder.path().join("results");
    std::fs::create_dir_all(results.join("x/_temporary/0")).unwrap();
    std::fs::write(results.join("x/_temporary/0/part"), "unfinished").unwrap();
    std::fs::write(results.join("x/.part-0.crc"), "crc").unwrap();
    std::fs::write(results.join("x/part-0"), "rows").unwrap();
    std::fs::write(results.join("empty"), "").unwrap();
    std::fs::write(results.join("ü b+c%2F"), "name").unwrap();
    let large: Vec<u8> = (0..80_000_003u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(results.join("large"), &large).unwrap();
    std::fs::write(results.join("medium"), &large[..100_000]).unwrap();
    symlink("/etc/passwd", results.join("link")).unwrap();
    symlink("/etc", results.join("x/folder")).unwrap();
    nix::unistd::mkfifo(&results.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();

    let done = send(&rig, &results).await.unwrap();
    let paths: Vec<&str> = done.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["empty", "large", "medium", "x/part-0", "ü b+c%2F"]);
    let mut skipped = done.skipped.clone();
    skipped.sort();
    assert_eq!(
        skipped,
        [
            "link: a symbolic link",
            "pipe: not a regular file",
            "x/.part-0.crc: a local checksum",
            "x/_temporary: unfinished output",
            "x/folder: a symbolic link",
        ]
    );
    let prefix = layout::results(&run_id(), Attempt::FIRST);
    assert_eq!(rig.store.list_all(&prefix, 100).await.unwrap().len(), 5);
    for file in &done.files {
        let stored = rig.store.digest(&format!("{prefix}{}", file.path)).await.unwrap();
        assert_eq!(stored, Some((file.sha256.clone(), file.size)), "{}", file.path);
    }
    let copy = rig.folder.path().join("copy");
    assert_eq!(
        rig.store
            .get_to_file(&format!("{prefix}large"), &copy)
            .await
            .unwrap(),
        Some(80_000_003)
    );
    assert!(std::fs::read(copy).unwrap() == large);

    assert_eq!(
        send(&rig, &results).await.unwrap().files,
        done.files,
        "a second upload finds the same"
    );
    assert_eq!(
        rig.store.abort_all("").await.unwrap(),
        0,
        "no parts are left behind"
    );
}

/// Larger than what is read in one request, and in each way in which a store comes to its checksum.
#[tokio::test]
async fn what_a_store_has_damaged_is_refused_also_when_it_is_read_in_ranges() {
    let rig = rig().await;
    let large: Vec<u8> = (0..70_000_003u32).map(|n| (n % 251) as u8).collect();
    let whole = bytes::Bytes::from(large.clone());
    rig.store.put("crc", whole.clone()).await.unwrap();
    let sum = BASE64.encode(&Sha256::digest(&large));
    let sent = rig.store.put_checked("sha", whole.clone(), &sum, true).await;
    assert!(matches!(sent.unwrap(), Created::Yes(_)));
    in_parts(&rig.store, "even", &whole, &[30_000_000; 3]).await;
    in_parts(&rig.store, "uneven", &whole, &[6_000_000, 50_000_000, 30_000_000]).await;

    for key in ["crc", "sha", "even", "uneven"] {
        let copy = rig.folder.path().join(key);
        let came = AtomicU64::new(0);
        let tell = |bytes| {
            came.fetch_add(bytes, Ordering::Relaxed);
        };
        let read = rig.store.get_to_file_telling(key, &copy, &tell).await;
        assert_eq!(read.unwrap(), Some(70_000_003), "{key}");
        assert!(std::fs::read(&copy).unwrap() == large, "{key}");
        assert_eq!(came.into_inner(), 70_000_003, "{key}");

        damage(&rig.folder.path().join("store/mayfly/team").join(key), 50_000_000);
        let copy = rig.folder.path().join("damaged");
        let error = rig.store.get_to_file(key, &copy).await.unwrap_err();
        let what = "its bytes are not those of its checksum";
        assert_eq!(error.fault(), &StoreFault::Corrupt { what }, "{key}");
        assert!(error.to_string().contains(key) && !copy.exists(), "{error}");
    }
}

async fn in_parts(store: &Store, key: &str, whole: &bytes::Bytes, sizes: &[usize]) {
    let upload = store.multipart(key).await.unwrap();
    let (mut parts, mut from) = (Vec::new(), 0);
    for (number, size) in (1..).zip(sizes) {
        let to = whole.len().min(from + size);
        parts.push(store.part(&upload, number, whole.slice(from..to)).await.unwrap());
        from = to;
    }
    let made = store.complete(&upload, parts, whole.len() as u64, true).await;
    assert!(matches!(made.unwrap(), Created::Yes(_)));
}

/// Another byte, as a disk changes it: nobody is told.
fn damage(file: &Path, at: u64) {
    let stored = std::fs::File::options()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let written = stored.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    stored.read_exact_at(&mut byte, at).unwrap();
    stored.write_all_at(&[byte[0] ^ 1], at).unwrap();
    stored.set_modified(written).unwrap();
}

#[tokio::test]
async fn a_different_file_of_the_same_name_is_refused_and_the_first_stays() {
    let rig = rig().await;
    for (node, text) in [("one", "a"), ("two", "b")] {
        let folder = rig.folder.path().join(node);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("same"), text).unwrap();
        let sent = send(&rig, &folder).await;
        match node {
            "one" => assert!(sent.is_ok()),
            _ => {
                let error = sent.unwrap_err();
                assert!(error.is_jobs_doing());
                assert_eq!(
                    error.to_string(),
                    "two nodes hold different files of one name: same (this node and another)"
                );
            }
        }
    }
    let key = format!("{}same", layout::results(&run_id(), Attempt::FIRST));
    assert_eq!(&rig.store.get(&key).await.unwrap().unwrap().bytes[..], b"a");
}

#[tokio::test]
async fn names_that_cannot_be_keys_are_errors_that_name_them() {
    let rig = rig().await;
    let long = "d".repeat(250);
    let deep = [long.as_str(); 4].join("/");
    for (n, name) in [&b"bad\xff"[..], b"line\nbreak", deep.as_bytes()]
        .into_iter()
        .enumerate()
    {
        let folder = rig.folder.path().join(n.to_string());
        let file = folder.join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "x").unwrap();
        let error = send(&rig, &folder).await.unwrap_err();
        assert!(
            matches!(error, UploadError::Name { .. }) && error.is_jobs_doing(),
            "{error}"
        );
    }
    assert_eq!(
        send(&rig, &rig.folder.path().join("none")).await.unwrap(),
        Uploaded::default()
    );
}

async fn manifest(rig: &Rig, node: NodeId, uploaded: &Uploaded) {
    let Uploaded { files, skipped } = uploaded.clone();
    let manifest = Manifest {
        schema: SCHEMA,
        node,
        attempt: Attempt::FIRST,
        files,
        skipped,
    };
    commit::write_manifest(&rig.store, &run_id(), &manifest)
        .await
        .unwrap();
}

fn request_of(nodes: Vec<NodeId>) -> Request {
    Request {
        run: run_id(),
        attempt: Attempt::FIRST,
        nodes,
        exit_code: Some(0),
        cause: String::new(),
        steps: Vec::new(),
    }
}

#[tokio::test]
async fn a_run_is_committed_once() {
    let rig = rig().await;
    let results = rig.folder.path().join("results");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("a"), "aaa").unwrap();
    std::fs::write(results.join("b"), "b").unwrap();
    let uploaded = send(&rig, &results).await.unwrap();
    let request = request_of(vec![NodeId::master(1), NodeId::worker(1)]);
    manifest(&rig, NodeId::master(1), &uploaded).await;
    let error = commit::commit(&rig.store, &request).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Obstacle(Obstacle::NoManifest { .. })),
        "{error}"
    );
    manifest(&rig, NodeId::worker(1), &uploaded).await;

    assert_eq!(
        commit::commit(&rig.store, &request).await.unwrap(),
        Committed::Ours
    );
    assert_eq!(
        commit::commit(&rig.store, &request).await.unwrap(),
        Committed::Ours,
        "after a lost reply"
    );
    let other = Request {
        exit_code: Some(1),
        ..request.clone()
    };
    assert_eq!(
        commit::commit(&rig.store, &other).await.unwrap(),
        Committed::Lost(Attempt::FIRST)
    );

    let object = rig.store.get(&layout::commit(&run_id())).await.unwrap().unwrap();
    let stored: Commit = serde_json::from_slice(&object.bytes).unwrap();
    assert_eq!(
        (stored.total_files, stored.total_bytes, stored.exit_code),
        (2, 4, Some(0))
    );
    assert_eq!(stored.files, uploaded.files);
}

#[tokio::test]
async fn nothing_is_committed_that_the_store_does_not_hold() {
    let rig = rig().await;
    let results = rig.folder.path().join("results");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("a"), "aaa").unwrap();
    let mut uploaded = send(&rig, &results).await.unwrap();
    uploaded.files[0].size = 4;
    manifest(&rig, NodeId::master(1), &uploaded).await;
    let request = request_of(vec![NodeId::master(1)]);
    let error = commit::commit(&rig.store, &request).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Obstacle(Obstacle::Missing { .. })),
        "{error}"
    );
    assert!(rig.store.get(&layout::commit(&run_id())).await.unwrap().is_none());

    rig.store
        .put(&layout::commit(&run_id()), "{\"schema\":9")
        .await
        .unwrap();
    uploaded.files[0].size = 3;
    manifest(&rig, NodeId::master(1), &uploaded).await;
    let error = commit::commit(&rig.store, &request).await.unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::Obstacle(Obstacle::Foreign { what: "commit", .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_manifest_that_makes_no_sense_is_not_committed() {
    let rig = rig().await;
    let key = layout::manifest(&run_id(), Attempt::FIRST, &NodeId::master(1));
    let request = request_of(vec![NodeId::master(1)]);
    let file = |path: &str, size: &str, sha256: &str| {
        format!(
            r#"{{"schema":1,"node":"master-1","attempt":1,"skipped":[],"files":[{{"path":{path:?},"size":{size},"sha256":{sha256:?}}}]}}"#
        )
    };
    let sum = "0a".repeat(32);
    let path = |path: &str| file(path, "1", &sum);
    let twice = |first: &str, second: &str| {
        let also = format!(r#"{{"path":"a","size":1,"sha256":"{second}"}}"#);
        file("a", "1", first).replace("}]}", &format!("}},{also}]}}"))
    };
    for (says, bytes) in [
        ("names", path("../../run.json")),
        ("names", path("/etc/passwd")),
        ("names", path("a//b")),
        ("names", path("")),
        ("names", path("a\nb")),
        ("names", path(&"x".repeat(1_025))),
        ("names", file("a", "1", "")),
        ("names", file("a", "1", &sum.to_uppercase())),
        ("names", file("a", "1", &"0a".repeat(20))),
        ("is not a manifest", file("a", "-1", &sum)),
        ("is not a manifest", file("a", "1e3", &sum)),
        (
            "is not a manifest",
            path("a").replace("\"schema\":1", "\"schema\":2"),
        ),
        ("is not a manifest", path("a").replace("master-1", "worker-1")),
        (
            "is not a manifest",
            path("a").replace("\"attempt\":1", "\"attempt\":2"),
        ),
        (
            "is not a manifest",
            path("a").replace("\"size\":1", "\"size\":1,\"size\":1"),
        ),
        ("is not a manifest", "[".repeat(10_000)),
        ("is not a manifest", String::new()),
        ("twice", twice(&sum, &sum)),
        ("twice", twice(&sum, &"0b".repeat(32))),
        ("not in the store", path("a")),
    ] {
        rig.store.put(&key, bytes).await.unwrap();
        let error = commit::commit(&rig.store, &request).await.unwrap_err();
        assert!(error.to_string().contains(says), "no {says:?} in: {error}");
        assert!(error.is_permanent() && error.to_string().len() < 400, "{error}");
        assert!(rig.store.get(&layout::commit(&run_id())).await.unwrap().is_none());
    }
}

/// It would take several times that much memory to read it.
#[tokio::test]
async fn a_manifest_of_a_million_files_is_refused_by_its_size() {
    let rig = rig().await;
    let sum = "0a".repeat(32);
    let files = (0..1_000_000).map(|n| format!(r#"{{"path":"part-{n}","size":1,"sha256":"{sum}"}}"#));
    let files = files.collect::<Vec<_>>().join(",");
    let bytes = format!(r#"{{"schema":1,"node":"master-1","attempt":1,"skipped":[],"files":[{files}]}}"#)
        .into_bytes();
    let key = layout::manifest(&run_id(), Attempt::FIRST, &NodeId::master(1));
    rig.store.put(&key, bytes).await.unwrap();
    let request = request_of(vec![NodeId::master(1)]);
    let error = commit::commit(&rig.store, &request).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    let CommitError::Store(error) = error else {
        panic!("{error}")
    };
    assert!(matches!(error.fault(), StoreFault::TooLarge { .. }), "{error}");
    assert!(
        error.to_string().contains("manifest"),
        "it does not say of what: {error}"
    );
    assert!(rig.store.get(&layout::commit(&run_id())).await.unwrap().is_none());
}
