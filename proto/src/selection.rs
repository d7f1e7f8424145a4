//! Which files of a folder are meant, by patterns of their paths.
//!
//! `*` and `?` stand for characters of one name, `**` for any folders, `[…]` and `{a,b}` as in a shell. A pattern without
//! `/` fits a name in every folder, one with `/` at its end all that is in such a folder, any other one the whole path.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(#[from] globset::Error);

/// What is kept, but for what is excluded. The default is everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `None` stands for everything.
    keep: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// Of the paths that fit one of `keep` (of all, where there is none) those that fit none of `exclude`.
    ///
    /// # Errors
    /// One of them is no pattern.
    pub fn new(keep: &[String], exclude: &[String]) -> Result<Self, PatternError> {
        Ok(Self {
            keep: (!keep.is_empty()).then(|| set(keep)).transpose()?,
            exclude: set(exclude)?,
        })
    }

    /// Whether a path, below the folder and with `/` between its parts, is meant.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        self.keep.as_ref().is_none_or(|keep| keep.is_match(path)) && !self.exclude.is_match(path)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern)?);
    }
    Ok(set.build()?)
}

fn glob(pattern: &str) -> Result<Glob, PatternError> {
    let anywhere = !pattern.trim_end_matches('/').contains('/');
    let start = if anywhere { "**/" } else { "" };
    let end = if pattern.ends_with('/') { "**" } else { "" };
    let whole = format!("{start}{}{end}", pattern.trim_start_matches('/'));
    Ok(GlobBuilder::new(&whole).literal_separator(true).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(keep: &[&str], exclude: &[&str], path: &str) -> bool {
        let owned = |patterns: &[&str]| patterns.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
        Selection::new(&owned(keep), &owned(exclude)).unwrap().takes(path)
    }

    #[test]
    fn what_is_kept_and_not_excluded_is_meant() {
        for (keep, exclude, path, expected) in [
            (&[][..], &[][..], "a/b.csv", true),
            (&["*.csv"], &[], "a/b.csv", true),
            (&["*.csv"], &[], "a/b.parquet", false),
            (&["a/*.csv"], &[], "a/b.csv", true),
            (&["a/*.csv"], &[], "a/c/b.csv", false),
            (&["a/**/*.csv"], &[], "a/c/d/b.csv", true),
            (&["/b.csv"], &[], "b.csv", true),
            (&["/b.csv"], &[], "a/b.csv", false),
            (&["model/"], &[], "model/x/weights.bin", true),
            (&["model/"], &[], "out/model/weights.bin", true),
            (&["model/"], &[], "models/weights.bin", false),
            (&["*.{csv,png}"], &["b.*"], "a/c.png", true),
            (&["*.{csv,png}"], &["b.*"], "a/b.png", false),
            (&[], &["tmp/"], "x/tmp/y", false),
            (&[], &["tmp/"], "x/tmp.csv", true),
        ] {
            assert_eq!(
                takes(keep, exclude, path),
                expected,
                "{keep:?} {exclude:?} {path}"
            );
        }
        assert!(Selection::new(&["[a".into()], &[]).is_err());
    }
}
