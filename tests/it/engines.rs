//! Engines that are data: their examples give the right answers; when the agent of a master is killed in the middle, the
//! next attempt commits and nothing is left of either; and somebody's own engine needs a file and nothing else.

use mayfly_tests::procs::{self, Kind};
use mayfly_tests::programs::repository;
use mayfly_tests::wait::secs;
use mayfly_tests::{Home, Job, Repo, slots};

use crate::examples::{assert_second_commits, check, launch, put_flights};

/// What an engine of Debian's packages needs is installed by `scripts/needs-engines`; a machine without it has not shown
/// that the engine works, and says so.
fn needs(program: &str, package: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(
        there,
        "{program} is not on this machine: `apt install {package}` (or scripts/needs-engines)"
    );
}

/// The delays, by one of the engines; both workers have done a part of it.
fn delays(job: &str) {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let data = put_flights(&home, &repo);
    let run = launch(&home, &repo, job, 2);
    check(&repo, job, &run.results(1), Some(&data));
    let said = run.output(&[]);
    assert!(said.contains("worker-1") && said.contains("worker-2"), "{said}");
}

#[test]
fn delays_with_dask() {
    delays("delays-dask");
}

#[test]
fn delays_with_ray() {
    delays("delays-ray");
}

#[test]
fn delays_with_mpi() {
    needs("mpirun", "openmpi-bin");
    delays("delays-mpi");
}

#[test]
fn iris_with_r() {
    needs("Rscript", "r-base-core");
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_examples());
    let run = launch(&home, &repo, "iris-r", 0);
    check(&repo, "iris-r", &run.results(1), None);
}

/// The agent of the master is killed in the middle of the first attempt.
fn killed(job: Job, home: &Home, workers: usize) {
    let mut launch = home.launch(&job);
    let run = home.run_of(&job, &mut launch);
    launch.until("the first attempt", secs(600), || home.heard("attempt-1"));
    procs::find(&run.id, Kind::Agent, Some("master-1"), secs(10)).kill();
    assert_second_commits(&run, &launch.wait(secs(300)));
    assert_eq!(run.stored(2).keys().collect::<Vec<_>>(), ["attempt-2.txt"]);
    // The engine of the master may do a part as well.
    let nodes = home.heard("attempt-2").unwrap();
    let of_workers = nodes.lines().filter(|node| node.starts_with("worker-")).count();
    assert_eq!(of_workers, workers, "not done by all workers: {nodes}");
    let left = std::fs::read_dir("/tmp").unwrap().flatten();
    let suffix = run.id.as_str().rsplit('-').next().unwrap().to_owned();
    let left: Vec<_> = left
        .filter(|entry| entry.file_name().to_string_lossy().contains(&suffix))
        .collect();
    assert!(left.is_empty(), "left in /tmp: {left:?}");
}

fn killed_with(engine: &str, entry: &str) {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("killed", &home, &repo, entry)
        .set("engine", engine)
        .workers(2)
        .set("limits.form", "9m");
    killed(job, &home, 2);
}

#[test]
#[ignore = "minutes; `make test-long`"]
fn dask_whose_master_is_killed() {
    killed_with("dask", "with_dask.py");
}

#[test]
#[ignore = "minutes; `make test-long`"]
fn ray_whose_master_is_killed() {
    killed_with("ray", "with_ray.py");
}

#[test]
#[ignore = "minutes; `make test-long`"]
fn mpi_whose_master_is_killed() {
    needs("mpirun", "openmpi-bin");
    killed_with("mpi", "with_mpi.py");
}

#[test]
fn a_single_machine_that_is_killed() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::at_gate("alone", &home, &repo, "alone.sh")
        .set("engine", "single")
        .args(&["an argument"]);
    killed(job.without("workers"), &home, 0);
}

/// The blocks of `docs/engines.md` that are in this language and begin so.
fn shown(language: &str, begins: &str) -> String {
    let page = std::fs::read_to_string(repository().join("docs/engines.md")).unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1);
    let block = blocks.find(|block| block.starts_with(begins));
    let block =
        block.unwrap_or_else(|| panic!("docs/engines.md has no {language} that begins with {begins:?}"));
    block.split("```").next().unwrap_or_default().to_owned()
}

/// The engine that the documentation shows, beside the job files of the test.
fn tasks(home: &Home) {
    let text = shown("yaml", "about: Celery");
    assert!(text.lines().count() < 40, "a definition is short");
    let file = home.scratch("engines/tasks.yml");
    std::fs::create_dir_all(home.scratch("engines")).unwrap();
    std::fs::write(&file, text).unwrap();
    let checked = home.verb(&["engine", "check", file.to_str().unwrap()]);
    checked.exited(0);
    assert!(
        checked.stdout.starts_with("tasks is right: Celery"),
        "{}",
        checked.stdout
    );
}

#[test]
fn an_engine_of_ones_own_is_a_file_beside_the_job() {
    needs("redis-server", "redis-server");
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    tasks(&home);
    let job = Job::at_gate("tasks", &home, &repo, "with_tasks.py")
        .set("engine", "tasks")
        .workers(2)
        .set("limits.form", "9m");
    killed(job, &home, 2);
}

/// Everything that the documentation has one write for it, as it stands there.
#[test]
fn the_job_of_the_documentation_gives_what_it_says() {
    needs("redis-server", "redis-server");
    let _slot = slots::take();
    let home = Home::new();
    tasks(&home);
    let (module, program) = (
        shown("python", "import os\nimport celery\n"),
        shown("python", "import os\nimport tasks\n"),
    );
    let repo = Repo::of(&[("tasks.py", &module), ("squares.py", &program)]);
    let job = shown("yaml", "squares:\n").replace("repo: .", &format!("repo: {}", repo.url()));
    let file = home.scratch("jobs.yml");
    std::fs::write(&file, job).unwrap();
    let mut launch = home.start(&mut home.command(&["launch", file.to_str().unwrap(), "squares"]));
    launch.wait(secs(600)).exited(0);
    let run = home.run(&home.runs()[0]);
    run.assert_closed("succeeded");
    let total = std::fs::read_to_string(run.results(1).join("total.txt")).unwrap();
    assert_eq!(total, "328350\n");
}

#[test]
fn a_command_line_needs_no_entry() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    let job = Job::new("words", &repo.url(), "")
        .set("engine", "single")
        .without("workers")
        .without("code.entry")
        .set(
            "code.command",
            vec!["sh", "-c", "echo $0 > $MAYFLY_RESULTS/said.txt", "a word"],
        );
    home.launch(&job).wait(secs(120)).exited(0);
    let run = home.run(&home.runs()[0]);
    run.assert_closed("succeeded");
    assert_eq!(
        std::fs::read_to_string(run.results(1).join("said.txt")).unwrap(),
        "a word\n"
    );
}

#[test]
fn a_program_that_is_missing_is_named() {
    let _slot = slots::take();
    let (home, repo) = (Home::new(), Repo::of_jobs());
    std::fs::create_dir_all(home.scratch("engines")).unwrap();
    let text = "about: Nothing.\nworkers: false\ninstall: {programs: {no-such-program: a-package}}\njobs: {.sh: [bash, \"{entry}\"]}\n";
    std::fs::write(home.scratch("engines/mine.yml"), text).unwrap();
    let job = Job::new("missing", &repo.url(), "alone.sh")
        .set("engine", "mine")
        .without("workers");
    home.launch(&job)
        .wait(secs(120))
        .exited(1)
        .said("`no-such-program` is not on this machine: install it with `apt install a-package`");
}
