//! `code.steps`: several programs in one fleet, one after the other.

use mayfly_proto::engine::Definition;

use super::code::{args, class, ends};
use crate::diag::{Problem, Sink};
use crate::job::Step;
use crate::keys::STEP;
use crate::names::RelPath;
use crate::read::{Field, Section};
use crate::text::{quote, sized, suggest};
use crate::tree::Value;

const MAX_STEPS: usize = 100;
const HELP: &str = "write `{entry: main.py, args: [...]}`";

pub(super) fn steps(sink: &mut Sink, field: &Field<'_>, engine: Option<&Definition>) -> Option<Vec<Step>> {
    let before = sink.count();
    let items = field.items(sink, false)?;
    if items.is_empty() || items.len() > MAX_STEPS {
        let problem = Problem::new(format!("has {} steps", items.len()));
        field.report(sink, problem.help(format!("write 1 to {MAX_STEPS}")));
    }
    let steps: Vec<Step> = items.iter().filter_map(|item| step(sink, item, engine)).collect();
    for (n, step) in steps.iter().enumerate() {
        let twice = steps.iter().take(n).any(|other| other.name == step.name);
        if let Some(item) = items.get(n).filter(|_| twice) {
            let problem = Problem::new(format!("has two steps {}", quote(&step.name)));
            item.report_at(
                sink,
                item.node.place,
                problem.help("give one of them another `name`"),
            );
        }
    }
    (sink.count() == before).then_some(steps)
}

fn step(sink: &mut Sink, item: &Field<'_>, engine: Option<&Definition>) -> Option<Step> {
    let wrong = |sink: &mut Sink, why: String, help: String| {
        item.report_at(sink, item.node.place, Problem::new(why).help(help));
        None
    };
    let Value::Map(entries) = &item.node.value else {
        return wrong(sink, "has a step that is no block of keys".into(), HELP.into());
    };
    let section = Section::open(sink, &STEP, item.job, "", entries);
    let command = match section.get("command") {
        Some(field) => args(sink, &field)?,
        None => Vec::new(),
    };
    let entry = match (section.get("entry"), command.is_empty()) {
        (Some(field), true) => field.with(sink, |text| RelPath::new(text))?,
        (None, false) => RelPath::new(".").ok()?,
        _ => {
            return wrong(
                sink,
                "has a step without one of `entry` and `command`".into(),
                HELP.into(),
            );
        }
    };
    let class = match section.get("class") {
        Some(field) => Some(field.with(sink, class)?),
        None => None,
    };
    let arguments = match section.get("args") {
        Some(field) => args(sink, &field)?,
        None => Vec::new(),
    };
    let name = match section.get("name") {
        Some(field) => field.with(sink, name)?,
        None if command.is_empty() => named_after(entry.as_str()),
        None => named_after(command.first().map_or("", String::as_str)),
    };
    let go_on = match section.get("on_failure") {
        Some(field) => field.with(sink, on_failure)?,
        None => false,
    };
    let step = Step {
        name,
        entry,
        class,
        args: arguments,
        command,
        go_on,
    };
    if let Some(engine) = engine {
        let Some(kind) = engine.kind_of(step.entry()) else {
            let why = format!(
                "has the step {}, which the engine `{}` cannot run",
                quote(&step.name),
                engine.name
            );
            return wrong(sink, why, ends(engine));
        };
        if kind.class != step.class.is_some() {
            let (why, help) = if kind.class {
                ("needs `class`, its main class", "add `class: com.example.Main`")
            } else {
                ("has no classes to start", "remove `class`")
            };
            return wrong(
                sink,
                format!("has the step {}, which {why}", quote(&step.name)),
                help.into(),
            );
        }
    }
    Some(step)
}

fn name(text: &str) -> Result<String, Problem> {
    sized(text, 64)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!("is {}", quote(text))).help("a name is letters, digits, `.`, `_` and `-`"))
}

/// `jobs/clean.py` is `clean`.
fn named_after(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = stem.chars().filter(|c| plain(*c)).take(64).collect();
    if name.is_empty() { "step".to_owned() } else { name }
}

fn on_failure(text: &str) -> Result<bool, Problem> {
    match text {
        "stop" => Ok(false),
        "continue" => Ok(true),
        _ => Err(Problem::new(format!("is {}", quote(text))).help(suggest(text, &["stop", "continue"]))),
    }
}
