//! `inputs`: what every node has as files before the job starts.

use crate::diag::{Problem, Sink};
use crate::job::{Input, InputFrom};
use crate::keys::INPUT;
use crate::names::RelPath;
use crate::read::{Field, Section};
use crate::s3::S3Prefix;
use crate::text::{clean, quote, sized};
use crate::tree::Value;

const MAX_INPUTS: usize = 100;
const HELP: &str = "write `{from: s3://bucket/prefix, to: name}`; `from` may be `data/name` of the run's own store, or ./folder";

pub(super) fn inputs(sink: &mut Sink, field: &Field<'_>) -> Option<Vec<Input>> {
    let before = sink.count();
    let items = field.items(sink, false)?;
    let inputs: Vec<Input> = items.iter().filter_map(|item| input(sink, item)).collect();
    if items.len() > MAX_INPUTS {
        let problem = Problem::new(format!("has {} items", items.len()));
        field.report(sink, problem.help(format!("at most {MAX_INPUTS} are allowed")));
    }
    for (n, one) in inputs.iter().enumerate() {
        let twice = inputs
            .iter()
            .take(n)
            .any(|other| overlap(one.to.as_str(), other.to.as_str()));
        if let Some(item) = items.get(n).filter(|_| twice) {
            let problem = Problem::new(format!(
                "has {} twice, or one inside another",
                quote(one.to.as_str())
            ));
            item.report(sink, problem.help("give each input a name of its own"));
        }
    }
    (sink.count() == before).then_some(inputs)
}

fn overlap(one: &str, other: &str) -> bool {
    let inside = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    inside(one, other) || inside(other, one)
}

fn input(sink: &mut Sink, item: &Field<'_>) -> Option<Input> {
    let Value::Map(entries) = &item.node.value else {
        item.report_at(
            sink,
            item.node.place,
            Problem::new("has an item that is no block of keys").help(HELP),
        );
        return None;
    };
    let section = Section::open(sink, &INPUT, item.job, "", entries);
    let (Some(from), Some(to)) = (section.get("from"), section.get("to")) else {
        item.report_at(
            sink,
            item.node.place,
            Problem::new("has an item without `from` and `to`").help(HELP),
        );
        return None;
    };
    let (from, to) = (from.with(sink, place), to.with(sink, name));
    Some(Input { from: from?, to: to? })
}

fn place(text: &str) -> Result<InputFrom, Problem> {
    sized(text, 1024)?;
    clean(text)?;
    if text.starts_with("s3://") {
        return S3Prefix::new(text).map(InputFrom::S3);
    }
    if text.starts_with("data/") {
        return RelPath::new(text.trim_end_matches('/')).map(InputFrom::Store);
    }
    if text.starts_with("./") || text.starts_with("../") || text.starts_with('/') {
        return Ok(InputFrom::Folder(text.to_owned()));
    }
    Err(Problem::new(format!("is {}", quote(text))).help(HELP))
}

fn name(text: &str) -> Result<RelPath, Problem> {
    if text == "." {
        return Err(Problem::new("is `.`").help("give it a name, such as `flights`"));
    }
    RelPath::new(text)
}
