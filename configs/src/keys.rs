//! Every key, in one table for each kind of file: the parser knows no other, and the editors' schemas are tested against
//! those of the job and of the server.

/// The keys of one kind of file: blocks with fixed keys by name; the empty name is the outermost block.
pub(crate) struct Table(pub(crate) &'static [(&'static str, &'static [&'static str])]);

/// The keys of a job.
pub(crate) static JOB: Table = Table(&[
    (
        "",
        &[
            "engine",
            "code",
            "env",
            "secrets",
            "inputs",
            "results",
            "master",
            "workers",
            "spark",
            "limits",
            "on_failure",
            "tags",
            "notify",
        ],
    ),
    (
        "code",
        &[
            "repo",
            "ref",
            "path",
            "entry",
            "class",
            "args",
            "requirements",
            "python",
            "command",
            "build",
            "steps",
        ],
    ),
    ("master", &["role", "cores", "memory", "instance", "spot", "disk"]),
    (
        "workers",
        &[
            "count",
            "min",
            "cores",
            "memory",
            "instance",
            "spot",
            "on_demand",
            "disk",
        ],
    ),
    ("results", &["store", "folders", "keep", "exclude"]),
    ("spark", &["version", "conf"]),
    ("limits", &["deadline", "stall", "form", "cost", "retries"]),
]);

/// The keys of a step.
pub(crate) static STEP: Table = Table(&[("", &["name", "entry", "class", "args", "command", "on_failure"])]);

/// The keys of an input.
pub(crate) static INPUT: Table = Table(&[("", &["from", "to"])]);

/// The keys of a secret.
pub(crate) static SECRET: Table = Table(&[("", &["env", "file", "consul", "ssm", "secretsmanager"])]);

/// The keys of an engine.
pub(crate) static ENGINE: Table = Table(&[
    (
        "",
        &[
            "about",
            "unproven",
            "hook",
            "workers",
            "code_on_workers",
            "install",
            "ports",
            "env",
            "files",
            "master",
            "worker",
            "joined",
            "jobs",
            "progress",
            "drain",
        ],
    ),
    ("install", &["pip", "programs"]),
    ("file", &["each_node", "each_worker"]),
    ("master", &["run", "port", "ui", "ready", "restarts"]),
    ("worker", &["run", "port", "ui", "ready", "restarts"]),
    ("ready", &["port", "http", "line", "file"]),
    ("joined", &["http", "count"]),
    ("progress", &["http", "done", "total"]),
    ("kind", &["run", "class", "install", "port", "url"]),
]);

/// The keys of the settings of `coordinator serve`.
pub(crate) static SETTINGS: Table = Table(&[
    (
        "",
        &[
            "listen",
            "admin",
            "public_url",
            "state",
            "spark",
            "store",
            "consul",
            "tls",
            "aws",
            "limits",
            "notify",
            "notify_secret_file",
        ],
    ),
    (
        "store",
        &[
            "bucket",
            "prefix",
            "region",
            "endpoint",
            "access_key_file",
            "secret_key_file",
        ],
    ),
    (
        "consul",
        &[
            "address",
            "token_file",
            "node_token_file",
            "ca_file",
            "datacenter",
            "prefix",
        ],
    ),
    ("tls", &["cert_file", "key_file"]),
    (
        "aws",
        &[
            "network",
            "security_group",
            "instance_profile",
            "job_role",
            "region",
            "profile",
            "endpoint",
            "image",
            "key_pair",
            "look_every",
        ],
    ),
    (
        "limits",
        &[
            "runs",
            "connections",
            "connections_per_address",
            "node_connections",
        ],
    ),
]);

/// The keys of the settings of a person's commands.
pub(crate) static CLIENT: Table = Table(&[("", &["coordinator", "token_file", "fingerprint", "ca_file"])]);

impl Table {
    /// The keys of a block.
    pub(crate) fn of(&self, block: &str) -> &'static [&'static str] {
        let found = self.0.iter().find(|(name, _)| *name == block);
        found.map_or(&[], |(_, keys)| *keys)
    }

    /// The block that a misplaced key belongs to, when there is just one.
    pub(crate) fn home_of(&self, key: &str) -> Option<&'static str> {
        let mut homes = self.0.iter().filter(|(_, keys)| keys.contains(&key));
        match (homes.next(), homes.next()) {
            (Some((home, _)), None) => Some(home),
            _ => None,
        }
    }
}

/// True where every key after it is free and may hold dots: `env.X`, `tags.x`, `spark.conf.spark.x.y`.
pub(crate) fn is_free(path: &[&str]) -> bool {
    matches!(path, ["env" | "tags"] | ["spark", "conf"])
}
