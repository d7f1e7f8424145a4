//! Exceptions of Python, in the driver and in functions that run on executors.

use super::super::trace::Traceback;
use super::super::{Case, Found, Rule, evidence};
use super::{between, quoted};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "python-version",
        find: version,
    },
    Rule {
        name: "module-missing",
        find: module,
    },
    Rule {
        name: "serialization",
        find: serialization,
    },
    Rule {
        name: "port-in-use",
        find: port,
    },
    Rule {
        name: "class-missing",
        find: class,
    },
    Rule {
        name: "network",
        find: network,
    },
    Rule {
        name: "syntax",
        find: syntax,
    },
    Rule {
        name: "recursion",
        find: recursion,
    },
    Rule {
        name: "no-answer-from-java",
        find: gateway,
    },
    Rule {
        name: "udf-exception",
        find: udf,
    },
    Rule {
        name: "arguments",
        find: arguments,
    },
    Rule {
        name: "java-exception",
        find: py4j,
    },
    Rule {
        name: "exception",
        find: exception,
    },
];

fn version(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "PYTHON_VERSION_MISMATCH",
        "Python in worker has different version",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let what = line.split_once("] ").map_or(line, |(_, what)| what).trim();
    Some(
        Found::new(format!("driver and executors run different versions of Python: {what}"))
            .because(case.output_with(&marks))
            .change("leave PYSPARK_PYTHON, PYSPARK_DRIVER_PYTHON and spark.pyspark.python alone: every node then has the same one"),
    )
}

fn module(case: &Case<'_>) -> Option<Found> {
    let root = case.said.root().filter(|_| case.job_failed())?;
    let package = case
        .said
        .line_with(&["PACKAGE_NOT_INSTALLED", "UNSUPPORTED_PACKAGE_VERSION"]);
    if !matches!(root.name(), "ModuleNotFoundError" | "ImportError") && package.is_none() {
        return None;
    }
    let name = quoted(&root.message, '\'').unwrap_or("what it imports");
    let place = case.place();
    let worker = case.said.outer().is_some_and(|outer| outer.at != root.at) || root.is_workers();
    let (on, advice) = if worker {
        (
            " on the executors",
            "only modules at or below the folder of the entry are sent to them: put it there, or its package into the requirements",
        )
    } else {
        (
            "",
            "put its package into the file that code.requirements names: it is installed on every node",
        )
    };
    Some(
        Found::new(format!(
            "the Python module {name} is not installed{on}{}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.traced(root))
        .change(advice),
    )
}

fn serialization(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "PicklingError",
        "CONTEXT_ONLY_VALID_ON_DRIVER",
        "Task not serializable",
        "NotSerializableException",
        "cannot pickle",
        "Could not serialize object",
        "CONTEXT_UNAVAILABLE_FOR_REMOTE_CLIENT",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.place();
    // The line may be one of a traceback's own: the exception says it better.
    let exception = case.said.outer().map(Traceback::headline);
    let exception = exception.filter(|told| marks.iter().any(|mark| told.contains(mark)));
    let what = exception.unwrap_or_else(|| line.trim().to_owned());
    Some(
        Found::new(format!("something that a task needs cannot be sent to executors{}: {what}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("a function that runs on executors must not use the session, the context, locks, files or connections of the driver: make them inside the function")
    )
}

fn port(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "Address already in use",
        "java.net.BindException",
        "Cannot assign requested address",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let service = between(line, "Service ", " failed")
        .map(|service| format!(" for {service}"))
        .unwrap_or_default();
    let place = case.driver_place();
    Some(
        Found::new(format!("a port{service} is in use already{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("leave Spark's ports (spark.driver.port, spark.ui.port, …) to Mayfly, and end an earlier session with spark.stop()"),
    )
}

fn class(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "java.lang.ClassNotFoundException",
        "java.lang.NoClassDefFoundError",
        "java.lang.NoSuchMethodError",
        "'JavaPackage' object is not callable",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let name = [
        "ClassNotFoundException: ",
        "NoClassDefFoundError: ",
        "NoSuchMethodError: ",
    ]
    .iter()
    .find_map(|part| line.split_once(part).map(|(_, name)| name.trim()))
    // Hadoop words it so.
    .map(|name| name.strip_prefix("Class ").unwrap_or(name))
    .map(|name| name.strip_suffix(" not found").unwrap_or(name));
    let place = case.driver_place();
    let change = if name.is_some_and(|name| name.ends_with(".S3AFileSystem")) {
        "to read s3a:// paths, name Hadoop's package for them with spark: {conf: {spark.jars.packages: \
         org.apache.hadoop:hadoop-aws:VERSION}}, the version being that of this Spark's Hadoop (3.4.1 for Spark 4.0)"
    } else {
        "name the package that has it with spark: {conf: {spark.jars.packages: group:name:version}}, for the Scala version of this Spark"
    };
    Some(
        Found::new(format!(
            "the Java class {} is not there{}",
            name.unwrap_or("that is called"),
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.output_with(&marks))
        .change(change),
    )
}

fn network(case: &Case<'_>) -> Option<Found> {
    let root = case.said.root().filter(|_| case.job_failed());
    let names = [
        "ConnectionRefusedError",
        "ConnectionError",
        "ConnectionResetError",
        "gaierror",
        "URLError",
        "TimeoutError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "NewConnectionError",
        "ReadTimeout",
    ];
    let python = root.filter(|t| names.contains(&t.name()));
    let marks = [
        "java.net.UnknownHostException",
        "java.net.ConnectException",
        "java.net.SocketTimeoutException",
        "NETWORK_CONNECTION",
        "curlCode: ",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed());
    let said = python
        .map(Traceback::headline)
        .or_else(|| line.map(|line| line.trim().to_owned()))?;
    let place = case.place();
    let evidence = match python {
        Some(traceback) => case.traced(traceback),
        None => case.output_with(&marks),
    };
    Some(
        Found::new(format!("something on the network does not answer{}: {said}", Case::shown(place.as_ref())))
            .at(place)
            .because(evidence)
            .change("look whether the nodes can reach that host and port: on AWS their subnet and security group decide"),
    )
}

fn syntax(case: &Case<'_>) -> Option<Found> {
    if !case.job_failed() {
        return None;
    }
    // Of the entry itself Python prints no traceback: only the place and the exception.
    let names = ["SyntaxError: ", "IndentationError: ", "TabError: "];
    let at = case
        .said
        .lines
        .iter()
        .rposition(|line| names.iter().any(|name| line.starts_with(name)))?;
    let after = case.said.tracebacks.iter().any(|t| t.at > at);
    if after {
        return None;
    }
    let from = at.saturating_sub(4);
    let lines = case.said.lines.get(from..=at).unwrap_or_default();
    let place = lines.iter().find_map(|line| {
        let (file, number) = line.trim().strip_prefix("File \"")?.split_once("\", line ")?;
        let file = file.rsplit_once("/code/").map_or(file, |(_, file)| file);
        Some(format!("{file}:{}", number.split(',').next()?.trim()))
    });
    let said = case.said.lines.get(at).map_or("", String::as_str);
    Some(
        Found::new(format!(
            "the code is not Python of this version{}: {said}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(evidence("job output", lines))
        .change("correct the line; `python3 -m py_compile FILE` finds such mistakes before a launch"),
    )
}

fn recursion(case: &Case<'_>) -> Option<Found> {
    let root = case.said.root().filter(|t| t.name() == "RecursionError");
    let line = case.said.line_with(&["java.lang.StackOverflowError"]);
    if !case.job_failed() || (root.is_none() && line.is_none()) {
        return None;
    }
    let place = case.place();
    let (what, evidence) = match root {
        Some(root) => ("a function calls itself without end", case.traced(root)),
        None => (
            "a plan or an object is nested too deeply for the JVM's stack",
            case.output_with(&["StackOverflowError"]),
        ),
    };
    Some(
        Found::new(format!("{what}{}", Case::shown(place.as_ref())))
            .at(place)
            .because(evidence)
            .change("for a plan that grows in a loop: checkpoint(), or one select with all columns instead of many withColumn"),
    )
}

fn gateway(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "Answer from Java side is empty",
        "Error while sending or receiving",
        "Connection refused by the Java gateway",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.driver_place();
    Some(
        Found::new(format!(
            "the driver's JVM ended while Python waited for it{}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(evidence("job output", [line.trim()]))
        .because(case.output_end())
        .change("it was out of memory or was killed, mostly: give the master more with master.memory"),
    )
}

fn udf(case: &Case<'_>) -> Option<Found> {
    let root = case.said.root().filter(|_| case.job_failed())?;
    let outer = case.said.outer()?;
    let of_worker = root.at != outer.at && (case.said.says("PythonException") || root.is_workers());
    of_worker.then(|| {
        let place = root.place();
        let called = outer
            .place()
            .map(|place| format!(", called for by {place}"))
            .unwrap_or_default();
        Found::new(format!(
            "a function that runs on executors raised {}{}{called}",
            root.headline(),
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.traced(root))
        .change("let the function cope with such a value, or filter the rows before")
    })
}

fn arguments(case: &Case<'_>) -> Option<Found> {
    if case.facts.exit_code != Some(2) || !case.job_failed() || case.said.outer().is_some() {
        return None;
    }
    let line = case
        .said
        .lines
        .iter()
        .rev()
        .take(20)
        .find(|line| line.contains(": error: "))?;
    Some(
        Found::new(format!("the program refuses its arguments: {}", line.trim()))
            .because(evidence("job output", [line]))
            .change("correct code.args"),
    )
}

/// An exception of the JVM that Python only passed on, and that no rule knows better.
fn py4j(case: &Case<'_>) -> Option<Found> {
    let outer = case
        .said
        .outer()
        .filter(|t| t.name() == "Py4JJavaError" && case.job_failed())?;
    let place = outer.place();
    let thrown = outer.message.lines().find_map(|line| line.strip_prefix(": "));
    let cause = case
        .said
        .last
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("Caused by: "));
    let said = cause.or(thrown)?;
    Some(
        Found::new(format!(
            "Spark's side raised an exception{}: {said}",
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(evidence("job output", thrown.into_iter().chain(cause))),
    )
}

fn exception(case: &Case<'_>) -> Option<Found> {
    // An exception that is not caught ends Python with 1; with another code the program ended itself.
    let outer = case
        .said
        .outer()
        .filter(|_| case.job_failed() && case.facts.exit_code == Some(1))?;
    let place = outer.place();
    Some(
        Found::new(format!(
            "the job raised {}{}",
            outer.headline(),
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.traced(outer)),
    )
}
