//! How far the inputs of nodes have come.

use mayfly_proto::v1::{NodePhase, NodeView, RunView, Staged};

use super::units::{bytes, share_bytes};

/// What a node says of itself, and of its inputs while they come.
pub(crate) fn status(node: &NodeView) -> String {
    let coming = node.staged.as_ref().filter(|staged| !staged.whole);
    match coming.filter(|_| node.phase() == NodePhase::Preparing && !node.lost && !node.gone) {
        Some(staged) if node.status.is_empty() => format!("inputs: {}", far(staged)),
        Some(staged) => format!("{}; inputs: {}", node.status, far(staged)),
        None => node.status.clone(),
    }
}

/// `3/10 files · 1.2 GiB of 4.8 GiB (25 %)`.
pub(crate) fn far(staged: &Staged) -> String {
    format!(
        "{}/{} files · {} of {} ({})",
        staged.files,
        staged.files_total,
        bytes(staged.bytes),
        bytes(staged.bytes_total),
        share_bytes(staged.bytes, staged.bytes_total)
    )
}

/// Of all nodes together; `None` where the job has no inputs.
pub(crate) fn all(view: &RunView) -> Option<Staged> {
    let there = view.nodes.iter().filter(|node| !node.gone && !node.lost);
    let each = there.filter_map(|node| node.staged);
    each.reduce(|all, one| Staged {
        files: all.files.saturating_add(one.files),
        bytes: all.bytes.saturating_add(one.bytes),
        files_total: all.files_total.saturating_add(one.files_total),
        bytes_total: all.bytes_total.saturating_add(one.bytes_total),
        whole: all.whole && one.whole,
    })
}

/// How many quarters of the bytes are here.
pub(super) fn quarters(staged: &Staged) -> u64 {
    staged.bytes.saturating_mul(4) / staged.bytes_total.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(files: u64, bytes: u64, whole: bool) -> NodeView {
        NodeView {
            phase: NodePhase::Preparing.into(),
            status: "preparing".to_owned(),
            staged: Some(Staged {
                files,
                bytes,
                files_total: 10,
                bytes_total: 4 << 30,
                whole,
            }),
            ..NodeView::default()
        }
    }

    #[test]
    fn a_node_says_how_far_its_inputs_are_while_they_come() {
        let mut half = node(3, 1 << 30, false);
        assert_eq!(
            status(&half),
            "preparing; inputs: 3/10 files · 1.0 GiB of 4.0 GiB (25 %)"
        );
        half.phase = NodePhase::Failed.into();
        assert_eq!(status(&half), "preparing");
        assert_eq!(status(&node(10, 4 << 30, true)), "preparing");
    }

    #[test]
    fn all_are_whole_when_each_of_them_is() {
        let mut view = RunView::default();
        assert_eq!(all(&view), None);
        view.nodes = vec![node(10, 4 << 30, true), node(2, 1 << 30, false)];
        let sum = all(&view).unwrap();
        assert_eq!((sum.files, sum.files_total, sum.whole), (12, 20, false));
        assert_eq!(quarters(&sum), 2);
        view.nodes[1].lost = true;
        assert!(all(&view).unwrap().whole);
    }
}
