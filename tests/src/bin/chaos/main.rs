//! `chaos`: whole runs in which one thing goes wrong each, and what is promised of them.
//!
//!     chaos                          # all cases of seed 1
//!     chaos server/record.save       # those whose names begin so

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;
use mayfly_tests::chaos::{Case, Rig, Verdict, all, run};

/// Runs what is launched while one thing goes wrong, and says which promises were broken.
#[derive(Debug, Parser)]
struct Args {
    /// Random cases are those of this seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Random cases with a light job.
    #[arg(long, default_value_t = 120)]
    blows: u64,
    /// Random cases with real Spark.
    #[arg(long, default_value_t = 20)]
    spark: u64,
    /// Cases at one time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Only cases whose names begin with one of these.
    cases: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let wanted =
        |case: &Case| args.cases.is_empty() || args.cases.iter().any(|name| case.name.starts_with(name));
    let cases: Vec<Case> = all(args.seed, args.blows, args.spark)
        .into_iter()
        .filter(wanted)
        .collect();
    if cases.is_empty() {
        say("no case has such a name");
        return ExitCode::from(2);
    }
    let began = Instant::now();
    let verdicts = try_all(&cases, args.jobs);
    let failed = summary(&verdicts, &args);
    say(format!(
        "runs {} failed {failed} in {:.0} s",
        verdicts.len(),
        began.elapsed().as_secs_f64()
    ));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

fn try_all(cases: &[Case], jobs: usize) -> Vec<Verdict> {
    let rig = Rig::new();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = run(&rig, case);
                    say(line(&verdict));
                    if let Ok(mut done) = done.lock() {
                        done.push(verdict);
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_default()
}

fn line(verdict: &Verdict) -> String {
    let Verdict { case, result, took } = verdict;
    let said = match result {
        Ok(seen) => match &seen.skipped {
            Some(why) => format!("not tried: {why}"),
            None if seen.outcome.is_empty() => "no run was made".to_owned(),
            None => format!(
                "{}, attempts {}, coordinators {}",
                seen.outcome, seen.attempts, seen.lives
            ),
        },
        Err(why) => format!("FAILED: {}", why.lines().next().unwrap_or_default()),
    };
    format!("{:7.1} s  {:40} {said}", took.as_secs_f64(), case.name)
}

/// A line for each kind of case, and what failed with the command that repeats it.
fn summary(verdicts: &[Verdict], args: &Args) -> usize {
    let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for verdict in verdicts {
        let kind = verdict.case.name.split('/').next().unwrap_or_default();
        let counts = kinds.entry(kind).or_default();
        counts[0] += 1;
        counts[1] += usize::from(verdict.result.is_err());
        counts[2] += usize::from(verdict.result.as_ref().is_ok_and(|seen| seen.skipped.is_some()));
    }
    say(format!(
        "{:14} {:>5} {:>7} {:>10}",
        "kind", "runs", "failed", "not tried"
    ));
    for (kind, [runs, failed, skipped]) in kinds {
        say(format!("{kind:14} {runs:5} {failed:7} {skipped:10}"));
    }
    let failed = verdicts
        .iter()
        .filter_map(|verdict| Some((&verdict.case, verdict.result.as_ref().err()?)));
    let mut count = 0;
    for (case, why) in failed {
        count += 1;
        say(format!("\n{case}: {why}"));
        say(format!(
            "  again: target/debug/chaos --seed {} --jobs 1 {case}",
            args.seed
        ));
    }
    count
}
