//! The `code` block: where the program is, which one it is, and what goes with it.

use super::{Mode, optional};
use crate::diag::{Place, Problem, Sink};
use crate::git::Repo;
use crate::job::Code;
use crate::names::{GitRef, RelPath};
use crate::read::{Field, Section};
use crate::text::{clean_value, quote, sized};

const MAX_ARGS: usize = 1_000;
/// All arguments together, in bytes.
const MAX_ARG_BYTES: usize = 32_768;

pub(super) fn code(sink: &mut Sink, mode: Mode<'_>, block: Place, section: &Section<'_>) -> Option<Code> {
    let repo = section
        .need(sink, "repo")
        .and_then(|field| field.with(sink, Repo::new));
    let git_ref = section
        .need(sink, "ref")
        .and_then(|field| field.with(sink, |text| GitRef::new(text)));
    let path = section
        .need(sink, "path")
        .and_then(|field| field.with(sink, |text| RelPath::new(text)));
    let entry = entry(sink, mode, block, section);
    let class = optional(section.get("class"), |field| field.with(sink, class));
    let args = section.need(sink, "args").and_then(|field| args(sink, &field));
    let requirements = optional(section.get("requirements"), |field| {
        field.with(sink, |text| RelPath::new(text))
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
    };
    (mode.partial || fits_entry(sink, section, &code)).then_some(code)
}

fn entry(sink: &mut Sink, mode: Mode<'_>, block: Place, section: &Section<'_>) -> Option<RelPath> {
    let Some(field) = section.get("entry") else {
        if !mode.partial {
            let problem = Problem::new("the job has no `code.entry`: nothing says what to run");
            sink.report(block, "code.entry", problem.help("add `code: {entry: main.py}`"));
        }
        return None;
    };
    field.with(sink, |text| {
        let path = RelPath::new(text)?;
        if text.ends_with(".py") || text.ends_with(".jar") {
            return Ok(path);
        }
        Err(Problem::new(format!("is {}", quote(text))).help("it must end in .py or .jar"))
    })
}

/// What goes with a Python program and what with a jar.
fn fits_entry(sink: &mut Sink, section: &Section<'_>, code: &Code) -> bool {
    let before = sink.count();
    let python = code.is_python();
    let entry = quote(code.entry.as_str());
    let refuse = |sink: &mut Sink, key, why: String, help: &str| {
        if let Some(field) = section.get(key) {
            field.report(sink, Problem::new(why).help(help));
        }
    };
    if python && code.class.is_some() {
        refuse(
            sink,
            "class",
            format!("is given, but {entry} has no classes to start"),
            "remove it",
        );
    }
    if !python && code.class.is_none() {
        refuse(
            sink,
            "entry",
            format!("is {entry}, and `code.class` is missing"),
            "add its main class: `class: com.example.Main`",
        );
    }
    if !python && code.requirements.is_some() {
        refuse(
            sink,
            "requirements",
            format!("is given, but {entry} is not a Python program"),
            "remove it",
        );
    }
    sink.count() == before
}

fn class(text: &str) -> Result<String, Problem> {
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

fn args(sink: &mut Sink, field: &Field<'_>) -> Option<Vec<String>> {
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
