//! Asking a person yes or no.

use std::io::{self, IsTerminal as _, Write as _};

use super::out;

/// Whether there is somebody to ask.
#[must_use]
pub(crate) fn somebody() -> bool {
    io::stdin().is_terminal()
}

/// Asks on standard error; everything but a yes is a no.
pub(crate) async fn yes(question: &str) -> bool {
    out::flush();
    // Nobody there to read the question: nobody answers it either.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let answer = tokio::task::spawn_blocking(|| io::stdin().lines().next()).await;
    let answer = answer.ok().flatten().and_then(Result::ok).unwrap_or_default();
    matches!(answer.trim(), "y" | "Y" | "yes")
}
