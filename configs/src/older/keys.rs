//! What became of each key of `spark.yml`, also of those that later versions of it had removed.

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is this key of a job.
    Moves([&'static str; 2]),
    /// Nothing needs it any more.
    Dropped(&'static str),
    /// Nothing needs it any more, but the run may differ from what it was: people are told.
    Ignored(&'static str),
    /// It cannot be honoured, and running without it would be a different job.
    Refused(&'static str),
    /// One type for both kinds of node.
    BothTypes,
    /// A release of Spark, in a URL.
    SparkUrl,
    /// Arguments in one text.
    Args,
    /// Words for people.
    Title,
    /// The mark of a server for R.
    RServer,
}

use Fate::{Args, BothTypes, Dropped, Ignored, Moves, RServer, Refused, SparkUrl, Title};

const CLONE: &str = "every run clones into a folder of its own";
const TAG: &str = "machines are told apart by the run that they are tagged with";
const ARGUMENT: &str =
    "say what the program takes in `spark_job_args`, in the order it wants: \"INPUT;OUTPUT\"";

/// All keys.
const KEYS: [(&str, Fate); 18] = [
    ("instance_tag", Dropped(TAG)),
    ("instance_type_master", Moves(["master", "instance"])),
    ("instance_type_worker", Moves(["workers", "instance"])),
    ("no_workers", Moves(["workers", "count"])),
    ("spark_url", SparkUrl),
    ("spark_job_name", Title),
    ("git_repo", Moves(["code", "repo"])),
    ("git_dest", Dropped(CLONE)),
    ("exec_path", Moves(["code", "entry"])),
    ("class_name", Moves(["code", "class"])),
    ("spark_job_args", Args),
    // Removed over time.
    ("ami", Ignored("machines start from Mayfly's own image")),
    ("instance_type", BothTypes),
    ("input_file", Refused(ARGUMENT)),
    ("output_folder", Refused(ARGUMENT)),
    ("github_repo", Moves(["code", "repo"])),
    ("github_dest", Dropped(CLONE)),
    // Of r-server.yml.
    ("no_instances", RServer),
];

/// What becomes of a key; none when the older system had no such key.
pub(super) fn fate(key: &str) -> Option<(&'static str, Fate)> {
    KEYS.into_iter().find(|(name, _)| *name == key)
}

/// The keys that a block of `spark.yml` may have.
pub(super) fn names() -> Vec<&'static str> {
    let usable = |(_, fate): &(&str, Fate)| !matches!(fate, Refused(_) | RServer);
    KEYS.into_iter().filter(usable).map(|(name, _)| name).collect()
}

/// For people who write a key of the older system into a job file of ours: what to write now.
pub(crate) fn name_now(key: &str) -> Option<String> {
    let was = format!("`{key}` is of the older system");
    Some(match fate(key)?.1 {
        Moves([block, inner]) => format!("{was}: it is `{block}.{inner}` here"),
        BothTypes => format!("{was}: it is `master.instance` and `workers.instance` here"),
        SparkUrl => format!("{was}: it is `spark.version` here"),
        Args | Refused(_) => format!("{was}: it is `code.args`, a list, here"),
        Title => format!("{was}: write it as a comment"),
        Dropped(why) | Ignored(why) => format!("{was}: remove it, {why}"),
        RServer => format!("{was}: it is `workers.count` here"),
    })
}
