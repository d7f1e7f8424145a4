//! What a run adds up to, for people.

use super::paint::Paint;
use super::table::{self, Side};
use super::units::{bytes, count, dollars, secs, share, share_bytes};
use super::wrap::entry;
use crate::record::{Account, Group, Part, Role, Summary};

/// Columns of the names on the left.
const NAMES: usize = 9;

/// The groups, as a table.
#[must_use]
pub(crate) fn groups(account: &Account, paint: Paint) -> Vec<String> {
    let (head, rows) = of_groups(account);
    let sides = [Side::Left].into_iter().chain(std::iter::repeat(Side::Right));
    table::render(&head, &rows, sides, paint)
}

/// The head of that table and its rows.
#[must_use]
pub(crate) fn of_groups(account: &Account) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let paid = account.groups.iter().any(|group| group.cost_micros > 0);
    let network = account
        .groups
        .iter()
        .any(|group| group.network_received_bytes > 0);
    let mut head = vec![
        "group",
        "nodes",
        "node time",
        "cpu",
        "peak mem",
        "disk read",
        "written",
    ];
    if network {
        head.extend(["net in", "out"]);
    }
    if paid {
        head.push("cost");
    }
    let rows = account.groups.iter().map(|group| row(group, network, paid));
    (head, rows.collect())
}

fn row(group: &Group, network: bool, paid: bool) -> Vec<String> {
    let name = match group.role {
        Role::Master => "master",
        Role::Worker => "workers",
        Role::Auto => "alike",
    };
    let lost = if group.lost > 0 {
        format!(" ({} lost)", group.lost)
    } else {
        String::new()
    };
    let mut row = vec![
        name.to_owned(),
        format!("{}{lost}", group.nodes),
        secs(group.node_secs),
        share(group.cpu_core_secs, group.core_secs),
        if group.peak_memory_bytes > 0 {
            share_bytes(group.peak_memory_bytes, group.memory_bytes)
        } else {
            "-".to_owned()
        },
        bytes(group.disk_read_bytes),
        bytes(group.disk_written_bytes),
    ];
    if network {
        row.extend([
            bytes(group.network_received_bytes),
            bytes(group.network_sent_bytes),
        ]);
    }
    if paid {
        row.push(dollars(group.cost_micros));
    }
    row
}

/// What was waste, Spark's numbers, the advice.
#[must_use]
pub(crate) fn lines(account: &Account, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = entry(&paint.dim("waste"), NAMES, &waste(account), width);
    if let Some(spark) = account.spark.as_ref().filter(|spark| spark.tasks > 0) {
        lines.extend(entry(&paint.dim("spark"), NAMES, &numbers(spark), width));
        if let Some(skew) = &spark.skew {
            let text = format!(
                "stage {} ({}): the longest of {} took {}, the middle one {}",
                skew.stage,
                skew.name,
                count(skew.tasks, "task"),
                secs(skew.longest_secs),
                secs(skew.median_secs)
            );
            lines.extend(entry(&paint.dim("skew"), NAMES, &text, width));
        }
    }
    for advice in &account.advice {
        lines.extend(entry(&paint.good("advice"), NAMES, &advice.text, width));
        lines.extend(
            entry("", NAMES, &format!("({})", advice.arithmetic), width)
                .iter()
                .map(|line| paint.dim(line)),
        );
    }
    lines
}

/// What was paid for and brought nothing, in a line.
#[must_use]
pub(crate) fn waste(account: &Account) -> String {
    let waste = &account.waste;
    let part = |name: &str, part: &Part| {
        let paid = if part.cost_micros > 0 {
            format!(", {}", dollars(part.cost_micros))
        } else {
            String::new()
        };
        (part.node_secs >= 0.05).then(|| {
            format!(
                "{name} {} ({}{paid})",
                secs(part.node_secs),
                share(part.node_secs, account.node_secs)
            )
        })
    };
    let parts: Vec<String> = [
        part("before the first task", &waste.before_work),
        part("idle at the end", &waste.idle_tail),
        part("lost machines", &waste.lost),
        part("failed attempts", &waste.failed_attempts),
    ]
    .into_iter()
    .flatten()
    .collect();
    let whole = format!("of {} of all machines: ", secs(account.node_secs));
    if parts.is_empty() {
        format!("{whole}none")
    } else {
        format!("{whole}{}", parts.join(" · "))
    }
}

/// Spark's own numbers, in a line.
#[must_use]
pub(crate) fn numbers(spark: &Summary) -> String {
    let failed = if spark.tasks_failed > 0 {
        format!(" ({} failed)", spark.tasks_failed)
    } else {
        String::new()
    };
    let mut parts = vec![format!(
        "{}{failed} in {}",
        count(spark.tasks, "task"),
        count(u64::from(spark.stages), "stage")
    )];
    if let Some(busy) = spark.busy() {
        parts.push(format!("executors {} busy", share(busy, 1.0)));
    }
    for (name, size) in [
        ("read", spark.input_bytes),
        ("shuffled", spark.shuffle_write_bytes),
        ("spilled", spark.spilled_bytes),
        ("written", spark.output_bytes),
    ] {
        if size > 0 {
            parts.push(format!("{name} {}", bytes(size)));
        }
    }
    if spark.gc_secs > 0.01 * spark.task_secs {
        parts.push(format!(
            "{} of task time in garbage collection",
            share(spark.gc_secs, spark.task_secs)
        ));
    }
    if spark.executors_lost > 0 {
        parts.push(format!(
            "{} lost",
            count(u64::from(spark.executors_lost), "executor")
        ));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn groups_waste_and_advice_are_shown_and_what_is_not_paid_for_is_not() {
        let account = samples::account();
        let table = groups(&account, Paint { on: false }).join("\n");
        let shown = "  group    nodes  node time   cpu  peak mem  disk read   written
  master       1     24.0 s  42 %      68 %    4.8 MiB  66.8 MiB
  workers      2     48.0 s  42 %      68 %    4.8 MiB  66.8 MiB";
        assert_eq!(table, shown);
        let text = lines(&account, 200, Paint { on: false }).join("\n");
        for part in [
            "of 72.0 s of all machines: before the first task 18.3 s (25 %) · idle at the end 4.2 s (6 %)",
            "40 tasks (1 failed) in 5 stages · executors 31 % busy · read 28.6 MiB",
            "stage 4 (parquet at delay.py:41): the longest of 8 tasks took 6.1 s, the middle one 0.4 s",
            "1 worker would have taken about 28 s instead of 24 s",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('$'), "{text}");
    }
}
