//! How far the inputs of this node have come: counted by whoever brings them, read whenever a report is due.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mayfly_proto::v1;

/// Counts of one attempt. Each stands for itself: a report may see one of them before another.
#[derive(Debug, Default)]
pub struct Staged {
    wanted: AtomicBool,
    files: AtomicU64,
    bytes: AtomicU64,
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    whole: AtomicBool,
}

impl Staged {
    /// An attempt that has inputs begins: nothing is here yet.
    pub fn begin(&self) {
        self.whole.store(false, Ordering::Relaxed);
        for count in [&self.files, &self.bytes, &self.files_total, &self.bytes_total] {
            count.store(0, Ordering::Relaxed);
        }
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// One more file will come.
    pub fn counted(&self, bytes: u64) {
        self.files_total.fetch_add(1, Ordering::Relaxed);
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes of a file are here.
    pub fn came(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file is here.
    pub fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// All are here.
    pub fn end(&self) {
        self.whole.store(true, Ordering::Relaxed);
    }

    /// For the report; `None` where there are no inputs.
    #[must_use]
    pub fn wire(&self) -> Option<v1::Staged> {
        if !self.wanted.load(Ordering::Relaxed) {
            return None;
        }
        let whole = self.whole.load(Ordering::Relaxed);
        let (files, bytes) = (
            self.files.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        );
        // Who counts may be behind, and is not waited for.
        let total = |count: &AtomicU64, here: u64| {
            let counted = count.load(Ordering::Relaxed);
            if whole { here } else { counted.max(here) }
        };
        Some(v1::Staged {
            files,
            bytes,
            files_total: total(&self.files_total, files),
            bytes_total: total(&self.bytes_total, bytes),
            whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_attempt() {
        let staged = Staged::default();
        assert_eq!(staged.wire(), None);
        for _ in 0..2 {
            staged.begin();
            staged.counted(10);
            staged.counted(5);
            staged.came(7);
            let half = v1::Staged {
                files: 0,
                bytes: 7,
                files_total: 2,
                bytes_total: 15,
                whole: false,
            };
            assert_eq!(staged.wire(), Some(half));
        }
    }

    #[test]
    fn what_is_here_is_never_more_than_all() {
        let staged = Staged::default();
        staged.begin();
        // Before anybody has counted, and where a count came too late.
        staged.came(7);
        staged.file();
        let of = |staged: &Staged| staged.wire().map(|s| (s.files_total, s.bytes_total, s.whole));
        assert_eq!(of(&staged), Some((1, 7, false)));
        staged.counted(3);
        staged.counted(9);
        staged.end();
        assert_eq!(of(&staged), Some((1, 7, true)));
    }
}
