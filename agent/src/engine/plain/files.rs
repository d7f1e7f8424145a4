//! The files that a definition has written.

use std::io;

use mayfly_proto::engine::{Facts, FileText, Peer, Template};

use super::super::{Context, facts, private};

/// Those that a daemon can know.
pub(super) fn for_daemon(context: &Context, facts: &Facts) -> io::Result<()> {
    for (name, text) in &context.fleet.definition.files {
        if let FileText::Text(text) = text {
            write(context, name, &render(text, facts)?)?;
        }
    }
    Ok(())
}

/// Those that say where the others are.
pub(super) fn for_job(context: &Context, facts: &Facts, workers: &[Peer]) -> io::Result<()> {
    let master = facts::own_peer(context);
    for (name, text) in &context.fleet.definition.files {
        let (line, first) = match text {
            FileText::Text(_) => continue,
            FileText::EachNode(line) => (line, Some(&master)),
            FileText::EachWorker(line) => (line, None),
        };
        let mut lines = String::new();
        for peer in first.into_iter().chain(workers) {
            lines.push_str(&render(line, &facts.of_each(peer))?);
            lines.push('\n');
        }
        write(context, name, &lines)?;
    }
    Ok(())
}

fn render(text: &Template, facts: &Facts) -> io::Result<String> {
    text.render(facts).map_err(io::Error::other)
}

fn write(context: &Context, name: &str, text: &str) -> io::Result<()> {
    let path = facts::folder(context).join(name);
    private::write(&context.keeper, &path, text)
}
