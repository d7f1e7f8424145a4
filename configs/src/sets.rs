//! Values from the command line, as trees of their own: `--set workers.count=4` lies over the job like a block of the
//! file would, and its errors point into the flag's text.

use crate::diag::{Place, Problem, Sink};
use crate::keys;
use crate::text::quote;
use crate::tree::{self, Entry, Node, Value};

/// Longest `--set`, in bytes.
const MAX_SET: usize = 65_536;

/// Makes the entries of one `--set`. None when it cannot be read; the sink knows why.
pub(crate) fn set(sink: &mut Sink, key: &str, value: &str) -> Option<Vec<Entry>> {
    let text = format!("{key}={value}");
    let source = sink.add_source("--set", &text);
    let whole = Place {
        source,
        start: 0,
        end: key.len(),
    };
    if text.len() > MAX_SET {
        let problem = Problem::new(format!("a --set of {} bytes is too long", text.len()));
        sink.report(whole, key, problem.help("put it into the job file"));
        return None;
    }
    let Some(path) = split(key, source) else {
        let problem = Problem::new(format!("{} is not the path of a key", quote(key)));
        sink.report(
            whole,
            key,
            problem.help("write it with dots, such as --set workers.count=4"),
        );
        return None;
    };
    let before = sink.count();
    let node = if value.trim().is_empty() {
        let place = Place {
            source,
            start: key.len(),
            end: text.len(),
        };
        Some(Node {
            place,
            value: Value::Scalar {
                text: String::new(),
                quoted: true,
            },
        })
    } else {
        tree::parse(sink, source, value, key.len() + 1)
    };
    let node = node.filter(|_| sink.count() == before)?;
    nest(path, node)
}

/// Makes the entries of a flag that stands for one key, such as `--entry`; its text is taken as it is.
pub(crate) fn flag(
    sink: &mut Sink,
    flag: &str,
    path: &[&str],
    texts: &[String],
    list: bool,
) -> Option<Vec<Entry>> {
    let shown = texts.join(" ");
    let source = sink.add_source(flag, &shown);
    let place = Place {
        source,
        start: 0,
        end: shown.len(),
    };
    let scalar = |text: &String| Node {
        place,
        value: Value::Scalar {
            text: text.clone(),
            quoted: false,
        },
    };
    let value = if list {
        Value::List(texts.iter().map(scalar).collect())
    } else {
        scalar(texts.first()?).value
    };
    let path = path.iter().map(|part| ((*part).to_owned(), place)).collect();
    nest(path, Node { place, value })
}

/// The parts of a dotted key with their places. After `spark.conf`, `env` and `tags` the rest is one key, with or
/// without quotes.
fn split(key: &str, source: usize) -> Option<Vec<(String, Place)>> {
    let mut parts: Vec<(String, Place)> = Vec::new();
    let mut start = 0;
    loop {
        let rest = key.get(start..)?;
        let so_far: Vec<&str> = parts.iter().map(|(part, _)| part.as_str()).collect();
        let end = if keys::is_free(&so_far) {
            key.len()
        } else {
            start + rest.find('.').unwrap_or(rest.len())
        };
        let part = key.get(start..end)?;
        let bare = part
            .strip_prefix('"')
            .and_then(|part| part.strip_suffix('"'))
            .unwrap_or(part);
        if bare.is_empty() || parts.len() >= 8 {
            return None;
        }
        parts.push((bare.to_owned(), Place { source, start, end }));
        if end == key.len() {
            return Some(parts);
        }
        start = end + 1;
    }
}

fn nest(path: Vec<(String, Place)>, node: Node) -> Option<Vec<Entry>> {
    let mut entries = None;
    let mut node = node;
    for (key, place) in path.into_iter().rev() {
        let map = vec![Entry::new(key, place, node)];
        node = Node {
            place,
            value: Value::Map(map.clone()),
        };
        entries = Some(map);
    }
    entries
}
