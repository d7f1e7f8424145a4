//! What the coordinator tells whoever watches a run: its view and its output, as they are shown on a terminal, in a file and
//! to programs.

use mayfly_coordinator::cli::view::{Paint, changes, json, live};
use mayfly_proto::v1::run_event::Event;
use mayfly_proto::v1::{LogBatch, RunEvent, RunView};

use crate::messages;

const WIDTHS: [usize; 3] = [0, 40, 200];

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let mut before: Option<RunView> = None;
    for event in messages::<RunEvent>(bytes) {
        match event.event {
            Some(Event::View(view)) => {
                shown(before.as_ref(), &view);
                before = Some(view);
            }
            Some(Event::Log(batch)) => logged(&batch),
            None => {}
        }
    }
}

/// Nothing that it says moves the cursor of who reads it.
fn shown(before: Option<&RunView>, view: &RunView) {
    let mut lines = changes::lines(before, view);
    for width in WIDTHS {
        lines.extend(live::render(view, width, Paint { on: false }));
        let _ = live::render(view, width, Paint { on: true });
    }
    for line in lines {
        let moves = line.chars().any(|c| c.is_control() && c != '\t');
        assert!(!moves, "{line:?}");
    }
    let _ = json::view(view).to_string();
}

fn logged(batch: &LogBatch) {
    // As the follower counts.
    let _ = batch.first_line.saturating_add(batch.lines.len() as u64);
    let _ = json::log(batch).to_string();
}
