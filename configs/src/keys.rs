//! Every key of a job, in one table: the parser knows no other, and the editors' schema is tested against it.

/// Blocks of a job with fixed keys; the empty name is the job itself.
pub(crate) const SECTIONS: [(&str, &[&str]); 6] = [
    (
        "",
        &[
            "engine",
            "code",
            "env",
            "results",
            "master",
            "workers",
            "spark",
            "limits",
            "on_failure",
            "tags",
        ],
    ),
    (
        "code",
        &["repo", "ref", "path", "entry", "class", "args", "requirements"],
    ),
    ("master", &["cores", "memory", "instance"]),
    ("workers", &["count", "min", "cores", "memory", "instance"]),
    ("spark", &["version", "conf"]),
    ("limits", &["deadline", "form", "cost", "retries"]),
];

/// The keys of a block.
pub(crate) fn of(section: &str) -> &'static [&'static str] {
    SECTIONS
        .iter()
        .find(|(name, _)| *name == section)
        .map_or(&[], |(_, keys)| *keys)
}

/// The block that a misplaced key belongs to, when there is just one.
pub(crate) fn home_of(key: &str) -> Option<&'static str> {
    let mut homes = SECTIONS.iter().filter(|(_, keys)| keys.contains(&key));
    match (homes.next(), homes.next()) {
        (Some((home, _)), None) => Some(home),
        _ => None,
    }
}

/// True where every key after it is free and may hold dots: `env.X`, `tags.x`, `spark.conf.spark.x.y`.
pub(crate) fn is_free(path: &[&str]) -> bool {
    matches!(path, ["env" | "tags"] | ["spark", "conf"])
}
