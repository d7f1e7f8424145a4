//! One block of `spark.yml` as one block of ours.

use crate::check::spark_version;
use crate::diag::{Place, Problem, Sink};
use crate::keys::JOB;
use crate::merge::merge;
use crate::read::Field;
use crate::text::{clean, closest, listed, quote};
use crate::tree::{Entry, Node, Value, at};

use super::keys::{self, Fate};

/// The older system's Spark was a full distribution; Mayfly's comes from PyPI.
const S3A: &str = "has s3a:// paths, which Spark reads where the job adds \
    `spark: {conf: {spark.jars.packages: \"org.apache.hadoop:hadoop-aws:3.4.1\"}}`";

/// A block that was moved.
pub(super) struct Moved {
    /// Name of the job.
    pub(super) name: String,
    /// Keys as ours.
    pub(super) entries: Vec<Entry>,
    /// What its writer called it.
    pub(super) title: Option<String>,
    /// What else there is to know.
    pub(super) remarks: Vec<Remark>,
    place: Place,
    whole: Place,
}

/// What to know about a key, above all that it was left out.
pub(super) struct Remark {
    /// Which key, and what of it.
    pub(super) text: String,
    /// The run may differ from what it was.
    warns: bool,
    place: Place,
}

impl Moved {
    fn new(entry: &Entry) -> Self {
        Self {
            name: entry.key.clone(),
            entries: Vec::new(),
            title: None,
            remarks: Vec::new(),
            place: entry.place,
            whole: entry.node.place,
        }
    }

    /// The block as one of a job file; people are told what may differ.
    pub(super) fn into_entry(self, sink: &mut Sink) -> Entry {
        for remark in self.remarks.into_iter().filter(|remark| remark.warns) {
            sink.warn(remark.place, &self.name, remark.text);
        }
        let node = Node {
            place: self.whole,
            value: Value::Map(self.entries),
        };
        Entry::new(self.name, self.place, node)
    }

    fn lay(&mut self, path: [&str; 2], field: &Field<'_>, value: Value) {
        let [block, key] = path;
        let node = Node {
            place: field.node.place,
            value,
        };
        let mut leaf = Entry::new(key, field.key_place, node);
        leaf.alias = field.alias;
        let block = Entry::new(
            block,
            field.key_place,
            Node {
                place: field.key_place,
                value: Value::Map(vec![leaf]),
            },
        );
        self.entries = merge(&self.entries, &[block]);
    }

    fn remark(&mut self, field: &Field<'_>, warns: bool, why: &str) {
        self.remarks.push(Remark {
            text: format!("`{}` {why}", field.short()),
            warns,
            place: field.key_place,
        });
    }
}

/// Moves every block; none when one of them cannot be.
pub(super) fn all(sink: &mut Sink, base: &[Entry], root: &Node) -> Option<Vec<Moved>> {
    let Value::Map(entries) = &root.value else {
        return None;
    };
    let before = sink.count();
    let release = default_release(base);
    let moved: Vec<Moved> = entries.iter().map(|entry| block(sink, release, entry)).collect();
    (sink.count() == before).then_some(moved)
}

/// The release of Spark of a job that names none.
fn default_release(base: &[Entry]) -> &str {
    match at(base, &["spark", "version"]).map(|node| &node.value) {
        Some(Value::Scalar { text, .. }) => text,
        Some(Value::Null | Value::List(_) | Value::Map(_)) | None => "",
    }
}

fn block(sink: &mut Sink, release: &str, entry: &Entry) -> Moved {
    let mut moved = Moved::new(entry);
    let Value::Map(given) = &entry.node.value else {
        let problem = Problem::new(format!("{} holds {}", quote(&entry.key), entry.node.value.kind()));
        let help = "a job is a block of keys, such as `exec_path`, indented under its name";
        sink.report(entry.place, &entry.key, problem.help(help));
        return moved;
    };
    let known: Vec<(Fate, Field<'_>)> = given.iter().filter_map(|key| field(entry, key)).collect();
    if let Some((_, field)) = known.iter().find(|(fate, _)| *fate == Fate::RServer) {
        refuse_r_server(sink, entry, field);
        return moved;
    }
    for key in given.iter().filter(|key| keys::fate(&key.key).is_none()) {
        sink.report(
            key.place,
            &format!("{}.{}", entry.key, key.key),
            unknown(&key.key),
        );
    }
    // What is for both kinds of node comes first: what is for one of them lies over it.
    let (both, rest): (Vec<_>, Vec<_>) = known
        .iter()
        .copied()
        .partition(|(fate, _)| *fate == Fate::BothTypes);
    for (fate, field) in both.into_iter().chain(rest) {
        apply(sink, &mut moved, release, fate, &field);
    }
    fits_together(sink, entry, given);
    moved
}

fn field<'n>(block: &'n Entry, key: &'n Entry) -> Option<(Fate, Field<'n>)> {
    let (name, fate) = keys::fate(&key.key)?;
    let field = Field {
        node: &key.node,
        key_place: key.place,
        job: &block.key,
        section: "",
        key: name,
        alias: Some(name),
    };
    Some((fate, field))
}

fn apply(sink: &mut Sink, moved: &mut Moved, default: &str, fate: Fate, field: &Field<'_>) {
    if is_unset(field) {
        return;
    }
    match fate {
        Fate::Moves(path) => moved.lay(path, field, field.node.value.clone()),
        Fate::BothTypes => {
            for block in ["master", "workers"] {
                moved.lay([block, "instance"], field, field.node.value.clone());
            }
        }
        Fate::Args => {
            if let Some(text) = field.text(sink) {
                moved.lay(["code", "args"], field, arguments(field, text));
                if text.contains("s3a://") {
                    moved.remark(field, true, S3A);
                }
            }
        }
        Fate::SparkUrl => spark_url(sink, moved, default, field),
        Fate::Title => moved.title = field.with(sink, |text| clean(text).map(|()| text.to_owned())),
        Fate::Dropped(why) => {
            if field.text(sink).is_some() {
                moved.remark(field, false, &format!("is left out: {why}"));
            }
        }
        Fate::Ignored(why) => {
            if field.text(sink).is_some() {
                moved.remark(field, true, &format!("is left out: {why}"));
            }
        }
        Fate::Refused(help) => field.report(
            sink,
            Problem::new("was removed from the older system: it never said how the program gets it")
                .help(help),
        ),
        Fate::RServer => {}
    }
}

/// The older system took an empty text for "none" where a job need not have the key.
fn is_unset(field: &Field<'_>) -> bool {
    let optional = matches!(field.key, "class_name" | "spark_job_args" | "spark_url");
    let empty = match &field.node.value {
        Value::Null => true,
        Value::Scalar { text, .. } => text.trim().is_empty(),
        Value::List(_) | Value::Map(_) => false,
    };
    optional && empty
}

/// The arguments are in one text with `;` between them.
fn arguments(field: &Field<'_>, text: &str) -> Value {
    let argument = |text: &str| Node {
        place: field.node.place,
        value: Value::Scalar {
            text: text.to_owned(),
            quoted: true,
        },
    };
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    Value::List(parts.map(argument).collect())
}

/// The URL itself is never fetched: only the release that its file name tells is of use.
fn spark_url(sink: &mut Sink, moved: &mut Moved, default: &str, field: &Field<'_>) {
    let Some(text) = field.text(sink) else { return };
    if !["https://", "http://"]
        .iter()
        .any(|start| text.starts_with(start))
        || clean(text).is_err()
    {
        let problem = Problem::new("is not the URL of a Spark distribution");
        let help = "write https://…/spark-4.0.5-bin-hadoop3.tgz, or remove the line";
        return field.report(sink, problem.help(help).secret());
    }
    let Some(release) = release(text) else {
        let why = format!("names no release of Spark; the job runs on {default}");
        return moved.remark(field, true, &why);
    };
    if spark_version(release).is_ok() {
        let value = Value::Scalar {
            text: release.to_owned(),
            quoted: false,
        };
        return moved.lay(["spark", "version"], field, value);
    }
    let why = format!(
        "names Spark {}, and Mayfly runs releases of Spark 3.5 and 4; the job runs on {default}",
        crate::text::escape(release, 20)
    );
    moved.remark(field, true, &why);
}

/// `3.0.0-preview` of `https://host/spark-3.0.0-preview-bin-hadoop2.7.tgz`.
fn release(url: &str) -> Option<&str> {
    let file = url.rsplit('/').next()?;
    let (release, _) = file.strip_prefix("spark-")?.split_once("-bin")?;
    release
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(release)
}

/// What a block needs, and which keys go together.
fn fits_together(sink: &mut Sink, block: &Entry, given: &[Entry]) {
    let get = |key: &str| given.iter().find(|entry| entry.key == key);
    let set = |entry: &&Entry| field(block, entry).is_some_and(|(_, field)| !is_unset(&field));
    if let (Some(_), Some(older)) = (get("git_repo"), get("github_repo")) {
        let problem = Problem::new("`github_repo` is the older name of `git_repo`, which is there too");
        sink.report(older.place, &block.key, problem.help("keep one of them"));
    }
    if get("git_repo").or(get("github_repo")).is_none() {
        missing(
            sink,
            block,
            "git_repo",
            "where the code is: `git_repo: \"https://host/path.git\"`",
        );
    }
    let Some(entry) = get("exec_path") else {
        return missing(
            sink,
            block,
            "exec_path",
            "what to run: `exec_path: \"jobs/main.py\"`",
        );
    };
    let jar = matches!(&entry.node.value, Value::Scalar { text, .. } if text.ends_with(".jar"));
    match get("class_name").filter(set) {
        None if jar => {
            let problem = Problem::new("`exec_path` is a .jar, and `class_name` is missing");
            let help = "add its main class: `class_name: \"com.example.Main\"`";
            sink.report(entry.node.place, &block.key, problem.help(help));
        }
        Some(class) if !jar => {
            let problem = Problem::new("`class_name` is given, but `exec_path` is no .jar");
            sink.report(class.place, &block.key, problem.help("remove `class_name`"));
        }
        Some(_) | None => {}
    }
}

fn missing(sink: &mut Sink, block: &Entry, key: &str, help: &str) {
    let problem = Problem::new(format!("the job has no `{key}`"));
    sink.report(block.place, &block.key, problem.help(format!("say {help}")));
}

fn refuse_r_server(sink: &mut Sink, block: &Entry, field: &Field<'_>) {
    let problem = Problem::new(format!(
        "{} is a server for R of the older system (r-server.yml), which names no program to run",
        quote(&block.key)
    ));
    let help =
        "write a job of `engine: single` whose `code.entry` is the script, such as configs/jobs/iris-r.yml";
    sink.report(
        block.place,
        &format!("{}.{}", block.key, field.key),
        problem.help(help),
    );
}

fn unknown(key: &str) -> Problem {
    let known = keys::names();
    let problem = Problem::new(format!("unknown key {}", quote(key)));
    if JOB.of("").contains(&key) {
        return problem.help(
            "this key is of Mayfly's job files, the block is of the older system: run `coordinator import` first",
        );
    }
    match closest(key, known.iter().copied()) {
        Some(one) => problem.help(format!("did you mean `{one}`?")),
        None => problem.help(format!("known here: {}", listed(&known))),
    }
}
