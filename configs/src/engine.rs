//! Engines as files: those that are compiled in, those beside a job file, and the reader of both.

use std::collections::BTreeMap;

use mayfly_proto::engine::{
    Daemon, Definition, FileText, Flaw, Install, JobKind, Joined, Progress, Ready, Template,
};

use crate::diag::{Errors, Place, Problem, Sink};
use crate::keys;
use crate::read::{Field, Section};
use crate::text::{closest, listed, quote};
use crate::tree::{self, Entry, Node, Value};

/// The engines that are compiled in: their names and files.
const COMPILED_IN: [(&str, &str); 6] = [
    ("spark", include_str!("../engines/spark.yml")),
    ("single", include_str!("../engines/single.yml")),
    ("dask", include_str!("../engines/dask.yml")),
    ("ray", include_str!("../engines/ray.yml")),
    ("mpi", include_str!("../engines/mpi.yml")),
    ("hadoop", include_str!("../engines/hadoop.yml")),
];

/// Engines beside a job file, by name: where each is and its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineFiles(pub(crate) BTreeMap<String, (String, String)>);

impl EngineFiles {
    /// Adds one.
    pub fn insert(&mut self, name: impl Into<String>, file: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), (file.into(), text.into()));
    }

    /// Their names and files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, (file, _))| (name.as_str(), file.as_str()))
    }
}

/// Names of the engines that are compiled in.
pub fn compiled_in() -> impl Iterator<Item = &'static str> + use<> {
    COMPILED_IN.iter().map(|(name, _)| *name)
}

/// The file of an engine that is compiled in.
pub fn compiled_in_text(name: &str) -> Option<&'static str> {
    COMPILED_IN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// Reads the file of an engine; its name is that of the file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_engine(file: &str, name: &str, text: &str) -> Result<Definition, Errors> {
    let mut sink = Sink::default();
    let definition = read(&mut sink, file, name, text);
    crate::finish(sink, definition).map(|(definition, _)| definition)
}

/// The engine of that name: beside the job file, else compiled in.
pub(crate) fn named(sink: &mut Sink, files: &EngineFiles, field: &Field<'_>) -> Option<Definition> {
    let name = field.text(sink)?;
    if let Some((file, text)) = files.0.get(name) {
        return read(sink, file, name, text);
    }
    if let Some(text) = compiled_in_text(name) {
        return read(sink, &format!("the compiled-in engine {name}"), name, text);
    }
    let mut all: Vec<&str> = files.0.keys().map(String::as_str).collect();
    all.extend(COMPILED_IN.iter().map(|(known, _)| *known));
    let problem = Problem::new(format!("is {}, which is not an engine", quote(name)));
    let own = "a file `engines/NAME.yml` beside the job file";
    let help = match closest(name, all.iter().copied()) {
        Some(one) => format!("did you mean `{one}`? One of your own is {own}"),
        None => format!("use one of {}, or one of your own: {own}", listed(&all)),
    };
    field.report(sink, problem.help(help));
    None
}

fn read(sink: &mut Sink, file: &str, name: &str, text: &str) -> Option<Definition> {
    let before = sink.count();
    let source = sink.add_source(file, text);
    let root = tree::parse(sink, source, text, 0)?;
    let Value::Map(entries) = &root.value else {
        let problem = Problem::new(format!("the file holds {}, not an engine", root.value.kind()));
        sink.report(
            root.place,
            "",
            problem.help("write its keys, such as `about` and `jobs`"),
        );
        return None;
    };
    let definition = definition(sink, name, root.place, entries)?;
    if sink.count() == before {
        for flaw in definition.flaws() {
            tell(sink, name, &root, &flaw);
        }
    }
    (sink.count() == before).then_some(definition)
}

fn definition(sink: &mut Sink, name: &str, place: Place, entries: &[Entry]) -> Option<Definition> {
    let top = Section::open(sink, &keys::ENGINE, name, "", entries);
    for key in ["about", "jobs"] {
        if top.get(key).is_none() {
            let help = match key {
                "about" => "say in a sentence what it is: `about: A cluster of …`",
                _ => "say how a job is run: `jobs: {.py: [\"{python}\", \"{entry}\", \"{args}\"]}`",
            };
            sink.report(
                place,
                name,
                Problem::new(format!("the engine has no `{key}`")).help(help),
            );
        }
    }
    let before = sink.count();
    let definition = Definition {
        name: name.to_owned(),
        about: text(sink, top.get("about")).unwrap_or_default(),
        unproven: text(sink, top.get("unproven")),
        hook: text(sink, top.get("hook")),
        workers: flag(sink, top.get("workers")),
        code_on_workers: flag(sink, top.get("code_on_workers")),
        install: install(sink, &top),
        ports: ports(sink, top.get("ports")),
        env: env(sink, top.get("env")),
        files: files(sink, top.get("files")),
        master: daemon(sink, &top, "master"),
        worker: daemon(sink, &top, "worker"),
        joined: joined(sink, &top),
        jobs: jobs(sink, top.get("jobs")),
        progress: progress(sink, &top),
        drain: top
            .get("drain")
            .map(|field| words(sink, &field))
            .unwrap_or_default(),
    };
    (sink.count() == before).then_some(definition)
}

fn text(sink: &mut Sink, field: Option<Field<'_>>) -> Option<String> {
    field?.with(sink, |text| {
        crate::text::sized(text, 400)?;
        crate::text::clean(text)?;
        Ok(text.to_owned())
    })
}

/// True unless it says otherwise.
fn flag(sink: &mut Sink, field: Option<Field<'_>>) -> bool {
    field
        .and_then(|field| field.with(sink, crate::check::yes_or_no))
        .unwrap_or(true)
}

fn template(sink: &mut Sink, field: &Field<'_>) -> Option<Template> {
    field.with(sink, |text| Template::new(text).map_err(Problem::new))
}

fn words(sink: &mut Sink, field: &Field<'_>) -> Vec<Template> {
    let items = field.items(sink, false).unwrap_or_default();
    items.iter().filter_map(|item| template(sink, item)).collect()
}

/// A pair of a block whose keys are free.
fn pair<'n>(field: &Field<'n>, entry: &'n Entry) -> Field<'n> {
    Field {
        node: &entry.node,
        key_place: entry.place,
        section: field.key,
        key: &entry.key,
        alias: None,
        ..*field
    }
}

fn pairs<'n>(sink: &mut Sink, field: Option<Field<'n>>) -> Vec<Field<'n>> {
    let Some(field) = field else { return Vec::new() };
    let entries = field.entries(sink).unwrap_or_default();
    entries.iter().map(|entry| pair(&field, entry)).collect()
}

fn install(sink: &mut Sink, within: &Section<'_>) -> Install {
    let Some(section) = within.get("install").and_then(|_| within.sub(sink, "install")) else {
        return Install::default();
    };
    let pip = section
        .get("pip")
        .map(|field| (field.items(sink, false).unwrap_or_default(), field));
    let pip = pip.map(|(items, _)| items).unwrap_or_default();
    Install {
        pip: pip
            .iter()
            .filter_map(|item| item.text(sink))
            .map(str::to_owned)
            .collect(),
        programs: pairs(sink, section.get("programs"))
            .iter()
            .filter_map(|pair| Some((pair.key.to_owned(), pair.text(sink)?.to_owned())))
            .collect(),
    }
}

fn ports(sink: &mut Sink, field: Option<Field<'_>>) -> BTreeMap<String, u16> {
    let mut ports = BTreeMap::new();
    for pair in pairs(sink, field) {
        let port = pair
            .int(sink, 1..=65_535)
            .and_then(|port| u16::try_from(port).ok());
        ports.extend(port.map(|port| (pair.key.to_owned(), port)));
    }
    ports
}

fn env(sink: &mut Sink, field: Option<Field<'_>>) -> BTreeMap<String, Template> {
    let mut env = BTreeMap::new();
    for pair in pairs(sink, field) {
        let name = crate::env::check_engine_name(pair.key);
        if pair.good(sink, name).is_some()
            && let Some(value) = template(sink, &pair)
        {
            env.insert(pair.key.to_owned(), value);
        }
    }
    env
}

fn files(sink: &mut Sink, field: Option<Field<'_>>) -> BTreeMap<String, FileText> {
    let mut files = BTreeMap::new();
    for pair in pairs(sink, field) {
        let read = match &pair.node.value {
            Value::Map(entries) => each(sink, &pair, entries),
            Value::Null | Value::Scalar { .. } | Value::List(_) => template(sink, &pair).map(FileText::Text),
        };
        files.extend(read.map(|text| (pair.key.to_owned(), text)));
    }
    files
}

fn each(sink: &mut Sink, pair: &Field<'_>, entries: &[Entry]) -> Option<FileText> {
    let section = Section::open(sink, &keys::ENGINE, pair.job, "file", entries);
    match (section.get("each_node"), section.get("each_worker")) {
        (Some(node), None) => template(sink, &node).map(FileText::EachNode),
        (None, Some(worker)) => template(sink, &worker).map(FileText::EachWorker),
        _ => {
            let problem = Problem::new("must have one of two keys");
            pair.report(
                sink,
                problem.help("write `each_node: …` or `each_worker: …`, or the text itself"),
            );
            None
        }
    }
}

fn daemon(sink: &mut Sink, top: &Section<'_>, role: &'static str) -> Option<Daemon> {
    top.get(role)?;
    let section = top.sub(sink, role)?;
    Some(Daemon {
        run: section
            .get("run")
            .map(|field| words(sink, &field))
            .unwrap_or_default(),
        port: text(sink, section.get("port")),
        ui: text(sink, section.get("ui")),
        ready: ready(sink, &section),
        restarts: section
            .get("restarts")
            .and_then(|field| field.int(sink, 0..=10))
            .unwrap_or(0),
    })
}

fn ready(sink: &mut Sink, daemon: &Section<'_>) -> Option<Ready> {
    let field = daemon.get("ready")?;
    let section = daemon.sub(sink, "ready")?;
    let found: Vec<Ready> = [
        text(sink, section.get("port")).map(Ready::Port),
        section
            .get("http")
            .and_then(|url| template(sink, &url))
            .map(Ready::Http),
        text(sink, section.get("line")).map(Ready::Line),
        section
            .get("file")
            .and_then(|path| template(sink, &path))
            .map(Ready::File),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [one] = found.as_slice() {
        return Some(one.clone());
    }
    let problem = Problem::new(format!("says {} ways to tell that it is up", found.len()));
    field.report(
        sink,
        problem.help("give one of `port`, `http`, `line` and `file`"),
    );
    None
}

/// A value that the block cannot do without.
fn needed<'n>(sink: &mut Sink, block: &Field<'_>, section: &Section<'n>, key: &'n str) -> Option<Field<'n>> {
    let found = section.get(key);
    if found.is_none() {
        block.report(
            sink,
            Problem::new(format!("has no `{key}`")).help(format!("add `{key}: …`")),
        );
    }
    found
}

fn joined(sink: &mut Sink, top: &Section<'_>) -> Option<Joined> {
    let field = top.get("joined")?;
    let section = top.sub(sink, "joined")?;
    let http = needed(sink, &field, &section, "http").and_then(|url| template(sink, &url));
    let count = needed(sink, &field, &section, "count").and_then(|at| text(sink, Some(at)));
    Some(Joined {
        http: http?,
        count: count?,
    })
}

fn progress(sink: &mut Sink, top: &Section<'_>) -> Option<Progress> {
    let field = top.get("progress")?;
    let section = top.sub(sink, "progress")?;
    let http = needed(sink, &field, &section, "http").and_then(|url| template(sink, &url));
    let done = needed(sink, &field, &section, "done").and_then(|at| text(sink, Some(at)));
    let total = needed(sink, &field, &section, "total").and_then(|at| text(sink, Some(at)));
    Some(Progress {
        http: http?,
        done: done?,
        total: total?,
    })
}

fn jobs(sink: &mut Sink, field: Option<Field<'_>>) -> BTreeMap<String, JobKind> {
    let mut kinds = BTreeMap::new();
    for pair in pairs(sink, field) {
        let kind = match &pair.node.value {
            Value::Map(entries) => {
                let section = Section::open(sink, &keys::ENGINE, pair.job, "kind", entries);
                JobKind {
                    run: section
                        .get("run")
                        .map(|field| words(sink, &field))
                        .unwrap_or_default(),
                    class: section.get("class").is_some_and(|class| flag(sink, Some(class))),
                    install: install(sink, &section),
                    port: text(sink, section.get("port")),
                    url: text(sink, section.get("url")).unwrap_or_default(),
                }
            }
            Value::Null | Value::Scalar { .. } | Value::List(_) => JobKind {
                run: words(sink, &pair),
                ..JobKind::default()
            },
        };
        kinds.insert(pair.key.to_owned(), kind);
    }
    kinds
}

/// Reports a flaw where it is in the file.
fn tell(sink: &mut Sink, name: &str, root: &Node, flaw: &Flaw) {
    let key = flaw.at.join(".");
    let subject = if key.is_empty() {
        "the engine".to_owned()
    } else {
        quote(&key)
    };
    let known: Vec<&str> = flaw.known.iter().map(String::as_str).collect();
    let help = if known.is_empty() {
        flaw.help.clone()
    } else {
        match closest(&flaw.given, known.iter().copied()) {
            Some(one) => format!("did you mean `{one}`?"),
            None => format!("known there: {}", listed(&known)),
        }
    };
    let path = if key.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{key}")
    };
    sink.report(
        place(root, &flaw.at, &flaw.given),
        &path,
        Problem::new(format!("{subject} {}", flaw.wrong)).help(help),
    );
}

/// As near to the value as the file says it: of a list, the item that holds the word.
fn place(root: &Node, at: &[String], given: &str) -> Place {
    let mut node = root;
    let mut place = root.place;
    for key in at {
        let Value::Map(entries) = &node.value else { break };
        let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
            break;
        };
        (node, place) = (&entry.node, entry.place);
    }
    match &node.value {
        Value::Scalar { .. } => node.place,
        Value::List(items) if !given.is_empty() => {
            let holds =
                |item: &&Node| matches!(&item.value, Value::Scalar { text, .. } if text.contains(given));
            items.iter().find(holds).map_or(place, |item| item.place)
        }
        Value::Null | Value::List(_) | Value::Map(_) => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_is_right() {
        for (name, text) in COMPILED_IN {
            let definition =
                parse_engine(&format!("{name}.yml"), name, text).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(definition.name, name);
            let json = serde_json::to_string(&definition).unwrap();
            assert_eq!(
                serde_json::from_str::<Definition>(&json).unwrap(),
                definition,
                "{name}"
            );
        }
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let text = "about: Mine.\nports: {main: 8000}\nmaster:\n  run: [x, \"{node.adress}\"]\n  ready: {port: mian}\njobs: {.py: [x]}\n";
        insta::assert_snapshot!(parse_engine("engines/mine.yml", "mine", text).unwrap_err());
        let text =
            "abuot: Mine.\nworkers: maybe\nmaster: {ready: {port: a, line: b}}\njobs: {py: [x, \"{\"]}\n";
        insta::assert_snapshot!(parse_engine("engines/mine.yml", "mine", text).unwrap_err());
        for nothing in ["", "- a", "x"] {
            assert!(parse_engine("a.yml", "a", nothing).is_err(), "{nothing:?}");
        }
    }
}
