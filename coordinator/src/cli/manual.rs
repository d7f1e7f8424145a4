//! `completions` and `man`: what shells and `man` want to know of these commands, made of the commands themselves.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::failure::Failure;
use super::out;

/// Flags of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator completions bash > ~/.local/share/bash-completion/completions/coordinator
  coordinator completions zsh > \"${fpath[1]}/_coordinator\"
  coordinator completions fish > ~/.config/fish/completions/coordinator.fish")]
pub(crate) struct Completions {
    /// Of which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator man ~/.local/share/man/man1     then: man coordinator-launch")]
pub(crate) struct Man {
    /// Folder to write them to; it is made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints the completions of a shell.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn completions(flags: &Completions) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "coordinator", &mut text);
    io::stdout()
        .lock()
        .write_all(&text)
        .map_err(|e| Failure::output(&e))?;
    Ok(0)
}

/// Writes a page for each command.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn man(flags: &Man) -> Result<u8, Failure> {
    let folder = &flags.folder;
    let failed =
        |e: io::Error| Failure::usage(format!("cannot write the pages to {}: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
    out::note(&format!("written to {}", folder.display()));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        man(&Man {
            folder: folder.path().join("man1"),
        })
        .unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
        assert!(page("coordinator.1").contains("coordinator"));
        assert!(page("coordinator-launch.1").contains("Examples"));
        let verbs = Cli::command()
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .count();
        assert!(std::fs::read_dir(folder.path().join("man1")).unwrap().count() > verbs);
    }
}
