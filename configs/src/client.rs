//! The settings of a person's commands: which coordinator they go to. Read like a job file, with the same errors. The
//! token is not in it: its file is named.

use std::path::{Path, PathBuf};

use crate::check::optional;
use crate::diag::{Errors, Problem, Sink};
use crate::finish;
use crate::keys::CLIENT;
use crate::read::Section;
use crate::settings::{Paths, goes_with, read, values};
use crate::text::quote;

/// What a person's commands are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// `http://` or `https://`, a host and perhaps a port; or `consul`, or `none`.
    pub coordinator: Option<String>,
    /// File that holds the coordinator's token.
    pub token_file: Option<PathBuf>,
    /// Fingerprint of the authority that is trusted; its form alone is known here.
    pub fingerprint: Option<String>,
    /// PEM file of the authority that is trusted.
    pub ca_file: Option<PathBuf>,
}

/// Checks the settings of a person's commands.
///
/// # Errors
/// Everything that is wrong.
pub fn parse_client(path: &Path, text: &str) -> Result<ClientSettings, Errors> {
    let name = path.to_string_lossy();
    if text.len() > crate::MAX_FILE_BYTES {
        return Err(Errors::of_file(&name, crate::file::too_large()));
    }
    let mut sink = Sink::default();
    let entries = read(&mut sink, &name, text, "coordinator: https://host:7070");
    let paths = Paths {
        base: path.parent().map(Path::to_owned).unwrap_or_default(),
        files: sink.sources(),
    };
    let top = Section::open(&mut sink, &CLIENT, "", "", &entries);
    let settings = client(&mut sink, &paths, &top);
    finish(sink, settings).map(|(settings, _)| settings)
}

fn client(sink: &mut Sink, paths: &Paths, top: &Section<'_>) -> Option<ClientSettings> {
    let coordinator = optional(top.get("coordinator"), |field| field.with(sink, coordinator));
    let token_file = optional(top.get("token_file"), |field| paths.read(sink, &field));
    let fingerprint = optional(top.get("fingerprint"), |field| field.with(sink, fingerprint));
    let ca_file = optional(top.get("ca_file"), |field| paths.read(sink, &field));
    if let (Some(_), Some(field)) = (top.get("fingerprint"), top.get("ca_file")) {
        let problem = Problem::new("is given beside `fingerprint`");
        field.report(sink, problem.help("both say whom to trust: remove one of them"));
        return None;
    }
    let whole = goes_with(
        sink,
        top,
        "coordinator",
        &["token_file", "fingerprint", "ca_file"],
    );
    let settings = ClientSettings {
        coordinator: coordinator?,
        token_file: token_file?,
        fingerprint: fingerprint?,
        ca_file: ca_file?,
    };
    whole.then_some(settings)
}

fn coordinator(text: &str) -> Result<String, Problem> {
    if matches!(text, "consul" | "none") {
        return Ok(text.to_owned());
    }
    let help = "write its URL, such as https://mayfly.example.org:7070; or `consul`; or `none`";
    values::base_url(text).map_err(|problem| problem.help(help))
}

/// `sha256:` and 64 digits, with colons between them or not.
fn fingerprint(text: &str) -> Result<String, Problem> {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    let (hex, rest): (Vec<char>, Vec<char>) = digits
        .chars()
        .filter(|c| *c != ':')
        .partition(char::is_ascii_hexdigit);
    if hex.len() == 64 && rest.is_empty() {
        return Ok(text.to_owned());
    }
    let problem = Problem::new(format!("is {}, which is no fingerprint", quote(text)));
    Err(problem.help("write `sha256:` and 64 hex digits, as `coordinator serve` prints it"))
}
