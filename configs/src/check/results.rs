//! `results`: where they go, and which files they are.

use std::collections::BTreeMap;

use mayfly_proto::selection::Selection;

use super::optional;
use crate::diag::{Problem, Sink};
use crate::job::Collect;
use crate::names::RelPath;
use crate::read::{Field, Section};
use crate::s3::S3Prefix;
use crate::text::{clean, quote, sized};
use crate::tree::Value;

const MAX_FOLDERS: usize = 20;
const MAX_PATTERNS: usize = 100;

/// A place alone, or a block of what can be said.
pub(super) fn results(sink: &mut Sink, top: &Section<'_>) -> Option<(Option<S3Prefix>, Collect)> {
    let Some(field) = top.get("results") else {
        return Some((None, Collect::default()));
    };
    if matches!(field.node.value, Value::Scalar { .. }) {
        let store = field.with(sink, S3Prefix::new)?;
        return Some((Some(store), Collect::default()));
    }
    let section = top.sub(sink, "results")?;
    let store = optional(section.get("store"), |field| field.with(sink, S3Prefix::new));
    let folders = optional(section.get("folders"), |field| folders(sink, &field));
    let keep = optional(section.get("keep"), |field| patterns(sink, &field));
    let exclude = optional(section.get("exclude"), |field| patterns(sink, &field));
    let collect = Collect {
        folders: folders?.unwrap_or_default(),
        keep: keep?.unwrap_or_default(),
        exclude: exclude?.unwrap_or_default(),
    };
    Some((store?, collect))
}

fn folders(sink: &mut Sink, field: &Field<'_>) -> Option<BTreeMap<RelPath, RelPath>> {
    let before = sink.count();
    let entries = field.entries(sink)?;
    if entries.len() > MAX_FOLDERS {
        let problem = Problem::new(format!("has {} entries", entries.len()));
        field.report(sink, problem.help(format!("at most {MAX_FOLDERS} are allowed")));
    }
    let mut found = BTreeMap::new();
    for entry in entries {
        let value = Field {
            node: &entry.node,
            key_place: entry.place,
            ..*field
        };
        let name = name(&entry.key).map_err(|problem| field.report_at(sink, entry.place, problem));
        let path = value.with(sink, |text| RelPath::new(text));
        if let (Ok(name), Some(path)) = (name, path) {
            found.insert(name, path);
        }
    }
    (sink.count() == before).then_some(found)
}

/// One part of a path: two names are never one inside the other.
fn name(text: &str) -> Result<RelPath, Problem> {
    let name = RelPath::new(text)?;
    if text == "." || text.contains('/') {
        return Err(Problem::new(format!("has {}, which is no name", quote(text)))
            .help("write `name: folder`, such as `model: output/model`"));
    }
    Ok(name)
}

fn patterns(sink: &mut Sink, field: &Field<'_>) -> Option<Vec<String>> {
    let before = sink.count();
    let items = field.items(sink, true)?;
    if items.len() > MAX_PATTERNS {
        let problem = Problem::new(format!("has {} items", items.len()));
        field.report(sink, problem.help(format!("at most {MAX_PATTERNS} are allowed")));
    }
    let found = items.iter().filter_map(|item| item.with(sink, pattern)).collect();
    (sink.count() == before).then_some(found)
}

fn pattern(text: &str) -> Result<String, Problem> {
    sized(text, 1024)?;
    clean(text)?;
    match Selection::new(&[text.to_owned()], &[]) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Problem::new(format!("is {}: {error}", quote(text)))
            .help("write a pattern such as `*.parquet`, `model/` or `plots/**/*.png`")),
    }
}
