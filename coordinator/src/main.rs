//! The program `coordinator`: see [`mayfly_coordinator::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mayfly_coordinator::cli::main())
}
