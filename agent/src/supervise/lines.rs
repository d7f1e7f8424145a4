//! Output into lines.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::mpsc;

/// A longer line is split here.
pub const LINE_MAX_BYTES: usize = 64 * 1024;

/// Where a line belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The job's own output.
    Job,
    /// Masters, workers and what prepares for them.
    Engine,
    /// The agent.
    Agent,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Job, Self::Engine, Self::Agent];

    /// Whether such lines are of what the job is or brings, not of what the agent does for it.
    pub(super) fn is_of_job(self) -> bool {
        match self {
            Self::Job | Self::Engine => true,
            Self::Agent => false,
        }
    }

    /// Its name in the protocol and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Engine => "engine",
            Self::Agent => "agent",
        }
    }
}

/// One line of output, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it belongs.
    pub stream: Stream,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Sends lines until the end of the output. When nobody listens any more the output is read and thrown away: a program
/// must not block for ever on a pipe.
pub(super) async fn forward(source: impl AsyncRead + Unpin, stream: Stream, lines: mpsc::Sender<Line>) {
    let mut source = BufReader::with_capacity(LINE_MAX_BYTES, source);
    let mut line: Vec<u8> = Vec::new();
    while let Ok(chunk) = source.fill_buf().await {
        if chunk.is_empty() {
            break;
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let room = LINE_MAX_BYTES - line.len();
        let take = end.unwrap_or(chunk.len()).min(room);
        line.extend(chunk.iter().take(take));
        let complete = end == Some(take);
        source.consume(if complete { take + 1 } else { take });
        if complete || line.len() == LINE_MAX_BYTES {
            send(&mut line, stream, &lines).await;
        }
    }
    if !line.is_empty() {
        send(&mut line, stream, &lines).await;
    }
}

async fn send(line: &mut Vec<u8>, stream: Stream, lines: &mpsc::Sender<Line>) {
    let text = String::from_utf8_lossy(line);
    let _ = lines
        .send(Line {
            stream,
            text: text.strip_suffix('\r').unwrap_or(&text).to_owned(),
        })
        .await;
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn split(input: &'static [u8]) -> Vec<String> {
        let (tx, mut rx) = mpsc::channel(16);
        forward(input, Stream::Job, tx).await;
        let mut found = Vec::new();
        while let Some(line) = rx.recv().await {
            found.push(line.text);
        }
        found
    }

    #[tokio::test]
    async fn lines_keep_a_partial_last_one_and_replace_what_is_not_utf8() {
        assert_eq!(split(b"a\n\nb\r\n\xffc").await, ["a", "", "b", "\u{fffd}c"]);
        assert!(split(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_long_line_is_split() {
        let input: &'static [u8] = Box::leak(vec![b'x'; LINE_MAX_BYTES + 5].into_boxed_slice());
        let lengths: Vec<usize> = split(input).await.iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_MAX_BYTES, 5]);
    }
}
