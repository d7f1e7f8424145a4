//! `engine`: the engines there are, and what one's definition becomes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mayfly_configs::{compiled_in, compiled_in_text, engine_files, parse_engine, read_text};
use mayfly_proto::engine::{Definition, Facts, FileText, Ready, Template};
use serde_json::json;

use super::failure::Failure;
use super::{home, out, plain};
use crate::record::SCHEMA;

/// Flags of `engine`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coordinator engine list
  coordinator engine show dask > engines/mine.yml      a definition to begin with
  coordinator engine check engines/mine.yml            what is wrong, or what it becomes

A job uses an engine by its name: `engine: mine` takes engines/mine.yml beside the job file. docs/engines.md explains the keys.")]
pub(crate) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the engines that are compiled in, and those of engines/ here
    List {
        /// One JSON object: {schema, engines: [{name, file, about, unproven, jobs}]}
        #[arg(long)]
        json: bool,
    },
    /// Print the definition of one
    Show {
        /// Its name
        name: String,
        /// One JSON object: {schema, name, file, text}
        #[arg(long)]
        json: bool,
    },
    /// Check a definition, and show what it becomes on a fleet of a master and two workers
    Check {
        /// A file, or the name of one that is compiled in
        file: PathBuf,
        /// The definition as it was read, as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
///
/// # Errors
/// There is no such engine, or something is wrong with one.
pub(crate) fn run(flags: &Flags) -> Result<u8, Failure> {
    match &flags.verb {
        Verb::List { json } => list(*json),
        Verb::Show { name, json } => show(name, *json),
        Verb::Check { file, json } => check(file, *json),
    }
}

/// Those here come first, as they do in a job.
fn all(cwd: &Path) -> Result<Vec<(Definition, Option<String>)>, Failure> {
    let here = engine_files(cwd)?;
    let mut found = Vec::new();
    for (name, file) in here.files() {
        found.push((
            parse_engine(file, name, &read_text(Path::new(file))?)?,
            Some(file.to_owned()),
        ));
    }
    for name in compiled_in().filter(|name| here.files().all(|(own, _)| own != *name)) {
        found.push((
            parse_engine(name, name, compiled_in_text(name).unwrap_or_default())?,
            None,
        ));
    }
    Ok(found)
}

fn list(json: bool) -> Result<u8, Failure> {
    let all = all(&home::current()?)?;
    if json {
        let engines: Vec<_> = all
            .iter()
            .map(|(engine, file)| {
                let jobs: Vec<&String> = engine.jobs.keys().collect();
                json!({ "name": engine.name, "file": file, "about": engine.about, "unproven": engine.unproven, "jobs": jobs })
            })
            .collect();
        out::json(&json!({ "schema": SCHEMA, "engines": engines }))?;
        return Ok(0);
    }
    for (engine, file) in &all {
        let jobs: Vec<&str> = engine.jobs.keys().map(String::as_str).collect();
        let from = file
            .as_ref()
            .map(|file| format!("  [{file}]"))
            .unwrap_or_default();
        let unproven = if engine.unproven.is_some() {
            "  (unproven)"
        } else {
            ""
        };
        let line = format!(
            "{:<10} {:<24} {}{unproven}{from}",
            engine.name,
            jobs.join(" "),
            engine.about
        );
        out::line(&plain::line(&line))?;
    }
    Ok(0)
}

fn show(name: &str, json: bool) -> Result<u8, Failure> {
    let here = engine_files(&home::current()?)?;
    let own = here.files().find(|(known, _)| *known == name);
    let text = match (own, compiled_in_text(name)) {
        (Some((_, file)), _) => read_text(Path::new(file))?,
        (None, Some(text)) => text.to_owned(),
        (None, None) => {
            let own = here.files().map(|(name, _)| name.to_owned());
            let all: Vec<String> = own.chain(compiled_in().map(str::to_owned)).collect();
            return Err(Failure::usage(format!(
                "there is no engine {name:?}; there are {}",
                all.join(", ")
            )));
        }
    };
    if json {
        let file = own.map(|(_, file)| file);
        out::json(&json!({ "schema": SCHEMA, "name": name, "file": file, "text": text }))?;
        return Ok(0);
    }
    out::line(text.trim_end())?;
    Ok(0)
}

fn check(file: &Path, json: bool) -> Result<u8, Failure> {
    let shown = file.display().to_string();
    let compiled = compiled_in_text(&shown).filter(|_| !file.exists());
    let definition = match compiled {
        Some(text) => parse_engine(&shown, &shown, text)?,
        None => {
            let name = file
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            parse_engine(&shown, &name, &read_text(file)?)?
        }
    };
    if json {
        out::json(&definition)?;
        return Ok(0);
    }
    let text = rendered(&definition).map_err(Failure::usage)?;
    out::line(text.trim_end())?;
    Ok(0)
}

/// What a definition becomes, for people.
fn rendered(definition: &Definition) -> Result<String, String> {
    let mut text = format!("{} is right: {}\n", definition.name, definition.about);
    if let Some(unproven) = &definition.unproven {
        let _ = writeln!(text, "unproven: {unproven}");
    }
    if let Some(hook) = &definition.hook {
        let _ = writeln!(text, "hook      {hook}: the agent's own code runs the cluster");
    }
    for package in &definition.install.pip {
        let _ = writeln!(text, "package   {package}");
    }
    for (program, package) in &definition.install.programs {
        let _ = writeln!(text, "program   {program}, of the Debian package {package}");
    }
    let nodes: &[&str] = if definition.workers {
        &["master-1", "worker-1"]
    } else {
        &["master-1"]
    };
    for node in nodes {
        on_node(&mut text, definition, node)?;
    }
    let _ = writeln!(text, "\nthe job, on master-1");
    let facts = Facts::sample(definition, "master-1");
    if definition.joined.is_none() && definition.workers && definition.hook.is_none() {
        let _ = writeln!(text, "  starts when enough workers say that they are ready");
    }
    if let Some(joined) = &definition.joined {
        let _ = writeln!(
            text,
            "  starts when {} counts enough at {:?}",
            joined.http.render(&facts)?,
            joined.count
        );
    }
    for (end, kind) in &definition.jobs {
        let _ = writeln!(text, "  {end:<9} {}", words(&kind.run, &facts)?);
    }
    Ok(text)
}

fn on_node(text: &mut String, definition: &Definition, node: &str) -> Result<(), String> {
    let facts = Facts::sample(definition, node);
    let master = node.starts_with("master");
    let _ = writeln!(text, "\n{node}");
    for (name, value) in &definition.env {
        let _ = writeln!(text, "  env       {name}={}", value.render(&facts)?);
    }
    for (name, file) in &definition.files {
        let lines = match file {
            FileText::Text(one) => one.render(&facts)?,
            FileText::EachNode(line) if master => each(line, &facts, &Facts::sample_peers())?,
            FileText::EachWorker(line) if master => {
                each(line, &facts, Facts::sample_peers().get(1..).unwrap_or_default())?
            }
            FileText::EachNode(_) | FileText::EachWorker(_) => continue,
        };
        let _ = writeln!(text, "  file      {name}");
        for line in lines.lines() {
            let _ = writeln!(text, "            {line}");
        }
    }
    let Some(daemon) = definition.daemon(master) else {
        return Ok(());
    };
    if !daemon.run.is_empty() {
        let _ = writeln!(text, "  runs      {}", words(&daemon.run, &facts)?);
    }
    let ready = match &daemon.ready {
        None => String::new(),
        Some(Ready::Port(port)) => format!(
            "port {} is open",
            definition.ports.get(port).copied().unwrap_or_default()
        ),
        Some(Ready::Http(url)) => format!("{} answers", url.render(&facts)?),
        Some(Ready::Line(line)) => format!("it prints {line:?}"),
        Some(Ready::File(path)) => format!("{} is there", path.render(&facts)?),
    };
    if !ready.is_empty() {
        let _ = writeln!(text, "  ready     when {ready}");
    }
    if let Some(port) = definition.ui_port(master) {
        let _ = writeln!(text, "  page      port {port}");
    }
    if !master && !definition.drain.is_empty() {
        let _ = writeln!(text, "  drains    {}", words(&definition.drain, &facts)?);
    }
    Ok(())
}

fn each(line: &Template, facts: &Facts, peers: &[mayfly_proto::engine::Peer]) -> Result<String, String> {
    let lines: Result<Vec<String>, String> = peers
        .iter()
        .map(|peer| line.render(&facts.of_each(peer)))
        .collect();
    Ok(lines?.join("\n"))
}

/// As one would write it for a shell.
fn words(templates: &[Template], facts: &Facts) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted = |word: String| {
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let words: Vec<String> = facts.command_line(templates)?.into_iter().map(quoted).collect();
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tag is closed, in order.
    fn balanced(xml: &str) -> bool {
        let mut open = Vec::new();
        let tags = xml.split('<').skip(1).filter_map(|rest| rest.split_once('>'));
        for (tag, _) in tags {
            match tag.strip_prefix('/') {
                Some(name) if open.pop() != Some(name) => return false,
                Some(_) => {}
                None if tag.starts_with("!--") => {}
                None => open.push(tag),
            }
        }
        open.is_empty()
    }

    /// Nobody has run it; what can be told without that is: its files are XML, and hold what the daemons do not start without.
    #[test]
    fn what_hadoop_reads_is_whole() {
        let text = compiled_in_text("hadoop").unwrap();
        let definition = parse_engine("hadoop", "hadoop", text).unwrap();
        assert!(definition.unproven.is_some() && text.contains("unproven"));
        let facts = Facts::sample(&definition, "worker-1");
        let mut values = std::collections::BTreeMap::new();
        for (name, file) in &definition.files {
            let FileText::Text(file) = file else {
                panic!("{name} has lines")
            };
            let xml = file.render(&facts).unwrap();
            assert!(name.ends_with(".xml") && balanced(&xml), "{name}:\n{xml}");
            for property in xml.split("<property>").skip(1) {
                let part = |tag: &str| {
                    let rest = property.split_once(&format!("<{tag}>")).unwrap().1;
                    rest.split_once('<').unwrap().0.to_owned()
                };
                let before = values.insert(part("name"), part("value"));
                assert_eq!(before, None, "twice: {property}");
            }
        }
        for (name, value) in [
            ("yarn.scheduler.capacity.root.queues", "default"),
            ("yarn.scheduler.capacity.root.default.capacity", "100"),
            ("yarn.nodemanager.aux-services", "mapreduce_shuffle"),
            ("mapreduce.framework.name", "yarn"),
            (
                "mapreduce.application.classpath",
                "$HADOOP_MAPRED_HOME/share/hadoop/mapreduce/*,$HADOOP_MAPRED_HOME/share/hadoop/mapreduce/lib/*",
            ),
        ] {
            assert_eq!(values.get(name).map(String::as_str), Some(value), "{name}");
        }
        let whitelist = &values["yarn.nodemanager.env-whitelist"];
        assert!(
            whitelist.split(',').any(|name| name == "HADOOP_MAPRED_HOME"),
            "{whitelist}"
        );
        assert!(balanced("<a><!-- x --><b>1</b></a>") && !balanced("<a><b>1</a></b>") && !balanced("<a>"));
    }

    #[test]
    fn every_engine_is_rendered_for_a_fleet() {
        for name in compiled_in() {
            let definition = parse_engine(name, name, compiled_in_text(name).unwrap()).unwrap();
            insta::assert_snapshot!(name, rendered(&definition).unwrap());
        }
    }
}
