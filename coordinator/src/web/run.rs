//! The page of a run.

use maud::{Markup, html};
use serde_json::Value;

use super::list::time;
use super::logs::Line;
use super::parts;
use super::results;
use super::samples::Samples;
use super::shown::Shown;
use super::{frame, receipt, yaml};
use crate::cli::plain;
use crate::cli::view::units;
use crate::record::RunRecord;
use mayfly_kit::records::Commit;

/// Lines shown at first, and by the script at most.
pub(super) const LINES_FIRST: usize = 300;
/// Files of the results on this page.
const FILES_SHOWN: usize = 12;

/// All that the page is made of.
pub(super) struct Whole<'a> {
    pub(super) shown: &'a Shown,
    pub(super) record: &'a RunRecord,
    pub(super) receipt: Option<&'a Value>,
    pub(super) commit: Option<&'a Commit>,
    pub(super) samples: &'a Samples,
    pub(super) lines: &'a [Line],
    /// Number of the next line, for whoever follows.
    pub(super) next_line: u64,
    /// Whether a History Server can be started for it here.
    pub(super) history: bool,
    pub(super) form_key: &'a str,
}

/// The page.
pub(super) fn page(whole: &Whole<'_>) -> Markup {
    let Whole { shown, record, .. } = whole;
    let parts = parts::all(shown, whole.samples);
    let [state, timeline, cause, progress, cost, fleet] = &parts;
    let body = html! {
        div #run data-run=(shown.run) data-live=[shown.live.then_some("yes")] data-next=(whole.next_line) {
            div.head.run-head {
                h1 { (plain::line(&shown.job)) span.id { (shown.run.strip_prefix(&shown.job).unwrap_or(&shown.run)) } }
                (place(state, "state", "facts-line"))
            }
            p.from {
                "started " (time(record.created.as_millisecond())) " by " (plain::line(&record.owner))
                " on " (if record.cloud == "local" { "this machine" } else { &record.cloud })
                ", commit " code title=(record.commit) { (record.commit.chars().take(10).collect::<String>()) }
            }
            @if shown.live { (actions(whole)) }
            (place(timeline, "timeline", "line"))
            @match whole.receipt.and_then(receipt::cause) { Some(cause) => { (cause) }, None => { (place(cause, "cause", "")) } }
            div.columns {
                div.left { (log(whole)) (of_results(whole)) }
                div.right {
                    (links(whole))
                    (place(progress, "progress", ""))
                    (place(cost, "cost", ""))
                    (place(fleet, "fleet", ""))
                }
            }
            @if let Some(receipt) = whole.receipt { (receipt::section(receipt)) }
            details.card.job { summary { "The job" } pre.lines tabindex="0" { (job(record)) } }
        }
    };
    frame::page(&format!("{} · {}", shown.state.word, shown.run), &body)
}

/// Where a part that changes is.
fn place((_, part): &parts::Part, name: &str, class: &str) -> Markup {
    html! { div class=(class) data-part=(name) { (part) } }
}

fn actions(whole: &Whole<'_>) -> Markup {
    let run = &whole.shown.run;
    html! {
        div.actions {
            details.action {
                summary.button.danger { "Cancel…" }
                form.card method="post" action={ "/runs/" (run) "/cancel" } {
                    input type="hidden" name="key" value=(whole.form_key);
                    p { "The job is stopped, what it wrote is saved, and every machine is given back." }
                    button.button.danger type="submit" name="level" value="graceful" { "Cancel this run" }
                    " "
                    button.button type="submit" name="level" value="fast" { "At once, logs only" }
                }
            }
            details.action {
                summary.button { "Extend…" }
                form.card method="post" action={ "/runs/" (run) "/extend" } {
                    input type="hidden" name="key" value=(whole.form_key);
                    p { "It ends in " (units::secs(whole.shown.left_secs)) " at the latest." }
                    label for="by" { "Later by" }
                    " "
                    select #by name="minutes" {
                        @for (minutes, label) in [(15, "15 minutes"), (30, "30 minutes"), (60, "1 hour"), (240, "4 hours"), (1440, "1 day")] {
                            option value=(minutes) selected[minutes == 60] { (label) }
                        }
                    }
                    " "
                    button.button.main type="submit" { "Extend" }
                }
            }
        }
    }
}

fn links(whole: &Whole<'_>) -> Markup {
    let run = &whole.shown.run;
    html! {
        div.links {
            @if whole.shown.live {
                a.button.main #engine-link href={ "/runs/" (run) "/spark/" } hidden[!whole.shown.engine_ui] { (plain::line(whole.record.job.engine.name())) " UI" }
            }
            @if whole.history {
                form method="post" action={ "/runs/" (run) "/history" } {
                    input type="hidden" name="key" value=(whole.form_key);
                    button.button.main type="submit" { "Spark’s history" }
                }
            }
        }
    }
}

fn log(whole: &Whole<'_>) -> Markup {
    let run = &whole.shown.run;
    html! {
        section.card.log aria-label="output" {
            div.bar {
                h2 { "Output" }
                @if whole.shown.live { span.live-dot title="as it comes" { "live" } }
                input #log-search type="search" placeholder="Show lines with… ( / )" aria-label="Show lines with";
                // Of one node there is nothing to choose: the script shows it once there are two.
                select #log-node aria-label="of which node" hidden { option value="" { "all nodes" } }
                label.follow { input #log-follow type="checkbox" checked; " follow" }
                a.button href={ "/runs/" (run) "/log" } { "Whole log" }
            }
            pre.lines.output #log tabindex="0" role="log" aria-live="off" aria-label="lines of output" {
                @for line in whole.lines { span.l data-node=(line.node) { (line.text) "\n" } }
            }
            noscript { @if whole.shown.live { p.note { "Load the page again to see more." } } }
        }
    }
}

fn of_results(whole: &Whole<'_>) -> Markup {
    let Some(commit) = whole.commit else {
        return html! {};
    };
    let run = &whole.shown.run;
    html! {
        section.card {
            div.bar {
                h2 { "Results" }
                span.note { (units::count(commit.total_files, "file")) ", " (units::bytes(commit.total_bytes)) }
                @if commit.total_files > 0 { a.button href={ "/runs/" (run) "/results" } { "All" } }
            }
            (results::table(run, commit.files.iter().take(FILES_SHOWN)))
            @let images: Vec<_> = commit.files.iter().filter(|file| results::is_image(&file.path) && file.size <= results::IMAGE_MAX).take(4).collect();
            @if !images.is_empty() {
                div.images {
                    @for image in images {
                        a href=(results::view_path(run, &image.path)) {
                            img loading="lazy" src=(results::raw_path(run, &image.path)) alt=(image.path);
                        }
                    }
                }
            }
        }
    }
}

/// The job as a file has it; what came from the launcher's environment is not in the record.
fn job(record: &RunRecord) -> String {
    let mut job = serde_json::to_value(&record.job).unwrap_or_default();
    if let Value::Object(block) = &mut job {
        block.remove("name");
        block.retain(|_, value| !value.is_null());
        if let Some(env) = block.get("env").and_then(|env| env.get("values")).cloned() {
            block.insert("env".into(), env);
        }
    }
    plain::lines(&yaml::of(&serde_json::json!({ record.job.name.as_str(): job })))
}
