//! `simulate`: runs many seeds, or one; or shows that planted bugs are found.

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use clap::Parser;
use mayfly_sim::many::{Failed, Until, many};
use mayfly_sim::oracle::{Broken, Promise, Seen};
use mayfly_sim::plan::Plan;
use mayfly_sim::planted::{self, BUGS, plant};
use mayfly_sim::shorten::shorten;
use mayfly_sim::simulate;

/// Runs the product's pure code in simulated worlds and says which promises were broken.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this seed.
    #[arg(long, conflicts_with_all = ["seeds", "from", "planted"])]
    seed: Option<u64>,
    /// Prints what happens, with --seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Plants each bug, and says in how many seeds it was found.
    #[arg(long)]
    planted: bool,
    /// Plants only this one.
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let bug = args
        .bug
        .as_ref()
        .map(|name| BUGS.iter().position(|bug| bug.name == name));
    let bug = match bug {
        Some(None) => {
            say("there is no bug of this name");
            return ExitCode::from(2);
        }
        Some(known) => known,
        None => None,
    };
    let good = match (args.seed, args.planted) {
        (Some(seed), _) => one(seed, bug, args.trace),
        (None, true) => find(bug),
        (None, false) => all(args.from, args.seeds, bug),
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

fn one(seed: u64, bug: Option<usize>, trace: bool) -> bool {
    plant(bug);
    let plan = Rc::new(Plan::of(seed));
    let ending = simulate(seed, &plan, trace);
    say(format!("{:#?}", plan.setup));
    plan.faults.iter().for_each(|fault| say(fault.to_string()));
    ending.trace.iter().for_each(say);
    match ending.broken {
        Some(broken) => {
            say(broken.to_string());
            false
        }
        None => {
            say("every promise was kept");
            true
        }
    }
}

/// Failing seeds that are shown with their faults and trace; the others are only named.
const SHOWN: usize = 3;

fn all(from: u64, count: u64, bug: Option<usize>) -> bool {
    let began = Instant::now();
    let (failed, seen) = many(from, count, bug, Until::All);
    plant(bug);
    for (number, Failed { seed, broken }) in failed.iter().enumerate() {
        say(format!("seed {seed}: {broken}"));
        if number < SHOWN {
            show(*seed, broken);
        }
    }
    figures(&seen);
    let took = began.elapsed().as_secs_f64();
    say(format!("{took:.1} s"));
    let broken = |promise| failed.iter().filter(|one| one.broken.promise == promise).count();
    say(format!(
        "seeds {count} orphans {} lost {} duplicates {} false-kills {}",
        broken(Promise::Orphan),
        broken(Promise::Lost),
        broken(Promise::Duplicate),
        broken(Promise::FalseKill),
    ));
    failed.is_empty()
}

/// Lines of a trace that are shown: its last.
const TRACE_SHOWN: usize = 60;

fn show(seed: u64, broken: &Broken) {
    let plan = shorten(seed, &Plan::of(seed), broken.promise);
    say(format!("  {:?}", plan.setup));
    say("  with these faults alone:");
    plan.faults.iter().for_each(|fault| say(format!("    {fault}")));
    let ending = simulate(seed, &Rc::new(plan), true);
    let skipped = ending.trace.len().saturating_sub(TRACE_SHOWN);
    ending
        .trace
        .iter()
        .skip(skipped)
        .for_each(|line| say(format!("    {line}")));
    if let Some(broken) = ending.broken {
        say(format!("    {broken}"));
    }
}

fn figures(seen: &Seen) {
    say(format!(
        "machines {} attempts {} commits {} closed {} agents that were followed {}",
        seen.machines, seen.attempts, seen.commits, seen.closed, seen.again
    ));
    let secs = |ms: u64| ms.div_ceil(1_000);
    say(format!(
        "worst: {} s after the end, {} s after the last coordinator, {} s after the deadline, {} s without an agent",
        secs(seen.worst_release),
        secs(seen.worst_alone),
        secs(seen.worst_deadline),
        secs(seen.worst_boot),
    ));
    let kinds: Vec<String> = seen
        .faults
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    say(format!("faults: {}", kinds.join(", ")));
}

fn find(only: Option<usize>) -> bool {
    let mut found_all = true;
    for number in planted::all().filter(|number| only.is_none_or(|only| only == *number)) {
        let Some(bug) = BUGS.get(number) else { continue };
        let (failed, _) = many(0, bug.budget, Some(number), Until::Found);
        match failed.first() {
            Some(Failed { seed, broken }) => {
                say(format!(
                    "found     {:32} after {:5} seeds: {broken}",
                    bug.name,
                    seed + 1
                ));
            }
            None => {
                found_all = false;
                say(format!("SURVIVED  {:32} {} seeds", bug.name, bug.budget));
            }
        }
    }
    found_all
}
