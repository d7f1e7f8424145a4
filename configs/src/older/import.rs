//! `spark.yml` as a job file.

use crate::diag::{Errors, Problem, Sink};
use crate::render;
use crate::text::escape;
use crate::warning::Warning;

use super::block::{self, Moved};
use super::{Kind, kind};

const HEAD: &str = "\
# Made out of a file of the older system. What is new: every run has limits, of time and of money, and the nodes on this
# machine have a size; they have defaults, as all keys have, which configs/defaults.yml lists.
";

/// What came of a file of the older system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The job file.
    pub text: String,
    /// What may run otherwise than it did.
    pub warnings: Vec<Warning>,
}

/// Makes a job file out of `spark.yml`, after every check that a job file gets.
///
/// # Errors
/// Everything that is wrong with the file; or that it is no file of the older system.
pub fn import(file_name: &str, text: &str) -> Result<Import, Errors> {
    // Checks the values too, in the words of the old keys.
    let warnings = crate::parse(file_name, text, &|_| Some(String::new()))?.warnings;
    let mut sink = Sink::default();
    let base = crate::builtin(&mut sink);
    let moved = crate::open(&mut sink, file_name, text)?.and_then(|root| match kind(&root) {
        Kind::Jobs => block::all(&mut sink, &base, &root),
        Kind::Ours | Kind::Network => None,
    });
    let Some(moved) = moved else {
        let problem = Problem::new("this is a job file already, not one of the older system");
        return Err(Errors::of_file(file_name, problem.help("launch it as it is")));
    };
    let mut out = HEAD.to_owned();
    for job in &moved {
        out.push('\n');
        out.push_str(&written(job));
    }
    Ok(Import { text: out, warnings })
}

fn written(job: &Moved) -> String {
    let mut out = String::new();
    let remarks = job.remarks.iter().map(|remark| &remark.text);
    for line in job.title.iter().chain(remarks) {
        out.push_str(&format!("# {}\n", escape(line, 240)));
    }
    out + &render::job(&job.name, &job.entries)
}
