//! Runs on this machine.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mayfly_kit::crash::{AT, ONCE, Point};
use mayfly_proto::RunId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::judge::{self, judge};
use super::scene::{Act, Stage, scenes};
use super::{Blow, Rig, Seen, Side, Whom};
use crate::disk::Disk;
use crate::procs::{self, Process};
use crate::{Home, Job, Launch, Serve, wait};

/// Longest that a run may take, with all that goes wrong: a node that hangs is missed after eight seconds, and given up.
const LIMIT: Duration = Duration::from_secs(150);
/// Nodes of a command that died are gone after that.
pub(super) const GONE: Duration = Duration::from_secs(25);
/// What a coordinator still does for a run that is closed.
const AFTER: Duration = Duration::from_secs(5);
/// How long the job works, in milliseconds.
pub(super) const WORKS: u32 = 450;
/// A file of so many MB goes to the store in parts.
pub(super) const LARGE: u32 = 9;

/// A run under a coordinator that serves.
pub(super) struct World {
    /// Of the coordinator: its programs are those that die.
    pub(super) server: Home,
    /// Of whoever launches.
    person: Home,
    serve: Serve,
    launch: Launch,
    lives: u32,
}

impl World {
    fn begin(environment: &[(&str, &str)], light: bool, job: impl FnOnce(&Home) -> Job) -> Self {
        let home = if light { Home::light } else { Home::new };
        let mut server = home();
        server.set_environment(environment);
        let job = job(&server);
        Self::of(server, home(), &job, &[])
    }

    pub(super) fn of(server: Home, person: Home, job: &Job, flags: &[&str]) -> Self {
        let serve = Serve::start_with(&server, flags);
        let launch = serve.launch(&person, job, &[]);
        Self {
            server,
            person,
            serve,
            launch,
            lives: 1,
        }
    }

    pub(super) fn run(&self) -> Option<RunId> {
        let found = self.server.runs().into_iter();
        found
            .into_iter()
            .find(|run| self.server.run(run).record().is_some())
    }

    /// Lets it go on, with a new coordinator for each that dies, until the command that follows it has ended.
    pub(super) fn until_ended(&mut self, mut play: impl FnMut(&mut Self)) {
        let end = Instant::now() + LIMIT;
        while !self.launch.has_ended() {
            assert!(Instant::now() < end, "the run does not end within {LIMIT:?}");
            if self.serve.has_ended() {
                self.lives += 1;
                self.serve.again(&self.server);
            }
            play(self);
            wait::pause();
        }
    }

    /// The job works in its first attempt.
    fn has_begun(&self) -> bool {
        began(&self.server)
    }

    pub(super) fn judged(mut self, megabytes: u32, expected: &[&str]) -> Seen {
        // The run is closed: its coordinator has ended everything, and `gc` finds nothing to end.
        self.server.runs().iter().for_each(judge::gone);
        self.serve.kill();
        let (gate, lives) = (self.server.gate(), self.lives);
        let seen = judge(&self.server, &gate, megabytes.into(), expected);
        Seen { lives, ..seen }
    }
}

fn began(home: &Home) -> bool {
    let all = fs::read_dir(home.gate()).into_iter().flatten().flatten();
    all.into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("began-1-"))
}

fn armed(home: &Home, point: Point, side: Side) -> [(&'static str, String); 2] {
    let once = home.scratch("crashed").display().to_string();
    [(AT, format!("{}.{}", point.name(), side.name())), (ONCE, once)]
}

pub(super) fn crash(rig: &Rig, point: Point, side: Side, stage: Stage) -> Seen {
    let found = scenes(point).iter().find(|scene| scene.stage == stage);
    let act = found.expect("a scene of this stage").act;
    let dir = Home::new();
    let armed = armed(&dir, point, side);
    let environment: Vec<(&str, &str)> = armed
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let seen = match stage {
        Stage::Command => in_command(rig, &environment, act),
        Stage::Server | Stage::Aws | Stage::OnMaster => {
            on_server(rig, &environment, act, || dir.scratch("crashed").exists())
        }
    };
    assert!(
        dir.scratch("crashed").exists(),
        "the run did not come to {} {}",
        side.name(),
        point.name()
    );
    seen
}

fn on_server(rig: &Rig, environment: &[(&str, &str)], act: Act, died: impl Fn() -> bool) -> Seen {
    let waits: &[&str] = if act == Act::None { &[] } else { &["waits"] };
    let mut world = World::begin(environment, true, |home| {
        rig.job(&home.gate(), WORKS, LARGE, waits)
    });
    let mut done = act == Act::None;
    world.until_ended(|world| {
        if done || !world.has_begun() {
            return;
        }
        done = true;
        let run = world.run().expect("a run that works has a record");
        match act {
            Act::LoseMaster => procs::find(&run, procs::Kind::Agent, Some("master-1"), LIMIT).kill(),
            Act::Cancel => {
                let mut cancel = world.serve.command(&world.person, &["cancel", run.as_str()]);
                world.person.start(&mut cancel).wait(LIMIT).exited(0);
            }
            Act::None | Act::FreezeWorker | Act::LoseCommand => {}
        }
    });
    // Whoever follows a run does not wait for what comes after it.
    let _came = wait::within(AFTER, || died().then_some(()));
    let expected = if act == Act::Cancel {
        judge::CANCELLED
    } else {
        judge::SUCCEEDS
    };
    world.judged(LARGE, expected)
}

fn in_command(rig: &Rig, environment: &[(&str, &str)], act: Act) -> Seen {
    let mut home = Home::light();
    home.set_environment(environment);
    let waits: &[&str] = if act == Act::None { &[] } else { &["waits"] };
    let job = rig
        .job(&home.gate(), WORKS, 0, waits)
        .workers(if act == Act::FreezeWorker { 2 } else { 1 });
    let mut launch = home.launch(&job);
    let end = Instant::now() + LIMIT;
    let mut frozen: Option<Process> = None;
    while !launch.has_ended() {
        assert!(Instant::now() < end, "the command does not end within {LIMIT:?}");
        if began(&home) && act == Act::LoseCommand {
            launch.kill();
        } else if began(&home) && act == Act::FreezeWorker && frozen.is_none() {
            let run = home.runs().into_iter().next().expect("a run");
            let agent = procs::find(&run, procs::Kind::Agent, Some("worker-1"), LIMIT);
            agent.signal(Signal::SIGSTOP);
            frozen = Some(agent);
        }
        wait::pause();
    }
    let ended = Instant::now();
    if act == Act::None {
        home.runs().iter().for_each(|run| procs::wait_gone(run, GONE));
    }
    let gone = ended.elapsed();
    if frozen.is_some() {
        // One that stands still has nobody but a coordinator, or whoever looks next.
        home.verb(&["gc", "--yes"]).exited(0);
    }
    if act == Act::LoseCommand {
        // The one that dies, and with it nothing else.
        let died = home.verb(&["gc", "--yes"]);
        assert_eq!(died.code, None, "gc was to die: {died:#?}");
    }
    let gate = home.gate();
    Seen {
        gone,
        lives: 1,
        ..judge(&home, &gate, 0, judge::OR_DIES)
    }
}

pub(super) fn blow(rig: &Rig, whom: Whom, what: Blow, after: Duration, spark: bool) -> Seen {
    let mut world = World::begin(&[], !spark, |home| rig.job(&home.gate(), 4 * WORKS, 0, &[]));
    let (mut since, mut hit, mut thaw): (Option<Instant>, bool, Option<(i32, Instant)>) = (None, false, None);
    world.until_ended(|world| {
        let Some(run) = world.run() else { return };
        let due = since.get_or_insert_with(Instant::now).elapsed() >= after;
        if due
            && !hit
            && let Some(pid) = find(world, &run, whom)
        {
            hit = true;
            match what {
                Blow::Kill => signal(pid, Signal::SIGKILL),
                Blow::Freeze(lasts) => {
                    signal(pid, Signal::SIGSTOP);
                    thaw = Some((pid, Instant::now() + lasts));
                }
            }
        }
        if let Some((pid, _)) = thaw.filter(|(_, at)| Instant::now() >= *at) {
            signal(pid, Signal::SIGCONT);
            thaw = None;
        }
    });
    if let Some((pid, _)) = thaw {
        signal(pid, Signal::SIGCONT);
    }
    let expected = match whom {
        Whom::Job | Whom::Keeper(_) => judge::OR_FAILS,
        Whom::Coordinator | Whom::Agent(_) | Whom::Engine(_) => judge::SUCCEEDS,
    };
    world.judged(0, expected)
}

fn signal(pid: i32, signal: Signal) {
    // It may be gone by now.
    let _gone = kill(Pid::from_raw(pid), signal);
}

pub(super) fn find(world: &World, run: &RunId, whom: Whom) -> Option<i32> {
    if whom == Whom::Coordinator {
        return i32::try_from(world.serve.pid()).ok();
    }
    let all = procs::of(run);
    let mut fitting = all.iter().filter(|process| {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let keeper = line.split('\0').nth(1) == Some("keep");
        match whom {
            Whom::Coordinator => false,
            Whom::Agent(node) => process.kind == procs::Kind::Agent && process.node == node,
            Whom::Keeper(node) => keeper && process.node == node,
            Whom::Engine(node) => !keeper && process.node == node && line.contains(".deploy."),
            Whom::Job => !keeper && line.contains("chaos.py"),
        }
    });
    fitting.next().map(|process| process.pid)
}

/// The disk that holds the folders of all nodes is full before the job has written what it has.
pub(super) fn full_disk(rig: &Rig) -> Seen {
    let mut mounted = Err(String::new());
    let mut world = World::begin(&[], true, |home| {
        mounted = Disk::on(&home.path().join("nodes"), "24m");
        rig.job(&home.gate(), WORKS, 64, &[])
    });
    if let Err(why) = &mounted {
        return Seen {
            skipped: Some(why.clone()),
            ..Seen::default()
        };
    }
    world.until_ended(|_| {});
    let run = world.run().expect("a run");
    let said = world.server.run(&run).record().unwrap_or_default()["ended"].to_string();
    assert!(
        said.contains("No space left on device"),
        "the cause is not told: {said}"
    );
    // What tells of it is in the store.
    let output = world.server.run(&run).output(&[]);
    assert!(
        output.contains("No space left on device"),
        "the job's output is lost: {output}"
    );
    world.judged(64, judge::FAILS)
}

/// The master's node has less memory than the job takes: the job is killed, and the agent tells of it.
pub(super) fn out_of_memory(rig: &Rig) -> Seen {
    const ROOM: &str = "200000000";
    let group = PathBuf::from(format!(
        "/sys/fs/cgroup/memory/mayfly-chaos-{}",
        std::process::id()
    ));
    let limited = fs::create_dir(&group).and_then(|()| fs::write(group.join("memory.limit_in_bytes"), ROOM));
    if let Err(error) = limited {
        let why = format!("no memory cgroup (v1) can be made here: {error}");
        return Seen {
            skipped: Some(why),
            ..Seen::default()
        };
    }
    let mut world = World::begin(&[], true, |home| {
        rig.job(&home.gate(), WORKS, 0, &["eats", "waits"])
    });
    let mut moved = false;
    world.until_ended(|world| {
        if moved || !world.has_begun() {
            return;
        }
        moved = true;
        let run = world.run().expect("a run");
        for process in procs::of(&run)
            .into_iter()
            .filter(|process| process.node == "master-1")
        {
            let _gone = fs::write(group.join("cgroup.procs"), process.pid.to_string());
        }
        world.server.tell("go");
    });
    let seen = world.judged(0, judge::FAILS);
    let _left = fs::remove_dir(&group);
    seen
}
