//! Records that are where a commit is to be written, and are none of this run.

use mayfly_agent::commit::{self, CommitError, Committed, Obstacle, Request};
use mayfly_kit::layout;
use mayfly_kit::records::{Commit, Manifest, SCHEMA};
use mayfly_proto::{Attempt, NodeId, RunId};

use super::{Rig, run_id};

async fn request(rig: &Rig, run: RunId) -> Request {
    let manifest = Manifest {
        schema: SCHEMA,
        node: NodeId::master(1),
        attempt: Attempt::FIRST,
        files: Vec::new(),
        skipped: Vec::new(),
    };
    commit::write_manifest(&rig.store, &run, &manifest).await.unwrap();
    Request {
        run,
        attempt: Attempt::FIRST,
        nodes: vec![NodeId::master(1)],
        exit_code: Some(0),
        cause: String::new(),
        steps: Vec::new(),
    }
}

/// The commit of a run, as text.
async fn committed(rig: &Rig, run: RunId) -> String {
    let request = request(rig, run.clone()).await;
    assert_eq!(
        commit::commit(&rig.store, &request).await.unwrap(),
        Committed::Ours
    );
    let object = rig.store.get(&layout::commit(&run)).await.unwrap().unwrap();
    String::from_utf8(object.bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn what_is_no_commit_of_this_run_is_named_and_stays_as_it_is() {
    let rig = Rig::new().await;
    let theirs = committed(&rig, "other-abcdefgh".parse().unwrap()).await;
    let ours = theirs.replace("other-abcdefgh", run_id().as_str());
    let newer = ours.replace(&format!("\"schema\":{SCHEMA}"), "\"schema\":99");
    assert_ne!(newer, ours);
    let half = &ours[..ours.len() / 2];
    for (name, there) in [
        ("of another run", theirs.as_str()),
        ("of a newer shape", newer.as_str()),
        ("empty", ""),
        ("cut off", half),
        ("no JSON", "<html>sign in</html>"),
        ("JSON of another kind", "[]"),
        ("10,000 levels", &"[".repeat(10_000)),
    ] {
        let request = request(&rig, run_id()).await;
        let key = layout::commit(&run_id());
        rig.store.put(&key, there.to_owned()).await.unwrap();
        let error = commit::commit(&rig.store, &request).await.unwrap_err();
        assert!(
            matches!(
                error,
                CommitError::Obstacle(Obstacle::Foreign { what: "commit", .. })
            ),
            "{name}: {error}"
        );
        let says = format!("{key} is not a commit of this run");
        assert!(error.to_string().contains(&says), "{name}: {error}");
        assert!(error.is_permanent() && !error.is_jobs_doing(), "{name}");
        let kept = rig.store.get(&key).await.unwrap().unwrap();
        assert_eq!(&kept.bytes[..], there.as_bytes(), "{name}: it was changed");
    }
}

/// Another master's commit of the same run is no error: it has won.
#[tokio::test]
async fn a_commit_of_another_attempt_has_won() {
    let rig = Rig::new().await;
    let theirs = committed(&rig, "other-abcdefgh".parse().unwrap()).await;
    let mut theirs: Commit = serde_json::from_str(&theirs).unwrap();
    theirs.run = run_id();
    theirs.attempt = Attempt::FIRST.next();
    let bytes = serde_json::to_vec(&theirs).unwrap();
    rig.store.put(&layout::commit(&run_id()), bytes).await.unwrap();
    let request = request(&rig, run_id()).await;
    assert_eq!(
        commit::commit(&rig.store, &request).await.unwrap(),
        Committed::Lost(theirs.attempt)
    );
}
