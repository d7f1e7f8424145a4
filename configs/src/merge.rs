//! Lays a job over the shared defaults, and those over the compiled-in ones: blocks key by key, anything else whole.

use crate::tree::{Entry, Value};

/// `over` wins; every value keeps the place where it was written.
pub(crate) fn merge(under: &[Entry], over: &[Entry]) -> Vec<Entry> {
    let mut merged: Vec<Entry> = under.to_vec();
    for entry in over {
        match merged.iter_mut().find(|one| one.key == entry.key) {
            Some(one) => lay_over(one, entry),
            None => merged.push(entry.clone()),
        }
    }
    merged
}

fn lay_over(under: &mut Entry, over: &Entry) {
    under.place = over.place;
    under.alias = over.alias;
    let merged = match (&under.node.value, &over.node.value) {
        (Value::Map(below), Value::Map(above)) => Some(merge(below, above)),
        _ => None,
    };
    under.node = over.node.clone();
    if let Some(entries) = merged {
        under.node.value = Value::Map(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sink;
    use crate::tree::parse;

    fn entries(text: &str) -> Vec<Entry> {
        match parse(&mut Sink::default(), 0, text, 0).map(|node| node.value) {
            Some(Value::Map(entries)) => entries,
            other => panic!("not a map: {other:?}"),
        }
    }

    fn shape(entries: &[Entry]) -> String {
        let one = |entry: &Entry| match &entry.node.value {
            Value::Map(inner) => format!("{}:{{{}}}", entry.key, shape(inner)),
            Value::List(list) => format!("{}:[{}]", entry.key, list.len()),
            Value::Scalar { text, .. } => format!("{}:{text}", entry.key),
            Value::Null => format!("{}:~", entry.key),
        };
        entries.iter().map(one).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn blocks_are_merged_and_the_rest_replaced() {
        let under = entries("a: {x: 1, y: {p: 1}}\nb: [1, 2]\nc: 1");
        let over = entries("a: {y: {q: 2}, x: 5}\nb: [3]\nd: 4");
        assert_eq!(shape(&merge(&under, &over)), "a:{x:5,y:{p:1,q:2}},b:[1],c:1,d:4");
    }
}
