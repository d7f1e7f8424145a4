//! Where one is in a log of any size: no I/O. The store has it in chunks, of one line or of a million bytes; a page is so
//! many lines of as many chunks as it takes.

/// Lines on a page.
pub(super) const PAGE: usize = 1_000;
/// Chunks that are read for a page at most.
pub(super) const READS_MAX: usize = 100;
/// Lines that a search shows at most.
pub(super) const FOUND_MAX: usize = 500;

/// Before a line of a chunk; that after its last one is the first one of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// From 0.
    pub(super) chunk: usize,
    /// From 0.
    pub(super) line: usize,
}

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What follows.
    From(Place),
    /// What comes before.
    Until(Place),
}

/// A page in the making: chunks are put to it one after the other, in the direction that it goes.
#[derive(Debug)]
pub(super) struct Page {
    wanted: Wanted,
    chunks: usize,
    next: Option<usize>,
    reads: usize,
    left: usize,
    begin: Place,
    end: Place,
}

/// What of a chunk is on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) skip: usize,
    pub(super) take: usize,
}

impl Page {
    /// Of a log of so many chunks.
    pub(super) fn new(wanted: Wanted, chunks: usize) -> Self {
        let end = Place {
            chunk: chunks,
            line: 0,
        };
        let (place, next) = match wanted {
            Wanted::From(place) => (place.min(end), Some(place.chunk)),
            Wanted::Until(place) => {
                let place = place.min(end);
                let next = if place.line > 0 {
                    Some(place.chunk)
                } else {
                    place.chunk.checked_sub(1)
                };
                (place, next)
            }
        };
        Self {
            wanted,
            chunks,
            next: next.filter(|next| *next < chunks),
            reads: 0,
            left: PAGE,
            begin: place,
            end: place,
        }
    }

    /// The chunk that is to be put to it next; `None` when it is full.
    pub(super) fn next(&self) -> Option<usize> {
        self.next.filter(|_| self.left > 0 && self.reads < READS_MAX)
    }

    /// Puts the next chunk to it, of so many lines, and says what of it is on the page.
    pub(super) fn put(&mut self, lines: usize) -> Piece {
        let Some(chunk) = self.next else {
            return Piece { skip: 0, take: 0 };
        };
        self.reads += 1;
        match self.wanted {
            Wanted::From(_) => {
                let skip = if self.end.chunk == chunk {
                    self.end.line.min(lines)
                } else {
                    0
                };
                let take = (lines - skip).min(self.left);
                self.left -= take;
                let whole = skip + take == lines;
                self.end = if whole {
                    Place {
                        chunk: chunk + 1,
                        line: 0,
                    }
                } else {
                    Place {
                        chunk,
                        line: skip + take,
                    }
                };
                self.next = (whole && chunk + 1 < self.chunks).then_some(chunk + 1);
                Piece { skip, take }
            }
            Wanted::Until(_) => {
                let until = if self.begin.chunk == chunk {
                    self.begin.line.min(lines)
                } else {
                    lines
                };
                let take = until.min(self.left);
                let skip = until - take;
                self.left -= take;
                self.begin = Place { chunk, line: skip };
                self.next = if skip == 0 { chunk.checked_sub(1) } else { None };
                Piece { skip, take }
            }
        }
    }

    /// Where it begins.
    pub(super) fn begin(&self) -> Place {
        self.begin
    }

    /// Where it ends.
    pub(super) fn end(&self) -> Place {
        self.end
    }

    /// Whether there is something before it.
    pub(super) fn has_before(&self) -> bool {
        self.begin > Place { chunk: 0, line: 0 }
    }

    /// Whether there is something behind it.
    pub(super) fn has_after(&self) -> bool {
        self.end.chunk < self.chunks
    }
}

/// A search in the making: lines that have the text are put to it in order.
#[derive(Debug)]
pub(super) struct Search {
    from: Place,
    shown: usize,
    next: Option<Place>,
}

impl Search {
    /// From a place on.
    pub(super) fn new(from: Place) -> Self {
        Self {
            from,
            shown: 0,
            next: None,
        }
    }

    /// The first line of a chunk that is looked at.
    pub(super) fn begin(&self, chunk: usize) -> usize {
        if chunk == self.from.chunk {
            self.from.line
        } else {
            0
        }
    }

    /// Whether the line there is on the page; if it is one too many, the next page begins with it.
    pub(super) fn take(&mut self, at: Place) -> bool {
        if self.shown < FOUND_MAX {
            self.shown += 1;
        } else {
            self.next = Some(at);
        }
        self.next.is_none()
    }

    /// The rest, from there on, is for the next page.
    pub(super) fn stop(&mut self, at: Place) {
        self.next = Some(at);
    }

    /// Where the next page begins, if there may be more.
    pub(super) fn next(&self) -> Option<Place> {
        self.next
    }
}

/// Whether a line has this text in it, letters large or small; `text` is small already.
pub(super) fn has(line: &str, text: &str) -> bool {
    let (line, text) = (line.as_bytes(), text.as_bytes());
    if text.is_empty() {
        return true;
    }
    line.windows(text.len())
        .any(|part| part.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(chunk: usize, line: usize) -> Place {
        Place { chunk, line }
    }

    /// The page, and the lines on it as (chunk, line).
    fn made(wanted: Wanted, log: &[usize]) -> (Page, Vec<(usize, usize)>) {
        let mut page = Page::new(wanted, log.len());
        let mut parts = Vec::new();
        while let Some(chunk) = page.next() {
            let Piece { skip, take } = page.put(log[chunk]);
            parts.push((skip..skip + take).map(|line| (chunk, line)).collect::<Vec<_>>());
        }
        if matches!(wanted, Wanted::Until(_)) {
            parts.reverse();
        }
        (page, parts.concat())
    }

    #[test]
    fn one_comes_through_the_whole_log_and_back() {
        let log = [2_500, 0, 1, 1, 1_000, 3, 0];
        let whole: Vec<_> = (0..log.len())
            .flat_map(|chunk| (0..log[chunk]).map(move |line| (chunk, line)))
            .collect();
        let (mut wanted, mut seen) = (Wanted::From(at(0, 0)), Vec::new());
        loop {
            let (page, lines) = made(wanted, &log);
            assert!(lines.len() <= PAGE);
            seen.extend(lines);
            if !page.has_after() {
                break;
            }
            wanted = Wanted::From(page.end());
        }
        assert_eq!(seen, whole);
        let (mut wanted, mut back) = (Wanted::Until(at(usize::MAX, 0)), Vec::new());
        loop {
            let (page, lines) = made(wanted, &log);
            back.push(lines);
            if !page.has_before() {
                break;
            }
            wanted = Wanted::Until(page.begin());
        }
        back.reverse();
        assert_eq!(back.concat(), whole);
    }

    #[test]
    fn small_chunks_share_a_page_and_reading_has_an_end() {
        let (page, lines) = made(Wanted::Until(at(5_000, 0)), &[1; 5_000]);
        assert_eq!(
            (lines.len(), page.begin(), page.end()),
            (READS_MAX, at(5_000 - READS_MAX, 0), at(5_000, 0))
        );
        let (page, lines) = made(Wanted::From(at(7, 9)), &[1; 3]);
        assert!(lines.is_empty() && !page.has_after() && page.has_before());
        let (page, lines) = made(Wanted::From(at(0, 0)), &[]);
        assert!(lines.is_empty() && !page.has_after() && !page.has_before());
    }

    #[test]
    fn a_search_goes_on_within_a_chunk_and_shows_each_line_once() {
        let log = [3, FOUND_MAX * 2 + 7, 0, FOUND_MAX - 3, 1];
        let (mut from, mut seen) = (Some(at(0, 0)), Vec::new());
        while let Some(begin) = from {
            let (mut search, before) = (Search::new(begin), seen.len());
            let lines = (begin.chunk..log.len())
                .flat_map(|chunk| (search.begin(chunk)..log[chunk]).map(move |line| at(chunk, line)))
                .collect::<Vec<_>>();
            seen.extend(lines.into_iter().take_while(|place| search.take(*place)));
            assert!(seen.len() > before && seen.len() - before <= FOUND_MAX);
            from = search.next();
        }
        let whole = (0..log.len()).flat_map(|chunk| (0..log[chunk]).map(move |line| at(chunk, line)));
        assert_eq!(seen, whole.collect::<Vec<_>>());
    }

    #[test]
    fn letters_may_be_large_or_small() {
        assert!(has("An ERROR here", "error") && has("x", "") && !has("err", "error") && !has("", "a"));
        assert!(has("naïve Ünï", "naïve"));
    }
}
