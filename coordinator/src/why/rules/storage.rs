//! Files and objects: full disks, refused and missing paths.

use super::super::{Case, Found, Rule};
use super::{between, quoted};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "disk-full",
        find: disk_full,
    },
    Rule {
        name: "access-denied",
        find: denied,
    },
    Rule {
        name: "bucket-missing",
        find: no_bucket,
    },
    Rule {
        name: "path-missing",
        find: missing,
    },
    Rule {
        name: "path-exists",
        find: exists,
    },
    Rule {
        name: "permission",
        find: permission,
    },
    Rule {
        name: "bad-file",
        find: bad_file,
    },
];

fn disk_full(case: &Case<'_>) -> Option<Found> {
    let marks = ["No space left on device", "Disk quota exceeded"];
    case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.place();
    let shuffle = [
        "DiskBlockObjectWriter",
        "ShuffleWriter",
        "UnsafeShuffle",
        "BlockManager",
        "ExternalSorter",
        "UnsafeSorterSpillWriter",
    ]
    .iter()
    .any(|part| case.said.says(part));
    let what = if shuffle {
        "the disk that Spark shuffles on is full"
    } else {
        "a disk is full"
    };
    Some(
        Found::new(format!("{what}{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("give nodes more with workers.disk and master.disk")
            .change("shuffle less: select the columns that are needed before joins, filter early, aggregate before a join"),
    )
}

/// What stores say when keys or rights do not suffice.
const DENIED: [&str; 8] = [
    "ACCESS_DENIED",
    "AccessDenied",
    "SignatureDoesNotMatch",
    "SIGNATURE_DOES_NOT_MATCH",
    "InvalidAccessKeyId",
    "INVALID_ACCESS_KEY_ID",
    "(403)",
    "Status Code: 403",
];

fn denied(case: &Case<'_>) -> Option<Found> {
    let line = case.said.line_with(&DENIED).filter(|_| case.job_failed())?;
    // The same word for files of the machine.
    if line.contains("java.nio.file.AccessDeniedException") {
        return None;
    }
    let place = case.place();
    let what = object(line).unwrap_or_else(|| "the store".to_owned());
    Some(
        Found::new(format!("access to {what} is denied{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&DENIED))
            .change("give the job's role the permission (configs/iam/job.json has what Mayfly's own store needs), or put the bucket on its list")
            .change("if the job brings keys of its own, look whether they are those of this store"),
    )
}

/// The object or bucket that a message of an S3 client speaks of.
fn object(line: &str) -> Option<String> {
    let bucket = between(line, "bucket '", "'").or_else(|| between(line, "bucket \"", "\""));
    let key = between(line, "key '", "'").or_else(|| between(line, "object '", "'"));
    match (bucket, key) {
        (Some(bucket), Some(key)) => Some(format!("s3://{bucket}/{key}")),
        (Some(bucket), None) => Some(format!("s3://{bucket}")),
        (None, Some(key)) => Some(key.to_owned()),
        (None, None) => {
            let at = line.find("s3a://").or_else(|| line.find("s3://"))?;
            let rest = line.get(at..)?;
            let end = rest
                .find(|c: char| c.is_whitespace() || "'\",)".contains(c))
                .unwrap_or(rest.len());
            rest.get(..end).map(|url| url.trim_end_matches(':').to_owned())
        }
    }
}

fn no_bucket(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "NoSuchBucket",
        "NO_SUCH_BUCKET",
        "The specified bucket does not exist",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.place();
    let what = object(line).unwrap_or_else(|| "a bucket".to_owned());
    Some(
        Found::new(format!("{what} does not exist{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("correct the bucket's name; the job's own store is in MAYFLY_STORE"),
    )
}

fn missing(case: &Case<'_>) -> Option<Found> {
    if !case.job_failed() {
        return None;
    }
    let marks = [
        "PATH_NOT_FOUND",
        "FAILED_READ_FILE.FILE_NOT_EXIST",
        "Input path does not exist",
        "NoSuchKey",
        "NO_SUCH_KEY",
        "Path does not exist",
        "java.nio.file.NoSuchFileException",
        "java.io.FileNotFoundException",
    ];
    let root = case.said.root();
    let python = root.filter(|t| t.name() == "FileNotFoundError");
    let line = python
        .map(|t| t.message.clone())
        .or_else(|| case.said.line_with(&marks).map(str::to_owned))?;
    let path = path_of(&line).unwrap_or_else(|| "a path".to_owned());
    let place = case.place();
    let on = if root.is_some_and(|t| t.is_workers()) || case.said.says("PythonException") {
        " on an executor"
    } else {
        ""
    };
    let evidence = match python {
        Some(traceback) => case.traced(traceback),
        None => case.output_with(&marks),
    };
    Some(
        Found::new(format!("{path} does not exist{on}{}", Case::shown(place.as_ref())))
            .at(place)
            .because(evidence)
            .change("correct the path; it is looked up on the node that reads it, and nodes share no disk")
            .change("files of the launching machine are brought with `coordinator data put`, and are then under $MAYFLY_STORE/data/"),
    )
}

fn path_of(line: &str) -> Option<String> {
    let marks = [
        "does not exist: ",
        "NoSuchFileException: ",
        "FileNotFoundException: ",
    ];
    if let Some((_, path)) = marks.iter().find_map(|mark| line.split_once(mark)) {
        let path = path.trim_start_matches("File ");
        return path
            .split_whitespace()
            .next()
            .map(|path| path.trim_end_matches('.').to_owned());
    }
    quoted(line, '\'')
        .or_else(|| quoted(line, '"'))
        .map(str::to_owned)
        .or_else(|| object(line))
}

fn exists(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "PATH_ALREADY_EXISTS",
        "FileExistsError",
        "FileAlreadyExistsException",
        "Output directory",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let path = between(line, "Path ", " already exists")
        .map(str::to_owned)
        .or_else(|| path_of(line));
    let place = case.place();
    Some(
        Found::new(format!(
            "{} exists already{}",
            path.unwrap_or_else(|| "what shall be written".to_owned()),
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.output_with(&marks))
        .change("write with mode(\"overwrite\") or mode(\"append\"), or to $MAYFLY_RESULTS, which is new in each attempt"),
    )
}

fn permission(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "java.nio.file.AccessDeniedException",
        "Permission denied",
        "PermissionError",
        "Operation not permitted",
        "Read-only file system",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    let place = case.place();
    let path = path_of(line).unwrap_or_else(|| "a file".to_owned());
    Some(
        Found::new(format!("the system does not permit what the job does with {path}{}", Case::shown(place.as_ref())))
            .at(place)
            .because(case.output_with(&marks))
            .change("write below $MAYFLY_RESULTS or the temporary folder (TMPDIR): nothing else of a node is the job's"),
    )
}

fn bad_file(case: &Case<'_>) -> Option<Found> {
    let marks = [
        "FAILED_READ_FILE",
        "CANNOT_READ_FILE_FOOTER",
        "is not a Parquet file",
        "MALFORMED_RECORD_IN_PARSING",
        "Malformed ORC",
        "UNABLE_TO_INFER_SCHEMA",
        "Not an Avro data file",
        "ArrowInvalid",
        "MALFORMED_CSV_RECORD",
    ];
    let line = case.said.line_with(&marks).filter(|_| case.job_failed())?;
    // These share its name, and are something else.
    let others = ["PARQUET_COLUMN_DATA_TYPE_MISMATCH", "UNSUPPORTED_FILE_SYSTEM"];
    if others.iter().any(|other| case.said.says(other)) {
        return None;
    }
    let place = case.place();
    let file = ["file:/", "s3a://", "s3://"].iter().find_map(|scheme| {
        let rest = line.get(line.find(scheme)?..)?;
        let end = rest
            .find(|c: char| c.is_whitespace() || "'\",)]".contains(c))
            .unwrap_or(rest.len());
        rest.get(..end).map(|path| path.trim_end_matches('.').to_owned())
    });
    Some(
        Found::new(format!(
            "{} is not what it is read as, or is damaged{}",
            file.unwrap_or_else(|| "a file".to_owned()),
            Case::shown(place.as_ref())
        ))
        .at(place)
        .because(case.output_with(&marks))
        .change("look whether all files of the folder are of the format that is read; leftovers of other programs are the usual reason")
        .change("badRecordsPath, mode DROPMALFORMED or spark.sql.files.ignoreCorruptFiles go on without what is damaged"),
    )
}
