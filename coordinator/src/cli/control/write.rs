//! The files that people need to reach a server.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Failure;
use crate::control::whereabouts::Whereabouts;

/// A file of settings that begins so is one that we wrote and may write again.
const OURS: &str = "# Written by `coordinator control show`.";
/// Beside the settings.
const TOKEN: &str = "people.token";

/// Writes a file that nobody else may read, whole or not at all.
fn private(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Writes the token of people.
pub(super) fn token(path: &Path, people: &str) -> Result<(), Failure> {
    private(path, &format!("{people}\n"))
}

/// Writes the settings of a person's commands, and the token beside them.
pub(super) fn client(path: &Path, server: &Whereabouts, people: &str) -> Result<(), Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.starts_with(OURS) => {
            return Err(Failure::usage(format!(
                "{} is there and was not written by this command: name another file, or move it away",
                path.display()
            )));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(Failure::usage(format!("cannot read {}: {error}", path.display())));
        }
    }
    token(&path.with_file_name(TOKEN), people)?;
    let text = format!(
        "{OURS} When the server's machine is replaced its address changes: write it again.\n\
         coordinator: {}\ntoken_file: {TOKEN}\nfingerprint: {}\n",
        server.for_people(),
        server.fingerprint
    );
    private(path, &text)
}

#[cfg(test)]
mod tests {
    use mayfly_configs::parse_client;

    use super::*;

    #[test]
    fn what_is_written_is_what_commands_read_and_what_is_anothers_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mayfly/client.yml");
        let print = format!("sha256:{}", "0a".repeat(32));
        let server = Whereabouts::new("https://10.0.0.1:7070", None, print.clone(), "i-1");
        for people in ["FIRST", "SECOND"] {
            client(&file, &server, people).unwrap();
            let read = parse_client(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!(read.coordinator.as_deref(), Some("https://10.0.0.1:7070"));
            assert_eq!(read.fingerprint.as_ref(), Some(&print));
            let token = read.token_file.unwrap();
            assert_eq!(std::fs::read_to_string(&token).unwrap(), format!("{people}\n"));
            for path in [&file, &token] {
                let mode = path.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
        std::fs::write(&file, "coordinator: https://mine:1\n").unwrap();
        assert!(client(&file, &server, "THIRD").is_err());
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "coordinator: https://mine:1\n"
        );
    }
}
