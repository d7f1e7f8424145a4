//! One stream of one attempt on disk: what has come, and up to where it is in the store.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Text of one chunk, in bytes before compression.
pub(super) const CHUNK_MAX: usize = 1024 * 1024;
/// Most text kept of one stream of one attempt, in bytes. What comes after is counted and not kept.
const SPOOL_MAX: u64 = 4 * 1024 * 1024 * 1024;

pub(super) struct Spool {
    writer: BufWriter<File>,
    reader: File,
    written: u64,
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
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let writer = BufWriter::new(File::create(path)?);
        let reader = File::open(path)?;
        Ok(Self {
            writer,
            reader,
            written: 0,
            uploaded: 0,
            lines: 0,
            chunks: 0,
            dropped: 0,
        })
    }

    /// Adds a line and returns its number, from 0.
    pub(super) fn append(&mut self, text: &str) -> io::Result<u64> {
        let number = self.lines;
        self.lines += 1;
        if self.written >= SPOOL_MAX {
            self.dropped += 1;
            return Ok(number);
        }
        self.writer.write_all(text.as_bytes())?;
        self.writer.write_all(b"\n")?;
        self.written += text.len() as u64 + 1;
        Ok(number)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Says at the end what was not kept.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if self.dropped > 0 {
            let note = format!(
                "[{} more lines were not kept: this log has reached 4 GiB]\n",
                self.dropped
            );
            self.writer.write_all(note.as_bytes())?;
            self.written += note.len() as u64;
            self.dropped = 0;
        }
        self.writer.flush()
    }

    pub(super) fn waiting(&self) -> u64 {
        self.written - self.uploaded
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
        self.reader.read_exact_at(&mut text, self.uploaded)?;
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_lines_and_together_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(&folder.path().join("job.log")).unwrap();
        let line = "z".repeat(60_000);
        for n in 0..40 {
            assert_eq!(spool.append(&line).unwrap(), n);
        }
        spool.flush().unwrap();
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
