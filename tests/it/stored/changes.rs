//! Files and objects that change while they are read.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use mayfly_agent::upload::{UploadError, Uploaded};
use mayfly_kit::error::chain;
use mayfly_kit::layout;
use mayfly_kit::store::StoreFault;
use mayfly_proto::Attempt;

use super::tap::Tap;
use super::{Rig, open, run_id, send};

/// More than an agent has in memory: when its first part goes by it has not been read to its end.
const LARGE: u64 = 48 << 20;
/// In the request for the first part.
const FIRST_PART: &str = "partNumber=1&";

/// Something that is done to a file.
type Change = fn(&Path);

fn append(path: &Path) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"one line more\n").unwrap();
}

fn shrink(path: &Path) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(LARGE / 2)
        .unwrap();
}

fn shrink_more(path: &Path) {
    let size = path.metadata().unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(size - (4 << 20))
        .unwrap();
}

fn vanish(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn swap_for_a_link(path: &Path) {
    fs::remove_file(path).unwrap();
    symlink("/etc/passwd", path).unwrap();
}

fn make(rig: &Rig, name: &str) -> PathBuf {
    let path = rig.results(name).join("table.csv");
    File::create(&path).unwrap().set_len(LARGE).unwrap();
    path
}

/// Uploads a large file that changes at the first part of each of the first `times` readings.
async fn upload(rig: &Rig, file: &Path, change: fn(&Path), times: usize) -> Result<Uploaded, UploadError> {
    let path = file.to_owned();
    let tap = Tap::before(rig.server.addr(), FIRST_PART, move |number| {
        if number <= times {
            change(&path);
        }
    });
    let tap = tap.await;
    let sent = send(&open(&tap.url()), file.parent().unwrap()).await;
    assert!(tap.seen() >= 1, "no part went by");
    sent
}

fn key() -> String {
    format!("{}table.csv", layout::results(&run_id(), Attempt::FIRST))
}

#[tokio::test]
async fn a_file_that_changes_once_is_what_it_is_afterwards() {
    let changes: [(&str, Change, u64); 2] = [("grows", append, LARGE + 14), ("shrinks", shrink, LARGE / 2)];
    for (name, change, size) in changes {
        let rig = Rig::new().await;
        let file = make(&rig, name);
        let sent = upload(&rig, &file, change, 1).await.unwrap();
        assert_eq!(sent.files.len(), 1, "{name}");
        assert_eq!(sent.files[0].size, size, "{name}");
        let stored = rig.store.digest(&key()).await.unwrap();
        assert_eq!(stored, Some((sent.files[0].sha256.clone(), size)), "{name}");
        assert_eq!(
            rig.store.abort_all("").await.unwrap(),
            0,
            "{name}: parts are left"
        );
    }
}

#[tokio::test]
async fn a_file_that_goes_on_changing_is_named_and_nothing_of_it_is_kept() {
    let changes: [(&str, Change); 2] = [("grows", append), ("shrinks", shrink_more)];
    for (name, change) in changes {
        let rig = Rig::new().await;
        let file = make(&rig, name);
        let error = upload(&rig, &file, change, usize::MAX).await.unwrap_err();
        assert!(matches!(error, UploadError::Changed { .. }), "{name}: {error}");
        assert!(error.is_jobs_doing(), "{name}");
        let text = error.to_string();
        assert!(
            text.contains("table.csv changed while it was uploaded, twice"),
            "{name}: {text}"
        );
        assert_eq!(rig.store.size(&key()).await.unwrap(), None, "{name}");
        assert_eq!(
            rig.store.abort_all("").await.unwrap(),
            0,
            "{name}: parts are left"
        );
    }
}

#[tokio::test]
async fn a_file_that_vanishes_or_becomes_a_link_is_named_and_nothing_of_it_is_kept() {
    let changes: [(&str, Change); 2] = [("vanishes", vanish), ("a link", swap_for_a_link)];
    for (name, change) in changes {
        let rig = Rig::new().await;
        let file = make(&rig, name);
        let error = upload(&rig, &file, change, 1).await.unwrap_err();
        assert!(matches!(error, UploadError::Read { .. }), "{name}: {error}");
        assert!(chain(&error).contains("table.csv"), "{name}: {}", chain(&error));
        assert_eq!(rig.store.size(&key()).await.unwrap(), None, "{name}");
        assert_eq!(
            rig.store.abort_all("").await.unwrap(),
            0,
            "{name}: parts are left"
        );
    }
}

/// A large object is read in several ranges, all of one version of it.
#[tokio::test]
async fn an_object_that_is_replaced_while_it_is_downloaded_is_not_taken() {
    let rig = Rig::new().await;
    let object = rig.folder.path().join("store/stored/team/large");
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    File::create(&object).unwrap().set_len(80 << 20).unwrap();
    let other = rig.folder.path().join("other");
    let mut file = File::create(&other).unwrap();
    file.write_all(b"other").unwrap();
    file.set_len(80 << 20).unwrap();
    let tap = Tap::before(rig.server.addr(), "range: bytes=", move |number| {
        if number == 1 {
            fs::rename(&other, &object).unwrap();
        }
    });
    let tap = tap.await;
    let copy = rig.folder.path().join("copy");
    let read = open(&tap.url()).get_to_file("large", &copy).await;
    let error = read.unwrap_err();
    assert_eq!(
        error.fault(),
        &StoreFault::Corrupt {
            what: "it changed while it was read"
        }
    );
    assert!(!copy.exists(), "half of one and half of the other was taken");
}
