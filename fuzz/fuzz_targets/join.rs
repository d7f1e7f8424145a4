//! The token that a machine shows when it comes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mayfly_coordinator::run::Role;
use mayfly_coordinator::tokens::{Joining, Tokens};
use mayfly_proto::RunId;

static JOINING: LazyLock<Joining> = LazyLock::new(|| {
    let run: RunId = "fuzz-abcdefgh".parse().expect("a run's id");
    Tokens::generate().expect("random bytes").joining(&run)
});

fuzz_target!(|text: &str| {
    let known = JOINING.check(text, Role::Worker, Default::default());
    assert!(known.is_err(), "nobody can guess a token");
});
