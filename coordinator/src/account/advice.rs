//! One or two things that would have been better, with the arithmetic.

use super::Parts;
use super::predict;
use crate::record::{Account, Advice, Part, Prediction, Role, Summary};

/// Pieces given.
const MOST: usize = 2;
/// Fewer workers are worth a word when they save so much of the machines' time, and the run takes no more than so much
/// longer.
const SAVES: f64 = 0.15;
const LONGER: f64 = 1.5;
/// More workers are worth a word when the run is so much shorter, for not much more.
const SHORTER: f64 = 0.75;
const DEARER: f64 = 1.15;
/// Runs shorter than this are not worth another size.
const SHORT_SECS: f64 = 10.0;
/// Shares that are worth a word.
const MUCH: f64 = 0.3;

/// A piece of advice and what it is worth, in machines' seconds.
struct Worth {
    advice: Advice,
    secs: f64,
}

fn worth(kind: &str, secs: f64, text: String, arithmetic: String) -> Worth {
    Worth {
        advice: Advice {
            kind: kind.to_owned(),
            text,
            arithmetic,
        },
        secs,
    }
}

/// The best first.
pub(super) fn of(parts: &Parts, account: &Account) -> Vec<Advice> {
    let spark = parts.spark.as_ref();
    let mut all: Vec<Worth> = [
        size(parts, account),
        spark.and_then(skew),
        spark.and_then(|spark| spill(spark, parts)),
        forming(parts, account),
        memory(account),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.sort_by(|a, b| b.secs.total_cmp(&a.secs));
    all.into_iter().take(MOST).map(|worth| worth.advice).collect()
}

fn size(parts: &Parts, account: &Account) -> Option<Worth> {
    // Measured against what the model itself says of the run as it was: what it leaves out is then left out on both sides.
    let now = predict::one(parts, parts.workers)?;
    if now.total_secs < SHORT_SECS {
        return None;
    }
    let paid = |p: &Prediction| {
        if now.cost_micros > 0 {
            micros(p.cost_micros)
        } else {
            p.node_secs
        }
    };
    let fewer = account.predictions.iter().filter(|p| {
        p.workers < now.workers
            && p.total_secs <= LONGER * now.total_secs
            && paid(p) <= (1.0 - SAVES) * paid(&now)
    });
    if let Some(fewer) = fewer.min_by(|a, b| paid(a).total_cmp(&paid(b))) {
        let saved = 1.0 - paid(fewer) / paid(&now);
        let less = if now.cost_micros > 0 {
            format!(" and cost {} % less", percent(saved))
        } else {
            format!(", and {} % less of the machines' time", percent(saved))
        };
        let text = format!(
            "{} would have taken about {} instead of {}{less}",
            workers(fewer.workers),
            time(fewer.total_secs),
            time(now.total_secs)
        );
        return Some(worth(
            "fewer-workers",
            now.node_secs - fewer.node_secs,
            text,
            dealt(parts, &now, fewer),
        ));
    }
    let more = account.predictions.iter().find(|p| {
        p.workers > now.workers && p.total_secs <= SHORTER * now.total_secs && paid(p) <= DEARER * paid(&now)
    })?;
    let dearer = paid(more) / paid(&now) - 1.0;
    let price = if dearer.abs() < 0.02 {
        "for about the same price".to_owned()
    } else if dearer > 0.0 {
        format!("for {} % more", percent(dearer))
    } else {
        format!("for {} % less", percent(-dearer))
    };
    let text = format!(
        "{} would have taken about {} instead of {}, {price}",
        workers(more.workers),
        time(more.total_secs),
        time(now.total_secs)
    );
    Some(worth(
        "more-workers",
        (now.total_secs - more.total_secs) * f64::from(now.workers),
        text,
        dealt(parts, &now, more),
    ))
}

fn dealt(parts: &Parts, now: &Prediction, other: &Prediction) -> String {
    let Some(spark) = parts.spark.as_ref() else {
        return String::new();
    };
    let Some(scaling) = &spark.scaling else {
        return String::new();
    };
    let busy = spark.busy().map_or(String::new(), |busy| {
        format!("; executors were {} % busy", percent(busy))
    });
    format!(
        "its {} tasks take {} one after the other: {} on {} cores, about {} on those of {}; all else takes {}{busy}",
        spark.tasks,
        time(spark.task_secs),
        time(scaling.secs),
        scaling.cores,
        time((scaling.secs + other.working_secs - now.working_secs).max(0.0)),
        workers(other.workers),
        time((now.total_secs - scaling.secs).max(0.0)),
    )
}

fn skew(spark: &Summary) -> Option<Worth> {
    let skew = spark.skew.as_ref()?;
    let waited = skew.longest_secs - skew.median_secs;
    let all = spark.scaling.as_ref().map_or(waited, |scaling| scaling.secs);
    (spark.cores > 1 && waited >= MUCH * all && waited > 3.0).then(|| {
        worth(
            "skew",
            waited * f64::from(spark.cores.saturating_sub(1)),
            format!(
                "stage {} ({}) waited for one task: spread its keys more evenly (salt them, or repartition before it)",
                skew.stage, skew.name
            ),
            format!(
                "of its {} tasks the middle one took {} and the longest {}: {} in which the other {} cores had less to do",
                skew.tasks,
                time(skew.median_secs),
                time(skew.longest_secs),
                time(waited),
                spark.cores.saturating_sub(1)
            ),
        )
    })
}

fn spill(spark: &Summary, parts: &Parts) -> Option<Worth> {
    let spilled = spark.spilled_bytes;
    let memory = parts
        .machines
        .iter()
        .filter(|m| m.role == Role::Worker)
        .map(|m| m.memory_bytes)
        .sum::<u64>();
    (spilled > 64 << 20 && spilled > memory / 20).then(|| {
        worth(
            "spill",
            MUCH * spark.task_secs,
            "more memory for workers, or more partitions (spark.sql.shuffle.partitions), would keep shuffles in memory".to_owned(),
            format!("{} MiB were written to disk because they did not fit into {} MiB of all workers", spilled >> 20, memory >> 20),
        )
    })
}

fn forming(parts: &Parts, account: &Account) -> Option<Worth> {
    let Part { node_secs, .. } = account.waste.before_work;
    let share = node_secs / account.node_secs.max(0.001);
    (share > 0.5 && parts.total_secs > 120.0).then(|| {
        worth(
            "forming",
            node_secs / 2.0,
            "most of the machines' time went by before the first task: bake what the job installs into the image, or run several steps in one run".to_owned(),
            format!("{} of {} ({} %) were before the first task", time(node_secs), time(account.node_secs), percent(share)),
        )
    })
}

fn memory(account: &Account) -> Option<Worth> {
    let workers = account.groups.iter().find(|group| group.role == Role::Worker)?;
    let (peak, offered) = (workers.peak_memory_bytes, workers.memory_bytes);
    (peak > 0 && offered >= 4 << 30 && peak < offered / 3).then(|| {
        worth(
            "memory",
            workers.node_secs / 4.0,
            format!(
                "workers with {} GiB of memory would have been enough",
                (offered / 2) >> 30
            ),
            format!(
                "the most that one of them held is {} of {} MiB",
                peak >> 20,
                offered >> 20
            ),
        )
    })
}

fn workers(n: u32) -> String {
    if n == 1 {
        "1 worker".to_owned()
    } else {
        format!("{n} workers")
    }
}

#[expect(clippy::cast_precision_loss, reason = "compared only")]
fn micros(cost: u64) -> f64 {
    cost as f64
}

fn percent(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}

/// `45 s`, `11 min`, `2.5 h`.
fn time(secs: f64) -> String {
    if secs < 119.5 {
        format!("{secs:.0} s")
    } else if secs < 5_700.0 {
        format!("{:.0} min", secs / 60.0)
    } else {
        format!("{:.1} h", secs / 3_600.0)
    }
}
