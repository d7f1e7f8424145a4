//! The receipt: what it certainly holds as tables, and what newer programs wrote into it as it is.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::list::time;
use super::yaml;
use crate::cli::plain;
use crate::cli::view::units;

/// What the page shows elsewhere.
const ELSEWHERE: [&str; 12] = [
    "schema",
    "run",
    "job",
    "commit",
    "ended",
    "phases",
    "nodes",
    "total_secs",
    "attempts",
    "results_files",
    "results_bytes",
    "cost_micros",
];
/// What has a place of its own here.
const HERE: [&str; 6] = ["advice", "waste", "release", "results", "logs", "results_folder"];

/// Units that names end with.
const UNITS: [&str; 3] = ["_secs", "_micros", "_bytes"];

/// The section of the page.
pub(super) fn section(receipt: &Value) -> Markup {
    let empty = Map::new();
    let map = receipt.as_object().unwrap_or(&empty);
    let more: Map<String, Value> = map
        .iter()
        .filter(|(key, value)| {
            !ELSEWHERE.contains(&key.as_str()) && !HERE.contains(&key.as_str()) && !value.is_null()
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    html! {
        section.card.receipt {
            h2 { "Receipt" }
            @if let Some(advice) = map.get("advice").filter(|advice| !is_empty(advice)) {
                div.advice { h3 { "Advice" } (told(advice)) }
            }
            div.halves {
                (times(map))
                div {
                    @if let Some(waste) = map.get("waste").filter(|waste| !is_empty(waste)) { h3 { "Waste" } (told(waste)) }
                    (places(map))
                    (proof(map))
                }
            }
            @if !more.is_empty() {
                details { summary { "More of it" } pre.lines tabindex="0" { (plain::lines(&yaml::of(&Value::Object(more)))) } }
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Sentences as a list; anything else as it is.
fn told(value: &Value) -> Markup {
    let sentence = |item: &Value| match item {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => {
            let texts: Vec<&str> = map.values().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(" — "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    };
    if let Value::Array(items) = value
        && let Some(lines) = items.iter().map(sentence).collect::<Option<Vec<_>>>()
    {
        return html! { ul { @for line in lines { li { (plain::line(&line)) } } } };
    }
    match value.as_object().filter(|map| map.values().all(is_one)) {
        Some(map) => html! {
            dl.places { @for (key, value) in map { dt { (words(key)) } dd { (amount(key, value)) } } }
        },
        None => html! { pre.lines { (plain::lines(&yaml::of(value))) } },
    }
}

fn is_one(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// A name without its unit, in words.
fn words(key: &str) -> String {
    let bare = UNITS
        .iter()
        .find_map(|unit| key.strip_suffix(unit))
        .unwrap_or(key);
    plain::line(&bare.replace('_', " "))
}

/// A value in the unit that its name ends with.
fn amount(key: &str, value: &Value) -> String {
    let whole = value.as_u64().unwrap_or_default();
    match (value.as_f64(), UNITS.iter().find(|unit| key.ends_with(**unit))) {
        (Some(secs), Some(&"_secs")) => units::secs(secs),
        (Some(_), Some(&"_micros")) => units::dollars(whole),
        (Some(_), Some(&"_bytes")) => units::bytes(whole),
        (Some(_), _) => value.to_string(),
        (None, _) => plain::line(value.as_str().unwrap_or(&value.to_string())),
    }
}

fn times(map: &Map<String, Value>) -> Markup {
    let none = Vec::new();
    let phases = map.get("phases").and_then(Value::as_array).unwrap_or(&none);
    let text = |phase: &Value| {
        phase
            .get("phase")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let secs = |phase: &Value| phase.get("secs").and_then(Value::as_f64).unwrap_or_default();
    html! {
        table {
            thead { tr { th { "Phase" } th.num { "Time" } } }
            tbody {
                @for phase in phases.iter().filter(|phase| text(phase) != "closed") {
                    tr { td { span class={ "dot " (text(phase)) } {} (text(phase)) } td.num { (units::secs(secs(phase))) } }
                }
                tr.total { td { "in all" } td.num { (units::secs(map.get("total_secs").and_then(Value::as_f64).unwrap_or_default())) } }
            }
        }
    }
}

fn places(map: &Map<String, Value>) -> Markup {
    let text = |key: &str| {
        map.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    html! {
        dl.places {
            @if let Some(place) = text("results_folder").or_else(|| text("results")) { dt { "results" } dd { code { (plain::line(place)) } } }
            @if let Some(place) = text("logs") { dt { "logs" } dd { code { (plain::line(place)) } } }
        }
    }
}

fn proof(map: &Map<String, Value>) -> Markup {
    let Some(release) = map.get("release") else {
        return html! {};
    };
    let count = |key: &str| release.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (started, gone) = (count("machines_started"), count("machines_gone"));
    let observed = release.get("observed").and_then(Value::as_str);
    let observed = observed.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    html! {
        p.proof {
            (units::count(started, "machine")) " started, " (gone) " observed gone. "
            @if gone >= started { b.good { "Nothing is left." } } @else { b.bad { (started - gone) " may be left: coordinator gc --yes" } }
            @if let Some(at) = observed { " " span.note { (time(at.as_millisecond())) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_newer_program_wrote_is_shown() {
        let receipt = json!({
            "schema": 1, "phases": [{"phase": "working", "attempt": 1, "secs": 61.5}], "total_secs": 70.0,
            "advice": ["2 workers would do <b>"], "waste": {"idle_secs": 3}, "spark": {"tasks": 12},
            "release": {"machines_started": 3, "machines_gone": 2, "observed": "2026-01-01T00:00:00Z"},
        });
        let text = section(&receipt).into_string();
        for part in [
            "2 workers would do &lt;b&gt;",
            "<dt>idle</dt><dd>3.0 s</dd>",
            "tasks: 12",
            "61.5 s",
            "1 may be left",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!section(&json!([])).into_string().contains("Advice"));
    }
}
