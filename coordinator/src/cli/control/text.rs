//! What people are told of a server.

use mayfly_aws::control::Parts;
use serde_json::json;

use super::Failure;
use crate::cli::out;
use crate::cli::plain;
use crate::cli::view::units::dollars;
use crate::control::whereabouts::Whereabouts;
use crate::record::SCHEMA;

/// Hours of a month, as AWS's own examples count them.
const HOURS: u64 = 730;

/// What is known of a server.
pub(super) struct Known<'a> {
    pub(super) parts: &'a Parts,
    pub(super) server: Option<&'a Whereabouts>,
    /// Of its machine, in millionths of a dollar.
    pub(super) hourly: Option<u64>,
}

/// What its machine costs.
pub(super) fn price(hourly: u64) -> String {
    format!(
        "{} an hour, {} a month; its disk, its public address and what it sends are not in it",
        dollars(hourly),
        dollars(hourly.saturating_mul(HOURS))
    )
}

impl Known<'_> {
    pub(super) fn show(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            return out::json(&json!({
                "schema": SCHEMA,
                "control": self.parts,
                "server": self.server,
                "hourly_micros": self.hourly,
            }));
        }
        self.lines().iter().try_for_each(|line| out::line(line))
    }

    /// What the server says of itself counts only if its machine is there.
    fn is_its_own(&self, server: &Whereabouts) -> bool {
        self.parts
            .machines
            .iter()
            .any(|machine| machine.id == server.instance)
    }

    fn lines(&self) -> Vec<String> {
        let parts = self.parts;
        let row = |what: &str, text: &str| format!("  {what:<15} {}", plain::line(text));
        let mut lines = vec![format!("server of the network {}", plain::line(&parts.network))];
        match self.server.filter(|server| self.is_its_own(server)) {
            Some(server) => {
                lines.push(row("URL", server.for_people()));
                if server.public_url.is_some() {
                    lines.push(row("in the network", &server.url));
                }
                lines.push(row("fingerprint", &server.fingerprint));
                if let Some(consul) = &server.consul {
                    lines.push(row("Consul", &format!("{consul} (in the network)")));
                }
                lines.push(row("there since", &server.since.to_string()));
            }
            None => lines.push(row("URL", "- (no machine of it has said where it is)")),
        }
        for machine in &parts.machines {
            let what = format!(
                "{}  {} in {}  {}",
                machine.id, machine.kind, machine.zone, machine.state
            );
            lines.push(row("machine", &what));
        }
        if parts.machines.is_empty() {
            lines.push(row("machine", "-"));
        }
        let group = match (&parts.group, parts.going) {
            (Some(group), _) => group.name.clone(),
            (None, true) => "is being deleted".to_owned(),
            (None, false) => "-".to_owned(),
        };
        lines.push(row("group", &group));
        if let Some(trouble) = parts.group.as_ref().and_then(|group| group.trouble.as_ref()) {
            lines.push(row("last launch", trouble));
        }
        let or_none = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
        lines.push(row("template", &or_none(&parts.template)));
        lines.push(row("role", &or_none(&parts.role)));
        lines.push(row("security group", &or_none(&parts.security_group)));
        let from = if parts.from.is_empty() {
            "nobody from outside of the network (--from)".to_owned()
        } else {
            parts.from.join(", ")
        };
        lines.push(row("open to", &from));
        if let Some(hourly) = self.hourly {
            lines.push(row("price", &price(hourly)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use mayfly_aws::control::Machine;

    use super::*;

    #[test]
    fn what_a_machine_said_that_is_gone_is_not_shown_as_the_servers_place() {
        let machine = Machine {
            id: "i-1".into(),
            state: "running".into(),
            kind: "t4g.small".into(),
            zone: "eu-north-1a".into(),
            address: None,
            public_address: None,
            launched: None,
        };
        let parts = Parts {
            machines: vec![machine],
            ..Parts::none("default")
        };
        let server =
            |instance: &str| Whereabouts::new("https://10.0.0.1:7070", None, "sha256:aa".into(), instance);
        let shown = |server: &Whereabouts| {
            let known = Known {
                parts: &parts,
                server: Some(server),
                hourly: Some(16_800),
            };
            known.lines().join("\n")
        };
        assert!(shown(&server("i-1")).contains("https://10.0.0.1:7070"));
        assert!(!shown(&server("i-0")).contains("https://10.0.0.1:7070"));
        assert!(shown(&server("i-1")).contains("$0.0168 an hour, $12.26 a month"));
    }
}
