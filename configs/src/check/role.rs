//! `master.role`: a machine of its own for the master, or nodes that are all alike.

use super::Mode;
use crate::diag::{Problem, Sink};
use crate::job::{Machine, Workers};
use crate::read::Section;
use crate::text::{quote, suggest};

const ROLES: [&str; 2] = ["fixed", "auto"];

/// Whether all nodes are alike.
pub(super) fn alike(sink: &mut Sink, section: &Section<'_>) -> Option<bool> {
    section.need(sink, "role")?.with(sink, |text| match text {
        "fixed" => Ok(false),
        "auto" => Ok(true),
        _ => {
            let problem = Problem::new(format!("is {}, which is not a role of the master", quote(text)));
            Err(problem.help(suggest(text, &ROLES)))
        }
    })
}

/// Whether all nodes are alike, and what the master is: of the workers' kind then.
pub(super) fn master(
    sink: &mut Sink,
    mode: Mode<'_>,
    master: Option<(Option<bool>, Machine, Section<'_>)>,
    workers: Option<&Workers>,
) -> Option<(bool, Machine)> {
    let (alike, own, section) = master?;
    if !alike? {
        return Some((false, own));
    }
    let all = &workers?.machine;
    // The shared defaults may size masters of jobs that have one.
    if !mode.partial {
        let others = [
            ("cores", own.cores == all.cores),
            ("memory", own.memory_bytes == all.memory_bytes),
            ("instance", own.instance == all.instance),
        ];
        let differs = others.into_iter().filter(|(_, same)| !same);
        let given: Vec<_> = differs
            .filter_map(|(key, _)| section.get(key).filter(|field| field.is_given()))
            .collect();
        for field in &given {
            let key = format!("workers.{}", field.key);
            let problem = Problem::new(format!(
                "is not what {} is, and with `master.role: auto` all nodes are alike",
                quote(&key)
            ));
            field.report(sink, problem.help("remove it: the master is one of them"));
        }
        if !given.is_empty() {
            return None;
        }
    }
    Some((true, all.clone()))
}
