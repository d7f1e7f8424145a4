//! Shows a page in the person's browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::out;
use crate::home::write_private;

/// Programs that show a file in the browser of whoever sits there.
const PROGRAMS: [&str; 2] = ["xdg-open", "open"];

/// Shows an address, or says why not. The address may hold a key, and everybody on the machine sees what programs are
/// started with: it goes through a file that only this user reads.
pub(crate) fn show(home: &Path, address: &str) {
    let shown = program().ok_or("there is no xdg-open here".to_owned());
    let shown = shown.and_then(|program| start(&program, &home.join("open.html"), address));
    if let Err(why) = shown {
        out::note(&format!("no browser is opened: {why}"));
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let named = |name: &str| {
        folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    };
    PROGRAMS.iter().find_map(|name| named(name))
}

fn start(program: &Path, file: &Path, address: &str) -> Result<(), String> {
    let address = address
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;");
    let page = format!(
        "<!doctype html><meta name=\"referrer\" content=\"no-referrer\"><meta http-equiv=\"refresh\" content=\"0; url={address}\">\n"
    );
    write_private(file, page.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new(program);
    command
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It goes on beside us for as long as it likes.
    command
        .spawn()
        .map(drop)
        .map_err(|error| format!("{}: {error}", program.display()))
}
