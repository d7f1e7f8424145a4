//! Listings: order, prefixes, pages, names of every kind.

use futures::future::join_all;

use crate::rig::{BUCKET, Rig, code};

const NAMES: [&str; 26] = [
    "a",
    "a b",
    "a+b",
    "a%2Fb",
    "ü/ö",
    "日本",
    "d/",
    "//",
    "x//y",
    "/lead",
    "trail//",
    ".",
    "..",
    "../up",
    "z/../y",
    "./c",
    "both",
    "both/x",
    "both/x/y",
    "back\\slash",
    "q?&=#",
    "emoji😀",
    "e\u{301}",
    "é",
    ".mayfly-s3/x",
    "\"<>",
];

#[tokio::test]
async fn every_name_is_listed_in_byte_order() {
    let rig = Rig::new().await;
    let long = ["y".repeat(256), "z".repeat(1024)];
    let mut names: Vec<&str> = NAMES.into_iter().chain(long.iter().map(String::as_str)).collect();
    for name in &names {
        rig.put(name, name.as_bytes()).await;
    }
    for name in &names {
        assert_eq!(rig.get(name).await, name.as_bytes());
    }
    names.sort_unstable();
    assert_eq!(rig.keys().await, names);
    let mut paged = Vec::new();
    let mut pages = rig
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .max_keys(3)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        paged.extend(
            page.unwrap()
                .contents
                .unwrap_or_default()
                .into_iter()
                .map(|object| object.key.unwrap()),
        );
    }
    assert_eq!(paged, names);
    let put = rig
        .client
        .put_object()
        .bucket(BUCKET)
        .key("k".repeat(1025))
        .send()
        .await;
    assert_eq!(code(put), "KeyTooLongError");
    for name in names {
        rig.client
            .delete_object()
            .bucket(BUCKET)
            .key(name)
            .send()
            .await
            .unwrap();
    }
    rig.client.delete_bucket().bucket(BUCKET).send().await.unwrap();
}

/// What XML cannot hold is listed by who asks for it in the form of a URL.
#[tokio::test]
async fn names_that_xml_cannot_hold() {
    let rig = Rig::new().await;
    let names = [
        "a\u{1}b",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\u{1f}b",
        "a\u{7f}b",
        "a\u{fffe}b",
        "a\u{ffff}b",
    ];
    for name in names {
        rig.put(name, name.as_bytes()).await;
        assert_eq!(rig.get(name).await, name.as_bytes(), "{name:?}");
    }
    let list = rig.client.list_objects_v2().bucket(BUCKET);
    let listed = list
        .encoding_type(aws_sdk_s3::types::EncodingType::Url)
        .send()
        .await
        .unwrap();
    let keys: Vec<&str> = listed
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    let escaped = [
        "a%01b",
        "a%09b",
        "a%0Ab",
        "a%0Db",
        "a%1Fb",
        "a%7Fb",
        "a%EF%BF%BEb",
        "a%EF%BF%BFb",
    ];
    assert_eq!(keys, escaped);
}

#[tokio::test]
async fn delimiters_and_starts() {
    let rig = Rig::new().await;
    for key in ["a", "b/1", "b/2", "b/c/1", "b0", "c", "d/e/f"] {
        rig.put(key, b"x").await;
    }
    let list = || rig.client.list_objects_v2().bucket(BUCKET);
    let mut rows = Vec::new();
    let mut pages = list().delimiter("/").max_keys(1).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.key_count(), Some(1));
        rows.extend(page.contents().iter().filter_map(|object| object.key.clone()));
        rows.extend(
            page.common_prefixes()
                .iter()
                .filter_map(|common| common.prefix.clone()),
        );
    }
    assert_eq!(rows, ["a", "b/", "b0", "c", "d/"]);
    let after = list().start_after("b/2").send().await.unwrap();
    assert_eq!(after.contents()[0].key(), Some("b/c/1"));
    assert_eq!(
        list()
            .prefix("b/")
            .delimiter("/")
            .send()
            .await
            .unwrap()
            .contents()
            .len(),
        2
    );
    assert_eq!(
        list().max_keys(0).send().await.unwrap().is_truncated(),
        Some(false)
    );
    assert_eq!(code(list().max_keys(-1).send().await), "InvalidArgument");
    assert_eq!(
        code(list().continuation_token("?").send().await),
        "InvalidArgument"
    );
    let old = rig
        .client
        .list_objects()
        .bucket(BUCKET)
        .delimiter("/")
        .max_keys(2)
        .send()
        .await
        .unwrap();
    assert_eq!((old.next_marker(), old.is_truncated()), (Some("b/"), Some(true)));
    let next = rig
        .client
        .list_objects()
        .bucket(BUCKET)
        .delimiter("/")
        .marker("b/")
        .send()
        .await
        .unwrap();
    assert_eq!(next.contents()[0].key(), Some("b0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_larger_than_what_is_held_at_once() {
    let rig = Rig::new().await;
    let folder = rig.folder.path().join(BUCKET);
    for n in 0..5000 {
        std::fs::write(folder.join(format!("{n:05}")), b"").unwrap();
    }
    let list = rig
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .into_paginator()
        .send()
        .collect::<Result<Vec<_>, _>>();
    let keys: Vec<String> = list
        .await
        .unwrap()
        .into_iter()
        .flat_map(|page| page.contents.unwrap())
        .map(|one| one.key.unwrap())
        .collect();
    assert_eq!(keys, (0..5000).map(|n| format!("{n:05}")).collect::<Vec<_>>());
    // One delimiter closes thousands of names at once.
    let closed = rig
        .client
        .list_objects_v2()
        .bucket(BUCKET)
        .delimiter("0")
        .send()
        .await
        .unwrap();
    assert_eq!(closed.common_prefixes().len(), 1);
    join_all((0..8).map(|n| {
        rig.client
            .delete_object()
            .bucket(BUCKET)
            .key(format!("{n:05}"))
            .send()
    }))
    .await;
    assert_eq!(rig.keys().await[0], "00008");
}
