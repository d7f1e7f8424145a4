//! Runs on AWS, as the rig has it, with a stand-in for Spark.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mayfly_kit::crash::{AT, ONCE, Point};
use serde_json::{Value, json};

use super::scene::Stage;
use super::{Rig, Seen, Side};
use crate::ec2::Image;
use crate::region::Region;
use crate::{Account, Home, Job, Launch, wait};

/// Longest that a run may take.
const LIMIT: Duration = Duration::from_secs(180);
const WORKS: u32 = 450;

/// What programs find in their environment.
struct Armed {
    at: String,
    once: PathBuf,
    _folder: Home,
}

impl Armed {
    fn new(point: Point, side: Side) -> Self {
        let folder = Home::new();
        Self {
            at: format!("{}.{}", point.name(), side.name()),
            once: folder.scratch("crashed"),
            _folder: folder,
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![
            (AT.to_owned(), self.at.clone()),
            (ONCE.to_owned(), self.once.display().to_string()),
        ]
    }

    fn assert_died(&self) {
        assert!(self.once.exists(), "the run did not come to {}", self.at);
    }
}

pub(super) fn crash(rig: &Rig, point: Point, side: Side, stage: Stage) -> Seen {
    let armed = Armed::new(point, side);
    let seen = if stage == Stage::OnMaster {
        on_master(rig, &armed)
    } else {
        on_server(rig, &armed)
    };
    armed.assert_died();
    seen
}

fn job(rig: &Rig, gate: &Path) -> Job {
    rig.job(gate, WORKS, 0, &[])
        .set("master.instance", "t4g.small")
        .set("workers.instance", "t4g.small")
}

fn on_server(rig: &Rig, armed: &Armed) -> Seen {
    let environment = armed.environment();
    let image = Image {
        environment: environment.clone(),
        ..Image::light()
    };
    let mut region = Region::armed(image, &json!({}), &environment, |_, _| ());
    let job = job(rig, &region.home.gate());
    let mut launch = region.launch(&job, &["--request-id", "chaos"]);
    let (mut lives, end) = (1, Instant::now() + LIMIT);
    while !launch.has_ended() {
        assert!(Instant::now() < end, "the run does not end within {LIMIT:?}");
        if region.serve.has_ended() {
            lives += 1;
            region.again();
        }
        wait::pause();
    }
    finished(&mut launch);
    region.assert_nothing_left();
    let receipt = region.receipt();
    Seen {
        outcome: receipt["ended"]["outcome"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        attempts: receipt["attempts"].as_u64().unwrap_or_default(),
        lives,
        ..Seen::default()
    }
}

fn finished(launch: &mut Launch) {
    launch.wait(LIMIT).exited(0).said("nothing is left");
}

/// The command dies before or after it has sealed what the master begins with: nothing was started, and the next launch is
/// not disturbed. The record stays open until somebody follows it for longer than a coordinator may be silent.
fn on_master(rig: &Rig, armed: &Armed) -> Seen {
    let account = Account::of(
        Image::light(),
        &json!({ "pending_secs": 1, "shutting_down_secs": 1 }),
    );
    let job = job(rig, &account.home.gate());
    let mut first = account.launch_in(&job, &["--request-id", "first"], &armed.environment());
    let died = first.wait(LIMIT);
    assert_eq!(died.code, None, "the command was to die: {died:#?}");
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
    let bill = account.ec2.rig("GET", "bill", &Value::Null)["instances"].clone();
    assert_eq!(bill, json!([]), "machines were started");
    finished(&mut account.launch(&job, &["--request-id", "second"]));
    assert!(account.is_clear(), "left over: {:#}", account.leftovers());
    Seen {
        outcome: "succeeded".to_owned(),
        attempts: 1,
        lives: 2,
        ..Seen::default()
    }
}
