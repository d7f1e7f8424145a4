//! Whether a program of the repository can be run: what its bytes and its mode say, before anything starts.

use super::{Found, Look, join};
use crate::source::SourceError;

/// Largest program of text, in bytes.
const TEXT_MAX: u64 = 64 << 20;
/// As Git has it.
const NOT_EXECUTABLE: &str = "100644";

/// An entry that is there: not larger than a program is, and one that its shell can read.
pub(super) async fn entry(look: &Look<'_>, path: &str) -> Result<(), SourceError> {
    // A jar brings its libraries along.
    if path.ends_with(".jar") {
        return Ok(());
    }
    if let Found::File { bytes } = look.at(path).await?
        && bytes > TEXT_MAX
    {
        let (size, most) = (bytes >> 20, TEXT_MAX >> 20);
        let near =
            format!("; a program has at most {most} MiB: what is larger is data, and belongs to `inputs`");
        return Err(look.refuse("code.entry", path, &format!("has {size} MiB"), near));
    }
    if path.ends_with(".sh") {
        unix_lines(look, "code.entry", path).await?;
    }
    Ok(())
}

/// A command line whose program is a file of the repository (`./run`). One that is not there is none of ours.
pub(super) async fn command(look: &Look<'_>, top: &str, words: &[String]) -> Result<(), SourceError> {
    let Some(named) = words.first().filter(|word| word.starts_with("./")) else {
        return Ok(());
    };
    let path = join(top, named);
    let path = path.as_str();
    match look.at(path).await? {
        Found::Missing => return Ok(()),
        Found::File { bytes: 1.. } => {}
        found @ (Found::File { .. } | Found::Folder | Found::LeavesRepository | Found::Loop) => {
            return Err(look.wrong("code.command", path, &found).await);
        }
    }
    let listed = look
        .git
        .must(&["ls-tree", "--full-tree", look.commit, "--", path])
        .await?;
    if listed.text().starts_with(NOT_EXECUTABLE) {
        let near = format!("; `git update-index --chmod=+x {path}` makes it so");
        return Err(look.refuse("code.command", path, "is not executable", near));
    }
    unix_lines(look, "code.command", path).await
}

/// A script whose first line ends as those of Windows names an interpreter that there is not.
async fn unix_lines(look: &Look<'_>, what: &'static str, path: &str) -> Result<(), SourceError> {
    let bytes = look.bytes(path).await?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let script = what == "code.entry" || first.starts_with(b"#!");
    if script && first.ends_with(b"\r") {
        let near = "; a shell takes the CR for a part of its words: save the file with LF, and keep it so with \
                    `*.sh text eol=lf` in .gitattributes";
        return Err(look.refuse(
            what,
            path,
            "has the line ends of Windows (CR LF)",
            near.to_owned(),
        ));
    }
    Ok(())
}
