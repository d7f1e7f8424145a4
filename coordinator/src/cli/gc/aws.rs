//! `gc --on aws`: what is left over in an account.

use serde_json::json;

use super::Flags;
use crate::cli::failure::Failure;
use crate::cli::out;
use crate::gc::fleet::{LeftFleet, Verdict, end, look};
use crate::record::SCHEMA;

/// Looks at one region or all of them, and ends what is left over with `--yes`.
pub(super) async fn run(flags: &Flags) -> Result<u8, Failure> {
    let account = flags.aws.open().await?;
    let regions = if flags.all_regions {
        account.regions().await?
    } else {
        vec![account.region().to_owned()]
    };
    let (mut found, mut ended) = (Vec::new(), Vec::new());
    for region in regions {
        let account = account.in_region(&region);
        let there = look(&account).await?;
        if flags.yes {
            ended.extend(end(&account, &there).await?);
        }
        found.extend(there);
    }
    if flags.json {
        out::json(&json!({ "schema": SCHEMA, "removed": ended, "fleets": found }))?;
        return Ok(0);
    }
    found.iter().try_for_each(|one| out::line(&text(one)))?;
    let left = found
        .iter()
        .filter(|one| one.verdict == Verdict::LeftOver)
        .count();
    out::line(&match (left, flags.yes) {
        (0, _) => "nothing is left over".to_owned(),
        (n, false) => format!("{n} left over; `coordinator gc --on aws --yes` ends them"),
        (n, true) if ended.len() < n => format!(
            "{} ended, {} still there: look again",
            ended.len(),
            n - ended.len()
        ),
        (n, true) => format!("{n} ended, observed"),
    })?;
    Ok(0)
}

fn text(fleet: &LeftFleet) -> String {
    let end = fleet
        .deadline
        .map(|end| format!(", ends {end}"))
        .unwrap_or_default();
    format!(
        "{}  {}  {} machines, {} groups, {} templates{end}  ({})",
        fleet.run,
        fleet.region,
        fleet.machines,
        fleet.groups,
        fleet.templates,
        fleet.verdict.text()
    )
}
