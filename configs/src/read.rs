//! Reads values out of the tree: one small reader per kind of value. Each reports what is wrong and gives none then.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::diag::{Place, Problem, Sink};
use crate::keys::Table;
use crate::older;
use crate::text::{closest, escape, listed, quote};
use crate::tree::{Entry, Node, Value};
use crate::units;

/// A value with the key it is under.
#[derive(Clone, Copy)]
pub(crate) struct Field<'n> {
    pub(crate) node: &'n Node,
    /// Where the key is.
    pub(crate) key_place: Place,
    /// The job's name, or `defaults`; empty in a file that holds no jobs.
    pub(crate) job: &'n str,
    /// Path of the key's section inside the job; empty at the top.
    pub(crate) section: &'n str,
    pub(crate) key: &'n str,
    /// The key as the file has it, where that is not `section.key`.
    pub(crate) alias: Option<&'static str>,
}

impl<'n> Field<'n> {
    /// The key as messages name it: `workers.count`.
    pub(crate) fn short(&self) -> String {
        if let Some(alias) = self.alias {
            return alias.to_owned();
        }
        if self.section.is_empty() {
            return self.key.to_owned();
        }
        format!("{}.{}", self.section, self.key)
    }

    /// Where to point at: the value when it is a single one, else its key.
    pub(crate) fn place(&self) -> Place {
        match self.node.value {
            Value::Scalar { .. } => self.node.place,
            Value::Null | Value::List(_) | Value::Map(_) => self.key_place,
        }
    }

    /// Whether somebody wrote it, in a file or a flag: it is not compiled in.
    pub(crate) fn is_given(&self) -> bool {
        self.key_place.source != Sink::COMPILED_IN
    }

    /// Reports what is wrong with this value.
    pub(crate) fn report(&self, sink: &mut Sink, problem: Problem) {
        self.report_at(sink, self.place(), problem);
    }

    pub(crate) fn report_at(&self, sink: &mut Sink, place: Place, mut problem: Problem) {
        problem.message = format!("{} {}", quote(&self.short()), problem.message);
        sink.report(place, &joined(&[self.job, &self.short()]), problem);
    }

    fn wrong_kind(&self, sink: &mut Sink, wanted: &str) {
        let given = match &self.node.value {
            Value::Null => {
                let problem = Problem::new("has no value");
                return self.report(
                    sink,
                    problem.help(format!("give it {wanted}, or remove the line")),
                );
            }
            Value::Scalar { text, .. } => quote(text),
            Value::List(_) | Value::Map(_) => self.node.value.kind().to_owned(),
        };
        self.report(
            sink,
            Problem::new(format!("is {given}")).help(format!("it must be {wanted}")),
        );
    }

    /// The text of a single value, and whether it has quotes.
    fn scalar(&self, sink: &mut Sink, wanted: &str) -> Option<(&'n str, bool)> {
        if let Value::Scalar { text, quoted } = &self.node.value {
            return Some((text, *quoted));
        }
        self.wrong_kind(sink, wanted);
        None
    }

    /// Any single value, as it was written.
    pub(crate) fn text(&self, sink: &mut Sink) -> Option<&'n str> {
        self.scalar(sink, "a single value").map(|(text, _)| text)
    }

    /// A single value that a check makes something of.
    pub(crate) fn with<T>(
        &self,
        sink: &mut Sink,
        check: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let text = self.text(sink)?;
        self.good(sink, check(text))
    }

    /// Reports the error of a check.
    pub(crate) fn good<T>(&self, sink: &mut Sink, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.report(sink, problem)).ok()
    }

    /// A whole number within bounds.
    pub(crate) fn int(&self, sink: &mut Sink, bounds: RangeInclusive<u32>) -> Option<u32> {
        let (text, quoted) = self.scalar(sink, "a whole number")?;
        if quoted {
            let problem = Problem::new(format!("is {} in quotes", quote(text)));
            return self.good(sink, Err(problem.help("write a whole number without quotes")));
        }
        let number = units::whole(text).and_then(|n| {
            let fits = u32::try_from(n).ok().filter(|n| bounds.contains(n));
            fits.ok_or_else(|| out_of_bounds(text, bounds.start(), bounds.end()))
        });
        self.good(sink, number)
    }

    /// A size in bytes within bounds.
    pub(crate) fn size(&self, sink: &mut Sink, bounds: RangeInclusive<u64>) -> Option<u64> {
        self.with(sink, |text| {
            let bytes = units::size(text)?;
            let shown = |bound| units::display_size(bound);
            if bounds.contains(&bytes) {
                return Ok(bytes);
            }
            Err(out_of_bounds(text, shown(*bounds.start()), shown(*bounds.end())))
        })
    }

    /// A duration within bounds.
    pub(crate) fn duration(&self, sink: &mut Sink, bounds: RangeInclusive<u64>) -> Option<units::Secs> {
        self.with(sink, |text| bounded_duration(text, &bounds))
    }

    /// The items of a list; a list of one may be written without brackets when `single` allows it.
    pub(crate) fn items(&self, sink: &mut Sink, single: bool) -> Option<Vec<Field<'n>>> {
        let nodes = match &self.node.value {
            Value::List(nodes) => nodes.as_slice(),
            Value::Scalar { .. } if single => std::slice::from_ref(self.node),
            Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                self.wrong_kind(sink, "a list, such as [a, b]");
                return None;
            }
        };
        Some(nodes.iter().map(|node| Field { node, ..*self }).collect())
    }

    /// The entries of a block whose keys are free.
    pub(crate) fn entries(&self, sink: &mut Sink) -> Option<&'n [Entry]> {
        if let Value::Map(entries) = &self.node.value {
            return Some(entries);
        }
        self.wrong_kind(sink, "a block of `key: value`");
        None
    }
}

pub(crate) fn bounded_duration(text: &str, bounds: &RangeInclusive<u64>) -> Result<units::Secs, Problem> {
    let secs = units::duration(text)?;
    if bounds.contains(&secs.0) {
        return Ok(secs);
    }
    Err(out_of_bounds(
        text,
        units::Secs(*bounds.start()),
        units::Secs(*bounds.end()),
    ))
}

fn out_of_bounds(text: &str, low: impl Display, high: impl Display) -> Problem {
    Problem::new(format!("is {}, which is out of bounds", quote(text)))
        .help(format!("it must be {low} to {high}"))
}

/// The parts of a dotted path that are there.
fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(".")
}

/// A block whose keys are known.
pub(crate) struct Section<'n> {
    table: &'static Table,
    job: &'n str,
    name: &'n str,
    entries: BTreeMap<&'n str, &'n Entry>,
}

impl<'n> Section<'n> {
    /// Opens a block and reports keys that it may not have.
    pub(crate) fn open(
        sink: &mut Sink,
        table: &'static Table,
        job: &'n str,
        name: &'n str,
        entries: &'n [Entry],
    ) -> Self {
        let known = table.of(name);
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let path = joined(&[job, name, &entry.key]);
            sink.report(entry.place, &path, unknown_key(table, &entry.key, name));
        }
        Self {
            table,
            job,
            name,
            entries: entries.iter().map(|entry| (entry.key.as_str(), entry)).collect(),
        }
    }

    /// Opens the block under one of this block's keys.
    pub(crate) fn sub(&self, sink: &mut Sink, key: &'n str) -> Option<Section<'n>> {
        let entries = self.need(sink, key)?.entries(sink)?;
        Some(Section::open(sink, self.table, self.job, key, entries))
    }

    /// The value of a key that need not be there.
    pub(crate) fn get(&self, key: &'n str) -> Option<Field<'n>> {
        let entry = *self.entries.get(key)?;
        Some(Field {
            node: &entry.node,
            key_place: entry.place,
            job: self.job,
            section: self.name,
            key,
            alias: entry.alias,
        })
    }

    /// The value of a key that the compiled-in defaults hold.
    pub(crate) fn need(&self, sink: &mut Sink, key: &'n str) -> Option<Field<'n>> {
        let field = self.get(key);
        if field.is_none() {
            let place = Place {
                source: 0,
                start: 0,
                end: 0,
            };
            sink.report(
                place,
                self.job,
                Problem::new(format!("`{}.{key}` has no default", self.name)),
            );
        }
        field
    }
}

fn unknown_key(table: &Table, key: &str, section: &str) -> Problem {
    let known = table.of(section);
    let problem = Problem::new(format!("unknown key {}", quote(key)));
    let by_file = format!("{key}_file");
    if known.contains(&by_file.as_str()) {
        // Its line holds the secret.
        let help = format!("write it into a file of its own and name that: `{by_file}`");
        return problem.help(help).secret();
    }
    if let Some(now) = older::name_now(key) {
        return problem.help(now);
    }
    if let Some(one) = closest(key, known.iter().copied()) {
        return problem.help(format!("did you mean `{one}`?"));
    }
    if let Some(home) = table.home_of(key) {
        let at = if home.is_empty() {
            "at the top".to_owned()
        } else {
            format!("under `{home}`")
        };
        return problem.help(format!("`{}` belongs {at}", escape(key, 40)));
    }
    problem.help(format!("known here: {}", listed(known)))
}
