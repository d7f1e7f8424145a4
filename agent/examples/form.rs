//! Measures: 1 master + 2 workers from start to all alive, a trivial job, and the stop.
//! `cargo run --release -p mayfly-agent --example form -- target/release/agent JOB.py`

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mayfly_agent::engine::{Context, Engine, Job, Role};
use mayfly_agent::supervise::Keeper;
use mayfly_agent::toolchain::{self, Request};
use tokio::sync::mpsc;

const MEMORY: u64 = 2 << 30;

#[expect(clippy::print_stdout, reason = "this is what it is for")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let agent = args.next().context("name the agent's executable")?;
    let keeper = Keeper::from(agent.canonicalize()?);
    let script = args.next().context("name a .py file")?.canonicalize()?;
    let request = Request {
        cache: toolchain::default_cache(),
        spark: toolchain::SPARK_VERSION.into(),
        keeper: keeper.clone(),
    };
    let toolchain = toolchain::ensure(&request, |step| println!("{}: {}", step.name, step.detail)).await?;
    let folder = tempfile::tempdir()?;
    let (lines, mut output) = mpsc::channel(1000);
    let node = |n: u8| -> anyhow::Result<Context> {
        let own = folder.path().join(n.to_string());
        std::fs::create_dir(&own)?;
        Ok(Context {
            toolchain: toolchain.clone(),
            keeper: keeper.clone(),
            address: IpAddr::V4(Ipv4Addr::new(127, 248, 1, n)),
            cores: 1,
            memory_bytes: MEMORY,
            python_bin: own.join("python/bin"),
            temporary: own.join("tmp"),
            folder: own,
            secret: "measured".into(),
            conf: BTreeMap::new(),
            env: BTreeMap::new(),
            lines: lines.clone(),
        })
    };
    let began = Instant::now();
    let master = Engine::start(node(1)?, Role::Master)?;
    let mut workers = Vec::new();
    for n in 2..4 {
        workers.push(Engine::start(
            node(n)?,
            Role::Worker {
                master: "127.248.1.1:7077".into(),
            },
        )?);
    }
    master
        .status()
        .wait_for(|status| status.alive_workers >= 2 || status.failed.is_some())
        .await?;
    let formed = began.elapsed();
    let job = Job {
        code: script.parent().context("a folder")?.into(),
        path: String::new(),
        entry: script
            .file_name()
            .context("a file")?
            .to_string_lossy()
            .into_owned(),
        class: String::new(),
        args: vec![],
        python: toolchain.python.clone(),
        env: BTreeMap::new(),
        worker_cores: 1,
        worker_memory_bytes: MEMORY,
    };
    let child = master.submit(&job).await?;
    let exit = child.wait().await;
    let worked = began.elapsed();
    while let Ok(line) = output.try_recv() {
        println!("  {}", line.text);
    }
    for engine in workers.into_iter().chain([master]) {
        engine.stop(Duration::from_secs(5)).await;
    }
    let whole = began.elapsed();
    println!(
        "{exit:?} form {formed:.2?} job {:.2?} whole {whole:.2?}",
        worked.saturating_sub(formed)
    );
    Ok(())
}
