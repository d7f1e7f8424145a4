//! Nodes that are alike: each claims the lock that it has, and is what it is told to be.

use super::*;

/// What the coordinator answers before anything is decided.
fn undecided(n: u32) -> Desired {
    Desired {
        master_address: String::new(),
        ..desired(n, Goal::Form)
    }
}

#[test]
fn a_node_that_is_like_all_others_claims_the_lock_that_it_has_and_is_what_it_is_told() {
    let one = Attempt::FIRST;
    let mut events = vec![told(1, undecided(1)), Event::Prepared(one)];
    let (node, effects) = run(Role::Auto, events.clone());
    assert_eq!(
        effects,
        [Effect::Prepare(one)],
        "an engine before the role is known"
    );
    assert_eq!((node.standing_for(), node.claims()), (Some(one), None));
    assert_eq!(node.seeking(), None);

    events.push(Event::Locked(one));
    let (node, effects) = run(Role::Auto, events.clone());
    assert_eq!((effects.len(), node.claims()), (1, Some(one)));

    let as_role = |role| Desired { role, ..undecided(1) };
    let mut master = events.clone();
    master.extend([told(2, as_role(Role::Master)), told(3, undecided(1))]);
    let (node, effects) = run(Role::Auto, master);
    assert_eq!(effects[1..], [Effect::StartEngine(one, String::new())]);
    assert_eq!(
        (node.role(), node.claims()),
        (Role::Master, Some(one)),
        "a coordinator that was started anew took the role away"
    );

    events.push(told(2, as_role(Role::Worker)));
    let (node, _) = run(Role::Auto, events);
    assert_eq!((node.standing_for(), node.claims()), (None, None));
    assert_eq!(node.seeking(), Some(one));
}

#[test]
fn each_attempt_decides_anew_and_an_older_lock_is_no_claim() {
    let (one, two) = (attempt(1), attempt(2));
    let worker = Desired {
        role: Role::Worker,
        ..desired(1, Goal::Work)
    };
    let mut events = vec![
        Event::Locked(one),
        told(1, worker),
        told(2, undecided(2)),
        Event::Stopped(one),
        Event::Locked(one),
    ];
    let (node, _) = run(Role::Auto, events.clone());
    assert_eq!((node.standing_for(), node.claims()), (Some(two), None));
    let master = Desired {
        role: Role::Master,
        ..undecided(2)
    };
    events.extend([Event::Locked(two), told(3, master)]);
    let (node, effects) = run(Role::Auto, events);
    assert_eq!(effects.last(), Some(&Effect::StartEngine(two, String::new())));
    assert_eq!(node.claims(), Some(two));
}

#[test]
fn a_node_of_one_role_stands_for_nothing_and_takes_no_other() {
    for (role, other) in [(Role::Master, Role::Worker), (Role::Worker, Role::Master)] {
        let wish = Desired {
            role: other,
            ..desired(1, Goal::Work)
        };
        let (node, _) = run(role, vec![Event::Locked(attempt(1)), told(1, wish)]);
        assert_eq!(
            (node.role(), node.standing_for(), node.claims()),
            (role, None, None)
        );
    }
}
