//! Keeps one service registered, whatever happens to Consul. Level-triggered: each turn makes what is registered be what
//! is wanted, and says when the next turn is due. No turn takes longer than the time of a few requests.

use std::time::Duration;

use super::error::ConsulError;
use super::{Consul, Health, Service};
use crate::backoff::{Backoff, Policy, about, jitter};

/// A third of the check's time to live.
const FEED_EVERY: Duration = Duration::from_secs(5);
const RETRY: Policy = Policy {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(10),
    budget: Duration::MAX,
};

/// One service in Consul.
pub struct Presence {
    consul: Consul,
    shown: Shown,
    waits: Backoff<fn() -> u64>,
    trouble: Option<String>,
}

/// What Consul knows of us.
enum Shown {
    Nothing,
    /// It was asked to register this; whether it did, or still knows, is not certain.
    Perhaps(Service),
    Registered(Service),
}

impl Presence {
    /// Nothing is registered yet.
    #[must_use]
    pub fn new(consul: Consul) -> Self {
        Self {
            consul,
            shown: Shown::Nothing,
            waits: Backoff::new(RETRY, jitter as fn() -> u64),
            trouble: None,
        }
    }

    /// True while Consul may know of us.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !matches!(self.shown, Shown::Nothing)
    }

    /// Makes what is registered be `wanted`, feeds its check with `line`, and returns when to come back at the latest.
    pub async fn turn(&mut self, wanted: Option<&Service>, health: Health, line: &str) -> Duration {
        let done = match wanted {
            Some(service) => self.show(service, health, line).await,
            None => self.hide().await,
        };
        match done {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("Consul answers again");
                }
                self.waits.reset();
                about(FEED_EVERY, jitter())
            }
            Err(error) => self.failed(&error),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn status(&self) -> String {
        match (&self.trouble, &self.shown) {
            (Some(trouble), _) => trouble.clone(),
            (None, Shown::Nothing) => "not registered".into(),
            (None, Shown::Perhaps(service)) => format!("registering {}", self.consul.service_id(service)),
            (None, Shown::Registered(service)) => {
                format!("registered as {}", self.consul.service_id(service))
            }
        }
    }

    async fn show(&mut self, service: &Service, health: Health, line: &str) -> Result<(), ConsulError> {
        if !matches!(&self.shown, Shown::Registered(known) if known == service) {
            self.register(service).await?;
        }
        if self.consul.report(service, health, line).await? {
            return Ok(());
        }
        // It has forgotten us: it was started anew, or we were silent for too long.
        self.register(service).await
    }

    async fn register(&mut self, service: &Service) -> Result<(), ConsulError> {
        // What was registered under another id would stay, and an id does not change its service.
        let other = match &self.shown {
            Shown::Perhaps(known) | Shown::Registered(known) => {
                known.name != service.name || known.kind != service.kind
            }
            Shown::Nothing => false,
        };
        if other {
            self.hide().await?;
        }
        self.shown = Shown::Perhaps(service.clone());
        self.consul.register(service).await?;
        self.shown = Shown::Registered(service.clone());
        Ok(())
    }

    async fn hide(&mut self) -> Result<(), ConsulError> {
        if let Shown::Perhaps(service) | Shown::Registered(service) = &self.shown {
            self.consul.deregister(service).await?;
        }
        self.shown = Shown::Nothing;
        Ok(())
    }

    /// The first of a row of failures is worth a line in the log.
    fn failed(&mut self, error: &ConsulError) -> Duration {
        if let Shown::Registered(service) = &self.shown {
            self.shown = Shown::Perhaps(service.clone());
        }
        if self.trouble.is_none() {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "Consul does not do what it is asked to; the run goes on without it"
            );
        }
        self.trouble = Some(error.to_string());
        self.waits.next().unwrap_or(RETRY.cap)
    }
}
