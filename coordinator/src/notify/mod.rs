//! Tells webhooks of a run: what happened as JSON, signed. Nothing of a run waits for it.
//!
//! [`Notifier`] takes events without waiting; one task a run, [`keep`], posts them one after the other: a bounded number of
//! times each, within a bounded time, never where a job must not reach ([`reach`]).

mod body;
pub mod reach;
mod send;

use std::sync::Arc;
use std::time::Duration;

use mayfly_configs::Webhook;
use mayfly_kit::backoff::{Backoff, Policy, jitter};
use tokio::sync::mpsc;

pub use body::{Event, What, signature};
use reach::Reach;

/// Events that wait to be posted: more than a run has.
const QUEUE: usize = 64;
/// How often one is posted to an address that does not take it.
const TRIES: usize = 4;
const RETRY: Policy = Policy {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(5),
    budget: Duration::from_secs(30),
};

/// Who is told, and how. No `Debug`: it holds a secret.
#[derive(Clone, Default)]
pub struct Notify {
    /// Who is told of every run, whatever its job says. These may be anywhere.
    pub always: Vec<Webhook>,
    /// What is signed with; without it nothing is signed.
    pub secret: Option<Arc<str>>,
    /// Where the addresses that a job names may be.
    pub reach: Reach,
}

/// An address, and where it may lead.
#[derive(Clone)]
struct Target {
    hook: Webhook,
    reach: Reach,
}

/// Takes the events of one run.
#[derive(Default)]
pub struct Notifier {
    /// One queue for each address: one that does not answer keeps nothing from the others.
    queues: Vec<mpsc::Sender<Event>>,
}

impl Notifier {
    /// Takes an event; it is left out, and that is said, for an address that is far behind.
    pub fn tell(&self, event: &Event) {
        for queue in &self.queues {
            if let Err(error) = queue.try_send(event.clone()) {
                tracing::warn!(%error, "a webhook is not told of an event");
            }
        }
    }
}

/// The notifier of a run and the future that posts what it takes, until the notifier is gone.
pub fn of(notify: &Notify, job: &[Webhook]) -> (Notifier, impl Future<Output = ()> + Send + 'static) {
    let always = notify.always.iter().map(|hook| Target {
        hook: hook.clone(),
        reach: Reach::Anywhere,
    });
    let own = job
        .iter()
        .filter(|hook| !notify.always.contains(hook))
        .map(|hook| Target {
            hook: hook.clone(),
            reach: notify.reach,
        });
    let (mut queues, mut posting) = (Vec::new(), Vec::new());
    for target in always.chain(own) {
        let (queue, events) = mpsc::channel(QUEUE);
        queues.push(queue);
        posting.push(keep(target, notify.secret.clone(), events));
    }
    let all = async move {
        futures::future::join_all(posting).await;
    };
    (Notifier { queues }, all)
}

async fn keep(target: Target, secret: Option<Arc<str>>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        post(&target, secret.as_deref(), &event).await;
    }
}

/// Posts an event until it is taken, or refused for good, or often enough.
async fn post(target: &Target, secret: Option<&str>, event: &Event) {
    let body = event.body();
    let mut waits = Backoff::new(RETRY, jitter);
    for tried in 1..=TRIES {
        let error = match send::post(&target.hook, target.reach, secret, event.what, &body).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let wait = waits.next().filter(|_| tried < TRIES && !error.is_permanent());
        let Some(wait) = wait else {
            tracing::warn!(
                to = target.hook.shown(),
                what = event.what.name(),
                tried,
                error = &error as &dyn std::error::Error,
                "a webhook is not told"
            );
            return;
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
