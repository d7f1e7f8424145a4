//! Where Spark's JVMs get their classes from.
//!
//! Spark has some 280 JARs, the image a few more with tens of thousands of classes each, and every one of them is opened when
//! something is looked for that is in none: the JDK does that itself at each start (`java.time.zone.ZoneRulesProvider` asks
//! `ServiceLoader`). Nearly all that Master and Worker load comes from thirty of them, so these two have a class path of
//! their own, without the large ones that they do not use. A daemon that did not live with it is started again with all JARs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Toolchain;

/// Of everything, in the folder of archives.
pub(crate) const ALL: &str = "all.jsa";
/// Of what Master and Worker load.
pub(crate) const DAEMONS: &str = "daemons.jsa";
/// The JARs of their class path, a name on each line.
pub(crate) const DAEMONS_JARS: &str = "daemons.jars";

/// How JVMs get their classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// From jars.
    Jars,
    /// From the AppCDS archives in this folder where they fit, else silently from jars.
    Archive(PathBuf),
    /// From jars, and the names of what was loaded go to files in this folder, one per process.
    Record(PathBuf),
}

/// Options of a JVM, and its class path.
pub(super) struct Source {
    pub(super) options: Vec<String>,
    pub(super) class_path: String,
}

impl Classes {
    /// The archives, where there are any.
    #[must_use]
    pub fn archived(toolchain: &Toolchain) -> Self {
        toolchain.cds_archive.clone().map_or(Self::Jars, Self::Archive)
    }

    /// For a JVM of this kind (`what` names the file of a record), with all JARs.
    pub(super) fn all(&self, what: &str, spark_home: &Path) -> Source {
        Source {
            options: self.options(what),
            class_path: class_path(spark_home),
        }
    }

    /// For a Master or Worker, as far as it is known what they need.
    pub(super) fn of_daemon(&self, what: &str, spark_home: &Path) -> Source {
        let own = || match self {
            Self::Archive(folder) => {
                let jars = fs::read_to_string(folder.join(DAEMONS_JARS)).ok()?;
                Some(Source {
                    options: archive(&folder.join(DAEMONS)),
                    class_path: path_of(spark_home, jars.lines()),
                })
            }
            Self::Jars | Self::Record(_) => None,
        };
        own().unwrap_or_else(|| self.all(what, spark_home))
    }

    /// For a JVM with all JARs.
    pub(super) fn options(&self, what: &str) -> Vec<String> {
        match self {
            Self::Jars => Vec::new(),
            Self::Archive(folder) => archive(&folder.join(ALL)),
            Self::Record(folder) => {
                vec![
                    "-Xshare:off".into(),
                    format!("-XX:DumpLoadedClassList={}/{what}-%p.classes", folder.display()),
                ]
            }
        }
    }
}

/// Since 17 a JVM puts an archive somewhere else each time, which means to rewrite nearly every page of it: with the address
/// that it was made for, pages are only read, and shared by all JVMs of a node.
fn archive(path: &Path) -> Vec<String> {
    vec![
        format!("-XX:SharedArchiveFile={}", path.display()),
        "-Xshare:auto".into(),
        "-XX:+UnlockDiagnosticVMOptions".into(),
        "-XX:ArchiveRelocationMode=0".into(),
        "-Xlog:disable".into(),
        "-Xlog:all=error:stderr".into(),
    ]
}

/// The class path with all JARs, in the order that Spark's launcher gives to executors: an archive fits one order only. Since
/// Spark 4 one of them comes first.
pub(crate) fn class_path(spark_home: &Path) -> String {
    let jars = jars(spark_home);
    let is_old = jars.iter().any(|name| name.starts_with("spark-core_2.12-"));
    let slf4j = jars
        .into_iter()
        .find(|name| !is_old && name.starts_with("slf4j-api-"));
    path_of(spark_home, slf4j.as_deref().into_iter().chain(["*"]))
}

/// The class path with these JARs.
pub(crate) fn path_of<'a>(spark_home: &Path, jars: impl Iterator<Item = &'a str>) -> String {
    let jars = jars.map(|name| spark_home.join("jars").join(name));
    let all = std::iter::once(spark_home.join("conf")).chain(jars);
    let all: Vec<String> = all.map(|path| path.display().to_string()).collect();
    all.join(":")
}

/// Names of Spark's JARs, sorted.
pub(crate) fn jars(spark_home: &Path) -> Vec<String> {
    let entries = fs::read_dir(spark_home.join("jars"));
    let names = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jar"))
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jars_are_in_the_order_of_the_launcher_of_each_series() {
        let spark = tempfile::tempdir().unwrap();
        let jars = spark.path().join("jars");
        fs::create_dir(&jars).unwrap();
        fs::write(jars.join("slf4j-api-2.0.7.jar"), "").unwrap();
        let path = || class_path(spark.path()).replace(&format!("{}/", spark.path().display()), "");
        fs::write(jars.join("spark-core_2.13-4.0.5.jar"), "").unwrap();
        assert_eq!(path(), "conf:jars/slf4j-api-2.0.7.jar:jars/*");
        fs::rename(
            jars.join("spark-core_2.13-4.0.5.jar"),
            jars.join("spark-core_2.12-3.5.9.jar"),
        )
        .unwrap();
        assert_eq!(path(), "conf:jars/*");
    }

    #[test]
    fn a_daemon_has_its_own_jars_where_they_are_known_and_all_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (spark, classes) = (Path::new("/spark"), Classes::Archive(folder.path().into()));
        let all = classes.of_daemon("spark-master", spark);
        assert_eq!(all.class_path, "/spark/conf:/spark/jars/*");
        assert!(all.options.iter().any(|option| option.ends_with("/all.jsa")));
        fs::write(folder.path().join(DAEMONS_JARS), "a.jar\nb.jar").unwrap();
        let own = classes.of_daemon("spark-master", spark);
        assert_eq!(own.class_path, "/spark/conf:/spark/jars/a.jar:/spark/jars/b.jar");
        assert!(own.options.iter().any(|option| option.ends_with("/daemons.jsa")));
        assert_eq!(classes.all("spark-master", spark).class_path, all.class_path);
    }
}
