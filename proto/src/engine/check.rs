//! Everything that can be wrong with a definition whose shape is right.

use super::facts::{EACH, EVERYWHERE, JOB, PEERS, SECRET};
use super::{COMMAND, Daemon, Definition, FileText, HOOKS, Install, JobKind, Ready, SESSION, Template};

/// Words of a command line.
const WORDS_MAX: usize = 200;
const ENTRIES_MAX: usize = 100;
/// Ports below are the system's; agents serve their own page at 9464.
const PORT_MIN: u16 = 1024;
const AGENT_PORT: u16 = 9464;
const RESTARTS_MAX: u32 = 10;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The keys that lead to it.
    pub at: Vec<String>,
    /// What is wrong, as the rest of a sentence that begins with the key.
    pub wrong: String,
    /// What would be right.
    pub help: String,
    /// The word that is not known, and those of which one was probably meant; empty where that is not what is wrong.
    pub given: String,
    /// See `given`.
    pub known: Vec<String>,
}

/// What is found while looking.
struct Look<'d> {
    definition: &'d Definition,
    flaws: Vec<Flaw>,
}

/// Where a template stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A daemon's command line, or something else that everybody can read.
    Words,
    /// A file or a variable.
    Private,
    /// A job's command line.
    Job,
    /// A line for each node.
    Each,
}

impl Definition {
    /// Everything that is wrong with it; nothing of it may be used unless this is empty.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut look = Look {
            definition: self,
            flaws: Vec::new(),
        };
        look.name();
        look.hook();
        look.install(&[], &self.install);
        look.ports();
        for (name, text) in &self.env {
            look.template(&["env", name], text, Place::Private);
        }
        look.files();
        look.daemon("master", self.master.as_ref());
        look.daemon("worker", self.worker.as_ref());
        look.questions();
        look.jobs();
        look.line(&["drain"], &self.drain, Place::Words);
        look.flaws
    }
}

impl Look<'_> {
    fn add(&mut self, at: &[&str], wrong: impl Into<String>, help: impl Into<String>) {
        self.flaws.push(Flaw {
            at: at.iter().map(|key| (*key).to_owned()).collect(),
            wrong: wrong.into(),
            help: help.into(),
            given: String::new(),
            known: Vec::new(),
        });
    }

    fn name(&mut self) {
        let name = &self.definition.name;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain);
        if !good || name.len() > 32 {
            self.add(
                &[],
                format!("has the name `{}`", name.chars().take(40).collect::<String>()),
                "name the file with 1 to 32 lower-case letters, digits and hyphens, a letter first",
            );
        }
    }

    fn hook(&mut self) {
        if let Some(hook) = &self.definition.hook
            && !HOOKS.contains(&hook.as_str())
        {
            let known = HOOKS.iter().map(|hook| (*hook).to_owned()).collect();
            self.unknown(
                &["hook"],
                hook,
                format!("is `{hook}`, and the agent has no such hook"),
                known,
            );
        }
    }

    /// Versions are named, so that the same job is the same next year; no URL, no option of pip.
    fn install(&mut self, above: &[&str], install: &Install) {
        let place = |key: &'static str| [above, &["install", key]].concat();
        for package in &install.pip {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-+![],".contains(c);
            let good = package.split_once("==").is_some_and(|(name, version)| {
                name.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && !version.is_empty()
                    && name.chars().chain(version.chars()).all(plain)
            });
            if !good {
                self.add(
                    &place("pip"),
                    format!("has `{package}`, which is not a package with its version"),
                    "write `name==1.2.3`",
                );
            }
        }
        for (program, package) in &install.programs {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
            if program.is_empty() || package.is_empty() || !program.chars().chain(package.chars()).all(plain)
            {
                self.add(
                    &place("programs"),
                    format!("has `{program}: {package}`"),
                    "write a program and the Debian package that brings it, such as `mpirun: openmpi-bin`",
                );
            }
        }
    }

    fn ports(&mut self) {
        for (name, port) in &self.definition.ports {
            if *port < PORT_MIN || *port == AGENT_PORT {
                self.add(
                    &["ports", name],
                    format!("is {port}"),
                    format!("it must be {PORT_MIN} to 65535, and not {AGENT_PORT}, where the agent serves its page"),
                );
            }
        }
        if self.definition.ports.len() + self.definition.env.len() + self.definition.files.len() > ENTRIES_MAX
        {
            self.add(
                &[],
                "has too many ports, variables and files",
                format!("{ENTRIES_MAX} are allowed"),
            );
        }
    }

    fn files(&mut self) {
        let definition = self.definition;
        for (name, text) in &definition.files {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if name.starts_with('.') || !name.chars().all(plain) || name.len() > 64 {
                self.add(
                    &["files", name],
                    "is no plain file name",
                    "use letters, digits, `.`, `_` and `-`",
                );
            }
            match text {
                FileText::Text(text) => self.template(&["files", name], text, Place::Private),
                FileText::EachNode(line) | FileText::EachWorker(line) => {
                    self.template(&["files", name], line, Place::Each);
                }
            }
        }
    }

    fn daemon(&mut self, role: &'static str, daemon: Option<&Daemon>) {
        let Some(daemon) = daemon else { return };
        let definition = self.definition;
        if role == "worker" && !definition.workers {
            self.add(
                &[role],
                "is given, and the engine has no workers",
                "remove it, or `workers: false`",
            );
        }
        if daemon.run.is_empty() && definition.hook.is_none() {
            self.add(
                &[role, "run"],
                "is missing or empty",
                "say what runs there: `run: [program, argument]`",
            );
        }
        self.line(&[role, "run"], &daemon.run, Place::Words);
        for (key, named) in [("port", &daemon.port), ("ui", &daemon.ui)] {
            if let Some(named) = named {
                self.port(&[role, key], named);
            }
        }
        if daemon.restarts > RESTARTS_MAX {
            self.add(
                &[role, "restarts"],
                format!("is {}", daemon.restarts),
                format!("it must be 0 to {RESTARTS_MAX}"),
            );
        }
        match &daemon.ready {
            Some(Ready::Port(named)) => self.port(&[role, "ready", "port"], named),
            Some(Ready::Http(url)) => self.url(&[role, "ready", "http"], url),
            Some(Ready::File(path)) => self.template(&[role, "ready", "file"], path, Place::Private),
            Some(Ready::Line(text)) if text.trim().is_empty() => {
                self.add(
                    &[role, "ready", "line"],
                    "is empty",
                    "write a part of the line that says that it is up",
                );
            }
            Some(Ready::Line(_)) | None => {}
        }
    }

    fn questions(&mut self) {
        let definition = self.definition;
        if let Some(joined) = &definition.joined {
            self.url(&["joined", "http"], &joined.http);
            self.pointer(&["joined", "count"], &joined.count);
            if definition.hook.is_some() || !definition.workers {
                self.add(&["joined"], "is given, and nobody asks", "remove it");
            }
        }
        if !definition.drain.is_empty() && (definition.hook.is_some() || definition.worker.is_none()) {
            self.add(
                &["drain"],
                "is given, and nobody runs it",
                "remove it, or say under `worker` what hands over what it holds",
            );
        }
        if let Some(progress) = &definition.progress {
            if definition.hook.is_some() {
                self.add(&["progress"], "is given, and nobody asks", "remove it");
            }
            self.url(&["progress", "http"], &progress.http);
            self.pointer(&["progress", "done"], &progress.done);
            self.pointer(&["progress", "total"], &progress.total);
        }
    }

    fn jobs(&mut self) {
        let definition = self.definition;
        if definition.jobs.is_empty() {
            self.add(
                &["jobs"],
                "is empty: no job can run",
                "say how: `jobs: {.py: [\"{python}\", \"{entry}\", \"{args}\"]}`",
            );
        }
        for (end, kind) in &definition.jobs {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_end = end
                .strip_prefix('.')
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain));
            if !is_end && end != COMMAND && end != SESSION {
                self.add(
                    &["jobs", end],
                    "is no kind of job",
                    "write how the names of its entries end, such as `.py`, or `command`, or `session`",
                );
            }
            self.session(end, kind);
            if kind.run.is_empty() {
                self.add(&["jobs", end], "has no command line", "write a list of words");
            }
            self.line(&["jobs", end], &kind.run, Place::Job);
            self.install(&["jobs", end], &kind.install);
        }
    }

    /// A session is found at a port, by an address; nothing else is.
    fn session(&mut self, end: &str, kind: &JobKind) {
        let at = ["jobs", end];
        if end != SESSION {
            if kind.port.is_some() || !kind.url.is_empty() {
                self.add(&at, "has a `port` or a `url`", "only a `session` has them");
            }
            return;
        }
        match &kind.port {
            Some(port) => self.port(&["jobs", end, "port"], port),
            None => self.add(
                &at,
                "has no `port`",
                "name the port at which the master serves it",
            ),
        }
        if !kind.url.contains("{port}") {
            self.add(
                &at,
                "has no `url` with a `{port}`",
                "write what a client is told, such as `tcp://localhost:{port}`",
            );
        }
    }

    fn line(&mut self, at: &[&str], words: &[Template], place: Place) {
        if words.len() > WORDS_MAX {
            self.add(
                at,
                format!("has {} words", words.len()),
                format!("{WORDS_MAX} are allowed"),
            );
        }
        for word in words {
            self.template(at, word, place);
        }
    }

    fn port(&mut self, at: &[&str], named: &str) {
        if !self.definition.ports.contains_key(named) {
            let known = self.definition.ports.keys().cloned().collect();
            self.unknown(
                at,
                named,
                format!("is `{named}`, and there is no such port under `ports`"),
                known,
            );
        }
    }

    fn unknown(&mut self, at: &[&str], given: &str, wrong: String, known: Vec<String>) {
        self.add(at, wrong, String::new());
        if let Some(flaw) = self.flaws.last_mut() {
            flaw.given = given.to_owned();
            flaw.known = known;
        }
    }

    fn url(&mut self, at: &[&str], url: &Template) {
        // Only the fleet is asked: a definition is no way to have a node call others.
        let own = ["http://{node.address}:", "http://{master.address}:"];
        if !own.iter().any(|start| url.as_str().starts_with(start)) {
            self.add(
                at,
                format!("is `{url}`"),
                "it must begin with http://{node.address}: or http://{master.address}:",
            );
        }
        self.template(at, url, Place::Words);
    }

    fn pointer(&mut self, at: &[&str], pointer: &str) {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            self.add(
                at,
                format!("is `{pointer}`"),
                "write a JSON pointer, such as `/workers`",
            );
        }
    }

    fn template(&mut self, at: &[&str], template: &Template, place: Place) {
        for fact in template.facts() {
            let known = self.known(place);
            if known.iter().any(|name| name == fact) {
                continue;
            }
            if fact == SECRET {
                self.add(
                    at,
                    "holds {secret}, and everybody on the machine can read command lines",
                    "put it into `env` or a file of `files`",
                );
            } else if JOB.contains(&fact) || PEERS.contains(&fact) || EACH.contains(&fact) {
                self.add(
                    at,
                    format!("has {{{fact}}}, which is not known there"),
                    "what the job is, and where the workers are, is known in the command lines of `jobs`; \
                     each.… in `each_node` and `each_worker` of `files`",
                );
            } else {
                self.unknown(
                    at,
                    fact,
                    format!("has {{{fact}}}, and there is no such fact"),
                    known,
                );
            }
        }
    }

    fn known(&self, place: Place) -> Vec<String> {
        let mut known: Vec<&str> = EVERYWHERE.to_vec();
        match place {
            Place::Words => known.retain(|name| *name != SECRET),
            Place::Private => {}
            Place::Job => {
                known.retain(|name| *name != SECRET);
                known.extend(JOB.iter().chain(&PEERS));
            }
            Place::Each => known.extend(EACH),
        }
        let mut known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        known.extend(self.definition.ports.keys().map(|name| format!("ports.{name}")));
        known.extend(self.definition.files.keys().map(|name| format!("files.{name}")));
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{JobKind, Progress};

    fn template(text: &str) -> Template {
        Template::new(text).unwrap()
    }

    fn good() -> Definition {
        Definition {
            name: "mine".into(),
            workers: true,
            ports: [("main".into(), 8786)].into(),
            master: Some(Daemon {
                run: vec![template("x"), template("{node.address}:{ports.main}")],
                ready: Some(Ready::Port("main".into())),
                ..Daemon::default()
            }),
            jobs: [(
                ".py".into(),
                JobKind {
                    run: vec![template("{python}"), template("{entry}"), template("{args}")],
                    ..JobKind::default()
                },
            )]
            .into(),
            ..Definition::default()
        }
    }

    #[test]
    fn a_good_definition_has_no_flaw() {
        assert_eq!(good().flaws(), []);
    }

    #[test]
    fn each_mistake_is_named_where_it_is() {
        let with = |change: &dyn Fn(&mut Definition)| {
            let mut definition = good();
            change(&mut definition);
            let flaws = definition.flaws();
            let all: Vec<String> = flaws
                .iter()
                .map(|flaw| format!("{}: {}", flaw.at.join("."), flaw.wrong))
                .collect();
            all.join("; ")
        };
        let daemon = |definition: &mut Definition, word: &str| {
            definition.master.as_mut().unwrap().run.push(template(word));
        };
        assert!(with(&|d| d.name = "../x".into()).contains("has the name"));
        assert!(with(&|d| daemon(d, "{ports.mian}")).starts_with("master.run: has {ports.mian}"));
        assert!(with(&|d| daemon(d, "{secret}")).contains("everybody on the machine"));
        assert!(with(&|d| daemon(d, "{entry}")).contains("not known there"));
        assert!(
            with(&|d| d.master.as_mut().unwrap().ready = Some(Ready::Port("x".into())))
                .contains("no such port")
        );
        assert!(with(&|d| d.install.pip.push("dask".into())).starts_with("install.pip"));
        assert!(with(&|d| d.install.pip.push("--index-url=x==1".into())).starts_with("install.pip"));
        assert!(
            with(&|d| {
                d.ports.insert("low".into(), 22);
            })
            .starts_with("ports.low")
        );
        assert!(with(&|d| d.jobs.clear()).starts_with("jobs"));
        assert_eq!(
            with(&|d| d.drain.push(template("x"))),
            "drain: is given, and nobody runs it"
        );
        let asked = |d: &mut Definition| {
            d.progress = Some(Progress {
                http: template("http://{master.address}:{ports.main}/"),
                done: "/a".into(),
                total: "/b".into(),
            });
        };
        assert_eq!(with(&asked), "");
        let hooked = |d: &mut Definition| {
            asked(d);
            d.hook = Some("spark".into());
        };
        assert_eq!(with(&hooked), "progress: is given, and nobody asks");
        assert!(
            with(&|d| d.master.as_mut().unwrap().ready =
                Some(Ready::Http(template("http://169.254.169.254/x"))))
            .starts_with("master.ready.http")
        );
        assert_eq!(
            with(&|d| {
                d.env.insert("TOKEN".into(), template("{secret}"));
            }),
            ""
        );
    }
}
