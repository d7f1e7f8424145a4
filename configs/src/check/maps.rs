//! Blocks whose keys are free: the environment, the tags, the Spark properties.

use std::collections::BTreeMap;

use super::Mode;
use crate::conf;
use crate::diag::{Problem, Sink};
use crate::env;
use crate::job::{Env, Secret};
use crate::keys::SECRET;
use crate::read::{Field, Section};
use crate::text::{clean, name_char, quote, sized};
use crate::tree::{Entry, Value};

const MAX_ENV: usize = 100;
const MAX_CONF: usize = 200;
/// AWS allows 50 on a resource; the rest is for Mayfly's own.
const MAX_TAGS: usize = 40;
/// All names and values of one block together, in bytes: they travel to every node.
const MAX_BYTES: usize = 32_768;

/// Reads `key: value` pairs; `check` sees the key first, then the value.
fn pairs(
    sink: &mut Sink,
    field: &Field<'_>,
    max: usize,
    check_key: impl Fn(&str) -> Result<(), Problem>,
    mut value_of: impl FnMut(&str, &str) -> Result<String, Problem>,
) -> Option<BTreeMap<String, String>> {
    let entries = field.entries(sink)?;
    if entries.len() > max {
        let problem = Problem::new(format!("has {} entries", entries.len()));
        field.report(sink, problem.help(format!("at most {max} are allowed")));
        return None;
    }
    let before = sink.count();
    let mut pairs = BTreeMap::new();
    for entry in entries {
        if let Err(problem) = check_key(&entry.key) {
            field.report_at(sink, entry.place, problem);
        } else if let Some(value) = pair_value(sink, field, entry, &mut value_of) {
            pairs.insert(entry.key.clone(), value);
        }
    }
    let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_BYTES {
        let problem = Problem::new(format!("has {bytes} bytes in all"));
        field.report(
            sink,
            problem.help(format!("at most {MAX_BYTES} bytes are allowed")),
        );
    }
    (sink.count() == before).then_some(pairs)
}

fn pair_value(
    sink: &mut Sink,
    field: &Field<'_>,
    entry: &Entry,
    value_of: &mut impl FnMut(&str, &str) -> Result<String, Problem>,
) -> Option<String> {
    let short = field.short();
    let pair = Field {
        node: &entry.node,
        key_place: entry.place,
        section: &short,
        key: &entry.key,
        alias: None,
        ..*field
    };
    if entry.node.value == Value::Null {
        let problem = Problem::new("has no value").help("write \"\" for an empty one, or remove the line");
        pair.report(sink, problem);
        return None;
    }
    let text = pair.text(sink)?;
    let value = value_of(&entry.key, text);
    pair.good(sink, value)
}

pub(super) fn env(sink: &mut Sink, mode: Mode<'_>, field: &Field<'_>) -> Option<Env> {
    let mut interpolated = std::collections::BTreeSet::new();
    let values = pairs(sink, field, MAX_ENV, env::check_name, |name, text| {
        let (value, taken) = env::interpolate(text, mode.lookup)?;
        if taken {
            interpolated.insert(name.to_owned());
        }
        Ok(value)
    })?;
    Some(Env { values, interpolated })
}

/// Where each secret comes from; looked up by whoever launches.
pub(super) fn secrets(
    sink: &mut Sink,
    field: &Field<'_>,
    env: Option<&Env>,
) -> Option<BTreeMap<String, Secret>> {
    let before = sink.count();
    let mut found = BTreeMap::new();
    for entry in field.entries(sink)? {
        let twice = env.is_some_and(|env| env.values.contains_key(&entry.key));
        if let Err(problem) = env::check_name(&entry.key) {
            field.report_at(sink, entry.place, problem);
        } else if twice {
            let problem = Problem::new(format!("has {}, which is in `env` too", quote(&entry.key)));
            field.report_at(sink, entry.place, problem.help("remove one of them"));
        } else if let Some(secret) = secret(sink, field, entry) {
            found.insert(entry.key.clone(), secret);
        }
    }
    if found.len() > MAX_ENV {
        let problem = Problem::new(format!("has {} entries", found.len()));
        field.report(sink, problem.help(format!("at most {MAX_ENV} are allowed")));
    }
    (sink.count() == before).then_some(found)
}

fn secret(sink: &mut Sink, field: &Field<'_>, entry: &Entry) -> Option<Secret> {
    let help = "say where it comes from: `{env: NAME}`, `{file: path}`, `{consul: key}`, `{ssm: name}` or \
                `{secretsmanager: name}`";
    let Value::Map(entries) = &entry.node.value else {
        // Whoever wrote the secret itself here shall not see it again.
        let problem = Problem::new(format!("has {} without where it comes from", quote(&entry.key)));
        field.report_at(sink, entry.place, problem.help(help).secret());
        return None;
    };
    let section = Section::open(sink, &SECRET, field.job, "", entries);
    let kinds = [
        ("env", Secret::Env as fn(String) -> Secret),
        ("file", Secret::File),
        ("consul", Secret::Consul),
        ("ssm", Secret::Ssm),
        ("secretsmanager", Secret::SecretsManager),
    ];
    let given: Vec<_> = kinds
        .into_iter()
        .filter_map(|(key, of)| Some((section.get(key)?, of)))
        .collect();
    let [(from, of)] = given.as_slice() else {
        let problem = Problem::new(format!(
            "has {} with {} places that it comes from",
            quote(&entry.key),
            given.len()
        ));
        field.report_at(sink, entry.place, problem.help(help));
        return None;
    };
    from.with(sink, |text| {
        sized(text, 1024)?;
        clean(text)?;
        Ok(of(text.to_owned()))
    })
}

pub(super) fn conf(sink: &mut Sink, field: &Field<'_>) -> Option<BTreeMap<String, String>> {
    pairs(sink, field, MAX_CONF, conf::check_key, |key, text| {
        conf::check_value(key, text)?;
        Ok(text.to_owned())
    })
}

pub(super) fn tags(sink: &mut Sink, field: &Field<'_>) -> Option<BTreeMap<String, String>> {
    pairs(sink, field, MAX_TAGS, tag_key, |_, text| {
        tag_text(text, 256, char::is_alphanumeric)?;
        Ok(text.to_owned())
    })
}

fn tag_key(key: &str) -> Result<(), Problem> {
    sized(key, 128)?;
    tag_text(key, 128, |c| c.is_ascii_alphanumeric()).map_err(|problem| Problem {
        message: format!("has the key {}, which {}", quote(key), problem.message),
        ..problem
    })?;
    let lower = key.to_ascii_lowercase();
    if let Some(prefix) = ["aws:", "mayfly:"]
        .iter()
        .find(|prefix| lower.starts_with(**prefix))
    {
        let problem = Problem::new(format!(
            "must not have the key {}: `{prefix}` is reserved",
            quote(key)
        ));
        return Err(problem.help("use another key"));
    }
    Ok(())
}

/// What AWS allows in tags.
fn tag_text(text: &str, max: usize, letter: impl Fn(char) -> bool) -> Result<(), Problem> {
    clean(text)?;
    let length = text.chars().count();
    if length > max {
        let problem = Problem::new(format!("is {length} characters long"));
        return Err(problem.help(format!("at most {max} are allowed")));
    }
    match text.chars().find(|c| !letter(*c) && !" +-=._:/@".contains(*c)) {
        None => Ok(()),
        Some(c) => {
            let problem = Problem::new(format!("holds {}", name_char(c)));
            Err(problem.help("a tag is letters, digits, spaces and + - = . _ : / @"))
        }
    }
}
