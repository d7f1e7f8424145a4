//! Views and receipts that the tests render.

use mayfly_proto::v1::{
    Collected, NodePhase, NodeView, Outcome as WireOutcome, Phase, PhaseSpan, Progress, Role, RunView,
    Staged, Usage,
};
use mayfly_proto::{Attempt, NodeId};

use crate::record::{
    Account, Advice, Ended, Evidence, Group, NodeUse, Outcome, Part, PhaseName, PhaseTime, Receipt,
    ReleaseProof, Role as NodeRole, SCHEMA, Skew, Summary, Waste, Why,
};

fn node(id: &str, role: Role, phase: NodePhase, cpu: f64, memory_mib: u64) -> NodeView {
    NodeView {
        node_id: id.to_owned(),
        role: role.into(),
        phase: phase.into(),
        cores: 2,
        memory_bytes: 2 << 30,
        attempt: 1,
        usage: Some(Usage {
            cpu_cores: cpu,
            memory_bytes: memory_mib << 20,
            ..Usage::default()
        }),
        ..NodeView::default()
    }
}

fn base(phases: &[(Phase, i64)], now_ms: i64) -> RunView {
    let span = |&(phase, began_ms): &(Phase, i64)| PhaseSpan {
        phase: phase.into(),
        attempt: 1,
        began_ms,
    };
    RunView {
        run_id: "flights-abcdefgh".to_owned(),
        job: "flights".to_owned(),
        phase: phases.last().unwrap().0.into(),
        attempt: 1,
        phases: phases.iter().map(span).collect(),
        workers_wanted: 2,
        workers_min: 2,
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        now_ms,
        deadline_ms: 3_600_000,
        cloud: "local".to_owned(),
        ..RunView::default()
    }
}

/// Forming, working, failed, cancelled: in this order.
pub(crate) fn views() -> Vec<(&'static str, RunView)> {
    let start = [(Phase::Accepted, 0), (Phase::Arming, 40), (Phase::Forming, 90)];
    let mut forming = base(&start, 3_200);
    forming.nodes = vec![
        node("master-1", Role::Master, NodePhase::Ready, 0.8, 300),
        node("worker-1", Role::Worker, NodePhase::Ready, 1.1, 280),
        node("worker-2", Role::Worker, NodePhase::Preparing, 0.2, 20),
    ];
    forming.nodes[2].status = "installing requirements: pandas==2.2.3".to_owned();
    forming.nodes[2].staged = Some(Staged {
        files: 3,
        bytes: 1_200 << 20,
        files_total: 10,
        bytes_total: 4_800 << 20,
        whole: false,
    });

    let mut working = base(&[&start[..], &[(Phase::Working, 4_300)]].concat(), 16_600);
    working.nodes = vec![
        node("master-1", Role::Master, NodePhase::Working, 1.2, 812),
        node("worker-1", Role::Worker, NodePhase::Ready, 1.9, 1_400),
        node("worker-2", Role::Worker, NodePhase::Ready, 1.3, 1_100),
    ];
    working.progress = Some(Progress {
        jobs_done: 1,
        jobs_total: 3,
        stages_done: 2,
        stages_total: 5,
        tasks_done: 12,
        tasks_total: 40,
        tasks_failed: 1,
        active_stage: "parquet at delay.py:41".to_owned(),
    });
    working.notices = vec!["worker-3 was lost and is replaced".to_owned()];

    let mut failed = working.clone();
    failed.phase = Phase::Collecting.into();
    failed.phases.push(PhaseSpan {
        phase: Phase::Collecting.into(),
        attempt: 1,
        began_ms: 20_000,
    });
    failed.now_ms = 21_500;
    failed.outcome = WireOutcome::JobFailed.into();
    failed.reason =
        "the job ended with exit code 3: ValueError: \u{1b}[31mno such column\u{1b}[0m\u{7}".to_owned();
    failed.exit_code = Some(3);
    failed.nodes[0].phase = NodePhase::Collecting.into();
    failed.nodes[0].collected = Some(Collected {
        files: 3,
        bytes: 4_000,
        files_total: 12,
        bytes_total: 16_000,
    });
    failed.nodes[1].lost = true;
    failed.nodes[1].status = "no report for 20 s".to_owned();

    let mut cancelled = base(
        &[&start[..], &[(Phase::Releasing, 5_000), (Phase::Closed, 5_400)]].concat(),
        5_400,
    );
    cancelled.outcome = WireOutcome::Cancelled.into();
    cancelled.reason = "cancelled by the user".to_owned();
    vec![
        ("forming", forming),
        ("working", working),
        ("failed", failed),
        ("cancelled", cancelled),
    ]
}

fn used(id: &str, cpu_core_secs: f64, peak_mib: u64) -> NodeUse {
    NodeUse {
        node: id.parse().unwrap(),
        cores: 2,
        memory_bytes: 2 << 30,
        secs: Some(24.0),
        cpu_core_secs: Some(cpu_core_secs),
        peak_memory_bytes: Some(peak_mib << 20),
        kind: None,
        cost_micros: 0,
        lost: false,
    }
}

fn group(role: NodeRole, nodes: u32, cost_micros: u64) -> Group {
    Group {
        role,
        nodes,
        lost: 0,
        node_secs: 24.0 * f64::from(nodes),
        core_secs: 48.0 * f64::from(nodes),
        cpu_core_secs: 20.0 * f64::from(nodes),
        memory_bytes: 2 << 30,
        peak_memory_bytes: 1_400 << 20,
        disk_read_bytes: 5_000_000,
        disk_written_bytes: 70_000_000,
        network_received_bytes: 0,
        network_sent_bytes: 0,
        cost_micros,
    }
}

/// What a run adds up to.
pub(crate) fn account() -> Account {
    let part = |node_secs| Part {
        node_secs,
        cost_micros: 0,
    };
    Account {
        node_secs: 72.0,
        groups: vec![group(NodeRole::Master, 1, 0), group(NodeRole::Worker, 2, 0)],
        waste: Waste {
            before_work: part(18.3),
            idle_tail: part(4.2),
            ..Waste::default()
        },
        spark: Some(Summary {
            stages: 5,
            tasks: 40,
            tasks_failed: 1,
            task_secs: 20.0,
            executor_core_secs: 64.0,
            gc_secs: 0.4,
            input_bytes: 30_000_000,
            shuffle_write_bytes: 1_250_000,
            skew: Some(Skew {
                stage: 4,
                name: "parquet at delay.py:41".to_owned(),
                tasks: 8,
                median_secs: 0.4,
                longest_secs: 6.1,
            }),
            ..Summary::default()
        }),
        predictions: Vec::new(),
        advice: vec![Advice {
            kind: "fewer-workers".to_owned(),
            text: "1 worker would have taken about 28 s instead of 24 s, and 22 % less of the machines' time".to_owned(),
            arithmetic: "its 40 tasks take 20 s one after the other: 6 s on 4 cores, about 10 s on those of 1 worker; all else takes 18 s; executors were 31 % busy".to_owned(),
        }],
    }
}

/// A cause.
pub(crate) fn why() -> Why {
    Why {
        schema: SCHEMA,
        run: "flights-abcdefgh".parse().unwrap(),
        outcome: Outcome::JobFailed,
        cause: "exception".to_owned(),
        sentence: "the job raised ValueError: no such column: delay (at delay.py:41)".to_owned(),
        place: Some("delay.py:41".to_owned()),
        evidence: vec![Evidence {
            source: "job output".to_owned(),
            lines: vec![
                "Traceback (most recent call last):".to_owned(),
                "\u{1b}[31mValueError\u{1b}[0m: no such column: delay".to_owned(),
            ],
        }],
        change: vec!["look at df.printSchema() just before that line, and at the names of the columns in the file that is read".to_owned()],
    }
}

/// Succeeded, failed, cancelled: in this order.
pub(crate) fn receipts() -> Vec<(&'static str, Receipt)> {
    let time = |phase, secs| PhaseTime {
        phase,
        attempt: Attempt::FIRST,
        secs,
    };
    let succeeded = Receipt {
        schema: SCHEMA,
        run: "flights-abcdefgh".parse().unwrap(),
        job: "flights".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        ended: Ended {
            outcome: Outcome::Succeeded,
            reason: String::new(),
            exit_code: Some(0),
            last_lines: Vec::new(),
        },
        attempts: 1,
        phases: vec![
            time(PhaseName::Accepted, 0.04),
            time(PhaseName::Arming, 0.1),
            time(PhaseName::Forming, 4.2),
            time(PhaseName::Working, 17.6),
            time(PhaseName::Collecting, 1.3),
            time(PhaseName::Releasing, 0.8),
            time(PhaseName::Closed, 0.0),
        ],
        steps: Vec::new(),
        total_secs: 24.0,
        nodes: vec![
            used("master-1", 14.2, 812),
            used("worker-1", 31.0, 1_400),
            used("worker-2", 22.5, 1_100),
        ],
        cost_micros: 0,
        results_files: 13,
        results_bytes: 1_234_567,
        results: "s3://mayfly/runs/flights-abcdefgh/attempt-1/results/".to_owned(),
        logs: "s3://mayfly/runs/flights-abcdefgh/attempt-1/logs/".to_owned(),
        results_folder: Some(
            "/home/me/project/.mayfly/store/mayfly/runs/flights-abcdefgh/attempt-1/results".into(),
        ),
        release: ReleaseProof {
            machines_started: 3,
            machines_gone: 3,
            observed: "2026-03-01T12:00:24Z".parse().unwrap(),
        },
        account: None,
        why: None,
    };
    let mut failed = succeeded.clone();
    failed.ended = Ended {
        outcome: Outcome::JobFailed,
        reason: "the job ended with exit code 3: ValueError: no such column: delay".to_owned(),
        exit_code: Some(3),
        last_lines: vec![
            "Traceback (most recent call last):".to_owned(),
            "  File \"delay.py\", line 41, in <module>".to_owned(),
            "\u{1b}[31mValueError\u{1b}[0m: no such column: delay\u{7}".to_owned(),
        ],
    };
    failed.attempts = 2;
    failed.phases.push(PhaseTime {
        phase: PhaseName::Forming,
        attempt: Attempt::FIRST.next(),
        secs: 130.0,
    });
    failed.nodes[2] = NodeUse {
        node: NodeId::worker(2),
        kind: None,
        cost_micros: 0,
        lost: true,
        ..failed.nodes[2].clone()
    };
    failed.results_files = 0;
    failed.results_folder = None;
    let mut cancelled = succeeded.clone();
    cancelled.ended = Ended {
        outcome: Outcome::Cancelled,
        reason: "cancelled by the user".to_owned(),
        exit_code: None,
        last_lines: Vec::new(),
    };
    cancelled.results_folder = None;
    vec![
        ("succeeded", succeeded),
        ("job_failed", failed),
        ("was_cancelled", cancelled),
    ]
}
