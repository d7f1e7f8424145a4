//! Why a program of the repository cannot be started. The system's own word is about the file or about its interpreter and
//! does not say which, so the file is looked at.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::prepare::PrepareError;

/// Bytes that are looked at.
const HEAD: u64 = 256;
const ELF: &[u8] = b"\x7fELF";
/// Machines by the number that an ELF file has for them, and by Rust's name for them.
const MACHINES: [(u16, &str); 5] = [
    (3, "x86"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// The failure in one sentence: the job's own doing wherever its file is what is wrong.
pub(super) fn why(error: &io::Error, program: &str, folder: &Path) -> PrepareError {
    let of_the_job = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    );
    // A bare name is a program of the machine, found on its `PATH`.
    let wrong = program.contains('/').then(|| wrong(&folder.join(program)));
    match wrong.flatten() {
        Some(wrong) => PrepareError::job(format!("the job cannot be started: {program} {wrong}")),
        None if of_the_job => PrepareError::job(format!("the job cannot be started: {error}")),
        None => PrepareError::infra(format!("the job cannot be started: {error}")),
    }
}

/// What is wrong with a file, and what would be right.
fn wrong(path: &Path) -> Option<String> {
    let meta = path.metadata().ok()?;
    if meta.is_dir() {
        return Some("is a folder, not a program".into());
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Some("is not executable: `git update-index --chmod=+x` makes it so".into());
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    if head.is_empty() {
        return Some("is empty (zero bytes)".into());
    }
    if head.starts_with(ELF) {
        return other_machine(&head);
    }
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(interpreter) = first.strip_prefix(b"#!") else {
        return Some("is neither a program of this system nor a script that says in its first line what runs it, as `#!/bin/sh` does".into());
    };
    if first.ends_with(b"\r") {
        return Some("has the line ends of Windows (CR LF), so that its first line names no interpreter: save it with LF".into());
    }
    let interpreter = String::from_utf8_lossy(interpreter);
    let name = interpreter.split_whitespace().next().unwrap_or_default();
    let missing = !Path::new(name).exists();
    missing.then(|| format!("is to be run by {name:?}, which this machine does not have"))
}

/// That an ELF file is for another machine than this one.
fn other_machine(head: &[u8]) -> Option<String> {
    let number: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    let number = match head.get(5) {
        Some(2) => u16::from_be_bytes(number),
        Some(_) | None => u16::from_le_bytes(number),
    };
    let here = std::env::consts::ARCH;
    let known = MACHINES.iter().find(|(known, _)| *known == number);
    let theirs = known.map_or_else(
        || format!("machines of kind {number}"),
        |(_, name)| (*name).to_owned(),
    );
    (theirs != here)
        .then(|| format!("is a program for {theirs}, and this machine is of {here}: build it for that"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::Kind;

    /// The first bytes of a program for another machine than this one.
    fn elf() -> Vec<u8> {
        let (other, _) = MACHINES
            .into_iter()
            .rfind(|(_, name)| *name != std::env::consts::ARCH)
            .unwrap();
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18..20].copy_from_slice(&other.to_le_bytes());
        head
    }

    #[test]
    fn what_cannot_be_run_is_the_jobs_doing_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes, mode, says) in [
            (
                "crlf",
                b"#!/bin/sh\r\necho\r\n".to_vec(),
                0o755,
                "line ends of Windows",
            ),
            ("plain", b"#!/bin/sh\n".to_vec(), 0o644, "not executable"),
            ("empty", Vec::new(), 0o755, "zero bytes"),
            ("text", b"echo\n".to_vec(), 0o755, "#!/bin/sh"),
            ("lost", b"#!/opt/none -x\n".to_vec(), 0o755, "\"/opt/none\""),
            ("other", elf(), 0o755, "is a program for"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = std::process::Command::new(&path).spawn().unwrap_err();
            let why = why(&error, &format!("./{name}"), folder.path());
            assert_eq!(why.kind, Kind::Job, "{why}");
            assert!(why.message.contains(says) && why.message.contains(name), "{why}");
        }
        let folders = why(&io::ErrorKind::PermissionDenied.into(), "./", folder.path());
        assert!(folders.message.contains("is a folder"), "{folders}");
    }

    #[test]
    fn what_is_not_there_is_the_jobs_doing_and_what_the_machine_lacks_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let none = why(&io::ErrorKind::NotFound.into(), "./none", folder.path());
        assert_eq!(none.kind, Kind::Job, "{none}");
        let full = why(&io::ErrorKind::OutOfMemory.into(), "sort", folder.path());
        assert_eq!(full.kind, Kind::Infra, "{full}");
    }
}
