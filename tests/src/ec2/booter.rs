//! The thread that boots what the rig starts, and ends what it ends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::imds::{Metadata, Trouble};
use super::machine::{Info, Machine};
use super::{Image, moto};

/// Longest that the thread waits for news: then it looks whether it shall end, or a slow machine shall boot.
const WAIT_SECS: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Booter {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    rig: SocketAddr,
    root: PathBuf,
    image: Image,
    stop: AtomicBool,
    world: Mutex<World>,
}

#[derive(Debug, Default)]
struct World {
    machines: HashMap<String, Power>,
    delay: Duration,
    trouble: Trouble,
}

#[derive(Debug)]
enum Power {
    /// It boots then.
    At(Instant),
    On(Box<Machine>),
    Off,
}

impl State {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Booter {
    pub(super) fn start(rig: SocketAddr, root: &Path, image: Image) -> Self {
        let state = Arc::new(State {
            rig,
            root: root.to_owned(),
            image,
            stop: AtomicBool::new(false),
            world: Mutex::default(),
        });
        let own = Arc::clone(&state);
        Self {
            state,
            thread: Some(std::thread::spawn(move || own.follow())),
        }
    }

    pub(super) fn metadata(&self, id: &str) -> Option<String> {
        match self.state.world().machines.get(id)? {
            Power::On(machine) => Some(machine.metadata.url()),
            Power::At(_) | Power::Off => None,
        }
    }

    pub(super) fn processes(&self, id: &str) -> Vec<i32> {
        match self.state.world().machines.get(id) {
            Some(Power::On(machine)) => machine.processes(),
            Some(Power::At(_) | Power::Off) | None => Vec::new(),
        }
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.state.world().delay = delay;
    }

    pub(super) fn trouble(&self, id: Option<&str>, trouble: Trouble) {
        let mut world = self.state.world();
        for (own, power) in &world.machines {
            if let (true, Power::On(machine)) = (id.is_none_or(|id| id == own), power) {
                machine.metadata.trouble(trouble.clone());
            }
        }
        if id.is_none() {
            world.trouble = trouble;
        }
    }
}

impl Drop for Booter {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl State {
    fn follow(&self) {
        let mut version = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let path = format!("machines?after={version}&wait={WAIT_SECS}");
            let Some((_, said)) = moto::try_call(self.rig, "GET", &path, &Value::Null) else {
                break;
            };
            version = said["version"].as_u64().unwrap_or(0);
            let all: Vec<Info> = serde_json::from_value(said["machines"].clone()).unwrap_or_default();
            let mut world = self.world();
            for info in all {
                self.see(&mut world, info);
            }
        }
        // Whatever still runs ends here.
        self.world().machines.clear();
    }

    fn see(&self, world: &mut World, info: Info) {
        if self.image.command.is_empty() {
            return;
        }
        let (delay, trouble) = (world.delay, world.trouble.clone());
        let is_up = info.state == "running";
        if is_up && !world.machines.contains_key(&info.id) {
            world
                .machines
                .insert(info.id.clone(), Power::At(Instant::now() + delay));
        }
        let Some(power) = world.machines.get_mut(&info.id) else {
            return;
        };
        let state = info.state.clone();
        match (state.as_str(), power) {
            ("running", Power::On(machine)) => machine.metadata.update(info),
            ("running", power @ Power::At(_)) => {
                if matches!(power, Power::At(at) if *at <= Instant::now()) {
                    *power = self.boot(info, trouble);
                }
            }
            ("shutting-down", Power::On(machine)) => machine.shut_down(),
            ("terminated" | "stopped", power) => *power = Power::Off,
            _ => {}
        }
    }

    fn boot(&self, info: Info, trouble: Trouble) -> Power {
        let metadata = Metadata::start(info.clone());
        metadata.trouble(trouble);
        let machine = Machine::boot(self.rig, &self.root, &self.image, &info, metadata);
        Power::On(Box::new(machine.expect("a machine boots")))
    }
}
