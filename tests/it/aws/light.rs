//! A region whose machines run the real agent, with a stand-in for Spark; and jobs that wait there for the test.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mayfly_tests::ec2::{Ec2, Image, Info};
use mayfly_tests::region::{Region, job};
use mayfly_tests::{Job, Launch, Repo};
use serde_json::{Value, json};

/// For anything that takes a machine seconds: no machine is too slow.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// How far the date of a request may be from AWS's clock, as AWS has it.
const SLACK_SECS: u32 = 300;

/// The region, and what is launched there.
pub(super) struct Light {
    pub(super) region: Region,
    repo: Repo,
}

impl Light {
    /// `settings` are those of the rig.
    pub(super) fn start(settings: &Value) -> Self {
        Self::in_region(Region::of(Image::light(), settings))
    }

    /// One where AWS's clock is so far ahead of everybody else's.
    pub(super) fn ahead(secs: i32) -> Self {
        let ec2 = Ec2::start(Image::light(), &json!({ "date_slack_secs": SLACK_SECS }));
        ec2.rig("POST", "clock", &json!({ "ahead_secs": secs }));
        let url = ec2.url();
        Self::in_region(Region::at(ec2, &url, "arm64"))
    }

    /// One where the coordinator and its machines have a clock that the test sets at this path, and AWS the right one.
    pub(super) fn with_clock(at: &Path) -> Self {
        Self::in_region(Region::with_clock(at, &json!({ "date_slack_secs": SLACK_SECS })))
    }

    pub(super) fn in_region(region: Region) -> Self {
        Self {
            region,
            repo: Repo::of_jobs(),
        }
    }

    /// A job that works until [`Light::go`], on a master and so many workers.
    pub(super) fn job(&self, name: &str, workers: u32) -> Job {
        job(name, &self.repo.url(), "light.py")
            .set("env", json!({ "GATE": self.region.home.gate() }))
            .workers(workers)
            .args(&[name])
    }

    pub(super) fn launch(&self, job: &Job) -> Launch {
        self.region.launch(job, &["--request-id", job.name()])
    }

    /// Waits until this attempt of the job works.
    pub(super) fn works(&self, launch: &mut Launch, job: &Job, attempt: u32) {
        let word = format!("works{}-{attempt}", job.name());
        launch.until(&word, LIMIT, || self.region.home.heard(&word));
    }

    /// Launches it and waits until it works.
    pub(super) fn working(&self, job: &Job) -> Launch {
        let mut launch = self.launch(job);
        self.works(&mut launch, job, 1);
        launch
    }

    /// Lets a job end.
    pub(super) fn go(&self, job: &Job) {
        self.region.home.tell(&format!("go{}", job.name()));
    }

    /// Lets it end and waits for a success that leaves nothing; its receipt.
    pub(super) fn succeeds(&self, mut launch: Launch, job: &Job) -> Value {
        self.go(job);
        launch.wait(LIMIT).exited(0).said("nothing is left");
        self.region.assert_nothing_left();
        let receipt = self.region.receipt();
        let release = &receipt["release"];
        assert_eq!(
            release["machines_started"], release["machines_gone"],
            "{receipt:#}"
        );
        receipt
    }

    /// Waits until so many machines of a role run.
    pub(super) fn up(&self, launch: &mut Launch, role: &str, count: usize) -> Vec<Info> {
        let what = format!("{count} machines of role {role}");
        launch.until(&what, LIMIT, || {
            Some(self.region.up(role)).filter(|up| up.len() == count)
        })
    }

    /// When AWS ends the machines of a group of the newest run by itself.
    pub(super) fn killer(&self, group: &str) -> Timestamp {
        let name = format!("mayfly-{}-{group}", self.region.record()["run"].as_str().unwrap());
        let fields = [("AutoScalingGroupName", name.as_str())];
        let said = self
            .region
            .ec2
            .aws("autoscaling", "DescribeScheduledActions", &fields);
        let (_, rest) = said.split_once("<StartTime>").expect("a killer is armed");
        rest.split('<').next().unwrap().parse().unwrap()
    }

    /// What a machine wrote to its console.
    pub(super) fn console(&self, id: &str) -> String {
        std::fs::read_to_string(self.region.ec2.folder(id).join("console.log")).unwrap_or_default()
    }

    pub(super) fn fault(&self, fault: &Value) {
        self.region.ec2.rig("POST", "faults", fault);
    }
}
