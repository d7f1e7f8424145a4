//! YAML text to a tree in which every node knows its place. Only the plain part of YAML is taken: one document of maps,
//! lists and scalars; no anchors, aliases, tags, directives or merge keys, few levels, a bounded number of values.

use std::collections::HashSet;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use crate::diag::{Place, Problem, Sink};
use crate::text::{is_deceptive, name_char, quote};

/// Levels of nesting; a job file needs five.
const MAX_DEPTH: usize = 16;
/// Values in one file.
const MAX_NODES: usize = 20_000;

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of the tree. Scalars stay text: what they mean depends on the key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Scalar { text: String, quoted: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
    /// The key as the file has it, where `key` is what became of it.
    pub(crate) alias: Option<&'static str>,
}

impl Entry {
    /// A key as the file has it.
    pub(crate) fn new(key: impl Into<String>, place: Place, node: Node) -> Self {
        Self {
            key: key.into(),
            place,
            node,
            alias: None,
        }
    }
}

/// The value at a path of keys.
pub(crate) fn at<'n>(entries: &'n [Entry], path: &[&str]) -> Option<&'n Node> {
    let (key, rest) = path.split_first()?;
    let node = &entries.iter().find(|entry| entry.key == *key)?.node;
    match &node.value {
        _ if rest.is_empty() => Some(node),
        Value::Map(inner) => at(inner, rest),
        Value::Null | Value::Scalar { .. } | Value::List(_) => None,
    }
}

impl Value {
    /// What this is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar { .. } => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a block of keys",
        }
    }
}

/// A collection that is still open.
enum Frame {
    List(Place, Vec<Node>),
    Map {
        place: Place,
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<(String, Place)>,
    },
}

/// Parses the text of one source. `base` is where in the source the text begins. What is wrong goes to the sink; the
/// result is none when nothing can be read or the document is empty.
pub(crate) fn parse(sink: &mut Sink, source: usize, text: &str, base: usize) -> Option<Node> {
    let place = |start: usize, end: usize| Place {
        source,
        start: base + start,
        end: base + end,
    };
    if let Some((at, c)) = text.char_indices().find(|(at, c)| is_refused(*at, *c)) {
        let problem = Problem::new(format!("the file holds the invisible character {}", name_char(c)))
            .help("remove the character");
        sink.report(place(at, at + c.len_utf8()), "", problem);
        return None;
    }
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        emit_anchor_events: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder {
        sink,
        source,
        base,
        frames: Vec::new(),
        root: None,
        nodes: 0,
        documents: 0,
        fatal: false,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                builder.sink.report(place(at, at + 1), "", explain(&error));
                builder.fatal = true;
            }
        }
        if builder.fatal {
            return None;
        }
    }
    builder.root
}

/// Control characters and those that turn the reading order; a byte order mark is fine as the first character.
fn is_refused(at: usize, c: char) -> bool {
    let plain = matches!(c, '\t' | '\n' | '\r') || (c == '\u{feff}' && at == 0);
    !plain && (c.is_control() || is_deceptive(c))
}

struct Builder<'s> {
    sink: &'s mut Sink,
    source: usize,
    base: usize,
    frames: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
    fatal: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) {
        let place = self.place(span);
        if let Some(tag) = event.tag() {
            let place = span.tag_span().map_or(place, |span| self.place(&span));
            let problem = Problem::new(format!("the tag {} is not allowed", quote(&tag.original())));
            self.fail(place, problem.help("write the value alone"));
            return;
        }
        if matches!(event, Event::Anchor(..)) || event.is_alias() {
            self.fail(place, no_anchors());
            return;
        }
        if event.is_node() && !self.count(place) {
            return;
        }
        if let Event::Scalar(text, style, ..) = event {
            self.scalar(text.into_owned(), style, place);
        } else if matches!(event, Event::DocumentStart(..)) {
            self.document(place);
        } else if matches!(event, Event::SequenceStart(..)) {
            self.open(Frame::List(place, Vec::new()), place);
        } else if matches!(event, Event::MappingStart(..)) {
            self.open(
                Frame::Map {
                    place,
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                },
                place,
            );
        } else if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            self.close();
        }
    }

    fn place(&self, span: &Span) -> Place {
        let range = span.byte_range().unwrap_or(0..0);
        Place {
            source: self.source,
            start: self.base + range.start,
            end: self.base + range.end,
        }
    }

    fn fail(&mut self, place: Place, problem: Problem) {
        self.sink.report(place, "", problem);
        self.fatal = true;
    }

    fn count(&mut self, place: Place) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let problem = Problem::new(format!("the file holds more than {MAX_NODES} values"));
            self.fail(place, problem.help("split it into several files"));
        }
        !self.fatal
    }

    fn document(&mut self, place: Place) {
        self.documents += 1;
        if self.documents > 1 {
            let problem = Problem::new("a second YAML document begins here");
            self.fail(place, problem.help("one file is one document: remove the `---`"));
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, place: Place) {
        if let Some(Frame::Map { key, seen, .. }) = self.frames.last_mut()
            && key.is_none()
        {
            if text == "<<" {
                let problem = Problem::new("merge keys (`<<`) are not allowed");
                return self.fail(place, problem.help("put what jobs share under `defaults`"));
            }
            let duplicate = !seen.insert(text.clone());
            *key = Some((text.clone(), place));
            if duplicate {
                let problem = Problem::new(format!("the key {} is there twice", quote(&text)));
                self.sink.report(place, &text, problem.help("keep one of them"));
            }
            return;
        }
        let quoted = style != ScalarStyle::Plain;
        let null = !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        self.add(Node {
            place,
            value: if null {
                Value::Null
            } else {
                Value::Scalar { text, quoted }
            },
        });
    }

    fn open(&mut self, frame: Frame, place: Place) {
        let as_key = matches!(self.frames.last(), Some(Frame::Map { key: None, .. }));
        if as_key {
            let problem = Problem::new("a key must be a plain word, not a list or a block");
            return self.fail(
                place,
                problem.help("put quotes round a value that begins with `[` or `{`"),
            );
        }
        if self.frames.len() >= MAX_DEPTH {
            return self.fail(place, too_deep());
        }
        self.frames.push(frame);
    }

    fn close(&mut self) {
        match self.frames.pop() {
            Some(Frame::List(place, list)) => self.add(Node {
                place,
                value: Value::List(list),
            }),
            Some(Frame::Map { place, entries, .. }) => self.add(Node {
                place,
                value: Value::Map(entries),
            }),
            None => {}
        }
    }

    fn add(&mut self, node: Node) {
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List(_, list)) => list.push(node),
            Some(Frame::Map { entries, key, .. }) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry::new(key, place, node));
                }
            }
        }
    }
}

fn no_anchors() -> Problem {
    Problem::new("anchors and aliases (`&name`, `*name`) are not allowed")
        .help("put what jobs share under `defaults`; quote a value that begins with `&` or `*`")
}

fn too_deep() -> Problem {
    Problem::new(format!("more than {MAX_DEPTH} levels of nesting"))
        .help("five are enough for all that there is to say")
}

/// Says in our words what the YAML parser did not like.
fn explain(error: &ScanError) -> Problem {
    let kind = error.kind();
    if matches!(kind, ErrorKind::RecursionLimitExceeded) {
        return too_deep();
    }
    if matches!(
        kind,
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName
    ) {
        return no_anchors();
    }
    if matches!(kind, ErrorKind::DirectiveDisallowed) {
        return Problem::new("YAML directives (`%…`) are not allowed").help("remove the line");
    }
    if matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
    ) {
        return Problem::new("a tab is used where YAML wants spaces").help("indent with spaces");
    }
    let problem = Problem::new(format!("this is not valid YAML: {}", error.info()));
    problem.help("look at the indentation, colons and quotes here and on the line before")
}
