//! Runs of the past, out of the store alone: their logs, however large, and what receipts say together.

mod log;
mod preview;
mod receipts;

use std::fs;

use mayfly_tests::http::{Page, Request};
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Home, Job, Repo, Run, Serve, slots};

/// A run without Spark that has ended well.
pub(crate) fn ended<'h>(home: &'h Home, name: &str) -> Run<'h> {
    let _slot = slots::take();
    let repo = Repo::of_jobs();
    let job = Job::at_gate(name, home, &repo, "light.py").args(&[""]);
    home.tell("go");
    let before = home.runs();
    home.launch(&job).wait(secs(120)).exited(0);
    let made = home.runs().into_iter().find(|run| !before.contains(run));
    home.run(&made.expect("a run more"))
}

/// The record of a run, as that of another one.
pub(crate) fn record_as(run: &Run<'_>, id: &str) -> String {
    let record = fs::read_to_string(run.folder().join("run.json")).unwrap();
    record.replace(run.id.as_str(), id)
}

/// A page that is there.
fn get(serve: &Serve, path: &str) -> Page {
    let at = serve.url.trim_start_matches("http://").parse().unwrap();
    let bearer = format!("Bearer {}", serve.token);
    let request = Request {
        headers: &[("Authorization", &bearer)],
        limit: wait::patient(secs(60)),
        ..Request::get(path)
    };
    let page = request.send(at).unwrap_or_else(|| panic!("no answer to {path}"));
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    page
}
