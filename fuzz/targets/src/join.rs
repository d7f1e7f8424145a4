//! The token that a machine shows when it comes.

use std::sync::LazyLock;

use mayfly_coordinator::run::Role;
use mayfly_coordinator::tokens::{Joining, Tokens};
use mayfly_proto::RunId;

use crate::text;

static JOINING: LazyLock<Joining> = LazyLock::new(|| {
    let run: RunId = "fuzz-abcdefgh".parse().expect("a run's id");
    Tokens::generate().expect("random bytes").joining(&run)
});

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let text = text(bytes);
    let known = JOINING.check(text, Role::Worker, Default::default());
    assert!(known.is_err(), "nobody can guess a token");
}
