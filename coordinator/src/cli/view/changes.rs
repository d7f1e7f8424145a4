//! Plain lines for what changed between two views: for a log file, a CI job, a terminal that cannot move its cursor.

use mayfly_proto::v1::{NodeView, Outcome, Role, RunView};

use super::names::{is_up, node_word, phase_word};
use super::staged;
use super::units::{between_ms, bytes, count};
use crate::cli::plain;

/// One line for each thing that is new in `now`; times are from the beginning of the run.
#[must_use]
pub fn lines(before: Option<&RunView>, now: &RunView) -> Vec<String> {
    let mut what = Vec::new();
    let none = RunView::default();
    let before = before.unwrap_or(&none);
    if before.phase() != now.phase() || before.attempt != now.attempt {
        what.push(if now.attempt > 1 {
            format!("(attempt {})", now.attempt)
        } else {
            String::new()
        });
    }
    what.extend(now.nodes.iter().filter_map(|node| node_line(before, now, node)));
    what.extend(inputs_line(before, now));
    let noticed = known(&before.notices, &now.notices);
    what.extend(now.notices.iter().skip(noticed).map(|n| plain::line(n)));
    what.extend(progress_line(before, now));
    if before.outcome() == Outcome::Unspecified && !now.reason.is_empty() {
        what.push(plain::line(&now.reason));
    }
    let began = now.phases.first().map_or(now.now_ms, |s| s.began_ms);
    let at = format!("{:.1}s", between_ms(began, now.now_ms));
    let phase = phase_word(now.phase());
    what.into_iter()
        .map(|line| format!("{at:>8} {phase:<10} {line}").trim_end().to_owned())
        .collect()
}

/// How many of the notices of now were there before. The oldest ones are forgotten when there are many, and the last one may
/// be another one now.
fn known(before: &[String], now: &[String]) -> usize {
    let same = before.iter().zip(now).take_while(|(old, new)| old == new).count();
    if same + 1 >= before.len() {
        return same;
    }
    let overlaps = |count: &usize| now.get(..*count).is_some_and(|first| before.ends_with(first));
    (0..before.len()).rev().find(overlaps).unwrap_or(0)
}

fn node_line(before: &RunView, now: &RunView, node: &NodeView) -> Option<String> {
    let earlier = before.nodes.iter().find(|n| n.node_id == node.node_id);
    let word = node_word(node);
    if earlier.is_some_and(|e| node_word(e) == word) {
        return None;
    }
    let up = now
        .nodes
        .iter()
        .filter(|n| n.role() == node.role() && is_up(n))
        .count();
    let of = if node.role() == Role::Worker {
        now.workers_wanted
    } else {
        1
    };
    let name = plain::line(&node.node_id);
    Some(match word {
        "ready" => format!("{name} ready ({up}/{of})"),
        "failed" | "lost" => format!("{name} {word}: {}", plain::line(&node.status)),
        _ => format!("{name} {word}"),
    })
}

/// At each quarter of what all nodes are to have, and when all is there.
fn inputs_line(before: &RunView, now: &RunView) -> Option<String> {
    let new = staged::all(now)?;
    let old = staged::all(before).unwrap_or_default();
    let more = !new.whole && staged::quarters(&new) > staged::quarters(&old);
    if new.whole && !old.whole {
        let (files, size) = (count(new.files, "file"), bytes(new.bytes));
        return Some(format!("inputs are there: {files}, {size}"));
    }
    more.then(|| format!("inputs {}", staged::far(&new)))
}

fn progress_line(before: &RunView, now: &RunView) -> Option<String> {
    let (old, new) = (before.progress.as_ref(), now.progress.as_ref()?);
    let changed = old.is_none_or(|old| old.stages_done != new.stages_done);
    (changed && new.stages_total > 0).then(|| {
        format!(
            "spark {}/{} stages, {} tasks done",
            new.stages_done, new.stages_total, new.tasks_done
        )
    })
}

#[cfg(test)]
mod tests {
    use mayfly_proto::v1::Staged;

    use super::super::samples;
    use super::*;

    #[test]
    fn a_notice_is_new_also_when_older_ones_are_forgotten_or_the_last_one_is_another() {
        let of = |text: &str| -> Vec<String> { text.chars().map(String::from).collect() };
        for (before, now, new) in [
            ("", "ab", "ab"),
            ("ab", "ab", ""),
            ("ab", "abc", "c"),
            ("abc", "bcd", "d"),
            ("abc", "cde", "de"),
            ("ab", "ac", "c"),
            ("ab", "a", ""),
        ] {
            let now = of(now);
            let told = now.get(known(&of(before), &now)..).unwrap();
            assert_eq!(told, of(new), "after {before}");
        }
    }

    #[test]
    fn inputs_are_told_at_each_quarter_and_at_their_end() {
        let at = |bytes: u64| {
            let (_, mut view) = samples::views().swap_remove(0);
            view.nodes[2].staged = Some(Staged {
                files: bytes / 10,
                bytes,
                files_total: 10,
                bytes_total: 100,
                whole: bytes == 100,
            });
            view
        };
        let told = |before: u64, now: u64| lines(Some(&at(before)), &at(now)).join("\n");
        for (before, now, part) in [
            (0, 24, ""),
            (24, 25, "inputs 2/10 files · 25 B of 100 B (25 %)"),
            (25, 49, ""),
            (49, 80, "inputs 8/10 files"),
            (80, 100, "inputs are there: 10 files, 100 B"),
            (100, 100, ""),
        ] {
            let told = told(before, now);
            assert!(
                told.contains(part) && told.is_empty() == part.is_empty(),
                "{told}"
            );
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let views: Vec<RunView> = samples::views().into_iter().map(|(_, v)| v).collect();
        let mut told = Vec::new();
        let mut before: Option<&RunView> = None;
        for view in &views {
            told.extend(lines(before, view));
            assert!(lines(Some(view), view).is_empty(), "told again");
            before = Some(view);
        }
        insta::assert_snapshot!(told.join("\n"));
    }
}
