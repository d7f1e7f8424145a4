//! Runs on this machine whose network is not well: nobody reaches the store, or one node reaches nobody.

use std::fs;
use std::time::{Duration, Instant};

use super::local::{GONE, LARGE, WORKS, World, find};
use super::weather::{Sky, Weather};
use super::{Rig, Seen, Whom, judge};
use crate::{Bucket, Cut, Home, loopback, wait};

/// A run whose store is that of `bucket`, as it is reached at `store`.
fn begin(rig: &Rig, kept: &Home, bucket: &Bucket, store: &str, flags: &[&str]) -> World {
    let (server, person) = (Home::light(), Home::light());
    let settings = serde_json::json!({ "store": {
        "bucket": bucket.name, "endpoint": store, "access_key_file": "access_key", "secret_key_file": "secret_key",
    }});
    for (name, text) in [
        ("access_key", &bucket.access_key),
        ("secret_key", &bucket.secret_key),
        ("serve.yml", &settings.to_string()),
    ] {
        fs::write(server.scratch(name), text).unwrap();
    }
    // What is asked of the files is asked of those that are served.
    fs::create_dir_all(server.path()).unwrap();
    std::os::unix::fs::symlink(kept.path().join("store"), server.path().join("store")).unwrap();
    let job = rig.job(&server.gate(), WORKS, LARGE, &[]);
    let config = server.scratch("serve.yml").display().to_string();
    World::of(server, person, &job, &[&["--config", &config], flags].concat())
}

/// The record is closed when the store takes it.
fn closed(world: &World) {
    let run = world.run().expect("a run");
    wait::until("the end of the record", GONE, || {
        (world.server.run(&run).phase() == "closed").then_some(())
    });
}

/// The store answers nobody for a while, with the run's record in it and its results on their way.
pub(super) fn store(rig: &Rig, weather: Weather, after: Duration, lasts: Duration) -> Seen {
    let kept = Home::light();
    let bucket = Bucket::serve(&kept);
    let sky = Sky::before(&bucket.endpoint);
    let mut world = begin(rig, &kept, &bucket, &sky.url(), &[]);
    let mut since: Option<Instant> = None;
    world.until_ended(|world| {
        if since.is_none() && world.run().is_none() {
            return;
        }
        let now = since.get_or_insert_with(Instant::now).elapsed();
        let bad = now >= after && now < after + lasts;
        sky.change(if bad { weather } else { Weather::Fair });
    });
    sky.change(Weather::Fair);
    closed(&world);
    drop(bucket);
    world.judged(LARGE, judge::SUCCEEDS)
}

/// One node reaches neither the coordinator nor the store for a while, or ever again; its engine it does.
pub(super) fn cut(rig: &Rig, node: &'static str, after: Duration, lasts: Option<Duration>) -> Seen {
    let kept = Home::light();
    let bucket = Bucket::serve(&kept);
    let listen = loopback::free().to_string();
    let cuts = [
        Cut::before(&format!("http://{listen}")),
        Cut::before(&bucket.endpoint),
    ];
    let flags = ["--listen", &listen, "--public-url", &cuts[0].url()];
    let mut world = begin(rig, &kept, &bucket, &cuts[1].url(), &flags);
    let (mut since, mut off): (Option<Instant>, Option<(i32, Instant)>) = (None, None);
    world.until_ended(|world| {
        let Some(run) = world.run() else { return };
        let due = since.get_or_insert_with(Instant::now).elapsed() >= after;
        if due
            && off.is_none()
            && let Some(pid) = find(world, &run, Whom::Agent(node))
        {
            cuts.iter().for_each(|cut| cut.off(pid));
            off = Some((pid, Instant::now()));
        }
        if let Some((pid, at)) = off
            && lasts.is_some_and(|lasts| at.elapsed() >= lasts)
        {
            cuts.iter().for_each(|cut| cut.on(pid));
        }
    });
    closed(&world);
    drop(bucket);
    world.judged(LARGE, judge::SUCCEEDS)
}
