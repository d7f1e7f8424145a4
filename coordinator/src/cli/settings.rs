//! Where the settings of a person's commands are.

use std::path::{Path, PathBuf};

use mayfly_configs::{ClientSettings, load_client};

use super::failure::Failure;

/// Those of the file that is named, else of the person's own file; nothing where there is none.
///
/// # Errors
/// The file that is named is not there, or a file is wrong.
pub(crate) fn of_client(named: Option<&Path>) -> Result<ClientSettings, Failure> {
    let own = || own_file(|name| std::env::var_os(name).map(PathBuf::from));
    let path = match named {
        Some(named) => Some(named.to_owned()),
        None => own().filter(|path| path.exists()),
    };
    let settings = path.as_deref().map(load_client).transpose()?;
    Ok(settings.unwrap_or_default())
}

/// `client.yml` in the folder that programs keep their settings in.
fn own_file(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // Relative ones do not count, by the rules of that variable.
    let set = |name| variable(name).filter(|path| path.is_absolute());
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("mayfly").join("client.yml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_persons_own_file_is_where_programs_keep_their_settings() {
        let of = |xdg: &str, home: &str| {
            own_file(|name| {
                let value = if name == "HOME" { home } else { xdg };
                (!value.is_empty()).then(|| PathBuf::from(value))
            })
        };
        let (own, xdg) = ("/home/me/.config/mayfly/client.yml", "/x/mayfly/client.yml");
        assert_eq!(of("", "/home/me"), Some(own.into()));
        assert_eq!(of("relative", "/home/me"), Some(own.into()));
        assert_eq!(of("/x", "/home/me"), Some(xdg.into()));
        assert_eq!(of("", ""), None);
    }
}
