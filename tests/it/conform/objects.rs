//! S3: the embedded server, and moto's.

use std::collections::HashMap;
use std::rc::Rc;

use futures::TryStreamExt as _;
use mayfly_kit::store::{Created, Replaced, Store};
use mayfly_sim::call::{If, Res};
use mayfly_sim::store::Store as Model;
use mayfly_tests::ec2::Image;
use mayfly_tests::{Chance, Ec2, embedded};
use serde_json::json;
use tempfile::TempDir;

const CALLS: usize = 300;
const KEYS: [&str; 4] = ["runs/a/run.json", "runs/a/x", "runs/b/x", "other"];
const TEXTS: [&str; 3] = ["one", "two", "and three"];
const PREFIXES: [&str; 4] = ["runs/", "runs/a/", "none/", ""];

/// The same calls to both. Versions are other names for the same thing: what is one in the model is one there.
async fn agree(store: &Store, seed: u64) {
    let (mut chance, mut model) = (Chance::new(seed), Model::default());
    let mut versions: HashMap<u64, String> = HashMap::new();
    for call in 0..CALLS {
        let key = KEYS[chance.below(KEYS.len())];
        let text = TEXTS[chance.below(TEXTS.len())];
        let bytes: Rc<[u8]> = text.as_bytes().into();
        let at = format!("seed {seed}, call {call}: {key}, {text:?}");
        let there = model.get(key).cloned();
        match chance.below(5) {
            0 => {
                let Res::Got(known) = model.read(key) else {
                    panic!("{at}")
                };
                let got = store.get(key).await.unwrap();
                assert_eq!(
                    known.as_ref().map(|(bytes, _)| bytes.to_vec()),
                    got.as_ref().map(|object| object.bytes.to_vec()),
                    "{at}"
                );
                if let (Some((_, version)), Some(object)) = (known, got) {
                    same_version(&mut versions, version, &object.etag, &at);
                }
            }
            1 => {
                store.put(key, text).await.unwrap();
                model.put(key.to_owned(), bytes, If::Any);
            }
            2 => {
                let told = model.put(key.to_owned(), Rc::clone(&bytes), If::Absent);
                match (told, store.put_new(key, text).await.unwrap()) {
                    (Res::Stored(version), Created::Yes(etag)) => {
                        same_version(&mut versions, version, &etag, &at);
                    }
                    (Res::Refused, Created::Exists) => {}
                    // Our client looks, and finds its own.
                    (Res::Refused, Created::Yes(_)) => assert_eq!(there, Some(bytes), "{at}"),
                    (told, real) => panic!("{at}: the model says {told:?}, the server {real:?}"),
                }
            }
            3 => {
                let known: Vec<(u64, String)> = versions.iter().map(|(v, tag)| (*v, tag.clone())).collect();
                let Some((version, etag)) = known.get(chance.below(known.len().max(1))) else {
                    continue;
                };
                let told = model.put(key.to_owned(), Rc::clone(&bytes), If::Match(*version));
                match (told, store.replace(key, text, etag).await.unwrap()) {
                    (Res::Stored(version), Replaced::Yes(etag)) => {
                        same_version(&mut versions, version, &etag, &at);
                    }
                    (Res::Refused, Replaced::Conflict) => {}
                    (Res::Refused, Replaced::Yes(_)) => assert_eq!(there, Some(bytes), "{at}"),
                    (told, real) => panic!("{at}: the model says {told:?}, the server {real:?}"),
                }
            }
            _ => {
                let prefix = PREFIXES[chance.below(PREFIXES.len())];
                let Res::Listed(known) = model.list(prefix) else {
                    panic!("{at}")
                };
                let listed: Vec<_> = store.list(prefix).try_collect().await.unwrap();
                let listed: Vec<(String, u64)> = listed.into_iter().map(|one| (one.key, one.size)).collect();
                assert_eq!(known, listed, "{at}: below {prefix:?}");
            }
        }
    }
}

fn same_version(versions: &mut HashMap<u64, String>, version: u64, etag: &str, at: &str) {
    let known = versions.entry(version).or_insert_with(|| etag.to_owned());
    assert_eq!(known, etag, "{at}: one version has two entity tags");
}

const BUCKET: &str = "conform";
/// One that keeps every version, and locks them.
const LOCKED: &str = "locked";

fn open(endpoint: &str) -> Store {
    embedded::client(endpoint, BUCKET, "models/")
}

#[tokio::test]
async fn the_model_of_s3_answers_as_the_embedded_server() {
    let folder = TempDir::new().unwrap();
    for seed in 0..5 {
        let (_server, url) = embedded::serve(&folder.path().join(seed.to_string())).await;
        let store = open(&url);
        store.ensure_bucket().await.unwrap();
        agree(&store, seed).await;
    }
}

#[tokio::test]
async fn the_model_of_s3_answers_as_motos_server() {
    let ec2 = tokio::task::spawn_blocking(|| {
        let ec2 = Ec2::start(Image::none(), &json!({}));
        ec2.make_locked_bucket(LOCKED);
        ec2
    });
    let ec2 = ec2.await.unwrap();
    let store = open(&ec2.url());
    store.ensure_bucket().await.unwrap();
    agree(&store, 7).await;
    agree(&embedded::client(&ec2.url(), LOCKED, "models/"), 8).await;
    let kept = ec2.object(&format!("/{LOCKED}?versions")).unwrap();
    let kept = kept.matches("<VersionId>").count();
    assert!(
        kept > 10 * KEYS.len(),
        "{kept} versions are no bucket that keeps them"
    );
    tokio::task::spawn_blocking(move || drop(ec2)).await.unwrap();
}
