//! The live block: a pure function of the view and the width.

use std::time::Duration;

use mayfly_proto::v1::{NodeView, Outcome, Phase, Progress, Role, RunView};

use super::names::{is_up, node_word, outcome_word, phase_word};
use super::paint::Paint;
use super::staged;
use super::units::{bar, between_ms, bytes, dollars, dollars_of_cents, secs, share, share_bytes};
use super::wrap::entry;
use crate::cli::plain;

/// Most nodes that get a line each; above that only the groups do.
const NODES_SHOWN: usize = 8;
/// Most notices shown.
const NOTICES_SHOWN: usize = 3;
/// Narrowest width that is drawn for.
const WIDTH_MIN: usize = 20;

/// The view as it would be after so long in which nothing happened.
pub(super) fn since(view: &RunView, passed: Duration) -> RunView {
    let mut view = view.clone();
    let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    view.now_ms = view.now_ms.saturating_add(passed_ms);
    view
}

/// The lines of the block, none wider than `width`.
#[must_use]
pub fn render(view: &RunView, width: usize, paint: Paint) -> Vec<String> {
    let width = width.max(WIDTH_MIN);
    let mut lines = vec![head(view, paint), phases(view, width, paint)];
    for (role, name) in [
        (Role::Master, "master "),
        (Role::Worker, "workers"),
        (Role::Auto, "alike  "),
    ] {
        lines.extend(group(view, role, name));
    }
    let nodes: Vec<&NodeView> = of_attempt(view).collect();
    if nodes.len() <= NODES_SHOWN {
        lines.extend(nodes.iter().map(|n| node(n, paint)));
    }
    if let Some(staged) = staged::all(view).filter(|staged| !staged.whole && view.phase() == Phase::Forming) {
        lines.push(format!("inputs   {}", staged::far(&staged)));
    }
    if view.phase() == Phase::Working {
        lines.extend(view.progress.as_ref().and_then(|p| progress(p, width)));
    }
    if view.phase() == Phase::Collecting {
        lines.extend(collected(view));
    }
    let skipped = view.notices.len().saturating_sub(NOTICES_SHOWN);
    let notices = view.notices.iter().skip(skipped);
    let wrapped = notices.flat_map(|notice| entry("!", 2, notice, width + 2));
    lines.extend(wrapped.map(|line| paint.warn(line.get(2..).unwrap_or_default())));
    lines.iter().map(|line| plain::cut(line, width)).collect()
}

fn of_attempt(view: &RunView) -> impl Iterator<Item = &NodeView> {
    view.nodes.iter().filter(|n| !n.gone || n.lost)
}

fn head(view: &RunView, paint: Paint) -> String {
    let mut line = paint.bold(&plain::line(&view.run_id));
    if view.attempt > 1 {
        line.push_str(&format!("  attempt {}", view.attempt));
    }
    match view.outcome() {
        Outcome::Unspecified => {}
        Outcome::Succeeded => line.push_str(&format!("  {}", paint.good("succeeded"))),
        other @ (Outcome::JobFailed
        | Outcome::InfraFailed
        | Outcome::TimedOut
        | Outcome::OverBudget
        | Outcome::Cancelled) => line.push_str(&format!("  {}", paint.bad(outcome_word(other)))),
    }
    if view.deadline_ms > 0 && view.outcome() == Outcome::Unspecified {
        let most = secs(between_ms(view.now_ms, view.deadline_ms));
        line.push_str(&paint.dim(&match left(view) {
            Some(about) => format!("  about {} left, at most {most}", secs(about)),
            None => format!("  at most {most} left"),
        }));
    }
    if view.cost_micros > 0 {
        let budget = dollars_of_cents(view.budget_cents);
        let (spent, hourly) = (dollars(view.cost_micros), dollars(view.hourly_micros));
        line.push_str(&paint.dim(&format!("  {spent} of {budget}, {hourly} an hour")));
    }
    if !view.reason.is_empty() {
        line.push_str(&format!("  {}", plain::line(&view.reason)));
    }
    line
}

fn usual(view: &RunView, phase: Phase) -> Option<f64> {
    view.usual
        .iter()
        .find(|usual| usual.phase() == phase)
        .map(|usual| usual.secs)
}

/// How long the run will go on, if it is as usual; `None` when nothing is usual yet, or when it is long past that.
fn left(view: &RunView) -> Option<f64> {
    let now = view.phase();
    let since = view.phases.last().map_or(view.now_ms, |span| span.began_ms);
    let this = usual(view, now)? - between_ms(since, view.now_ms);
    let later = view
        .usual
        .iter()
        .filter(|usual| usual.phase > i32::from(now))
        .map(|usual| usual.secs);
    Some(this + later.sum::<f64>()).filter(|left| *left > 0.0)
}

/// On a narrow terminal those of now, and `…` for earlier ones.
fn phases(view: &RunView, width: usize, paint: Paint) -> String {
    let spans: Vec<_> = view
        .phases
        .iter()
        .filter(|s| s.attempt == view.attempt || view.attempt == 0)
        .collect();
    let mut parts = Vec::new();
    for (i, span) in spans.iter().enumerate() {
        let (phase, next) = (span.phase(), spans.get(i + 1));
        let took = secs(between_ms(
            span.began_ms,
            next.map_or(view.now_ms, |n| n.began_ms),
        ));
        let word = phase_word(phase);
        match (phase, next) {
            (Phase::Accepted | Phase::Unspecified, Some(_)) => {}
            (Phase::Closed, _) => parts.push(format!("{} {word}", paint.good("✓"))),
            (_, Some(_)) => parts.push(format!("{} {word} {}", paint.good("✓"), paint.dim(&took))),
            (_, None) => {
                let usual = usual(view, phase).map(|usual| format!(" (usually {})", secs(usual)));
                let usual = paint.dim(&usual.unwrap_or_default());
                parts.push(format!("{} {} {took}{usual}", paint.warn("▸"), paint.bold(word)));
            }
        }
    }
    let all = parts.len();
    let of_last = |count: usize| {
        let cut = if count < all { "…  " } else { "" };
        format!(
            "{cut}{}",
            parts
                .iter()
                .skip(all - count)
                .cloned()
                .collect::<Vec<_>>()
                .join("  ")
        )
    };
    let fits = |line: &String| console::measure_text_width(line) <= width;
    let widest = (1..=all).rev().map(of_last).find(fits);
    widest.unwrap_or_else(|| of_last(all.min(1)))
}

fn group(view: &RunView, role: Role, name: &str) -> Option<String> {
    let nodes: Vec<&NodeView> = of_attempt(view).filter(|n| n.role() == role && !n.lost).collect();
    let wanted = match role {
        Role::Worker => view.workers_wanted as usize,
        Role::Master => 1,
        Role::Auto | Role::Unspecified => nodes.len(),
    };
    if wanted == 0 && nodes.is_empty() {
        return None;
    }
    let up = nodes.iter().filter(|n| is_up(n)).count();
    let cores: u32 = nodes.iter().map(|n| n.cores).sum();
    let memory: u64 = nodes.iter().map(|n| n.memory_bytes).sum();
    let used: f64 = nodes
        .iter()
        .filter_map(|n| n.usage.as_ref())
        .map(|u| u.cpu_cores)
        .sum();
    let held: u64 = nodes
        .iter()
        .filter_map(|n| n.usage.as_ref())
        .map(|u| u.memory_bytes)
        .sum();
    let mut line = format!("{name}  {up}/{wanted} ready");
    if up > 0 {
        let (cpu, mem) = (share(used, f64::from(cores)), share_bytes(held, memory));
        line.push_str(&format!(" · cpu {cpu:>5} · mem {mem:>5}"));
    }
    match nodes.iter().filter(|n| n.spot).count() {
        0 => {}
        all if all == nodes.len() => line.push_str(" · spot"),
        some => line.push_str(&format!(" · {some} spot")),
    }
    Some(line)
}

fn node(node: &NodeView, paint: Paint) -> String {
    let word = node_word(node);
    let padded = format!("{word:<10}");
    let shown = if node.lost || word.starts_with("failed") {
        paint.bad(&padded)
    } else {
        padded
    };
    let mut line = format!("  {:<9} {shown}", plain::line(&node.node_id));
    if let Some(usage) = &node.usage {
        let memory = bytes(usage.memory_bytes);
        line.push_str(&format!(
            "  cpu {:>4.1}/{}  mem {memory:>9}",
            usage.cpu_cores, node.cores
        ));
    }
    let status = staged::status(node);
    if !status.is_empty() && status != word {
        line.push_str(&format!("  {}", paint.dim(&plain::line(&status))));
    }
    line
}

fn progress(progress: &Progress, width: usize) -> Option<String> {
    let Progress {
        jobs_done,
        jobs_total,
        stages_done,
        stages_total,
        tasks_done,
        tasks_total,
        tasks_failed,
        ..
    } = *progress;
    if tasks_total == 0 {
        return None;
    }
    let bar = bar(
        f64::from(tasks_done),
        f64::from(tasks_total),
        (width / 4).clamp(5, 30),
    );
    let mut line = if stages_total > 0 {
        format!("spark    {bar} {tasks_done}/{tasks_total} tasks · {stages_done}/{stages_total} stages")
    } else {
        format!("job      {bar} {tasks_done}/{tasks_total} tasks")
    };
    if tasks_failed > 0 {
        line.push_str(&format!(" · {tasks_failed} failed"));
    }
    if !progress.active_stage.is_empty() {
        line.push_str(&format!(" · {}", plain::line(&progress.active_stage)));
    }
    if jobs_total > 0 {
        line.push_str(&format!(" · {jobs_done}/{jobs_total} jobs"));
    }
    Some(line)
}

fn collected(view: &RunView) -> Option<String> {
    let all = view.nodes.iter().filter_map(|n| n.collected.as_ref());
    let sums = all.fold((0, 0, 0, 0), |(f, ft, b, bt), c| {
        (f + c.files, ft + c.files_total, b + c.bytes, bt + c.bytes_total)
    });
    let (files, files_total, done, total) = sums;
    (files_total > 0).then(|| {
        format!(
            "results  {files}/{files_total} files · {} of {}",
            bytes(done),
            bytes(total)
        )
    })
}

#[cfg(test)]
mod tests {
    use mayfly_proto::v1::PhaseUsual;

    use super::super::{changes, json, samples};
    use super::*;

    #[test]
    fn the_block_at_several_widths() {
        for (name, view) in samples::views() {
            for width in [40, 80, 200] {
                let lines = render(&view, width, Paint { on: false });
                assert!(
                    lines.iter().all(|l| console::measure_text_width(l) <= width),
                    "{name} at {width}: {lines:#?}"
                );
                insta::assert_snapshot!(format!("{name}_{width}"), lines.join("\n"));
            }
        }
    }

    #[test]
    fn what_is_usual_and_what_may_be_taken_back_is_shown() {
        let (_, mut view) = samples::views().swap_remove(1);
        let usual = |phase: Phase, secs| PhaseUsual {
            phase: phase.into(),
            secs,
        };
        view.usual = vec![
            usual(Phase::Forming, 4.4),
            usual(Phase::Working, 17.6),
            usual(Phase::Collecting, 1.3),
            usual(Phase::Releasing, 0.8),
        ];
        view.nodes[2].spot = true;
        let text = render(&view, 200, Paint { on: false }).join("\n");
        for part in [
            "about 7.4 s left, at most 59 m 43 s",
            "▸ working 12.3 s (usually 17.6 s)",
            "mem  61 % · 1 spot",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        view.now_ms += 60_000;
        let text = render(&view, 200, Paint { on: false }).join("\n");
        assert!(!text.contains("about"), "long past what is usual: {text}");
    }

    #[test]
    fn a_view_of_nothing_is_drawn_too() {
        assert_eq!(render(&RunView::default(), 0, Paint { on: false }).len(), 3);
    }

    /// Whoever answers may be wrong about the time.
    #[test]
    fn times_that_are_none_are_drawn_too() {
        let ends = [i64::MIN, -1, 0, i64::MAX];
        for (now_ms, other) in ends.into_iter().flat_map(|now| ends.map(|other| (now, other))) {
            for (_, mut view) in samples::views() {
                (view.now_ms, view.deadline_ms) = (now_ms, other);
                for span in &mut view.phases {
                    span.began_ms = other;
                }
                let later = since(&view, Duration::MAX);
                for view in [view, later] {
                    let lines = render(&view, 80, Paint { on: false });
                    let fits = |line: &String| console::measure_text_width(line) <= 80;
                    assert!(lines.iter().all(fits), "{lines:#?}");
                    assert!(!changes::lines(None, &view).is_empty());
                    let _shown = json::view(&view);
                }
            }
        }
    }

    #[test]
    fn a_large_fleet_is_drawn_by_group_only() {
        let (_, mut view) = samples::views().swap_remove(1);
        let worker = view.nodes.last().cloned().unwrap();
        view.nodes.extend(std::iter::repeat_n(worker, 500));
        assert!(render(&view, 80, Paint { on: false }).len() < 8);
    }
}
