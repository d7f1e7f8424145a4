//! One stream of one attempt on disk: what has come, and up to where it is in the store.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::reserve::Reserve;

/// Text of one chunk, in bytes before compression.
pub(super) const CHUNK_MAX: usize = 1024 * 1024;
/// Most text kept of one stream of one attempt, in bytes. What comes after is counted and not kept.
const SPOOL_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Written at once, in bytes.
const BUFFER: usize = 64 * 1024;
/// Text that waits in memory while the disk is full, in bytes. What comes after is counted and not kept.
const MEMORY_MAX: usize = 1024 * 1024;

pub(super) struct Spool {
    file: File,
    /// Where it is noted what is in the store, for a process that goes on with the file.
    note: PathBuf,
    /// What is not on the disk yet.
    buffer: Vec<u8>,
    /// What is on the disk.
    flushed: u64,
    uploaded: u64,
    lines: u64,
    chunks: u32,
    dropped: u64,
}

/// A piece of text that is the next to go to the store.
pub(super) struct Chunk {
    pub(super) number: u32,
    pub(super) text: Vec<u8>,
}

impl Spool {
    /// A new one, or what a process before this one has left of it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let flushed = file.metadata()?.len();
        let note = path.with_extension("sent");
        let (chunks, uploaded) = sent(&note).filter(|(_, end)| *end <= flushed).unwrap_or_default();
        Ok(Self {
            lines: lines_of(&file, flushed)?,
            file,
            note,
            buffer: Vec::new(),
            flushed,
            uploaded,
            chunks,
            dropped: 0,
        })
    }

    /// Adds a line and returns its number, from 0.
    pub(super) fn append(&mut self, text: &str, reserve: &mut Reserve) -> io::Result<u64> {
        let number = self.lines;
        self.lines += 1;
        if self.flushed + self.buffer.len() as u64 >= SPOOL_MAX || self.buffer.len() >= MEMORY_MAX {
            self.dropped += 1;
            return Ok(number);
        }
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER {
            self.flush(reserve)?;
        }
        Ok(number)
    }

    /// Puts everything on the disk. On a full one it stays in memory, once the room that was kept for it is used up.
    pub(super) fn flush(&mut self, reserve: &mut Reserve) -> io::Result<()> {
        loop {
            // Always at the same place, until it is there as a whole.
            match self.file.write_all_at(&self.buffer, self.flushed) {
                Ok(()) => {
                    self.flushed += self.buffer.len() as u64;
                    self.buffer.clear();
                    return Ok(());
                }
                Err(error) if !is_full(&error) => return Err(error),
                Err(_) if reserve.give() => {}
                Err(_) => return Ok(()),
            }
        }
    }

    /// Says at the end what was not kept.
    pub(super) fn close(&mut self, reserve: &mut Reserve) -> io::Result<()> {
        self.flush(reserve)?;
        if self.dropped > 0 && self.buffer.is_empty() {
            let note = format!(
                "[{} lines were not kept: this log has reached 4 GiB, or the disk was full]\n",
                self.dropped
            );
            self.buffer.extend_from_slice(note.as_bytes());
            self.dropped = 0;
        }
        self.flush(reserve)
    }

    /// Where the next line on the disk will begin.
    pub(super) fn end(&self) -> u64 {
        self.flushed
    }

    /// Whether everything before that is in the store.
    pub(super) fn is_sent(&self, end: u64) -> bool {
        self.uploaded >= end
    }

    pub(super) fn waiting(&self) -> u64 {
        self.flushed - self.uploaded
    }

    /// The next piece, cut at the end of a line; `None` when everything is in the store.
    pub(super) fn next(&self) -> io::Result<Option<Chunk>> {
        let length = usize::try_from(self.waiting())
            .unwrap_or(CHUNK_MAX)
            .min(CHUNK_MAX);
        if length == 0 {
            return Ok(None);
        }
        let mut text = vec![0; length];
        self.file.read_exact_at(&mut text, self.uploaded)?;
        if let Some(end) = text.iter().rposition(|b| *b == b'\n') {
            text.truncate(end + 1);
        }
        Ok(Some(Chunk {
            number: self.chunks,
            text,
        }))
    }

    /// The piece that [`Spool::next`] gave is in the store.
    pub(super) fn done(&mut self, chunk: &Chunk) {
        self.uploaded += chunk.text.len() as u64;
        self.chunks += 1;
        // On a full disk there is the one of before: from there on every piece is sent again, under its number.
        let _older = fs::write(&self.note, format!("{} {}", self.chunks, self.uploaded));
    }
}

/// Pieces that are in the store, and where the next one begins.
fn sent(note: &Path) -> Option<(u32, u64)> {
    let text = fs::read_to_string(note).ok()?;
    let (chunks, uploaded) = text.split_once(' ')?;
    Some((chunks.parse().ok()?, uploaded.parse().ok()?))
}

/// Lines of the first so many bytes.
fn lines_of(file: &File, length: u64) -> io::Result<u64> {
    let (mut at, mut lines, mut buffer) = (0, 0, vec![0; BUFFER]);
    while at < length {
        let count = file.read_at(&mut buffer, at)?;
        if count == 0 {
            break;
        }
        let some = buffer.iter().take(count).filter(|byte| **byte == b'\n');
        lines += some.count() as u64;
        at += count as u64;
    }
    Ok(lines)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_keeps_what_fits_into_memory_and_counts_the_rest() {
        // Every write there fails as on a full disk.
        let mut spool = Spool::open(Path::new("/dev/full")).unwrap();
        let mut none = Reserve::default();
        let line = "z".repeat(99_999);
        for n in 0..20 {
            assert_eq!(spool.append(&line, &mut none).unwrap(), n);
        }
        spool.close(&mut none).unwrap();
        assert_eq!((spool.waiting(), spool.dropped), (0, 9));
        assert!(spool.buffer.len() <= MEMORY_MAX + line.len() + 1);
        // There is room again: nothing that was kept is lost, and what was not is told.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        spool.file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        spool.close(&mut none).unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 12);
        assert!(
            text.ends_with("[9 lines were not kept: this log has reached 4 GiB, or the disk was full]\n")
        );
    }

    #[test]
    fn the_process_after_this_one_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attempt-1-job.log");
        let mut none = Reserve::default();
        let mut all = Vec::new();
        for life in 0..3 {
            let mut spool = Spool::open(&path).unwrap();
            for n in 0..2 {
                assert_eq!(spool.append("line", &mut none).unwrap(), life * 2 + n);
                spool.flush(&mut none).unwrap();
                // The last one is not sent in this life.
                if n == 0 {
                    let chunk = spool.next().unwrap().unwrap();
                    all.push((chunk.number, chunk.text.len()));
                    spool.done(&chunk);
                }
            }
        }
        assert_eq!(all, [(0, 5), (1, 10), (2, 10)]);
        // A note that is none, or of another file, is as none: everything is sent again.
        for note in ["", "3 999", "3", "x y"] {
            fs::write(path.with_extension("sent"), note).unwrap();
            let chunk = Spool::open(&path).unwrap().next().unwrap().unwrap();
            assert_eq!((chunk.number, chunk.text.len()), (0, 30), "{note:?}");
        }
    }

    #[test]
    fn chunks_are_whole_lines_and_together_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(&folder.path().join("job.log")).unwrap();
        let line = "z".repeat(60_000);
        for n in 0..40 {
            assert_eq!(spool.append(&line, &mut Reserve::default()).unwrap(), n);
        }
        spool.flush(&mut Reserve::default()).unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = spool.next().unwrap() {
            assert!(chunk.text.len() <= CHUNK_MAX && chunk.text.ends_with(b"\n"));
            assert_eq!(chunk.number as usize, all.len());
            spool.done(&chunk);
            all.push(chunk.text);
        }
        assert_eq!(all.len(), 3);
        assert_eq!(all.concat(), format!("{line}\n").repeat(40).as_bytes());
    }
}
