//! The cloud on this machine: agents are processes.

use jiff::Timestamp;
use mayfly_proto::NodeId;

use super::{Event, World};
use crate::call::{Local, Res};
use crate::machine::Machine;
use crate::product::coordinator::cloud::Machine as Seen;
use crate::product::coordinator::run::Role;
use crate::time::{Ms, SEC, wall};

/// How long agents get to leave by themselves before they are killed.
const LEAVE_GRACE: Ms = 5 * SEC;

impl World {
    pub(super) fn local(&mut self, request: &Local) -> Res {
        match request {
            Local::Start(role, number) => self.start_local(*role, *number),
            Local::Kill(node) => {
                let found = self.machines.iter().position(|machine| machine.node == *node);
                if let Some(number) = found {
                    self.after(1, Event::Killed(number));
                }
            }
            Local::Leave => {
                for number in 0..self.machines.len() {
                    self.after(LEAVE_GRACE, Event::Killed(number));
                }
            }
            Local::Look => return Res::Machines(self.machines.iter().map(seen).collect()),
        }
        Res::Done
    }

    fn start_local(&mut self, role: Role, number: u32) {
        let node = match role {
            Role::Master => NodeId::master(number),
            Role::Worker => NodeId::worker(number),
            Role::Auto => NodeId::alike(number),
        };
        let machine = Machine::new(node.to_string(), node, role, self.now);
        self.new_machine(machine);
    }
}

fn seen(machine: &Machine) -> Seen {
    let ended: Option<Timestamp> = machine.ended.map(wall);
    Seen {
        id: machine.id.clone(),
        node: machine.node.clone(),
        role: machine.role,
        address: None,
        started: wall(machine.launched),
        ended,
        offer: None,
    }
}
