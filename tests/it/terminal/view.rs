//! The live view: on wide and narrow terminals, resized, without colours, and where there is no terminal.

use std::process::Command;

use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Launch, Repo, Run, slots};

use super::model::{Kind, Terminal};

/// A launch at a terminal that has colours.
fn at_terminal(home: &Home, job: &Job) -> Command {
    let mut command = home.command(&["launch"]);
    command.arg(job.write(home)).env("TERM", "xterm-256color");
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "XTERM_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Where the block begins: the line with the run and how long it may go on.
fn heads(lines: &[String], run: &str) -> Vec<usize> {
    let is_head = |line: &String| line.starts_with(run) && line.contains(" left");
    let found = lines.iter().enumerate().filter(|(_, line)| is_head(line));
    found.map(|(at, _)| at).collect()
}

/// The lines that the job has printed, with where they are.
fn printed(lines: &[String]) -> Vec<(usize, &str)> {
    let own = lines.iter().map(|line| line.trim_end()).enumerate();
    own.filter(|(_, line)| line.starts_with("line ")).collect()
}

/// Whether the job's lines are there, each once, one below the other.
fn has_output(lines: &[String], attempt: u32, count: usize) -> bool {
    let printed = printed(lines);
    let first = printed.first().map_or(0, |(at, _)| *at);
    let in_order = printed
        .iter()
        .enumerate()
        .all(|(n, (at, line))| *line == format!("line {n} of attempt {attempt}") && *at == first + n);
    printed.len() == count && in_order
}

/// One block, at the bottom, below all that the job has printed, and nothing that looks like another one.
fn is_calm(terminal: &mut Terminal, run: &str, count: usize) -> bool {
    let lines = terminal.lines();
    let [head] = heads(&lines, run)[..] else {
        return false;
    };
    let above = &lines[..head];
    has_output(&lines, 1, count)
        && printed(&lines).last().is_none_or(|(at, _)| *at < head)
        && !above.iter().any(|line| is_of_block(line))
        && lines.len() - head <= BLOCK_MAX
}

/// Most lines of the block of a small fleet that goes well.
const BLOCK_MAX: usize = 8;

/// A line that only a block has.
fn is_of_block(line: &str) -> bool {
    [
        "▸ ",
        "✓ forming",
        "workers  ",
        "master   ",
        "  master-1 ",
        "  worker-1 ",
        "spark    [",
    ]
    .iter()
    .any(|part| line.contains(part))
}

/// Everything after the end: what was said, the output and the receipt, and nothing of the block.
fn assert_end(terminal: &mut Terminal, launch: &mut Launch, run: &Run<'_>, count: usize) {
    let ended = launch.wait(secs(90));
    terminal.take(&launch.shown());
    let lines = terminal.lines();
    let all = lines.join("\n");
    eprintln!("---- at the end\n{all}\n----");
    assert_eq!(ended.code, Some(0), "{all}");
    assert!(has_output(&lines, 1, count), "{all}");
    let receipt = lines.iter().position(|line| line.starts_with("✓ succeeded"));
    let receipt = receipt.unwrap_or_else(|| panic!("no receipt in {all}"));
    assert!(printed(&lines).iter().all(|(at, _)| *at < receipt), "{all}");
    let rests = |line: &String| is_of_block(line) && !line.contains("core-secs");
    assert!(!lines[..receipt].iter().any(rests), "rests of the block in {all}");
    assert!(heads(&lines, run.id.as_str()).is_empty(), "{all}");
    assert!(all.contains("nothing is left at"), "{all}");
    run.assert_closed("succeeded");
}

fn shows(terminal: &Terminal, parts: &[&str]) -> bool {
    let window = terminal.window();
    parts.iter().all(|part| window.contains(part))
}

fn fits(terminal: &Terminal, columns: usize) -> bool {
    let window = terminal.window();
    window.lines().all(|line| line.chars().count() <= columns)
}

#[test]
fn stages_and_tasks_move_below_the_output_and_the_window_may_be_resized() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("seen", &home, &repo, "stages.py");
    let mut terminal = Terminal::new(Kind::Reflows, 200, 40);
    let mut launch = home.start_on_screen(&at_terminal(&home, &job), 200, 40);
    let run = home.run_of(&job, &mut launch);
    let id = run.id.to_string();
    terminal.wait(&mut launch, "a fleet that forms", |terminal| {
        shows(
            terminal,
            &["▸ forming ", "workers  0/1 ready", "master-1  preparing"],
        ) && is_calm(terminal, &id, 0)
    });
    terminal.wait(&mut launch, "a job that works, wide", |terminal| {
        let parts = [
            "✓ forming ",
            "▸ working ",
            "workers  1/1 ready",
            "worker-1  ready",
            "master-1  working",
            "1/6 tasks · 0/2 stages",
        ];
        shows(terminal, &parts) && is_calm(terminal, &id, 30)
    });
    launch.resize(80, 24);
    home.tell("task-1");
    terminal.wait(&mut launch, "a job that works, narrow", |terminal| {
        shows(terminal, &["▸ working ", "2/6 tasks · 0/2 stages"])
            && fits(terminal, 80)
            && is_calm(terminal, &id, 30)
    });
    launch.resize(200, 40);
    home.tell("task-2");
    terminal.wait(&mut launch, "a job that works, wide again", |terminal| {
        shows(terminal, &["▸ working ", "3/6 tasks · 0/2 stages"]) && is_calm(terminal, &id, 30)
    });
    home.tell("task-3");
    assert_end(&mut terminal, &mut launch, &run, 31);
}

/// A light job that prints in bursts, on a terminal of this kind and size.
struct Told<'h> {
    home: &'h Home,
    launch: Launch,
    terminal: Terminal,
    run: Run<'h>,
    told: usize,
}

const BURST: usize = 50;

impl<'h> Told<'h> {
    fn start(
        home: &'h Home,
        repo: &Repo,
        bursts: u32,
        (kind, columns, rows): (Kind, u16, u16),
        set: &[(&str, &str)],
    ) -> Self {
        let args = [bursts.to_string(), BURST.to_string(), "0".to_owned()];
        let job = Job::at_gate("told", home, repo, "tells.py").set("code.args", &args[..]);
        let mut command = at_terminal(home, &job);
        command.envs(set.iter().copied());
        let mut launch = home.start_on_screen(&command, columns, rows);
        let run = home.run_of(&job, &mut launch);
        Self {
            home,
            launch,
            terminal: Terminal::new(kind, columns, rows),
            run,
            told: 0,
        }
    }

    /// The next lines, and the block below them.
    fn burst(&mut self, what: &str) {
        self.home.tell(&format!("tell-{}-1", self.told));
        self.told += 1;
        let (id, count) = (self.run.id.to_string(), self.told * BURST);
        self.terminal.wait(&mut self.launch, what, |terminal| {
            shows(terminal, &["▸ working "]) && is_calm(terminal, &id, count)
        });
    }

    fn end(mut self) {
        self.home.tell("end");
        assert_end(&mut self.terminal, &mut self.launch, &self.run, self.told * BURST);
    }
}

#[test]
fn a_narrow_terminal_gets_narrower_and_wider() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let mut told = Told::start(&home, &repo, 3, (Kind::Reflows, 80, 24), &[]);
    told.burst("at 80 columns");
    for columns in [79, 61, 47, 40] {
        told.launch.resize(columns, 24);
    }
    told.burst("at 40 columns");
    assert!(fits(&told.terminal, 40));
    told.launch.resize(80, 12);
    told.burst("at 80 columns and 12 rows");
    told.end();
}

#[test]
fn a_terminal_that_cuts_its_rows_loses_none_of_the_output() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let xterm = [("XTERM_VERSION", "XTerm(390)")];
    let mut told = Told::start(&home, &repo, 3, (Kind::Cuts, 200, 30), &xterm);
    told.burst("at 200 columns");
    told.launch.resize(44, 30);
    told.burst("at 44 columns");
    told.launch.resize(200, 30);
    told.burst("at 200 columns again");
    told.end();
}

#[test]
fn a_window_lower_than_the_block_shows_its_beginning() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let mut told = Told::start(&home, &repo, 2, (Kind::Reflows, 80, 4), &[]);
    told.burst("in 4 rows");
    told.launch.resize(80, 3);
    told.burst("in 3 rows");
    told.end();
}

/// Sequences that set colours and the like.
fn has_colours(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut sequences = text.split("\u{1b}[").skip(1);
    sequences.any(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    })
}

#[test]
fn colours_are_there_unless_no_color_says_otherwise() {
    let _slot = slots::take();
    for (set, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let (home, repo) = (Home::light(), Repo::of_jobs());
        let mut told = Told::start(&home, &repo, 1, (Kind::Reflows, 80, 24), set);
        told.burst("a live view");
        assert_eq!(has_colours(&told.launch.shown()), coloured, "with {set:?}");
        told.home.tell("end");
        assert_end(&mut told.terminal, &mut told.launch, &told.run, BURST);
        assert_eq!(has_colours(&told.launch.shown()), coloured, "with {set:?}");
    }
}

/// The lines of a run that goes well, where nothing can be drawn.
#[track_caller]
fn assert_plain(said: &str) {
    for part in [
        "s forming",
        " worker-1 ready (1/1)",
        "s working",
        " master-1 working",
        " collecting",
        " releasing",
        " closed",
        "✓ succeeded",
        "nothing is left at",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains('\u{1b}') && !said.contains('▸'), "{said}");
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("dumb", &home, &repo, "tells.py").args(&["1", "50", "0"]);
    home.tell("tell-0-1");
    home.tell("end");
    let mut launch = home.start_on_screen(at_terminal(&home, &job).env("TERM", "dumb"), 80, 24);
    launch.wait(secs(90)).exited(0);
    let said = String::from_utf8(launch.shown()).unwrap();
    assert_plain(&said);
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let own: Vec<String> = printed(&lines)
        .iter()
        .map(|(_, line)| (*line).to_owned())
        .collect();
    assert!(has_output(&own, 1, 50), "{said}");
}

#[test]
fn a_pipe_gets_the_output_alone_and_what_is_said_has_no_escapes() {
    let _slot = slots::take();
    let (home, repo) = (Home::light(), Repo::of_jobs());
    let job = Job::at_gate("piped", &home, &repo, "tells.py").args(&["1", "50", "0"]);
    home.tell("tell-0-1");
    home.tell("end");
    let mut launch = home.start(&mut at_terminal(&home, &job));
    let ended = launch.wait(secs(90));
    ended.exited(0);
    assert_plain(&ended.stderr);
    let lines: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
    assert!(has_output(&lines, 1, 50) && lines.len() == 50, "{}", ended.stdout);
}
