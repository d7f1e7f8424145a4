//! The machines: that there were none, that they did not form a cluster, that they went away.

use super::super::{Case, Found, Rule, evidence};
use crate::record::{Outcome, Role};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "quota",
        find: quota,
    },
    Rule {
        name: "no-capacity",
        find: no_capacity,
    },
    Rule {
        name: "cloud-permission",
        find: permission,
    },
    Rule {
        name: "spot-loss",
        find: spot,
    },
    Rule {
        name: "disk-full",
        find: disk_full,
    },
    Rule {
        name: "store-unreachable",
        find: store,
    },
    Rule {
        name: "engine-failed",
        find: engine,
    },
    Rule {
        name: "workers-never-registered",
        find: never_registered,
    },
    Rule {
        name: "no-master",
        find: no_master,
    },
    Rule {
        name: "results-lost",
        find: results_lost,
    },
    Rule {
        name: "node-lost",
        find: node_lost,
    },
];

fn reason<'a>(case: &'a Case<'_>) -> Option<&'a str> {
    (case.facts.outcome == Outcome::InfraFailed).then_some(case.facts.reason.as_str())
}

fn any(text: &str, parts: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    parts.iter().any(|part| text.contains(part))
}

fn told(case: &Case<'_>, sentence: String) -> Found {
    Found::new(sentence).because(evidence("the coordinator", [&case.facts.reason]))
}

fn quota(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = any(
        reason,
        &[
            "vcpu limit",
            "vcpulimitexceeded",
            "limit exceeded",
            "limitexceeded",
            "max spot instance count",
            "maxspotinstancecount",
            "quota",
        ],
    );
    is.then(|| {
        told(case, format!("the account's quota does not allow so many machines: {reason}"))
            .change("ask AWS for a higher quota (Service Quotas, Amazon EC2, Running On-Demand or Spot instances)")
            .change("or launch fewer or smaller workers; `coordinator doctor JOB --on aws` tells what fits before a launch")
    })
}

fn no_capacity(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = any(
        reason,
        &[
            "insufficientinstancecapacity",
            "do not have sufficient",
            "no spot capacity",
            "insufficient capacity",
        ],
    );
    is.then(|| {
        told(case, format!("AWS has no such machines at the moment: {reason}"))
            .change("name more types with workers.instance, so that one of them can be had")
            .change("or try again later, in another region, or without workers.spot")
    })
}

fn permission(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = any(
        reason,
        &[
            "not authorized",
            "unauthorizedoperation",
            "access denied",
            "accessdenied",
        ],
    );
    is.then(|| {
        told(case, format!("AWS refused what the launch needs: {reason}"))
            .change("give whoever launches the permissions of configs/iam/launcher.json; `coordinator doctor --on aws` names what is missing")
    })
}

fn spot(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = reason.contains("spot instance is interrupted");
    is.then(|| {
        told(case, format!("AWS took a spot machine back: {reason}"))
            .change(
                "keep the master on demand (master.spot: false), or allow another attempt (limits.retries)",
            )
            .change(
                "name more types with workers.instance: those that are interrupted less often are then found",
            )
    })
}

fn disk_full(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    any(reason, &["no space left on device"]).then(|| {
        told(case, format!("a disk is full: {reason}"))
            .change("free space on the machine, or give nodes more with master.disk and workers.disk")
    })
}

fn store(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = any(
        reason,
        &[
            "fetch the code:",
            "the store has no bundle",
            "the store does not answer",
        ],
    );
    is.then(|| {
        told(case, format!("a node could not use the store: {reason}")).change(
            "look whether the store's address can be reached from the nodes, and whether the bucket is there",
        )
    })
}

fn engine(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = any(
        reason,
        &["spark-master ", "spark-worker ", "the engine cannot be started"],
    );
    is.then(|| {
        let mut found = told(case, format!("Spark's own daemon does not stay up: {reason}"));
        for lines in case.facts.engine.iter().take(2) {
            let last = lines.lines.iter().rev().take(6).rev();
            found = found.because(evidence(format!("Spark's daemon on {}", lines.node), last));
        }
        found.change("read its output with `coordinator logs RUN --stream engine`")
    })
}

fn never_registered(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = reason.contains("did not form within") && !reason.contains("no master");
    is.then(|| {
        let workers: Vec<String> = case
            .facts
            .record
            .nodes
            .iter()
            .filter(|node| node.role == Role::Worker)
            .map(|node| {
                format!(
                    "{} enrolled{}",
                    node.node,
                    if node.lost { ", and was lost" } else { "" }
                )
            })
            .collect();
        let none = vec!["no worker enrolled".to_owned()];
        let seen = if workers.is_empty() { none } else { workers };
        let mut found = told(case, format!("too few workers came up in time: {reason}"))
            .because(evidence("the record", seen));
        for lines in case
            .facts
            .agent
            .iter()
            .filter(|lines| lines.node != "master-1")
            .take(2)
        {
            let last = lines.lines.iter().rev().take(4).rev();
            found = found.because(evidence(format!("the agent of {}", lines.node), last));
        }
        found
            .change("raise limits.form, if nodes were still installing requirements or booting")
            .change("or lower workers.min, to begin with those that are there")
    })
}

fn no_master(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = reason.contains("no master enrolled")
        || reason.contains("no master chosen")
        || reason.contains(", no master (");
    is.then(|| {
        told(case, format!("no master came up: {reason}"))
            .change("look whether the machine booted at all and can reach its coordinator: `coordinator doctor` checks both")
    })
}

fn results_lost(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    reason.contains("may have held a part of the results").then(|| {
        told(case, format!("a node that may have held results was lost after the job: {reason}"))
            .change("allow another attempt with limits.retries, or write results to the store (MAYFLY_STORE) from the executors")
    })
}

fn node_lost(case: &Case<'_>) -> Option<Found> {
    let reason = reason(case)?;
    let is = reason.contains("all workers were lost")
        || reason.contains("is lost: silent for")
        || reason.contains("is gone: its machine ended")
        || reason.ends_with(" was lost");
    is.then(|| {
        let mut found = told(case, format!("machines were lost while the job ran: {reason}"));
        if let Some((_, evidence)) = case.agents_with("the kernel killed") {
            found = found.because(evidence);
        }
        found.change("allow another attempt with limits.retries; the next one gets new machines")
    })
}
