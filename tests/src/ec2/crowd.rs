//! Thousands of machines: what of EC2 and Auto Scaling depends on their number, without moto.
//!
//! It stands before moto. Groups, templates, networks and prices are moto's, whose groups stay at zero; how many machines a
//! group has, which they are and how they end is here. moto takes too long for a thousand of them.

mod front;
mod xml;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use front::Call;

/// Most machines in one answer.
const PAGE: usize = 1_000;
/// Until a machine runs, and from the call that ends it to its end.
const PENDING: Duration = Duration::from_millis(200);
const ENDING: Duration = Duration::from_millis(500);

/// It answers until it is dropped.
#[derive(Debug)]
pub struct Crowd {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    moto: SocketAddr,
    stop: AtomicBool,
    world: Mutex<World>,
}

#[derive(Debug, Default)]
struct World {
    groups: BTreeMap<String, Group>,
    machines: Vec<Machine>,
    counts: BTreeMap<String, u64>,
    throttle: Option<Throttle>,
    /// Machines that ran in the listing that is being read, and in the last one that was read to its end.
    listing: usize,
    listed: usize,
}

#[derive(Debug, Default)]
struct Group {
    desired: usize,
    subnets: String,
    deleting: bool,
    /// Its tag with the end of the run.
    deadline: String,
}

/// The end of the run, of the tags that a group is made with.
fn deadline(call: &Call) -> String {
    let tag = |n: usize, part: &str| call.value(&format!("Tags.member.{n}.{part}"));
    let number = (1..=50).find(|&n| tag(n, "Key") == "mayfly:deadline");
    number.map(|n| tag(n, "Value")).unwrap_or_default()
}

#[derive(Debug)]
struct Machine {
    id: String,
    group: String,
    launched: Timestamp,
    began: Instant,
    ended: Option<Instant>,
}

/// So many calls a second, after a burst.
#[derive(Debug)]
struct Throttle {
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Throttle {
    fn lets(&mut self) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + more).min(self.burst);
        self.filled = now;
        let lets = self.tokens >= 1.0;
        if lets {
            self.tokens -= 1.0;
        }
        lets
    }
}

impl Machine {
    /// As DescribeInstances calls it.
    fn state(&self) -> &'static str {
        match self.ended {
            Some(at) if at.elapsed() >= ENDING => "terminated",
            Some(_) => "shutting-down",
            None if self.began.elapsed() >= PENDING => "running",
            None => "pending",
        }
    }

    fn end(&mut self) {
        self.ended.get_or_insert_with(Instant::now);
    }
}

impl Crowd {
    /// Before the moto at `http://host:port`.
    ///
    /// # Panics
    /// That is no address, or there is no port left.
    #[must_use]
    pub fn before(moto: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            moto: moto.trim_start_matches("http://").parse().unwrap(),
            stop: AtomicBool::new(false),
            world: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || front::accept(&listener, &own));
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// `http://host:port` of this.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each action was called, those of moto too.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.world().counts.clone()
    }

    /// Machines that ran in the last listing that was read to its end.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.shared.world().listed
    }

    /// Machines that have not ended.
    #[must_use]
    pub fn left(&self) -> usize {
        let world = self.shared.world();
        let left = world
            .machines
            .iter()
            .filter(|machine| machine.state() != "terminated");
        left.count()
    }

    /// From now on so many calls a second are answered, after a burst; the others are refused as too many.
    pub fn throttle(&self, rate: f64, burst: f64) {
        self.shared.world().throttle = Some(Throttle {
            rate,
            burst,
            tokens: burst,
            filled: Instant::now(),
        });
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a call.
enum Said {
    /// It is answered here.
    Here(u16, String),
    /// It is moto's.
    Moto,
}

impl World {
    fn answer(&mut self, call: &Call) -> Said {
        let action = call.action();
        let service = call.service();
        *self.counts.entry(format!("{service} {action}")).or_default() += 1;
        if self.throttle.as_mut().is_some_and(|throttle| !throttle.lets()) {
            return xml::throttled(service);
        }
        self.settle();
        match action {
            "UpdateAutoScalingGroup" => self.update(call),
            "DescribeAutoScalingGroups" => Said::Here(
                200,
                xml::groups(self, &call.numbered("AutoScalingGroupNames.member")),
            ),
            "DescribeScalingActivities" => Said::Here(200, xml::no_activities()),
            "DeleteAutoScalingGroup" => self.delete(call),
            "DescribeInstances" => self.describe(call),
            "TerminateInstances" => self.terminate(&call.numbered("InstanceId")),
            "CreateAutoScalingGroup" => {
                let group = Group {
                    deadline: deadline(call),
                    ..Group::default()
                };
                self.groups.insert(call.value("AutoScalingGroupName"), group);
                Said::Moto
            }
            _ => Said::Moto,
        }
    }

    /// Groups that are being deleted are gone with their last machine.
    fn settle(&mut self) {
        let machines = &self.machines;
        let has_some = |name: &String| {
            machines
                .iter()
                .any(|one| one.group == *name && one.state() != "terminated")
        };
        self.groups
            .retain(|name, group| !group.deleting || has_some(name));
    }

    fn update(&mut self, call: &Call) -> Said {
        let name = call.value("AutoScalingGroupName");
        let desired: usize = call.value("DesiredCapacity").parse().unwrap_or(0);
        let Some(group) = self.groups.get_mut(&name) else {
            return xml::refused("AutoScalingGroup name not found");
        };
        if group.deleting {
            return xml::refused("AutoScalingGroup is pending delete");
        }
        group.desired = desired;
        let subnets = call.value("VPCZoneIdentifier");
        if !subnets.is_empty() {
            group.subnets = subnets;
        }
        let here = self
            .machines
            .iter_mut()
            .filter(|one| one.group == name && one.ended.is_none());
        let here: Vec<&mut Machine> = here.collect();
        let missing = desired.saturating_sub(here.len());
        here.into_iter().skip(desired).for_each(Machine::end);
        for _ in 0..missing {
            self.machines.push(Machine {
                id: format!("i-{:017x}", self.machines.len() + 1),
                group: name.clone(),
                launched: Timestamp::now(),
                began: Instant::now(),
                ended: None,
            });
        }
        Said::Here(200, xml::done("UpdateAutoScalingGroup"))
    }

    /// moto's own, which is empty, goes too.
    fn delete(&mut self, call: &Call) -> Said {
        let name = call.value("AutoScalingGroupName");
        if let Some(group) = self.groups.get_mut(&name) {
            group.deleting = true;
        }
        self.machines
            .iter_mut()
            .filter(|one| one.group == name)
            .for_each(Machine::end);
        Said::Moto
    }

    fn terminate(&mut self, ids: &[String]) -> Said {
        let named = self.machines.iter_mut().filter(|one| ids.contains(&one.id));
        named.for_each(Machine::end);
        Said::Here(200, xml::terminated())
    }

    fn describe(&mut self, call: &Call) -> Said {
        let run = call.value("Filter.1.Value.1");
        if !call.value("Filter.1.Name").starts_with("tag:mayfly:run") {
            return Said::Moto;
        }
        let start: usize = call.value("NextToken").parse().unwrap_or(0);
        let most = call.value("MaxResults").parse().unwrap_or(PAGE).min(PAGE);
        let prefix = format!("mayfly-{run}-");
        let all = self.machines.iter().filter(|one| one.group.starts_with(&prefix));
        let page: Vec<&Machine> = all.skip(start).take(most + 1).collect();
        let more = page.len() > most;
        let page = page.get(..most).unwrap_or(&page);
        let running = page.iter().filter(|one| one.state() == "running").count();
        let text = xml::instances(page, &run, more.then_some(start + most));
        self.listing = if start == 0 {
            running
        } else {
            self.listing + running
        };
        if !more {
            self.listed = self.listing;
        }
        Said::Here(200, text)
    }
}
