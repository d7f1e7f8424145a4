//! Looks into the node's results folder while the job works: what is there is lost with the node, and the coordinator
//! must know whether there is anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_kit::admin::Loop;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// A file that is older than this when its node is lost was known of.
const EVERY: Duration = Duration::from_secs(1);
/// Entries looked at; whether there are more changes nothing.
const ENTRIES_MAX: usize = 2_000;
/// The mark of a folder into which several nodes have written, each a part.
const SUCCESS: &str = "_SUCCESS";

/// What lies in the results folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Files, at most some thousands.
    pub files: u64,
    /// `_SUCCESS` files among them.
    pub success_markers: u64,
}

/// Looks until nobody reads the values any more.
pub async fn watch_results(folder: PathBuf, written: watch::Sender<Written>, pulse: Loop) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !written.is_closed() {
        tick.tick().await;
        let folder = folder.clone();
        if let Ok(now) = tokio::task::spawn_blocking(move || look(&folder)).await {
            pulse.status(format!("{} files are there", now.files));
            written.send_replace(now);
        }
    }
}

/// Links are not followed; what cannot be read is not counted.
fn look(folder: &Path) -> Written {
    let mut written = Written::default();
    let mut folders = vec![folder.to_owned()];
    let mut entries = 0;
    while let Some(folder) = folders.pop() {
        let Ok(listed) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in listed.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                return written;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    written.files += 1;
                    written.success_markers += u64::from(entry.file_name() == SUCCESS);
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_marks_are_counted_in_all_folders() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(&dir.path().join("missing")), Written::default());
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/_SUCCESS"), "").unwrap();
        std::fs::write(dir.path().join("a/b/part-0"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        assert_eq!(
            look(dir.path()),
            Written {
                files: 2,
                success_markers: 1
            }
        );
    }
}
