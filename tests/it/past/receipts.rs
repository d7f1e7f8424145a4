//! What receipts say together, and of runs that Spark had no part in.

use mayfly_tests::Home;

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

#[test]
fn a_run_without_an_event_log_has_no_history() {
    let home = Home::light();
    let run = ended(&home, "silent");
    let asked = home.verb(&["history", run.id.as_str(), "--json"]);
    asked.exited(3).said("event log");
    assert_eq!(asked.stdout, "", "no address of what is not there");
}
