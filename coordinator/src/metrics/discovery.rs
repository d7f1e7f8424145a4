//! `/sd/prometheus`: Prometheus' HTTP service discovery. Every node of every open run, where its metrics are, and what
//! it is, as `__meta_mayfly_…` labels for relabelling.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use mayfly_kit::scrape::label;
use mayfly_proto::v1;
use serde::Serialize;

use super::runs::{is_closed, role_name};
use crate::server::Server;

/// Where it is on the admin pages.
const PATH: &str = "/sd/prometheus";

/// Targets that share labels; here always one.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

/// The page, for the admin pages of this coordinator.
pub fn router(server: Arc<Server>) -> Router {
    Router::new().route(PATH, get(page)).with_state(server)
}

async fn page(State(server): State<Arc<Server>>) -> Json<Vec<Group>> {
    let entries = server.entries().await;
    let mut groups: Vec<Group> = entries
        .iter()
        .flat_map(|entry| targets(&entry.handle.view.borrow(), &entry.spec.engine))
        .collect();
    groups.sort_by(|a, b| a.labels.cmp(&b.labels));
    Json(groups)
}

/// Nodes that serve pages and may answer: not those that boot, are lost or gone.
fn targets(view: &v1::RunView, engine: &str) -> Vec<Group> {
    if is_closed(view) {
        return Vec::new();
    }
    let there = |node: &&v1::NodeView| !node.admin.is_empty() && !node.lost && !node.gone;
    let group = |node: &v1::NodeView| Group {
        targets: [node.admin.clone()],
        labels: BTreeMap::from([
            ("__meta_mayfly_run", label(&view.run_id)),
            ("__meta_mayfly_node", label(&node.node_id)),
            ("__meta_mayfly_role", role_name(node.role()).to_owned()),
            ("__meta_mayfly_job_name", label(&view.job)),
            ("__meta_mayfly_engine", label(engine)),
            ("__meta_mayfly_attempt", node.attempt.to_string()),
        ]),
    };
    view.nodes.iter().filter(there).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_may_answer_are_targets() {
        let node = |id: &str| v1::NodeView {
            node_id: id.into(),
            role: v1::Role::Worker.into(),
            admin: "127.16.0.1:9464".into(),
            attempt: 1,
            ..v1::NodeView::default()
        };
        let mut old_agent = node("worker-2");
        old_agent.admin.clear();
        let (mut lost, mut gone) = (node("worker-3"), node("worker-4"));
        (lost.lost, gone.gone) = (true, true);
        let mut view = v1::RunView {
            run_id: "iris-abcdefgh".into(),
            job: "iris".into(),
            phase: v1::Phase::Working.into(),
            nodes: vec![node("worker-1"), old_agent, lost, gone],
            ..v1::RunView::default()
        };
        assert_eq!(
            serde_json::to_value(targets(&view, "spark")).unwrap(),
            serde_json::json!([{
                "targets": ["127.16.0.1:9464"],
                "labels": {
                    "__meta_mayfly_run": "iris-abcdefgh",
                    "__meta_mayfly_node": "worker-1",
                    "__meta_mayfly_role": "worker",
                    "__meta_mayfly_job_name": "iris",
                    "__meta_mayfly_engine": "spark",
                    "__meta_mayfly_attempt": "1",
                },
            }])
        );
        view.phase = v1::Phase::Closed.into();
        assert_eq!(targets(&view, "spark"), []);
    }
}
