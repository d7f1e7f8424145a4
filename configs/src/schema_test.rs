//! The editors' schemas and the parser know the same keys, and a schema accepts what the parser accepts.

use serde_json::{Map, Value as Json};

use crate::diag::Sink;
use crate::keys;
use crate::tree::{self, Node, Value};

fn schema() -> Json {
    serde_json::from_str(crate::SCHEMA).unwrap()
}

fn settings_schema() -> Json {
    serde_json::from_str(crate::SETTINGS_SCHEMA).unwrap()
}

fn keys_of(schema: &Json) -> Vec<&str> {
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn sorted<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    let mut keys: Vec<&str> = keys.into_iter().collect();
    keys.sort_unstable();
    keys
}

#[test]
fn schema_and_parser_know_the_same_keys() {
    let schema = schema();
    for (section, keys) in keys::JOB.0 {
        let name = if section.is_empty() { "job" } else { *section };
        let block = &schema["$defs"][name];
        assert_eq!(sorted(keys_of(block)), sorted(keys.iter().copied()), "{name}");
        assert_eq!(block["additionalProperties"], Json::Bool(false), "{name}");
        if !section.is_empty() {
            assert_eq!(
                schema["$defs"]["job"]["properties"][section]["$ref"],
                format!("#/$defs/{section}")
            );
        }
    }
}

#[test]
fn schema_and_parser_know_the_same_settings() {
    let schema = settings_schema();
    for (section, keys) in keys::SETTINGS.0 {
        let block = if section.is_empty() {
            &schema
        } else {
            &schema["$defs"][*section]
        };
        assert_eq!(sorted(keys_of(block)), sorted(keys.iter().copied()), "{section}");
        assert_eq!(block["additionalProperties"], Json::Bool(false), "{section}");
        if !section.is_empty() {
            let of_block = format!("#/$defs/{section}");
            assert_eq!(schema["properties"][*section]["$ref"], of_block);
        }
    }
}

/// A document as an editor reads it.
fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), to_json(&entry.node)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Scalar { text, quoted: true } => Json::String(text.clone()),
        Value::Scalar { text, .. } => match serde_json::from_str(text) {
            Ok(number @ (Json::Number(_) | Json::Bool(_))) => number,
            _ => Json::String(text.clone()),
        },
    }
}

/// The keywords of JSON Schema that the schema uses.
fn check(schema: &Json, part: &Json, value: &Json, path: &str, wrong: &mut Vec<String>) {
    if let Some(name) = part["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        check(schema, &schema["$defs"][name], value, path, wrong);
    }
    if let Some(types) = part.get("type") {
        let types = types.as_array().cloned().unwrap_or_else(|| vec![types.clone()]);
        if !types.iter().any(|kind| is_kind(kind.as_str().unwrap(), value)) {
            wrong.push(format!("{path}: {value} is not {types:?}"));
        }
    }
    if let Some(allowed) = part["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong.push(format!("{path}: {value} is not one of {allowed:?}"));
    }
    if let (Some(pattern), Some(text)) = (part["pattern"].as_str(), value.as_str())
        && !fits(pattern, text)
    {
        wrong.push(format!("{path}: {value} does not match {pattern}"));
    }
    for (bound, sign) in [("minimum", 1.0), ("maximum", -1.0)] {
        if let (Some(bound), Some(number)) = (part[bound].as_f64(), value.as_f64())
            && (number - bound) * sign < 0.0
        {
            wrong.push(format!("{path}: {value} is out of bounds"));
        }
    }
    if let Some(choices) = part["anyOf"].as_array() {
        let accepts = |choice: &Json| {
            let mut inner = Vec::new();
            check(schema, choice, value, path, &mut inner);
            inner.is_empty()
        };
        if !choices.iter().any(accepts) {
            wrong.push(format!("{path}: {value} fits no choice"));
        }
    }
    for item in value
        .as_array()
        .into_iter()
        .flatten()
        .filter(|_| part.get("items").is_some())
    {
        check(schema, &part["items"], item, path, wrong);
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        if let Some(pattern) = part["propertyNames"]["pattern"].as_str()
            && !fits(pattern, key)
        {
            wrong.push(format!("{path}: the name does not match {pattern}"));
        }
        match (&part["properties"][key], &part["additionalProperties"]) {
            (Json::Null, Json::Bool(false)) => wrong.push(format!("{path}: unknown")),
            (Json::Null, Json::Null) => {}
            (Json::Null, rest) => check(schema, rest, inner, &path, wrong),
            (known, _) => check(schema, known, inner, &path, wrong),
        }
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    regex::Regex::new(pattern).unwrap().is_match(text)
}

fn is_kind(kind: &str, value: &Json) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("{other}: add it here"),
    }
}

fn wrong_in(text: &str) -> Vec<String> {
    wrong_by(&schema(), text)
}

fn wrong_by(schema: &Json, text: &str) -> Vec<String> {
    let root = tree::parse(&mut Sink::default(), 0, text, 0).unwrap();
    let mut wrong = Vec::new();
    check(schema, schema, &to_json(&root), "", &mut wrong);
    wrong
}

#[test]
fn the_schema_accepts_the_defaults_and_the_example_files() {
    assert_eq!(wrong_in(crate::DEFAULTS), [""; 0]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yml") {
            assert_eq!(
                wrong_in(&std::fs::read_to_string(&path).unwrap()),
                [""; 0],
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    for text in [
        "a: {worker: {}}",
        "a: {workers: three}",
        "a: {workers: {count: 0}}",
        "a: {engine: Ray 2}",
        "a: 1",
    ] {
        assert!(!wrong_in(text).is_empty(), "{text}");
    }
}

#[test]
fn the_schema_of_the_settings_accepts_and_refuses_what_the_parser_does() {
    let schema = settings_schema();
    assert_eq!(wrong_by(&schema, crate::SETTINGS_DEFAULTS), [""; 0]);
    for (text, right) in [
        ("limits: {runs: 1, connections: 2}", true),
        ("tls: {cert_file: a, key_file: b}", true),
        ("limits: {runs: 0}", false),
        ("limits: {runs: many}", false),
        ("limits: {streams: 1}", false),
        ("listen: 7070", false),
        ("store: my-bucket", false),
        ("- a", false),
    ] {
        let path = std::path::Path::new("serve.yml");
        assert_eq!(wrong_by(&schema, text).is_empty(), right, "{text}");
        assert_eq!(
            crate::parse_settings(Some((path, text)), &[]).is_ok(),
            right,
            "{text}"
        );
    }
}
