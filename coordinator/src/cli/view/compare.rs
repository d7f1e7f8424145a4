//! Two receipts beside each other.

use std::collections::BTreeMap;

use super::paint::Paint;
use super::receipt::outcome_word;
use super::table::{self, Side};
use super::units::{bytes, dollars, secs, share};
use crate::record::{Account, PhaseName, Receipt, Summary};

/// The table's lines: a row for each figure that one of the two has.
#[must_use]
pub(crate) fn lines(a: &Receipt, b: &Receipt, paint: Paint) -> Vec<String> {
    let head = ["", a.run.as_str(), b.run.as_str(), "change"];
    let mut rows = vec![words(
        "outcome",
        outcome_word(a.ended.outcome),
        outcome_word(b.ended.outcome),
    )];
    let commit = |r: &Receipt| r.commit.chars().take(10).collect::<String>();
    rows.push(words("commit", &commit(a), &commit(b)));
    let nodes = |r: &Receipt| r.nodes.len().to_string();
    rows.push(words("machines", &nodes(a), &nodes(b)));
    rows.push(figure("run", Some(a.total_secs), Some(b.total_secs), secs, paint));
    let (times, others) = (phases(a), phases(b));
    for phase in [
        PhaseName::Forming,
        PhaseName::Working,
        PhaseName::Collecting,
        PhaseName::Releasing,
    ] {
        let of = |times: &BTreeMap<PhaseName, f64>| times.get(&phase).copied();
        rows.push(figure(phase.word(), of(&times), of(&others), secs, paint));
    }
    let cost = |r: &Receipt| (r.cost_micros > 0).then(|| count(r.cost_micros));
    rows.push(figure("cost", cost(a), cost(b), |n| dollars(whole(n)), paint));
    let account = |of: fn(&Account) -> f64| move |r: &Receipt| r.account.as_ref().map(of);
    let both = |of: &dyn Fn(&Receipt) -> Option<f64>| (of(a), of(b));
    for (name, of) in [
        ("node time", account(|a| a.node_secs)),
        (
            "before the first task",
            account(|a| a.waste.before_work.node_secs),
        ),
        ("idle at the end", account(|a| a.waste.idle_tail.node_secs)),
        ("failed attempts", account(|a| a.waste.failed_attempts.node_secs)),
    ] {
        let (left, right) = both(&of);
        rows.push(figure(name, left, right, secs, paint));
    }
    let spark = |of: fn(&Summary) -> f64| move |r: &Receipt| r.account.as_ref()?.spark.as_ref().map(of);
    for (name, of) in [
        ("task time", spark(|s| s.task_secs)),
        ("garbage collection", spark(|s| s.gc_secs)),
    ] {
        let (left, right) = both(&of);
        rows.push(figure(name, left, right, secs, paint));
    }
    let (left, right) = both(&|r: &Receipt| r.account.as_ref()?.spark.as_ref()?.busy());
    rows.push(figure(
        "executors busy",
        left,
        right,
        |part| share(part, 1.0),
        paint,
    ));
    for (name, of) in [
        ("read", spark(|s| count(s.input_bytes))),
        ("shuffled", spark(|s| count(s.shuffle_write_bytes))),
        ("spilled", spark(|s| count(s.spilled_bytes))),
    ] {
        let (left, right) = both(&of);
        rows.push(figure(name, left, right, |n| bytes(whole(n)), paint));
    }
    rows.retain(|row| row.iter().skip(1).take(2).any(|cell| cell != "-"));
    let sides = std::iter::once(Side::Left).chain(std::iter::repeat(Side::Right));
    table::render(&head, &rows, sides, paint)
}

fn phases(receipt: &Receipt) -> BTreeMap<PhaseName, f64> {
    let mut times = BTreeMap::new();
    for time in &receipt.phases {
        *times.entry(time.phase).or_default() += time.secs;
    }
    times
}

fn words(name: &str, a: &str, b: &str) -> Vec<String> {
    vec![name.to_owned(), a.to_owned(), b.to_owned(), String::new()]
}

fn figure(name: &str, a: Option<f64>, b: Option<f64>, show: fn(f64) -> String, paint: Paint) -> Vec<String> {
    let known = |value: Option<f64>| value.filter(|v| *v > 0.0).map_or_else(|| "-".to_owned(), show);
    let change = a
        .zip(b)
        .filter(|(a, _)| *a > 0.0)
        .map(|(a, b)| (b / a - 1.0) * 100.0);
    let change = match change {
        Some(by) if by <= -1.0 => paint.good(&format!("{by:.0} %")),
        Some(by) if by >= 1.0 => paint.warn(&format!("+{by:.0} %")),
        Some(_) => "0 %".to_owned(),
        None => String::new(),
    };
    vec![name.to_owned(), known(a), known(b), change]
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn count(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "comes of a whole number"
)]
fn whole(n: f64) -> u64 {
    n as u64
}
