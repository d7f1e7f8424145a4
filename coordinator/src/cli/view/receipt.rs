//! The receipt for people: a pure function of the record and the width.

use std::collections::BTreeMap;

use crate::cli::plain;
use crate::record::{NodeUse, Outcome, PhaseName, Receipt, StepTime};

use super::paint::Paint;
use super::units::{bar, bytes, count, dollars, secs, share, share_bytes};
use super::{account, why};

/// Widest that the receipt gets, in characters.
const WIDTH_MAX: usize = 100;
/// Most nodes listed; a large fleet is summed up.
const NODES_SHOWN: usize = 16;
/// Of the column with the names of nodes: those of EC2 are longer.
const NAME_WIDTH: usize = 10;

/// The receipt's lines; tables are no wider than `width`.
#[must_use]
pub(crate) fn render(receipt: &Receipt, width: usize, paint: Paint) -> Vec<String> {
    let width = width.clamp(20, WIDTH_MAX);
    let cut = |lines: Vec<String>| {
        lines
            .into_iter()
            .map(|line| plain::cut(&line, width))
            .collect::<Vec<_>>()
    };
    // The cause is for reading and places are for copying: they are left whole and may wrap.
    let mut lines = cut(vec![head(receipt, paint)]);
    lines.extend(failure(receipt, paint));
    lines.push(String::new());
    lines.extend(cut(times(receipt, width, paint)));
    lines.push(String::new());
    if !receipt.steps.is_empty() {
        lines.extend(cut(steps(receipt, paint)));
        lines.push(String::new());
    }
    if !receipt.nodes.is_empty() {
        lines.extend(cut(nodes(receipt, paint)));
        lines.push(String::new());
    }
    if let Some(account) = &receipt.account {
        lines.extend(cut(account::groups(account, paint)));
        lines.push(String::new());
        lines.extend(account::lines(account, width, paint));
    }
    lines.extend(cost(receipt));
    lines.extend(places(receipt));
    lines.extend(proof(receipt, paint));
    if let Some(why) = &receipt.why {
        lines.push(String::new());
        lines.extend(why::brief(why, width, paint));
    }
    lines
}

/// The word for an outcome.
#[must_use]
pub(crate) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::JobFailed => "job-failed",
        Outcome::InfraFailed => "infra-failed",
        Outcome::TimedOut => "timed-out",
        Outcome::OverBudget => "over-budget",
        Outcome::Cancelled => "cancelled",
    }
}

fn head(receipt: &Receipt, paint: Paint) -> String {
    let word = outcome_word(receipt.ended.outcome);
    let word = match receipt.ended.outcome {
        Outcome::Succeeded => paint.good(&format!("✓ {word}")),
        Outcome::Cancelled => paint.warn(&format!("■ {word}")),
        Outcome::JobFailed | Outcome::InfraFailed | Outcome::TimedOut | Outcome::OverBudget => {
            paint.bad(&format!("✗ {word}"))
        }
    };
    let commit: String = receipt.commit.chars().take(10).collect();
    let attempts = if receipt.attempts > 1 {
        format!(", {} attempts", receipt.attempts)
    } else {
        String::new()
    };
    let run = paint.bold(receipt.run.as_str());
    format!(
        "{word}  {run} in {}  (commit {commit}{attempts})",
        secs(receipt.total_secs)
    )
}

/// The cause in one sentence and the last lines of output.
fn failure(receipt: &Receipt, paint: Paint) -> Vec<String> {
    let ended = &receipt.ended;
    if ended.outcome == Outcome::Succeeded {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let told = ended.reason.contains("exit code");
    let code = ended
        .exit_code
        .filter(|_| !told)
        .map(|c| format!(" (exit code {c})"))
        .unwrap_or_default();
    if !ended.reason.is_empty() || !code.is_empty() {
        lines.push(format!("  {}{}", plain::line(&ended.reason), paint.dim(&code)));
    }
    if !ended.last_lines.is_empty() {
        lines.push(paint.dim("  last lines of its output:"));
        // Of Java's stack nobody reads a frame here: what was thrown is what counts.
        let frame = |l: &&String| l.starts_with("\tat ") || l.starts_with("\t... ");
        let told = ended.last_lines.iter().filter(|l| !frame(l));
        lines.extend(told.map(|l| format!("  {} {}", paint.dim("│"), plain::line(l))));
    }
    lines
}

fn times(receipt: &Receipt, width: usize, paint: Paint) -> Vec<String> {
    let longest = receipt.phases.iter().map(|p| p.secs).fold(0.0, f64::max);
    let room = width.saturating_sub(36).clamp(4, 40);
    let shown = receipt
        .phases
        .iter()
        .filter(|p| !matches!(p.phase, PhaseName::Closed));
    let several = receipt.attempts > 1;
    let line = |p: &crate::record::PhaseTime| {
        let attempt = if several {
            format!(" #{}", p.attempt)
        } else {
            String::new()
        };
        let name = format!("{}{attempt}", p.phase.word());
        let filled = bar(p.secs, longest, room).replace('░', "");
        format!("  {name:<14} {:>10}  {}", secs(p.secs), paint.good(&filled))
            .trim_end()
            .to_owned()
    };
    shown.map(line).collect()
}

fn steps(receipt: &Receipt, paint: Paint) -> Vec<String> {
    let line = |step: &StepTime| {
        let mark = match step.exit_code {
            Some(0) => paint.good("✓"),
            Some(code) => paint.bad(&format!("✗ exit code {code}")),
            None => paint.bad("✗ ended by a signal"),
        };
        format!(
            "  {:<14} {:>10}  {mark}",
            plain::line(&step.step),
            secs(step.secs)
        )
    };
    let title = paint.dim("  step");
    std::iter::once(title)
        .chain(receipt.steps.iter().map(line))
        .collect()
}

fn nodes(receipt: &Receipt, paint: Paint) -> Vec<String> {
    let shown = receipt.nodes.iter().take(NODES_SHOWN);
    let widest = shown.clone().map(|node| node.node.as_str().len()).max();
    let width = widest.unwrap_or(0).max(NAME_WIDTH);
    let title = format!(
        "  {:<width$} {:>6} {:>16} {:>7} {:>11} {:>7}",
        "node", "cores", "cpu core-secs", "used", "peak mem", "used"
    );
    let mut lines = vec![paint.dim(&title)];
    lines.extend(shown.map(|n| node(n, width, paint)));
    let hidden = receipt.nodes.len().saturating_sub(NODES_SHOWN);
    if hidden > 0 {
        lines.push(paint.dim(&format!(
            "  and {hidden} more, listed by `coordinator receipt {} --json`",
            receipt.run
        )));
    }
    if receipt.nodes.iter().any(|node| node.cpu_core_secs.is_none()) {
        lines.push(paint.dim("  -: not known, no report of it is left"));
    }
    lines
}

fn node(node: &NodeUse, width: usize, paint: Paint) -> String {
    let offered = node.secs.map(|secs| f64::from(node.cores) * secs);
    let (cpu, memory) = (node.cpu_core_secs, node.peak_memory_bytes);
    let lost = if node.lost {
        format!("  {}", paint.bad("lost"))
    } else {
        String::new()
    };
    format!(
        "  {:<width$} {:>6} {:>16} {:>7} {:>11} {:>7}{lost}",
        node.node.as_str(),
        node.cores,
        known(cpu.map(|secs| format!("{secs:.1}"))),
        known(cpu.zip(offered).map(|(part, whole)| share(part, whole))),
        known(memory.map(bytes)),
        known(memory.map(|peak| share_bytes(peak, node.memory_bytes))),
    )
}

fn known(shown: Option<String>) -> String {
    shown.unwrap_or_else(|| "-".to_owned())
}

fn places(receipt: &Receipt) -> Vec<String> {
    let run = &receipt.run;
    let mut lines = Vec::new();
    if receipt.results_files > 0 {
        let files = count(receipt.results_files, "file");
        lines.push(format!("  results  {files}, {}", bytes(receipt.results_bytes)));
        if let Some(folder) = &receipt.results_folder {
            lines.push(format!(
                "           {}",
                plain::line(&folder.display().to_string())
            ));
        } else {
            lines.push(format!("           {}", plain::line(&receipt.results)));
        }
        lines.push(format!("           coordinator results {run} --to DIR"));
    } else if let Some(folder) = &receipt.results_folder {
        lines.push("  results  not committed; what was saved of them is in".to_owned());
        lines.push(format!(
            "           {}",
            plain::line(&folder.display().to_string())
        ));
    } else {
        lines.push("  results  none".to_owned());
    }
    lines.push(format!("  logs     coordinator logs {run}"));
    lines
}

/// Nothing where machines are not paid for.
fn cost(receipt: &Receipt) -> Option<String> {
    if receipt.cost_micros == 0 {
        return None;
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in receipt.nodes.iter().filter_map(|node| node.kind.as_deref()) {
        *kinds.entry(kind).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let cost = dollars(receipt.cost_micros);
    Some(format!(
        "  cost     {cost} ({}; without disks and transfer)",
        kinds.join(", ")
    ))
}

fn proof(receipt: &Receipt, paint: Paint) -> [String; 2] {
    let release = &receipt.release;
    let at = release.observed.strftime("%Y-%m-%d %H:%M:%S UTC");
    let started = format!(
        "{} started",
        count(u64::from(release.machines_started), "machine")
    );
    let first = format!("  fleet    {started}, {} observed gone", release.machines_gone);
    let left = release.machines_started.saturating_sub(release.machines_gone);
    let second = match left {
        0 => format!("           {} at {at}", paint.good("nothing is left")),
        left => format!(
            "           {}",
            paint.bad(&format!("{left} may be left: coordinator gc --yes"))
        ),
    };
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn receipts_at_several_widths() {
        for (name, receipt) in samples::receipts() {
            for width in [40, 80, 200] {
                let text = render(&receipt, width, Paint { on: false }).join("\n");
                insta::assert_snapshot!(format!("{name}_{width}"), text);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_said_to_be() {
        let (_, mut receipt) = samples::receipts().swap_remove(0);
        let node = &mut receipt.nodes[1];
        (node.secs, node.cpu_core_secs, node.peak_memory_bytes) = (None, None, None);
        let text = render(&receipt, 80, Paint { on: false }).join("\n");
        let row = text.lines().find(|line| line.contains("worker-1")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["worker-1", "2", "-", "-", "-", "-"]);
        assert!(text.contains("-: not known"), "{text}");
    }

    #[test]
    fn numbers_stand_under_their_heads_whatever_nodes_are_called() {
        let (_, mut receipt) = samples::receipts().swap_remove(0);
        receipt.nodes[1].node = "worker-i-0123456789abcdef0".parse().unwrap();
        let lines = render(&receipt, 100, Paint { on: false });
        let find = |text: &str| lines.iter().find(|line| line.contains(text)).unwrap();
        let (head, row) = (find("cpu core-secs"), find("worker-i-"));
        let end = head.find("cores").unwrap() + "cores".len();
        assert_eq!(
            (&row[end - 2..end], &row[end..=end]),
            (" 2", " "),
            "{head}\n{row}"
        );
    }

    #[test]
    fn what_is_left_is_never_called_nothing() {
        let (_, mut receipt) = samples::receipts().swap_remove(0);
        receipt.release.machines_gone -= 1;
        let text = render(&receipt, 80, Paint { on: false }).join("\n");
        assert!(
            text.contains("1 may be left") && !text.contains("nothing is left"),
            "{text}"
        );
    }
}
