//! Takes the product's pure source files into this crate, as they are, so that they are compiled with optimisation and
//! without what the programs are made of; and plants the bugs of `src/bugs.rs` in the copies, each behind a switch.
//!
//! The product itself knows nothing of planted bugs. A bug whose place is not found, or found twice, fails the build.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

include!("src/bugs.rs");

/// Crates, and of each the files that have no I/O.
const FILES: &[(&str, &[&str])] = &[
    (
        "coordinator",
        &[
            "cloud/aws/ledger.rs",
            "cloud/aws/node.rs",
            "cloud/aws/trouble.rs",
            "cloud/machine.rs",
            "cloud/made.rs",
            "cloud/timing.rs",
            "driver/budget.rs",
            "driver/decide.rs",
            "driver/past.rs",
            "driver/task.rs",
            "gc/verdict.rs",
            "grpc/encode.rs",
            "plan.rs",
            "record.rs",
            "record/account.rs",
            "record/spark.rs",
            "record/why.rs",
            "run.rs",
            "run/adopt.rs",
            "run/collecting.rs",
            "run/desired.rs",
            "run/elect.rs",
            "run/ending.rs",
            "run/forming.rs",
            "run/heard.rs",
            "run/limits.rs",
            "run/losses.rs",
            "run/node.rs",
            "run/overdue.rs",
            "run/report.rs",
            "run/retry.rs",
            "run/stall.rs",
            "run/steps.rs",
            "run/working.rs",
            "server/session.rs",
        ],
    ),
    (
        "agent",
        &[
            "commit/protocol.rs",
            "node.rs",
            "node/learn.rs",
            "node/pursue.rs",
            "node/report.rs",
            "sync/answer.rs",
        ],
    ),
    ("aws", &["fleet/seen.rs", "kind.rs", "tags.rs"]),
    ("kit", &["layout.rs", "records.rs", "tls/fingerprint.rs"]),
];

/// The modules that they are in.
const MODULES: &str = "
pub mod coordinator {
    pub mod cloud {
        mod machine;
        mod made;
        pub mod timing;
        pub use machine::{Machine, Offer, Sight};
        pub use made::{Plan, Sizes};
        pub mod aws { pub mod ledger; pub mod node; pub mod trouble; }
    }
    pub mod driver { pub mod budget; pub mod decide; pub mod past; pub mod task; }
    pub mod gc { pub mod verdict; }
    pub mod grpc { pub mod encode; }
    pub mod plan;
    pub mod record;
    pub mod run;
    pub mod server { pub mod session; }
}
pub mod agent {
    pub mod commit { pub mod protocol; }
    pub mod node;
    pub mod sync { pub mod answer; }
}
pub mod aws {
    pub mod fleet { mod seen; pub use seen::{GroupState, Instance, State, Trouble}; }
    mod kind;
    pub use kind::Kind;
    pub mod tags;
}
pub mod kit {
    pub mod layout;
    pub mod records;
    pub mod tls { mod fingerprint; pub use fingerprint::Fingerprint; }
}
";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo::rerun-if-changed=src/bugs.rs");
    let mut planted = 0;
    for (krate, files) in FILES {
        for file in *files {
            let from = root.join(krate).join("src").join(file);
            println!("cargo::rerun-if-changed={}", from.display());
            let text = fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
            let name = format!("{krate}/src/{file}");
            let text = plant(&name, text, &mut planted)?;
            let to = out.join(krate).join(file);
            fs::create_dir_all(to.parent().unwrap_or(&out))?;
            fs::write(to, moved(krate, &text))?;
        }
    }
    if planted != BUGS.iter().filter(|bug| !bug.file.is_empty()).count() {
        return Err("a bug of src/bugs.rs names a file that is not among FILES".into());
    }
    fs::write(out.join("product.rs"), MODULES)?;
    Ok(())
}

/// Puts every bug of this file behind its switch.
fn plant(file: &str, mut text: String, planted: &mut usize) -> Result<String, String> {
    for (number, bug) in BUGS.iter().enumerate().filter(|(_, bug)| bug.file == file) {
        let found = text.matches(bug.was).count();
        if found != 1 {
            return Err(format!(
                "the bug `{}` is planted in {file} where it says\n{}\nwhich is there {found} times: mend src/bugs.rs",
                bug.name, bug.was
            ));
        }
        let choice = format!(
            "if crate::planted::is({number}) {{ {} }} else {{ {} }}",
            bug.becomes, bug.was
        );
        let is_statement = bug.was.trim_end().ends_with([';', '}']);
        let choice = if is_statement {
            choice
        } else {
            format!("({choice})")
        };
        text = text.replacen(bug.was, &choice, 1);
        *planted += 1;
    }
    Ok(text)
}

/// The same text where it is now: paths begin elsewhere, all of it may be seen from this crate, and its own tests stay
/// where they were.
fn moved(krate: &str, text: &str) -> String {
    text.replace("crate::planted", "\u{0}")
        .replace("crate::", &format!("crate::product::{krate}::"))
        .replace("mayfly_aws::", "crate::product::aws::")
        .replace("mayfly_kit::", "crate::product::kit::")
        .replace('\u{0}', "crate::planted")
        .replace("pub(super)", "pub(crate)")
        .replace("#[cfg(feature = \"aws\")]\n", "")
        .replace("#[cfg(test)]", "#[cfg(any())]")
}
