//! The `code` block: where the program is, which one it is, and what goes with it.

use mayfly_proto::engine::{COMMAND, Definition};
use mayfly_proto::python::{self, Named};

use super::{Mode, optional, steps};
use crate::diag::{Place, Problem, Sink};
use crate::git::Repo;
use crate::job::{Code, Spark};
use crate::names::{GitRef, PythonName, RelPath};
use crate::read::{Field, Section};
use crate::text::{clean_value, quote, sized};

const MAX_ARGS: usize = 1_000;
/// All arguments together, in bytes.
const MAX_ARG_BYTES: usize = 32_768;

pub(super) fn code(
    sink: &mut Sink,
    mode: Mode<'_>,
    block: Place,
    section: &Section<'_>,
    engine: Option<&Definition>,
) -> Option<Code> {
    let repo = section
        .need(sink, "repo")
        .and_then(|field| field.with(sink, Repo::new));
    let git_ref = section
        .need(sink, "ref")
        .and_then(|field| field.with(sink, |text| GitRef::new(text)));
    let path = section
        .need(sink, "path")
        .and_then(|field| field.with(sink, |text| RelPath::new(text)));
    let build = section.get("build").map(|field| args(sink, &field));
    let command = section.get("command").map(|field| args(sink, &field));
    let steps = section
        .get("steps")
        .map(|field| steps::steps(sink, &field, engine));
    let entry = match (&command, &steps) {
        (None, None) => entry(sink, mode, block, section, engine),
        (Some(_), _) => no_entry(sink, section, "command"),
        (None, Some(_)) => no_entry(sink, section, "steps"),
    };
    let class = optional(section.get("class"), |field| field.with(sink, class));
    let args = section.need(sink, "args").and_then(|field| args(sink, &field));
    let requirements = optional(section.get("requirements"), |field| {
        field.with(sink, |text| RelPath::new(text))
    });
    let python = optional(section.get("python"), |field| {
        field.with(sink, |text| PythonName::new(text))
    });
    let (entry, class, requirements) = (entry?, class?, requirements?);
    let code = Code {
        repo: repo?,
        git_ref: git_ref?,
        path: path?,
        entry,
        class,
        args: args?,
        requirements,
        python: python?,
        command: match command {
            None => Vec::new(),
            Some(words) => words?,
        },
        build: match build {
            None => Vec::new(),
            Some(words) => words?,
        },
        steps: match steps {
            None => Vec::new(),
            Some(steps) => steps?,
        },
        session: None,
    };
    let fits = match engine {
        Some(engine) if !mode.partial && code.steps.is_empty() => fits_entry(sink, section, &code, engine),
        Some(_) | None => true,
    };
    fits.then_some(code)
}

fn entry(
    sink: &mut Sink,
    mode: Mode<'_>,
    block: Place,
    section: &Section<'_>,
    engine: Option<&Definition>,
) -> Option<RelPath> {
    let Some(field) = section.get("entry") else {
        if !mode.partial {
            let problem = Problem::new("the job has no `code.entry`: nothing says what to run");
            sink.report(block, "code.entry", problem.help("add `code: {entry: main.py}`"));
        }
        return None;
    };
    field.with(sink, |text| {
        let path = RelPath::new(text)?;
        // Without an engine its own mistake is what is to be mended.
        let Some(engine) = engine.filter(|_| !mode.partial) else {
            return Ok(path);
        };
        if engine.kind_of(text).is_some() {
            return Ok(path);
        }
        Err(Problem::new(format!("is {}", quote(text))).help(ends(engine)))
    })
}

/// How the names of an engine's entries end.
pub(super) fn ends(engine: &Definition) -> String {
    let ends: Vec<&str> = engine
        .jobs
        .keys()
        .map(String::as_str)
        .filter(|end| *end != COMMAND)
        .collect();
    match ends.split_last() {
        None => format!("the engine `{}` runs a `code.command` alone", engine.name),
        Some((last, [])) => format!("it must end in {last}"),
        Some((last, others)) => format!("it must end in {} or {last}", others.join(", ")),
    }
}

/// A command line is instead of an entry.
fn no_entry(sink: &mut Sink, section: &Section<'_>, instead: &str) -> Option<RelPath> {
    let others = ["entry", "class", "args", "command"];
    for key in others.into_iter().filter(|key| *key != instead) {
        let given = section.get(key).filter(Field::is_given);
        if let Some(field) = given {
            let problem = Problem::new(format!("is given beside `code.{instead}`"));
            field.report(sink, problem.help("remove one of them"));
            return None;
        }
    }
    RelPath::new(".").ok()
}

/// What goes with which kind of program.
fn fits_entry(sink: &mut Sink, section: &Section<'_>, code: &Code, engine: &Definition) -> bool {
    let before = sink.count();
    let entry = quote(code.entry.as_str());
    let refuse = |sink: &mut Sink, key, why: String, help: &str| {
        if let Some(field) = section.get(key) {
            field.report(sink, Problem::new(why).help(help));
        }
    };
    let Some(kind) = engine.kind_of(code.entry()) else {
        let why = format!("is given, and the engine `{}` runs no command lines", engine.name);
        refuse(sink, "command", why, "name an `entry`");
        return false;
    };
    if code.command.first().is_some_and(String::is_empty)
        || (code.entry().is_empty() && code.command.is_empty())
    {
        refuse(
            sink,
            "command",
            "names no program".to_owned(),
            "write it first, then its arguments",
        );
    }
    if !kind.class && code.class.is_some() {
        refuse(
            sink,
            "class",
            format!("is given, but {entry} has no classes to start"),
            "remove it",
        );
    }
    if kind.class && code.class.is_none() {
        refuse(
            sink,
            "entry",
            format!("is {entry}, and `code.class` is missing"),
            "add its main class: `class: com.example.Main`",
        );
    }
    let of_python = [
        ("requirements", code.requirements.is_some()),
        ("python", code.python.is_some()),
    ];
    for (key, _) in of_python.into_iter().filter(|(_, given)| kind.class && *given) {
        let why = format!("is given, but {entry} is not a Python program");
        refuse(sink, key, why, "remove it");
    }
    sink.count() == before
}

/// Whether Spark, and what every node has with it, runs with the Python that is named; of a path only the node knows.
pub(super) fn python_fits(sink: &mut Sink, section: &Section<'_>, code: &Code, spark: &Spark) -> bool {
    let (Some(python), Some(field)) = (&code.python, section.get("python")) else {
        return true;
    };
    let Some(Named::Version(minor)) = Named::parse(python.as_str()) else {
        return true;
    };
    let fits = python::supported(&spark.version).contains(&minor);
    if !fits {
        let (release, range) = (&spark.version, python::supported_text(&spark.version));
        let problem = Problem::new(format!("is {python}, and Spark {release} runs with {range}"));
        field.report(
            sink,
            problem.help("name one of these, or another `spark.version`"),
        );
    }
    fits
}

pub(super) fn class(text: &str) -> Result<String, Problem> {
    sized(text, 512)?;
    let start = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$');
    let part = |part: &str| part.starts_with(start) && part.chars().all(|c| start(c) || c.is_ascii_digit());
    if text.split('.').all(part) {
        return Ok(text.to_owned());
    }
    Err(
        Problem::new(format!("is {}, which is not the name of a class", quote(text)))
            .help("write it in full, such as com.example.Main"),
    )
}

pub(super) fn args(sink: &mut Sink, field: &Field<'_>) -> Option<Vec<String>> {
    let items = field.items(sink, false)?;
    let texts: Vec<Option<&str>> = items
        .iter()
        .map(|item| {
            let text = item.text(sink)?;
            item.good(sink, clean_value(text)).map(|()| text)
        })
        .collect();
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| text.map(str::to_owned))
        .collect::<Option<_>>()?;
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        let problem = Problem::new(format!("has {} arguments of {bytes} bytes in all", texts.len()));
        let help = format!(
            "at most {MAX_ARGS} of {MAX_ARG_BYTES} bytes are allowed: put them into a file of the repository"
        );
        field.report(sink, problem.help(help));
        return None;
    }
    Some(texts)
}
