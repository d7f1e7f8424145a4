//! The receipt: why the run failed, what to do better, what it took; what newer programs wrote into it is shown as it is.

use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::list::time;
use super::yaml;
use crate::cli::plain;
use crate::cli::view::{account, units};
use crate::record::{Account, UNKNOWN, Why};

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
const HERE: [&str; 4] = ["release", "results", "logs", "results_folder"];

/// The section of the page.
pub(super) fn section(receipt: &Value) -> Markup {
    let empty = Map::new();
    let map = receipt.as_object().unwrap_or(&empty);
    let account: Option<Account> = typed(map, "account");
    let told = |key: &str| match key {
        "account" => account.is_some(),
        "why" => cause(receipt).is_some(),
        _ => ELSEWHERE.contains(&key) || HERE.contains(&key),
    };
    let more: Map<String, Value> = map
        .iter()
        .filter(|(key, value)| !told(key) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    html! {
        section.card.receipt {
            h2 { "Receipt" }
            @if let Some(account) = &account { (advice(account)) }
            div.halves {
                (times(map))
                div {
                    @if let Some(account) = &account { (took(account)) }
                    (places(map))
                    (proof(map))
                }
            }
            @if let Some(account) = &account { (groups(account)) }
            @if !more.is_empty() {
                details { summary { "More of it" } pre.lines tabindex="0" { (plain::lines(&yaml::of(&Value::Object(more)))) } }
            }
        }
    }
}

/// `None` where a program of another version wrote something else.
fn typed<T: DeserializeOwned>(map: &Map<String, Value>, key: &str) -> Option<T> {
    T::deserialize(map.get(key)?).ok()
}

/// The cause, what to change and what it follows from; `None` where it is not known.
pub(super) fn cause(receipt: &Value) -> Option<Markup> {
    let why: Why = typed(receipt.as_object()?, "why")?;
    (why.cause != UNKNOWN).then(|| {
        html! {
            div.cause {
                h2 { "Why" }
                p { b { (plain::line(&why.sentence)) } }
                @if !why.change.is_empty() { ul { @for change in &why.change { li { (plain::line(change)) } } } }
                @for evidence in &why.evidence {
                    p.note { (plain::line(&evidence.source)) }
                    pre.lines tabindex="0" { @for line in &evidence.lines { (plain::line(line)) "\n" } }
                }
            }
        }
    })
}

fn advice(account: &Account) -> Markup {
    if account.advice.is_empty() {
        return html! {};
    }
    html! {
        div.advice {
            h3 { "Advice" }
            ul {
                @for advice in &account.advice {
                    li { (plain::line(&advice.text)) " " span.note { (plain::line(&advice.arithmetic)) } }
                }
            }
        }
    }
}

fn took(account: &Account) -> Markup {
    html! {
        dl.places {
            dt { "waste" } dd { (account::waste(account)) }
            @if let Some(spark) = account.spark.as_ref().filter(|spark| spark.tasks > 0) {
                dt { "spark" } dd { (plain::line(&account::numbers(spark))) }
            }
        }
    }
}

fn groups(account: &Account) -> Markup {
    let (head, rows) = account::of_groups(account);
    html! {
        div.scroll.groups tabindex="0" role="region" aria-label="by group" { table {
            thead { tr { @for (at, name) in head.iter().enumerate() { th class=[(at > 0).then_some("num")] { (name) } } } }
            tbody { @for row in rows { tr { @for (at, cell) in row.iter().enumerate() { td class=[(at > 0).then_some("num")] { (cell) } } } } }
        } }
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
    use crate::cli::view::samples;
    use crate::record::{Evidence, Outcome};

    #[test]
    fn what_it_came_to_is_shown_and_what_a_newer_program_wrote_as_well() {
        let why = Why {
            schema: 1,
            run: "log-reg-abcdefgh".parse().unwrap(),
            outcome: Outcome::JobFailed,
            cause: "executor-memory".into(),
            sentence: "An executor ran out of <memory>.".into(),
            place: Some("main.py:12 in count".into()),
            evidence: vec![Evidence {
                source: "job output".into(),
                lines: vec!["java.lang.OutOfMemoryError".into()],
            }],
            change: vec!["Give workers 4 GiB.".into()],
        };
        let receipt = json!({
            "schema": 1, "phases": [{"phase": "working", "attempt": 1, "secs": 61.5}], "total_secs": 70.0,
            "account": samples::account(), "why": why.clone(), "novelty": {"tasks": 12},
            "release": {"machines_started": 3, "machines_gone": 2, "observed": "2026-01-01T00:00:00Z"},
        });
        let unknown = Why {
            cause: UNKNOWN.into(),
            ..why
        };
        let newer = json!({ "why": unknown, "account": { "novelty": 1 } });
        assert!(cause(&newer).is_none());
        let text = section(&newer).into_string();
        assert!(
            text.contains("java.lang.OutOfMemoryError") && text.contains("novelty: 1"),
            "{text}"
        );
        let text = cause(&receipt).unwrap().into_string() + &section(&receipt).into_string();
        for part in [
            "An executor ran out of &lt;memory&gt;.",
            "java.lang.OutOfMemoryError",
            "Give workers 4 GiB.",
            "1 worker would have taken about 28 s instead of 24 s",
            "before the first task 18.3 s (25 %)",
            "executors 31 % busy",
            "<td>workers</td>",
            "tasks: 12",
            "61.5 s",
            "1 may be left",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!section(&json!([])).into_string().contains("Advice"));
    }
}
