//! What receipts say together, and of runs that Spark had no part in.

use std::fs;

use mayfly_tests::Home;
use serde_json::json;

use super::ended;

#[test]
fn two_receipts_are_compared_and_the_next_run_is_estimated() {
    let home = Home::light();
    let first = ended(&home, "twice");
    let second = ended(&home, "twice");
    let (a, b) = (first.id.as_str(), second.id.as_str());

    let shown = home.verb(&["receipt", a, "--compare", b]);
    let table = &shown.exited(0).stdout;
    for word in [a, b, "outcome", "succeeded", "machines", "node time", "forming"] {
        assert!(table.contains(word), "{word:?} is not in {table}");
    }
    let told = home
        .verb(&["receipt", a, "--compare", b, "--json"])
        .exited(0)
        .json();
    assert_eq!(told["receipts"][0], first.receipt());
    assert_eq!(told["receipts"][1], second.receipt());
    home.verb(&["receipt", a, "--compare", "none"])
        .exited(2)
        .said("there is no run");

    let told = home.verb(&["estimate", "twice", "--json"]).exited(0).json();
    let estimate = &told["estimate"];
    assert_eq!(estimate["runs"], 2, "{estimate:#}");
    let shown = home.verb(&["estimate", "twice"]);
    assert!(shown.exited(0).stdout.contains("twice"), "{}", shown.stdout);
    home.verb(&["estimate", "once"])
        .exited(2)
        .said("no run of once has succeeded yet");
}

/// Ids are drawn: those of the newest runs may be the last ones of them all.
#[test]
fn an_estimate_is_of_the_newest_runs_however_many_there_are() {
    let home = Home::light();
    let run = ended(&home, "many");
    let add = |end: &str, number: usize, total_secs: f64, observed: &str| {
        let mut receipt = run.receipt();
        let id = format!("many-{end}{}{}", letter(number / 26), letter(number));
        receipt["run"] = id.as_str().into();
        receipt["total_secs"] = total_secs.into();
        receipt["release"]["observed"] = observed.into();
        let folder = run.folder().with_file_name(&id);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("receipt.json"), receipt.to_string()).unwrap();
    };
    (0..500).for_each(|number| add("aaaaaa", number, 1.0, "2020-01-01T00:00:00Z"));
    (0..10).for_each(|number| add("zzzzzz", number, 1000.0, "2999-01-01T00:00:00Z"));
    let told = home.verb(&["estimate", "many", "--json"]).exited(0).json();
    let estimate = &told["estimate"];
    assert_eq!(
        (&estimate["runs"], &estimate["total_secs"]),
        (&json!(10), &json!(1000.0)),
        "{estimate:#}"
    );
}

fn letter(number: usize) -> char {
    char::from(b'a' + u8::try_from(number % 26).unwrap())
}

#[test]
fn a_run_without_an_event_log_has_no_history() {
    let home = Home::light();
    let run = ended(&home, "silent");
    let asked = home.verb(&["history", run.id.as_str(), "--json"]);
    asked.exited(2).said("left no event log in attempt 1");
    assert_eq!(asked.stdout, "", "no address of what is not there");
}
