//! faults.md 13: the disk of the coordinator itself is full, or nobody may write to it. What runs goes on, since the store is
//! the log; what cannot be begun is refused in one sentence.

use std::path::Path;

use mayfly_proto::v1::Phase;
use mayfly_tests::wait::secs;
use mayfly_tests::{Bucket, Disk, Home, Job, Repo, Serve, slots, wait};

/// What is there before it is full: clones, logs, settings.
const ROOM: &str = "24m";
/// Writing there fails as on a full disk.
const FULL: &str = "/dev/full";

/// A small disk for the folder of this home; without one there is nothing to show.
fn disk(home: &Home) -> Option<Disk> {
    Disk::on(&home.path(), ROOM)
        .inspect_err(|why| eprintln!("not shown: {why}"))
        .ok()
}

/// It is killed there, and started again; its log has no room from the first line on.
#[test]
fn a_coordinator_goes_on_with_its_runs() {
    let _slot = slots::take();
    let (mut server, person, repo) = (Home::light(), Home::light(), Repo::of_jobs());
    server.complain_to(Path::new(FULL));
    let Some(mut disk) = disk(&server) else { return };
    disk.outside("store", &server.scratch("store"));
    let mut serve = Serve::start(&server);
    let job = |name: &str| Job::at_gate(name, &person, &repo, "holds.py");
    let mut launch = serve.launch(&person, &job("goes-on"), &[]);
    launch.until("the job", secs(120), || person.heard("holds"));
    let [id] = &server.runs()[..] else {
        panic!("one run, not {:?}", server.runs())
    };
    disk.fill();
    serve.kill();
    serve.again(&server);
    wait::until("the run to be taken over", secs(30), || {
        let mut runs = serve.runs().into_iter();
        runs.any(|run| run.phase() == Phase::Working).then_some(())
    });
    let refused = serve.launch(&person, &job("refused"), &[]).wait(secs(60));
    refused
        .exited(3)
        .said("request.json")
        .said("No space left on device");
    assert_eq!(
        server.runs(),
        std::slice::from_ref(id),
        "something of the other run is there"
    );
    disk.free();
    person.tell("go");
    launch.wait(secs(120)).exited(0).said("nothing is left");
    let run = server.run(id);
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["results_files"]),
        (&1.into(), &1.into())
    );
}

/// The store of a command is in its folder: nothing of it is lost when there is room again.
#[test]
fn a_command_waits_until_there_is_room_for_what_its_job_wrote() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let Some(disk) = disk(&home) else { return };
    let (mut launch, run) = home.holding(&repo);
    disk.fill();
    home.tell("go");
    launch.until("what is to be uploaded", secs(60), || {
        let said = std::fs::read_to_string(home.scratch("command-0.err")).ok()?;
        said.contains("collecting").then_some(())
    });
    disk.free();
    launch.wait(secs(120)).exited(0).said("nothing is left");
    let receipt = run.assert_closed("succeeded");
    assert_eq!(
        (&receipt["attempts"], &receipt["results_files"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn what_cannot_be_written_down_is_not_begun() {
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let Some(disk) = disk(&home) else { return };
    let file = Job::new("refused", &repo.url(), "plain.py").write(&home);
    let refused = |says: &str| {
        let ended = home.verb(&["launch", file.to_str().unwrap()]);
        ended.exited(3).said(says);
        let (_, error) = ended.stderr.rsplit_once("error: ").unwrap();
        assert_eq!(error.lines().count(), 1, "{error}");
        home.assert_no_run();
    };
    disk.fill();
    refused("choose another folder with --home or MAYFLY_HOME: No space left on device");
    disk.free();
    // One that has been used before.
    drop(Bucket::serve(&home));
    disk.fill();
    refused("No space left on device");
    disk.free();
    disk.lock();
    refused("Read-only file system");
}
