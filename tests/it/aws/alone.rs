//! Every coordinator is dead for ever: what the nodes have is uploaded before their machines go, and anybody finds it.

use std::fs;
use std::path::Path;

use mayfly_tests::ec2::{Image, Info};
use mayfly_tests::region::Region;
use mayfly_tests::{Home, clock, wait};
use serde_json::{Value, json};

use super::light::{LIMIT, Light};

/// Longer than a node lives without an answer, and less than that and what it may take to save what it has.
const JUMP_SECS: u64 = 130;

/// One region in which so much time passes on all machines, and nowhere else, once there is this file.
fn region(jumped: &Path) -> Light {
    let image = Image {
        environment: clock::jumps(jumped, JUMP_SECS),
        ..Image::light()
    };
    Light::in_region(Region::of(image, &json!({})))
}

fn run_of(info: &Info) -> String {
    let tags = info.tags.as_ref().expect("a machine of ours has tags");
    tags["mayfly:run"].as_str().unwrap().to_owned()
}

/// Whether the job's process is on one of these machines.
fn works(light: &Light, machines: &[Info]) -> bool {
    let of_job = |pid: i32| {
        let line = fs::read(format!("/proc/{}/cmdline", pid.unsigned_abs())).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("light.py")
    };
    let mut pids = machines
        .iter()
        .flat_map(|info| light.region.ec2.processes(&info.id));
    pids.any(of_job)
}

/// What `results RUN --salvaged` lists, and what is fetched by it, by path.
fn salvaged(home: &Home, run: &str) -> (Vec<String>, Vec<String>) {
    let listed = home.verb(&["results", run, "--salvaged", "--json"]);
    let listed: Value = serde_json::from_str(&listed.exited(0).stdout).unwrap();
    let files = listed["files"].as_array().unwrap().iter();
    let paths = files
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect();
    let to = home.scratch(run);
    home.verb(&["results", run, "--salvaged", "--to", to.to_str().unwrap()])
        .exited(0);
    let mut fetched: Vec<String> = fs::read_dir(to)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    fetched.sort();
    (paths, fetched)
}

/// One job still works then, the other one has ended while there was nobody to tell.
#[test]
fn machines_that_are_left_alone_save_what_their_job_wrote_and_go() {
    let home = Home::new();
    let jumped = home.scratch("jumped");
    let mut light = region(&jumped);
    let (ended, working) = (light.job("ended", 1), light.job("working", 1));
    let (mut first, mut second) = (light.launch(&ended), light.launch(&working));
    light.works(&mut first, &ended, 1);
    light.works(&mut second, &working, 1);
    let machines = light.region.ec2.instances();
    let (of_ended, of_working): (Vec<Info>, Vec<Info>) = machines
        .into_iter()
        .partition(|info| run_of(info).starts_with("ended-"));
    assert_eq!((of_ended.len(), of_working.len()), (2, 2), "machines of each run");

    light.region.serve.kill();
    first.kill();
    second.kill();
    light.go(&ended);
    // Its node has seen it too, and notes what is to be saved.
    let notes = |info: &Info| light.region.ec2.folder(&info.id).join("run/unsaved.json");
    wait::until("the end of one job", LIMIT, || {
        let noted = of_ended.iter().any(|info| notes(info).exists());
        (noted && !works(&light, &of_ended)).then_some(())
    });
    assert!(works(&light, &of_working), "both jobs have ended");
    fs::write(&jumped, "").unwrap();
    for info in of_ended.iter().chain(&of_working) {
        light.region.ec2.wait_state(&info.id, "terminated", LIMIT);
        let told = light
            .region
            .ec2
            .rig("GET", &format!("machines/{}", info.id), &Value::Null);
        assert_eq!(told["cause"], "Instance initiated shutdown", "{told:#}");
    }

    // Whoever has the store's name finds it, with no coordinator and no folder of theirs.
    let person = light.region.home.elsewhere();
    for (machines, files) in [
        (&of_ended, vec!["early.txt", "late.txt"]),
        (&of_working, vec!["early.txt"]),
    ] {
        let run = run_of(&machines[0]);
        let hint = format!("coordinator results {run} --salvaged");
        person.verb(&["results", &run]).exited(2).said(&hint);
        let (listed, fetched) = salvaged(&person, &run);
        assert_eq!(listed, files, "what {run} has saved");
        assert_eq!(fetched, files, "what is fetched of {run}");
        let text = fs::read_to_string(person.scratch(&run).join("early.txt"));
        assert_eq!(text.unwrap(), "attempt 1\n");
    }
}
