//! Names of files that are odd, and names that look like others.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use mayfly_agent::upload::UploadError;
use mayfly_kit::layout;
use mayfly_proto::Attempt;

use super::{Rig, named, run_id, send};

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn every_character_that_no_listing_can_show_is_refused_by_name() {
    let rig = Rig::new().await;
    let controls = (1..0x20).chain([0x7f, 0x85, 0x9f, 0xfffe, 0xffff]);
    for c in controls.map(|code| char::from_u32(code).unwrap()) {
        let results = rig.results(&format!("u{:04x}", u32::from(c)));
        write(&results.join(format!("a{c}b.csv")), "x");
        write(&results.join("fine.csv"), "x");
        let error = send(&rig.store, results.as_path()).await.unwrap_err();
        assert!(
            matches!(error, UploadError::Name { .. }),
            "U+{:04X}: {error}",
            u32::from(c)
        );
        let text = error.to_string();
        assert!(text.contains("b.csv") && text.contains("rename it"), "{text}");
        assert!(!text.contains(c), "U+{:04X} is shown as it is", u32::from(c));
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_by_name() {
    let rig = Rig::new().await;
    // Alone, cut off, an encoding that is too long, half of a pair.
    for (n, bytes) in [&b"\xff"[..], b"\xe2\x82", b"\xc0\xaf", b"\xed\xa0\x80"]
        .iter()
        .enumerate()
    {
        let results = rig.results(&format!("bytes-{n}"));
        write(&results.join(OsStr::from_bytes(&[b"a-", *bytes].concat())), "x");
        let error = send(&rig.store, results.as_path()).await.unwrap_err();
        assert!(error.to_string().contains("not UTF-8; rename it"), "{error}");
    }
}

/// 824 bytes are left of a key's 1024, whatever number of characters they are.
#[tokio::test]
async fn paths_are_counted_in_bytes_also_where_a_character_has_several() {
    let rig = Rig::new().await;
    // Three folders of 252 bytes and their slashes: 759.
    let folder = ["é".repeat(126), "é".repeat(126), "é".repeat(126)].join("/");
    for (name, fits) in [
        ("x".repeat(65), true),
        ("é".repeat(33), false),
        ("x".repeat(66), false),
    ] {
        let path = format!("{folder}/{name}");
        let results = rig.results(&format!("{}-{}", fits, name.len()));
        write(&results.join(&path), "x");
        let sent = send(&rig.store, results.as_path()).await;
        assert_eq!(sent.is_ok(), fits, "{} bytes: {sent:?}", path.len());
        if let Err(error) = sent {
            assert!(
                error.to_string().contains("longer than 824 bytes; shorten it"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn names_that_look_alike_are_files_of_their_own() {
    let rig = Rig::new().await;
    let results = rig.results("alike");
    let names = [
        "e\u{301}.csv",
        "\u{e9}.csv",
        "\u{1f469}\u{200d}\u{1f4bb}",
        "\u{1f469}\u{1f4bb}",
        "a b",
        "a+b",
        "a%20b",
        "c/d",
        "c%2Fd",
        "c%2fd",
        "c\\d",
        "E.csv",
        "e.csv",
        "x/...",
        "x/..y",
    ];
    for name in names {
        write(&results.join(name), name);
    }
    let sent = send(&rig.store, results.as_path()).await.unwrap();
    let told: BTreeSet<&str> = sent.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(told, names.into());
    let prefix = layout::results(&run_id(), Attempt::FIRST);
    let listed = rig.store.list_all(&prefix, 100).await.unwrap();
    assert_eq!(listed.len(), names.len(), "{listed:?}");
    for name in names {
        let object = rig.store.get(&format!("{prefix}{name}")).await.unwrap().unwrap();
        assert_eq!(&object.bytes[..], name.as_bytes(), "{name:?}");
    }
}

/// A folder that the job names may have the name of one in the results: one key for two files.
#[tokio::test]
async fn two_files_of_one_node_for_one_key_are_the_same_or_refused() {
    let rig = Rig::new().await;
    let results = rig.results("both");
    write(&results.join("model/same.bin"), "same");
    write(&results.join("model/other.bin"), "one");
    let code = rig.results("code");
    write(&code.join("output/same.bin"), "same");
    send(&rig.store, results.as_path()).await.unwrap();
    let folder = || named(&code, "output", "model");
    let sent = send(&rig.store, folder()).await.unwrap();
    assert_eq!(sent.files[0].path, "model/same.bin");
    write(&code.join("output/other.bin"), "two");
    let error = send(&rig.store, folder()).await.unwrap_err();
    assert!(
        matches!(error, UploadError::Conflict { .. }) && error.is_jobs_doing(),
        "{error}"
    );
    assert!(error.to_string().contains("model/other.bin"), "{error}");
    let key = format!("{}model/other.bin", layout::results(&run_id(), Attempt::FIRST));
    let kept = rig.store.get(&key).await.unwrap().unwrap();
    assert_eq!(&kept.bytes[..], b"one", "the first was replaced");
}
