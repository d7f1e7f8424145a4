//! The complete environment of an engine's programs: nothing is inherited but what is named here.

use std::ffi::OsString;
use std::path::Path;

use super::Context;

/// The job's variables, a `PATH` with these folders first, and who and where the user is.
pub(super) fn base<'p>(
    context: &Context,
    path: impl IntoIterator<Item = &'p Path>,
) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = context
        .env
        .iter()
        .filter(|(key, _)| *key != "PATH")
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    let inherited = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut all = OsString::new();
    for folder in path {
        all.push(folder);
        all.push(":");
    }
    all.push(inherited);
    env.push(("PATH".into(), all));
    for key in ["HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ"] {
        if let Some(value) = std::env::var_os(key).filter(|_| !context.env.contains_key(key)) {
            env.push((key.into(), value));
        }
    }
    env.push(("TMPDIR".into(), context.temporary.clone().into_os_string()));
    env.push(("PYTHONUNBUFFERED".into(), "1".into()));
    env
}
