//! The use that people elsewhere make of a job that is a session of the engine: when it was last used, and whether it is over.
//! The connections come in through [`crate::carry`]; the attempt ends the job by what is known here.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What is known.
#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Instant,
    is_over: bool,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Somebody said so.
    Told,
    /// Nobody used it for as long as it may be idle.
    Idle,
}

/// The use of a session.
#[derive(Debug)]
pub struct Visits(watch::Sender<Seen>);

impl Default for Visits {
    fn default() -> Self {
        Self(watch::Sender::new(Seen {
            last: Instant::now(),
            is_over: false,
        }))
    }
}

impl Visits {
    /// A session begins: nobody has used it, nobody has ended it.
    pub fn begin(&self) {
        self.0.send_replace(Seen {
            last: Instant::now(),
            is_over: false,
        });
    }

    /// It is in use.
    pub fn seen(&self) {
        // Whoever waits looks again when the time is over: nobody is woken for each piece that comes by.
        self.0.send_if_modified(|seen| {
            seen.last = Instant::now();
            false
        });
    }

    /// It is over.
    pub fn end(&self) {
        self.0.send_modify(|seen| seen.is_over = true);
    }

    /// Waits until it is over. May be dropped at any time.
    pub async fn over(&self, idle: Duration) -> Over {
        let mut seen = self.0.subscribe();
        loop {
            let now = *seen.borrow_and_update();
            if now.is_over {
                return Over::Told;
            }
            let until = now.last + idle;
            if until <= Instant::now() {
                return Over::Idle;
            }
            tokio::select! {
                _ = seen.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_while_it_is_used() {
        let visits = Visits::default();
        visits.begin();
        let began = Instant::now();
        let used = async {
            for _ in 0..5 {
                tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
                visits.seen();
            }
        };
        let (over, ()) = tokio::join!(visits.over(IDLE), used);
        assert_eq!(over, Over::Idle);
        assert_eq!(began.elapsed(), 5 * (IDLE - Duration::from_secs(1)) + IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_told_does_not_wait() {
        let visits = Visits::default();
        let told = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            visits.end();
        };
        let (over, ()) = tokio::join!(visits.over(IDLE), told);
        assert_eq!(over, Over::Told);
        assert_eq!(
            visits.over(IDLE).await,
            Over::Told,
            "it stays over until the next one"
        );
        visits.begin();
        assert_eq!(visits.over(IDLE).await, Over::Idle);
    }
}
