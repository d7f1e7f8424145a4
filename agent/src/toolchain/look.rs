//! What [`super::ensure`] would find, with nothing installed.

use std::path::Path;

use serde::Serialize;

use super::{Request, java, python, recall};
use crate::python::search::Search;

/// One of Java, Python and Spark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `python`, `spark` or `java`.
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// Where it is, or what is wrong, for people.
    pub detail: String,
}

/// Whether a part is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Found,
    /// The first launch installs it.
    Install,
    /// Somebody has to install it.
    Missing,
}

/// Looks at each part.
pub async fn look(request: &Request) -> Vec<Part> {
    // Programs are asked from a folder that is there; what is not installed has none yet.
    let there = request.cache.is_dir();
    let cache = if there {
        request.cache.clone()
    } else {
        std::env::temp_dir()
    };
    let request = &Request {
        cache,
        ..request.clone()
    };
    let note = request.cache.join(format!("toolchain-{}.json", request.spark));
    if let Some(known) = recall(&note, &request.spark) {
        return vec![
            of_job(request, &known.python).await,
            found("spark", &known.spark_home),
            found("java", &known.java),
        ];
    }
    let python = python::find(request).await;
    let spark = match &python {
        Ok(python) => spark(request, python),
        Err(_) => missing(
            "spark",
            "it is installed with Python, which is missing".to_owned(),
        ),
    };
    let python = match &python {
        Ok(python) => of_job(request, &python.program).await,
        Err(error) => missing("python", error.to_string()),
    };
    vec![python, spark, of_java(request).await]
}

fn found(name: &'static str, place: &Path) -> Part {
    Part {
        name,
        state: State::Found,
        detail: place.display().to_string(),
    }
}

fn missing(name: &'static str, detail: String) -> Part {
    Part {
        name,
        state: State::Missing,
        detail,
    }
}

/// The Python of a job, which may be the machine's own.
async fn of_job(request: &Request, own: &Path) -> Part {
    let search = Search {
        named: &request.python,
        own,
        spark: &request.spark,
        path: std::env::var_os("PATH").unwrap_or_default(),
        keeper: &request.keeper,
        cwd: &request.cache,
    };
    match search.find().await {
        Ok(python) => found("python", python.as_ref().map_or(own, |python| &python.program)),
        Err(error) => missing("python", error.message),
    }
}

fn spark(request: &Request, python: &python::Interpreter) -> Part {
    let place = python::place(request, python);
    if place.join("complete").exists() {
        return found("spark", &place);
    }
    Part {
        name: "spark",
        state: State::Install,
        detail: format!("{} is installed at the first launch (some 400 MB)", request.spark),
    }
}

async fn of_java(request: &Request) -> Part {
    match java::find(request).await {
        Some(java) => found("java", &java.program),
        None => Part {
            name: "java",
            state: State::Install,
            detail: "no Java 17 or 21; one is installed at the first launch (about 40 MB)".to_owned(),
        },
    }
}
