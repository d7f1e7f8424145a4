//! A node that nobody answers any more saves what is there, where its disk goes with it.

use super::*;

/// A master whose job runs, whose lease ends at 21 s, and whose machine is lent.
fn working() -> Node {
    let one = Attempt::FIRST;
    let (node, _) = run(
        Role::Master,
        vec![
            told(1, desired(1, Goal::Work)),
            Event::EngineReady(one),
            Event::Prepared(one),
        ],
    );
    node.salvaging(SALVAGE_MAX)
}

fn follow(mut node: Node, events: Vec<(u64, Event)>) -> (Node, Vec<Effect>) {
    let mut all = Vec::new();
    for (at, event) in events {
        let (next, effects) = node.step(Duration::from_secs(at), event);
        node = next;
        all.extend(effects);
    }
    (node, all)
}

#[test]
fn results_of_a_machine_that_is_left_alone_are_uploaded_before_it_goes() {
    let one = Attempt::FIRST;
    let (node, effects) = follow(working(), vec![(21, Event::Tick), (22, Event::Stopped(one))]);
    assert_eq!(
        effects,
        [Effect::Stop(one, Duration::ZERO), Effect::Collect(one, What::All)]
    );
    assert_eq!(node.wakes_at(), 21 * SECOND + SALVAGE_MAX);
    let (_, effects) = follow(node, vec![(30, Event::Uploaded(one)), (31, Event::Farewell)]);
    assert_eq!(effects, [Effect::Farewell, Effect::Exit(Why::LeaseExpired)]);
}

#[test]
fn a_store_that_does_not_answer_keeps_no_machine() {
    let one = Attempt::FIRST;
    let (node, _) = follow(working(), vec![(21, Event::Tick), (22, Event::Stopped(one))]);
    let refused = Failure {
        blame: Blame::Infra,
        message: "no such bucket".into(),
    };
    let (_, effects) = follow(node.clone(), vec![(23, Event::Failed(one, refused))]);
    assert_eq!(effects, [Effect::Farewell], "what failed for good");
    let (node, effects) = follow(node, vec![(140, Event::Tick)]);
    assert_eq!(effects, []);
    let (node, effects) = follow(node, vec![(141, Event::Tick)]);
    assert_eq!(effects, [Effect::Farewell]);
    // What ends later is no news.
    let (_, effects) = follow(node, vec![(142, Event::Uploaded(one)), (143, Event::Farewell)]);
    assert_eq!(effects, [Effect::Exit(Why::LeaseExpired)]);
}

#[test]
fn what_is_saved_already_or_stays_on_the_disk_is_not_uploaded_again() {
    let one = Attempt::FIRST;
    let end = vec![(21, Event::Tick), (22, Event::Stopped(one))];
    let leaves = [Effect::Stop(one, Duration::ZERO), Effect::Farewell];
    let (_, effects) = follow(working().salvaging(Duration::ZERO), end.clone());
    assert_eq!(effects, leaves, "its folder stays");
    let (saved, _) = follow(
        working(),
        vec![
            (1, told(1, desired(1, Goal::Collect))),
            (2, Event::Stopped(one)),
            (3, Event::Uploaded(one)),
        ],
    );
    let (_, effects) = follow(saved, end.clone());
    assert_eq!(effects, leaves, "it was uploaded");
    let unwanted = Desired {
        save_results: false,
        ..desired(1, Goal::Work)
    };
    let (unwanted, _) = follow(working(), vec![(1, told(1, unwanted))]);
    let (_, effects) = follow(unwanted, end);
    assert_eq!(effects, leaves, "nobody wants it");
}
