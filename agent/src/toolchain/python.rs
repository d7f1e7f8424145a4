//! The base Python: an environment with pyspark and the packages that jobs expect.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mayfly_proto::python::{supported, supported_text};

use super::{Error, Request, Step, base_requirements, put_in_place, unfinished};
use crate::command::Command;
use crate::python::PIP_INSTALL;
use crate::python::shared::mark_of;
use crate::supervise::Keeper;

const ASK_MAX: Duration = Duration::from_secs(30);
const VENV_MAX: Duration = Duration::from_secs(180);
const INSTALL_MAX: Duration = Duration::from_secs(15 * 60);

const ASK: &str = "import sys\nprint('version', sys.version_info[0], sys.version_info[1])\nprint('program', sys.executable)\n\
import venv, ensurepip\nprint('complete')";

pub(super) struct Base {
    pub(super) python: PathBuf,
    pub(super) spark_home: PathBuf,
}

/// A Python 3, as it says of itself.
#[derive(Debug)]
pub(crate) struct Interpreter {
    pub(crate) program: PathBuf,
    pub(crate) minor: u32,
    /// Whether environments can be made with it.
    pub(crate) complete: bool,
}

/// Names of the interpreters that this release of Spark runs with: newest first, after the user's own choice.
pub(crate) fn names(spark: &str) -> Vec<String> {
    let versions = supported(spark).rev().map(|minor| format!("python3.{minor}"));
    std::iter::once("python3".to_owned()).chain(versions).collect()
}

pub(super) async fn base(request: &Request, progress: &mut impl FnMut(Step)) -> Result<Base, Error> {
    let found = find(request).await?;
    let place = place(request, &found);
    if !place.join("complete").exists() {
        install(request, &found, &place, progress).await?;
    }
    let python = place.join("bin").join("python3");
    let spark_home = place
        .join("lib")
        .join(format!("python3.{}", found.minor))
        .join("site-packages/pyspark");
    if spark_home.join("jars").is_dir() && python.exists() {
        return Ok(Base { python, spark_home });
    }
    Err(Error::Failed(format!(
        "{} is damaged: remove it and try again",
        place.display()
    )))
}

/// The folder of the environment for this interpreter.
pub(super) fn place(request: &Request, found: &Interpreter) -> PathBuf {
    let mark = mark_of(&format!(
        "{}\n{}\n{}",
        request.spark,
        found.program.display(),
        base_requirements(&request.spark)
    ));
    let name = format!("spark-{}-py3.{}-{mark}", request.spark, found.minor);
    request.cache.join(name)
}

pub(super) async fn find(request: &Request) -> Result<Interpreter, Error> {
    let range = supported(&request.spark);
    let mut incomplete = None;
    for name in names(&request.spark) {
        let python = ask(&request.keeper, &name, &request.cache).await;
        match python.filter(|python| range.contains(&python.minor)) {
            Some(python) if python.complete => return Ok(python),
            Some(python) => incomplete = incomplete.or(Some(python)),
            None => {}
        }
    }
    Err(Error::Missing(match incomplete {
        Some(python) => format!(
            "Python 3.{0} at {1} lacks venv or ensurepip: install them with {2}",
            python.minor,
            python.program.display(),
            by_system(
                &format!("apt install python3.{0}-venv", python.minor),
                "dnf install python3",
                "brew install python@3.12"
            ),
        ),
        None => missing(&request.spark),
    }))
}

fn missing(spark: &str) -> String {
    let wanted = supported_text(spark);
    let newest = *supported(spark).end().min(&12);
    // What distributions call Python 3 may be too new for an older Spark.
    let debian = match newest {
        12 => "python3 python3-venv".to_owned(),
        _ => format!("python3.{newest} python3.{newest}-venv"),
    };
    format!(
        "{wanted} is not on the PATH, and Spark {spark} runs with no other: install it with {}",
        by_system(
            &format!("apt install {debian}"),
            &format!("dnf install python3.{newest}"),
            &format!("brew install python@3.{newest}")
        )
    )
}

fn by_system(debian: &str, fedora: &str, brew: &str) -> String {
    let here = |program: &str| super::java::on_path(program).is_some();
    match () {
        () if here("apt") => format!("`{debian}`"),
        () if here("dnf") => format!("`{fedora}`"),
        () if here("brew") => format!("`{brew}`"),
        () => format!("`{debian}`, `{fedora}` or `{brew}`"),
    }
}

/// What an interpreter says of itself; `None` when it is not there, or is no Python 3.
pub(crate) async fn ask(keeper: &Keeper, program: impl Into<OsString>, cwd: &Path) -> Option<Interpreter> {
    let command = Command::new(keeper, program, ["-c", ASK], cwd).env_remove("PYTHONPATH");
    let said = command.run(ASK_MAX, |_| {}).await.ok()?.lines;
    let value = |key: &str| {
        said.iter()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    };
    Some(Interpreter {
        minor: value("version")?.strip_prefix("3 ")?.parse().ok()?,
        program: value("program")?.into(),
        complete: said.iter().any(|line| line == "complete"),
    })
}

async fn install(
    request: &Request,
    found: &Interpreter,
    place: &Path,
    progress: &mut impl FnMut(Step),
) -> Result<(), Error> {
    let detail = format!("making an environment with {}", found.program.display());
    progress(Step {
        name: "python",
        detail,
    });
    let folder = unfinished(&request.cache)?;
    let args = ["-m".as_ref(), "venv".as_ref(), folder.path().as_os_str()];
    let made = Command::new(&request.keeper, &found.program, args, &request.cache)
        .run(VENV_MAX, |_| {})
        .await;
    let made = made.map_err(Error::io("run", &found.program))?;
    if !made.success() {
        return Err(Error::Failed(format!(
            "{} cannot make an environment: {}",
            found.program.display(),
            made.last_line()
        )));
    }
    let list = folder.path().join("base-requirements.txt");
    std::fs::write(&list, base_requirements(&request.spark)).map_err(Error::io("write", &list))?;
    let python = folder.path().join("bin/python3");
    // The build of pyspark's source package would fetch its own tools each time; the pinned ones are used.
    progress(Step {
        name: "python",
        detail: "installing numpy, pandas and pyarrow (about 60 MB)".into(),
    });
    pip(request, &python, &["-r".as_ref(), list.as_os_str()], progress).await?;
    progress(Step {
        name: "spark",
        detail: format!("installing Spark {} (about 430 MB, some minutes)", request.spark),
    });
    let spark = format!("pyspark=={}", request.spark);
    pip(
        request,
        &python,
        &["--no-build-isolation".as_ref(), spark.as_ref()],
        progress,
    )
    .await?;
    let mark = folder.path().join("complete");
    std::fs::write(&mark, "").map_err(Error::io("write", &mark))?;
    put_in_place(folder, place)
}

/// The command that does all of it anew.
fn again(request: &Request) -> String {
    format!(
        "{} toolchain --spark {} --cache {}",
        request.keeper.agent.display(),
        request.spark,
        request.cache.display()
    )
}

/// `pip install`, bounded; its steps are passed on.
pub(super) async fn pip(
    request: &Request,
    python: &Path,
    what: &[&OsStr],
    progress: &mut impl FnMut(Step),
) -> Result<(), Error> {
    let args = PIP_INSTALL.iter().map(AsRef::as_ref).chain(what.iter().copied());
    let command = Command::new(&request.keeper, python, args, &request.cache);
    let done = command
        .run(INSTALL_MAX, |line| {
            let line = line.trim();
            if ["Downloading ", "Building wheel", "Installing collected"]
                .iter()
                .any(|begin| line.starts_with(begin))
            {
                progress(Step {
                    name: "pip",
                    detail: line.chars().take(120).collect(),
                });
            }
        })
        .await
        .map_err(Error::io("run", python))?;
    if done.exit.is_none() {
        return Err(Error::Failed(format!(
            "pip did not end within {} minutes",
            INSTALL_MAX.as_secs() / 60
        )));
    }
    if done.success() {
        return Ok(());
    }
    let said = done.lines.iter().rev().find(|line| line.starts_with("ERROR:"));
    let said = said.map_or(done.last_line(), |line| line.trim_start_matches("ERROR:").trim());
    let offline = done.lines.iter().any(|line| {
        line.contains("Failed to establish a new connection") || line.contains("NameResolutionError")
    });
    let hint = if offline {
        " (is this machine connected to the network?)"
    } else {
        ""
    };
    Err(Error::Failed(format!(
        "pip cannot install what Spark needs: {said}{hint}; when that is mended, `{}` installs it",
        again(request)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_spark_lie_side_by_side_each_with_packages_that_fit_it() {
        let place = |spark: &str| {
            let request = Request {
                cache: "/cache".into(),
                spark: spark.into(),
                python: String::new(),
                keeper: PathBuf::from("/agent").into(),
            };
            let found = Interpreter {
                program: "/usr/bin/python3.11".into(),
                minor: 11,
                complete: true,
            };
            place(&request, &found).display().to_string()
        };
        let (four, newer, older) = (place("4.0.5"), place("4.1.4"), place("3.5.9"));
        assert!(four.starts_with("/cache/spark-4.0.5-py3.11-"), "{four}");
        assert!(four != newer && newer != older && older != four);
        assert!(base_requirements("4.1.4").contains("\nnumpy==2."));
        assert!(base_requirements("3.5.9").contains("\nnumpy==1."));
        assert_eq!(
            names("3.5.9"),
            ["python3", "python3.11", "python3.10", "python3.9"]
        );
        assert!(missing("3.5.9").starts_with("Python 3.9 to 3.11 is not on the PATH"));
    }
}
