//! The log of a run: the last lines for its page, and the whole of it page by page, out of the store's chunks.

use std::time::{Duration, Instant};

use maud::{Markup, html};
use mayfly_kit::store::Store;
use mayfly_proto::{Attempt, RunId};
use url::form_urlencoded::Serializer;

use super::answer::Refused;
use super::frame;
use super::lines::{Page, Piece, Place, READS_MAX, Search, Wanted as Where, has};
use crate::cli::failure::Failure;
use crate::cli::plain;
use crate::cli::view::units;
use crate::logs::stored::{self, Chunk};

/// Lines shown before one that was found.
const CONTEXT: usize = 10;
/// How long one answer looks for lines.
const SEARCH_LIMIT: Duration = Duration::from_secs(3);

/// A line of output, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) node: String,
    pub(super) text: String,
}

/// What of the log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) stream: &'static str,
    pub(super) node: String,
    pub(super) attempt: Attempt,
    pub(super) text: String,
    /// None is the end, or the beginning for a search.
    pub(super) place: Option<Where>,
}

/// The streams of a node.
const STREAMS: [(&str, &str); 3] = [
    ("job", "the job’s own"),
    ("engine", "Spark’s"),
    ("agent", "the agent’s"),
];

/// The name of a stream, if it is one.
pub(super) fn stream(name: &str) -> &'static str {
    STREAMS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("job", |(known, _)| known)
}

/// A page of the log.
enum Content {
    Empty,
    Part {
        page: Page,
        lines: Vec<Line>,
    },
    Found {
        lines: Vec<(Place, Line)>,
        looked: usize,
        next: Option<Place>,
    },
}

/// The last lines in the store.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn last(
    store: &Store,
    run: &RunId,
    attempt: Attempt,
    most: usize,
) -> Result<Vec<Line>, Refused> {
    let chunks = stored::of_stream(store, run, attempt, "job", None).await?;
    let mut lines: Vec<Line> = Vec::new();
    for chunk in chunks.iter().rev().take(READS_MAX) {
        let text = read(store, chunk).await?;
        let missing = most.saturating_sub(lines.len());
        let all: Vec<&str> = text.lines().collect();
        let mut some: Vec<Line> = all
            .iter()
            .skip(all.len().saturating_sub(missing))
            .map(|text| Line {
                node: chunk.node.clone(),
                text: plain::line(text),
            })
            .collect();
        some.append(&mut lines);
        lines = some;
        if lines.len() >= most {
            break;
        }
    }
    Ok(lines)
}

async fn read(store: &Store, chunk: &Chunk) -> Result<String, Refused> {
    let text = stored::text(store, &chunk.key).await;
    let text = text.map_err(|error| Refused::from(Failure::chain("", &error)))?;
    Ok(text.unwrap_or_default())
}

/// The page of a log.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn page(store: &Store, run: &RunId, wanted: &Wanted) -> Result<Markup, Refused> {
    let node = Some(wanted.node.as_str()).filter(|node| !node.is_empty());
    let chunks = stored::of_stream(store, run, wanted.attempt, wanted.stream, node).await?;
    let content = if chunks.is_empty() {
        Content::Empty
    } else if wanted.text.is_empty() {
        part(store, &chunks, wanted).await?
    } else {
        search(store, &chunks, wanted).await?
    };
    Ok(show(run, wanted, &chunks, &content))
}

/// So many lines from a place on, or up to it, of as many chunks as that takes.
async fn part(store: &Store, chunks: &[Chunk], wanted: &Wanted) -> Result<Content, Refused> {
    let end = Where::Until(Place {
        chunk: chunks.len(),
        line: 0,
    });
    let place = wanted.place.unwrap_or(end);
    let mut page = Page::new(place, chunks.len());
    let mut pieces = Vec::new();
    while let Some(chunk) = page.next().and_then(|number| chunks.get(number)) {
        let text = read(store, chunk).await?;
        let Piece { skip, take } = page.put(text.lines().count());
        let lines = text.lines().skip(skip).take(take).map(|text| Line {
            node: chunk.node.clone(),
            text: plain::line(text),
        });
        pieces.push(lines.collect::<Vec<_>>());
    }
    if matches!(place, Where::Until(_)) {
        pieces.reverse();
    }
    Ok(Content::Part {
        page,
        lines: pieces.concat(),
    })
}

/// From the wanted line on, until there is enough or the time is over.
async fn search(store: &Store, chunks: &[Chunk], wanted: &Wanted) -> Result<Content, Refused> {
    let began = Instant::now();
    let text = wanted.text.to_ascii_lowercase();
    let first = first(wanted);
    let (mut search, mut found, mut looked) = (Search::new(first), Vec::new(), 0);
    for (number, chunk) in chunks.iter().enumerate().skip(first.chunk) {
        if looked > 0 && began.elapsed() > SEARCH_LIMIT {
            search.stop(Place {
                chunk: number,
                line: 0,
            });
            break;
        }
        let lines = read(store, chunk).await?;
        looked += 1;
        let fits = lines
            .lines()
            .enumerate()
            .skip(search.begin(number))
            .filter(|(_, line)| has(line, &text))
            .map(|(line, text)| {
                let place = Place { chunk: number, line };
                (place, text)
            })
            .take_while(|(place, _)| search.take(*place))
            .map(|(place, text)| {
                let line = Line {
                    node: chunk.node.clone(),
                    text: plain::line(text),
                };
                (place, line)
            });
        found.extend(fits);
        if search.next().is_some() {
            break;
        }
    }
    Ok(Content::Found {
        next: search.next(),
        lines: found,
        looked,
    })
}

/// Where a search begins.
fn first(wanted: &Wanted) -> Place {
    match wanted.place {
        Some(Where::From(place) | Where::Until(place)) => place,
        None => Place { chunk: 0, line: 0 },
    }
}

/// Where a line that was found is read with what comes before it.
fn around(place: Place) -> Where {
    Where::From(Place {
        line: place.line.saturating_sub(CONTEXT),
        ..place
    })
}

fn show(run: &RunId, wanted: &Wanted, chunks: &[Chunk], content: &Content) -> Markup {
    let body = html! {
        p.crumb { a href={ "/runs/" (run) } { "← " (run) } }
        div.head { h1 { "Log" } }
        (filter(run, wanted))
        @match content {
            Content::Empty => { section.card.empty { p { "Nothing of this is in the store yet. What an open run prints comes there within seconds." } } }
            Content::Part { page, lines } => {
                (pager(run, wanted, page, chunks))
                section.card.log {
                    pre.lines.output.whole #log tabindex="0" aria-label="lines of the log" {
                        @for (at, line) in lines.iter().enumerate() {
                            @if at == 0 || lines.get(at - 1).is_some_and(|before| before.node != line.node) { span.l.told { (line.node) "\n" } }
                            span.l { (line.text) "\n" }
                        }
                    }
                }
                (pager(run, wanted, page, chunks))
            }
            Content::Found { lines, looked, next } => {
                p.note {
                    (units::count(lines.len() as u64, "line")) " with " b { (plain::line(&wanted.text)) } " in " (looked) " of " (units::count(chunks.len() as u64, "chunk"))
                    @let Place { chunk, line } = first(wanted);
                    @if (chunk, line) > (0, 0) { ", from line " (line + 1) " of chunk " (chunk + 1) " on" }
                    @if next.is_some() { "; there may be more" }
                }
                section.card.log { pre.lines.output.whole tabindex="0" aria-label="lines found" {
                    @for (place, line) in lines { span.l { a href=(link(run, &Wanted { text: String::new(), ..wanted.clone() }, around(*place))) { (line.node) } " " (line.text) "\n" } }
                } }
                @if let Some(next) = next { nav.pager { a.button rel="next" href=(link(run, wanted, Where::From(*next))) { "Search on →" } } }
            }
        }
    };
    frame::page(&format!("Log · {run}"), &body)
}

fn filter(run: &RunId, wanted: &Wanted) -> Markup {
    html! {
        form.filter method="get" action={ "/runs/" (run) "/log" } role="search" {
            input #search type="search" name="q" value=(wanted.text) placeholder="Find in the whole log" aria-label="Find in the whole log";
            select name="stream" aria-label="which output" {
                @for (name, label) in STREAMS { option value=(name) selected[name == wanted.stream] { (label) } }
            }
            input.short type="text" name="node" value=(wanted.node) placeholder="all nodes" aria-label="node";
            label.short { "attempt " input.number type="number" name="attempt" min="1" value=(wanted.attempt); }
            button.button type="submit" { "Show" }
        }
    }
}

fn pager(run: &RunId, wanted: &Wanted, page: &Page, chunks: &[Chunk]) -> Markup {
    let first = Where::From(Place { chunk: 0, line: 0 });
    let last = Where::Until(Place {
        chunk: chunks.len(),
        line: 0,
    });
    let (begin, end) = (page.begin(), page.end());
    html! {
        nav.pager aria-label="pages of the log" {
            @if page.has_before() {
                a.button href=(link(run, wanted, first)) { "First" }
                a.button rel="prev" href=(link(run, wanted, Where::Until(begin))) { "← Before" }
            }
            span { "chunk " (begin.chunk + 1) " of " (chunks.len()) ", line " (begin.line + 1) }
            @if page.has_after() {
                a.button rel="next" href=(link(run, wanted, Where::From(end))) { "After →" }
                a.button href=(link(run, wanted, last)) { "Last" }
            }
        }
    }
}

fn link(run: &RunId, wanted: &Wanted, place: Where) -> String {
    let mut query = Serializer::new(String::new());
    let attempt = wanted.attempt.to_string();
    let (way, Place { chunk, line }) = match place {
        Where::From(place) => ("from", place),
        Where::Until(place) => ("until", place),
    };
    let stream = if wanted.stream == "job" { "" } else { wanted.stream };
    for (key, value) in [
        ("q", wanted.text.as_str()),
        ("stream", stream),
        ("node", &wanted.node),
        ("attempt", &attempt),
        (way, &format!("{}.{}", chunk + 1, line + 1)),
    ] {
        if !value.is_empty() {
            query.append_pair(key, value);
        }
    }
    format!("/runs/{run}/log?{}", query.finish())
}

/// The place that a link means: `chunk.line`, both from 1.
pub(super) fn place(from: &str, until: &str) -> Option<Where> {
    let read = |text: &str| {
        let (chunk, line) = text.split_once('.').unwrap_or((text, "1"));
        let number = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
        Some(Place {
            chunk: number(chunk)?,
            line: number(line)?,
        })
    };
    read(from)
        .map(Where::From)
        .or_else(|| read(until).map(Where::Until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_they_say() {
        let run: RunId = "a-abcdefgh".parse().unwrap();
        let wanted = Wanted {
            stream: stream("engine"),
            node: "worker-1".into(),
            attempt: Attempt::FIRST,
            text: "a&b".into(),
            place: None,
        };
        let here = Place { chunk: 2, line: 6 };
        let to = link(&run, &wanted, Where::Until(here));
        assert_eq!(
            to,
            "/runs/a-abcdefgh/log?q=a%26b&stream=engine&node=worker-1&attempt=1&until=3.7"
        );
        assert_eq!(place("", "3.7"), Some(Where::Until(here)));
        assert_eq!(place("3.7", ""), Some(Where::From(here)));
        for bad in ["", "0", "x", "1.0", "1.x", "-1", "99999999999999999999"] {
            assert_eq!(place(bad, ""), None, "{bad}");
        }
        assert_eq!(stream("../x"), "job");
    }
}
