//! A process of the agent that follows a dead one.

use mayfly_proto::v1::NodePhase;

use super::*;

fn end() -> JobEnd {
    JobEnd {
        exit_code: Some(0),
        ..JobEnd::default()
    }
}

/// A master through these events, and what is to be saved if its process dies then.
fn master(events: Vec<Event>) -> Option<Unsaved> {
    let one = Attempt::FIRST;
    let begin = vec![
        told(1, desired(1, Goal::Work)),
        Event::EngineReady(one),
        Event::Prepared(one),
    ];
    run(Role::Master, [begin, events].concat()).0.unsaved()
}

#[test]
fn nothing_is_left_while_the_job_runs_and_all_of_it_from_its_end_to_the_commit() {
    let one = Attempt::FIRST;
    let collect = told(2, desired(1, Goal::Collect));
    let ended = vec![Event::JobExited(one, end())];
    let collecting = [ended.clone(), vec![collect.clone(), Event::Stopped(one)]].concat();
    let collected = [collecting.clone(), vec![Event::Uploaded(one)]].concat();
    let committing = [collected.clone(), vec![told(3, desired(1, Goal::Commit))]].concat();
    let committed = [committing.clone(), vec![Event::Committed(one)]].concat();
    let all = Some(Unsaved {
        attempt: one,
        end: Some(end()),
    });
    assert_eq!(master(vec![]), None);
    for events in [ended, collecting.clone(), collected, committing] {
        assert_eq!(master(events.clone()), all, "{events:?}");
    }
    assert_eq!(master(committed), None);
    assert_eq!(
        master([collecting, vec![told(3, desired(2, Goal::Form))]].concat()),
        None
    );
    // It was told to end its job, which does not outlive it.
    let stopped = master(vec![collect]).unwrap().end.unwrap();
    assert!(stopped.stopped && stopped.exit_code.is_none());
}

/// The process after one whose job had ended, whose lease ends at 20 s.
fn next() -> Node {
    Node::new(Role::Master, Duration::from_secs(20))
        .salvaging(SALVAGE_MAX)
        .again(Unsaved {
            attempt: Attempt::FIRST,
            end: Some(end()),
        })
}

#[test]
fn the_next_process_uploads_and_commits_and_runs_nothing() {
    let one = Attempt::FIRST;
    let node = next();
    assert_eq!(
        (node.phase(), node.job().exit_code),
        (NodePhase::Collecting, Some(0))
    );
    let (node, effects) = node.step(SECOND, told(1, desired(1, Goal::Work)));
    assert_eq!(effects, [Effect::Collect(one, What::All)]);
    let (node, effects) = node.step(2 * SECOND, Event::Uploaded(one));
    assert_eq!((node.phase(), effects), (NodePhase::Collected, vec![]));
    let (_, effects) = node.step(3 * SECOND, told(3, desired(1, Goal::Commit)));
    assert_eq!(
        effects,
        [Effect::WriteCommit(one, vec![NodeId::master(1)], end())]
    );
}

#[test]
fn the_next_process_leaves_what_was_given_up_aside() {
    let one = Attempt::FIRST;
    let (node, effects) = next().step(SECOND, told(1, desired(2, Goal::Form)));
    assert_eq!(effects, [Effect::Stop(one, desired(2, Goal::Form).grace)]);
    let (_, effects) = node.step(SECOND, Event::Stopped(one));
    let two = one.next();
    assert_eq!(effects[..2], [Effect::SetAside(one), Effect::Prepare(two)]);
}

#[test]
fn the_next_process_saves_what_is_left_even_if_nobody_ever_answers_it() {
    let one = Attempt::FIRST;
    let (node, effects) = next().step(20 * SECOND, Event::Tick);
    assert_eq!(effects, [Effect::Stop(one, Duration::ZERO)]);
    let (_, effects) = node.step(20 * SECOND, Event::Stopped(one));
    assert_eq!(effects, [Effect::Collect(one, What::All)]);
}
