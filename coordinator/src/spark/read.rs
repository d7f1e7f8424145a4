//! Lines of an event log: of a plain file or of one compressed with zstd, as Spark writes it (one frame for each flush).

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::StreamingDecoder;

/// Longest line that is read, in bytes: plans of SQL can be longer, tasks never are.
const LINE_MAX: usize = 1 << 20;
/// Most text read of one log, in bytes.
const TEXT_MAX: u64 = 8 << 30;

/// How a log is written, by the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Plain,
    /// With zstd.
    Zstd,
}

impl Coding {
    /// By the end of a name; `None` for what cannot be read here (Spark's lz4, lzf and snappy).
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".inprogress").unwrap_or(name);
        let file = name.rsplit('/').next().unwrap_or(name);
        match file.rsplit_once('.').map(|(_, end)| end) {
            Some("zstd") => Some(Self::Zstd),
            Some("lz4" | "lzf" | "snappy") => None,
            Some(_) | None => Some(Self::Plain),
        }
    }
}

/// What came of reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Lines that were longer than is read.
    pub skipped: u64,
    /// Whether the log broke off: what could be read of it was given.
    pub cut: bool,
}

/// Gives every line of a log.
pub fn lines(input: impl Read, coding: Coding, take: impl FnMut(&[u8])) -> Reading {
    match coding {
        Coding::Plain => plain(BufReader::new(input.take(TEXT_MAX)), take),
        Coding::Zstd => plain(BufReader::new(Frames::new(input).take(TEXT_MAX)), take),
    }
}

fn plain(mut input: impl BufRead, mut take: impl FnMut(&[u8])) -> Reading {
    let mut said = Reading::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut whole = (&mut input).take(LINE_MAX as u64);
        match whole.read_until(b'\n', &mut line) {
            Ok(0) => return said,
            Ok(_) if line.last() == Some(&b'\n') => take(&line),
            Ok(read) if read < LINE_MAX => {
                // The last one, which may be half of one.
                take(&line);
                return said;
            }
            Ok(_) => {
                said.skipped += 1;
                if !skip_line(&mut input) {
                    return said;
                }
            }
            Err(_) => {
                said.cut = true;
                return said;
            }
        }
    }
}

/// Reads on to the end of the line, holding none of it; false at the end of the log.
fn skip_line(input: &mut impl BufRead) -> bool {
    loop {
        let Ok(held) = input.fill_buf() else { return false };
        if held.is_empty() {
            return false;
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(held.len(), |at| at + 1);
        input.consume(length);
        if end.is_some() {
            return true;
        }
    }
}

/// Frame after frame, as one text.
struct Frames<R: Read> {
    now: Frame<R>,
}

enum Frame<R: Read> {
    Between(BufReader<R>),
    In(Box<StreamingDecoder<BufReader<R>, ruzstd::decoding::FrameDecoder>>),
    Over,
}

impl<R: Read> Frames<R> {
    fn new(input: R) -> Self {
        Self {
            now: Frame::Between(BufReader::new(input)),
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.now, Frame::Over) {
                Frame::Over => return Ok(0),
                Frame::Between(mut input) => {
                    if input.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let frame = StreamingDecoder::new(input)
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                    self.now = Frame::In(Box::new(frame));
                }
                Frame::In(mut frame) => {
                    let read = frame.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.now = Frame::In(frame);
                        return Ok(read);
                    }
                    self.now = Frame::Between(frame.into_inner());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], coding: Coding) -> (Vec<String>, Reading) {
        let mut seen = Vec::new();
        let said = lines(bytes, coding, |line| {
            seen.push(String::from_utf8_lossy(line).trim_end().to_owned());
        });
        (seen, said)
    }

    /// A frame of one raw block (RFC 8878): no content size, a window of 1 KiB.
    fn frame(text: &[u8]) -> Vec<u8> {
        let header = (u32::try_from(text.len()).unwrap() << 3) | 1;
        let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        bytes.extend(header.to_le_bytes().iter().take(3));
        bytes.extend(text);
        bytes
    }

    #[test]
    fn a_name_says_how_a_log_is_written() {
        assert_eq!(Coding::of("app-1"), Some(Coding::Plain));
        assert_eq!(Coding::of("events/app-1.zstd"), Some(Coding::Zstd));
        assert_eq!(Coding::of("app-1.zstd.inprogress"), Some(Coding::Zstd));
        assert_eq!(Coding::of("app-1.lz4"), None);
    }

    #[test]
    fn frames_follow_each_other_and_a_broken_one_ends_the_log() {
        let mut bytes = [frame(b"{1}\n{2"), frame(b"}\n{3}\n")].concat();
        assert_eq!(
            all(&bytes, Coding::Zstd),
            (
                vec!["{1}".to_owned(), "{2}".to_owned(), "{3}".to_owned()],
                Reading::default()
            )
        );
        bytes.extend(frame(b"{4}\n").iter().take(7));
        let (seen, said) = all(&bytes, Coding::Zstd);
        assert_eq!((seen.len(), said.cut), (3, true));
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_counted() {
        let mut bytes = b"a\n".to_vec();
        bytes.extend(vec![b'x'; 3 * LINE_MAX]);
        bytes.extend(b"\nb\nhalf");
        let (seen, said) = all(&bytes, Coding::Plain);
        assert_eq!(seen, ["a", "b", "half"]);
        assert_eq!((said.skipped, said.cut), (1, false));
    }
}
