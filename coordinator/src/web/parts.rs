//! The parts of a run's page that change while it goes on. Each is shown in an element of its own, which the script
//! replaces.

use maud::{Markup, html};

use super::charts;
use super::list::pill;
use super::samples::{Point, Samples};
use super::shown::{Cost, NodeShown, Shown};
use crate::cli::plain;
use crate::cli::view::units;

/// Nodes listed one by one.
const NODES_SHOWN: usize = 40;

/// A part and its name.
pub(super) type Part = (&'static str, Markup);

/// All of them.
pub(super) fn all(shown: &Shown, samples: &Samples) -> [Part; 6] {
    [
        ("state", state(shown)),
        ("timeline", timeline(shown)),
        ("cause", cause(shown)),
        ("progress", progress(shown)),
        ("cost", cost(shown)),
        ("fleet", fleet(shown, samples)),
    ]
}

fn state(shown: &Shown) -> Markup {
    html! {
        (pill(shown.state))
        span.fact { b { (units::secs(shown.total_secs)) } " in all" }
        @if shown.attempt > 1 { span.fact { "attempt " b { (shown.attempt) } } }
        @if !shown.closed && shown.left_secs > 0.0 { span.fact { "ends in " b { (units::secs(shown.left_secs)) } " at the latest" } }
    }
}

fn timeline(shown: &Shown) -> Markup {
    charts::timeline(&shown.bars, mark)
}

/// A round time, on an axis.
fn mark(secs: f64) -> String {
    match secs {
        0.0..60.0 => format!("{secs} s"),
        60.0..3600.0 => format!("{} min", secs / 60.0),
        _ => format!("{} h", secs / 3600.0),
    }
}

/// Why a run ended as it did, and what is being retried.
fn cause(shown: &Shown) -> Markup {
    html! {
        @for notice in &shown.notices { p.notice { (plain::line(notice)) } }
        @if !shown.reason.is_empty() {
            div.cause {
                h2 { "Why" }
                p.plain { (plain::lines(&shown.reason)) }
                @if let Some(code) = shown.exit_code.filter(|&code| code != 0 && !shown.reason.contains("exit code")) {
                    p { "Its exit code is " code { (code) } "." }
                }
                @if !shown.last_lines.is_empty() {
                    pre.lines tabindex="0" aria-label="last lines of its output" {
                        @for line in &shown.last_lines { (plain::line(line)) "\n" }
                    }
                }
            }
        }
    }
}

fn progress(shown: &Shown) -> Markup {
    let Some(progress) = &shown.progress else {
        return html! {};
    };
    let (done, total) = (f64::from(progress.tasks_done), f64::from(progress.tasks_total));
    // Other engines count tasks alone.
    let has_stages = progress.stages_total > 0;
    html! {
        section.card {
            h2 { @if has_stages { "Spark" } @else { "Progress" } }
            (charts::meter(done, total, "tasks", &format!("{} of {} tasks", progress.tasks_done, progress.tasks_total)))
            dl.facts {
                @if has_stages {
                    div { dt { "jobs" } dd { (progress.jobs_done) " of " (progress.jobs_total) } }
                    div { dt { "stages" } dd { (progress.stages_done) " of " (progress.stages_total) } }
                }
                div { dt { "tasks" } dd { b #tasks-done { (progress.tasks_done) } " of " (progress.tasks_total) } }
                @if progress.tasks_failed > 0 { div.bad { dt { "failed" } dd { (progress.tasks_failed) } } }
            }
            @if !progress.active_stage.is_empty() { p.stage title=(progress.active_stage) { (plain::line(&progress.active_stage)) } }
        }
    }
}

fn cost(shown: &Shown) -> Markup {
    let Cost {
        paid,
        micros,
        hourly_micros,
        cap_cents,
    } = shown.cost;
    if !paid {
        return html! {};
    }
    let cap = cap_cents.saturating_mul(10_000);
    html! {
        section.card {
            h2 { "Cost" }
            p.big { (units::dollars(micros)) }
            (charts::meter(share(micros), share(cap), "cost", &format!("{} of {}", units::dollars(micros), units::dollars(cap))))
            dl.facts {
                div { dt { "cap" } dd { (units::dollars(cap)) } }
                @if hourly_micros > 0 { div { dt { "per hour now" } dd { (units::dollars(hourly_micros)) } } }
            }
            p.note { "Without disks and transfer." }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn share(micros: u64) -> f64 {
    micros as f64
}

fn fleet(shown: &Shown, samples: &Samples) -> Markup {
    let (masters, workers): (Vec<_>, Vec<_>) = shown.nodes.iter().partition(|node| node.master);
    let hidden = workers.len().saturating_sub(NODES_SHOWN);
    html! {
        section.card {
            h2 { "Nodes" }
            @if shown.nodes.is_empty() { p.note { "None yet." } }
            @if workers.len() > 1 { (group(shown, &workers)) }
            @for node in masters.iter().chain(workers.iter().take(NODES_SHOWN)) { (one(node, samples, shown.closed)) }
            @if hidden > 0 { p.note { "and " (units::count(hidden as u64, "worker")) " more" } }
        }
    }
}

/// The workers as one.
fn group(shown: &Shown, workers: &[&NodeShown]) -> Markup {
    let there: Vec<_> = workers
        .iter()
        .filter(|node| shown.closed || (!node.gone && !node.lost))
        .collect();
    let ready = there
        .iter()
        .filter(|node| matches!(node.phase, "ready" | "working"))
        .count();
    let cores: f64 = there.iter().map(|node| f64::from(node.cores)).sum();
    let used: f64 = there.iter().filter_map(|node| node.cpu).sum();
    let memory: u64 = there.iter().map(|node| node.memory_bytes).sum();
    let held: u64 = there.iter().filter_map(|node| node.memory_used).sum();
    html! {
        p.group {
            b { "workers" } " "
            @if shown.closed { (workers.len()) } @else { (ready) "/" (shown.workers.0) " ready" }
            " · cpu " (units::share(used, cores)) " · memory " (units::share_bytes(held, memory))
        }
    }
}

fn one(node: &NodeShown, samples: &Samples, over: bool) -> Markup {
    let points = samples.of(&node.id);
    let (cores, memory) = (f64::from(node.cores), mib(node.memory_bytes));
    let cpu_share = node.cpu.map(|used| units::share(used, cores));
    let memory_share = node
        .memory_used
        .map(|used| units::share_bytes(used, node.memory_bytes));
    let class = if node.lost {
        "node lost"
    } else if node.gone && !over {
        "node gone"
    } else {
        "node"
    };
    let (of_cpu, of_memory) = if over {
        ("on average", "at most")
    } else {
        ("now", "now")
    };
    html! {
        div class=(class) {
            div.who {
                b { (node.id) }
                span.phase { @if node.lost { "lost" } @else if node.gone && !over { "gone" } @else { (node.phase) } }
                span.size { (units::count(u64::from(node.cores), "core")) ", " (units::bytes(node.memory_bytes)) @if !node.kind.is_empty() { ", " (plain::line(&node.kind)) } }
                @if node.cost_micros > 0 { span.size { (units::dollars(node.cost_micros)) } }
            }
            @if !over && !node.gone && !node.status.is_empty() && node.status != node.phase { p.status { (plain::line(&node.status)) } }
            div.use {
                (gauge("cpu", cpu_share, of_cpu, &line(points, |point| point.cpu), cores))
                (gauge("memory", memory_share, of_memory, &line(points, |point| point.memory), memory))
            }
        }
    }
}

fn gauge(kind: &str, share: Option<String>, when: &str, points: &[(f64, f64)], top: f64) -> Markup {
    let share = share.unwrap_or_else(|| "–".to_owned());
    let title = format!("{kind} over time, {share} {when}");
    html! {
        div.gauge {
            span.what { (kind) }
            (charts::spark(points, top, kind, &title))
            span.now title=(when) { (share) }
        }
    }
}

fn line(points: &[Point], value: impl Fn(&Point) -> f32) -> Vec<(f64, f64)> {
    points
        .iter()
        .map(|point| (f64::from(point.at), f64::from(value(point))))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "the height of a chart")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::samples;

    #[test]
    fn each_state_of_a_run_shows_what_belongs_to_it() {
        let forming = [
            "forming",
            "worker-2",
            "pandas==2.2.3; inputs: 3/10 files · 1.2 GiB of 4.7 GiB",
        ];
        let working = ["working", "12 of 40 tasks", "worker-3 was lost and is replaced"];
        let failed = ["job failed", "ValueError: no such column\\u{7}", "node lost"];
        let cancelled = ["cancelled", "cancelled by the user", "releasing"];
        let wanted = [forming, working, failed, cancelled];
        for ((name, view), wanted) in samples::views().into_iter().zip(wanted) {
            let shown = Shown::live(&view, view.now_ms);
            let parts = all(&shown, &Samples::default());
            let page: String = parts.into_iter().map(|(_, part)| part.into_string()).collect();
            for part in wanted {
                assert!(page.contains(part), "{name}: {part:?} is not in {page}");
            }
            assert!(!page.contains(['\u{1b}', '\u{7}']), "{name}: {page}");
        }
    }
}
