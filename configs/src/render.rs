//! A block of a job as YAML text: one form for the same content, whoever wrote it, so that texts can be compared.

use crate::keys::JOB;
use crate::text::is_deceptive;
use crate::tree::{Entry, Value};

/// The block of one job, with its name; blocks in the order of the reference, free keys by name.
pub(crate) fn job(name: &str, entries: &[Entry]) -> String {
    let mut out = format!("{}:\n", scalar(name, false));
    block(&mut out, 1, "", entries);
    out
}

fn block(out: &mut String, depth: usize, section: &str, entries: &[Entry]) {
    let known = JOB.of(section);
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    let position = |entry: &Entry| known.iter().position(|key| *key == entry.key);
    sorted.sort_by_key(|entry| (position(entry).unwrap_or(known.len()), entry.key.as_str()));
    for entry in sorted {
        let indent = "  ".repeat(depth);
        let key = scalar(&entry.key, false);
        match &entry.node.value {
            Value::Null => out.push_str(&format!("{indent}{key}:\n")),
            Value::Scalar { text, quoted } => {
                out.push_str(&format!("{indent}{key}: {}\n", scalar(text, *quoted)));
            }
            Value::List(items) if items.is_empty() => out.push_str(&format!("{indent}{key}: []\n")),
            Value::Map(inner) if inner.is_empty() => out.push_str(&format!("{indent}{key}: {{}}\n")),
            Value::List(items) => {
                out.push_str(&format!("{indent}{key}:\n"));
                for item in items {
                    if let Value::Scalar { text, quoted } = &item.value {
                        out.push_str(&format!("{indent}  - {}\n", scalar(text, *quoted)));
                    }
                }
            }
            Value::Map(inner) => {
                out.push_str(&format!("{indent}{key}:\n"));
                let name = if depth == 1 { entry.key.as_str() } else { "-" };
                block(out, depth + 1, name, inner);
            }
        }
    }
}

/// A value that reads back as the same text. Whether it had quotes matters to numbers.
fn scalar(text: &str, quoted: bool) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./$-".contains(c);
    let starts = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '$');
    let word = text.starts_with(starts) && text.chars().all(|c| plain(c) || c == ':') && !text.ends_with(':');
    let null = matches!(text, "null" | "Null" | "NULL");
    if word && !null && !quoted {
        return text.to_owned();
    }
    // A JSON string is a YAML string too; what a file may not hold as it is becomes an escape.
    let mut out = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if c.is_control() || is_deceptive(c) {
            out.push_str(&format!("\\U{:08x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sink;
    use crate::tree::{self, Node};
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Entry> {
        let mut sink = Sink::default();
        let source = sink.add_source("x", text);
        match tree::parse(&mut sink, source, text, 0).map(|node: Node| node.value) {
            Some(Value::Map(entries)) => entries,
            other => panic!("{other:?} of {text}: {}", sink.into_errors()),
        }
    }

    #[test]
    fn blocks_come_in_the_order_of_the_reference_and_free_keys_by_name() {
        let text = "limits: {deadline: 1h}\nenv: {B: 1, A: \"2\"}\ncode: {args: [a b, c], entry: x.py, repo: .}\n\
                    workers: {min: 1, count: 2}\ntags: {}\nspark: {conf: {spark.b: 1, spark.a: 2}, version: 4.0.5}";
        insta::assert_snapshot!(job("a", &read(text)));
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_itself(text in "[ -~äß\\t\\n\u{7f}\u{202e}\u{e0041}\u{1f98b}]{0,30}", quoted: bool) {
            let line = format!("key: {}\n", scalar(&text, quoted));
            let entries = read(&line);
            let [Entry { node, .. }] = &entries[..] else { panic!("{entries:?}") };
            let Value::Scalar { text: back, quoted: still } = &node.value else { panic!("{node:?}") };
            prop_assert_eq!(back, &text);
            prop_assert!(*still || !quoted);
        }
    }
}
