//! A block of the older system's `spark.yml`, out of a real Consul, to results in S3.

use mayfly_tests::ec2::{Ec2, Image};
use mayfly_tests::region::{Region, limit};
use mayfly_tests::wait::secs;
use mayfly_tests::{Consul, GitServer, Repo, quick, slots};
use serde_json::json;

use crate::older::{assert_right, with_repo};

#[test]
fn the_older_block_runs_on_a_fleet_out_of_consul() {
    let _slot = slots::take();
    let (consul, repo) = (Consul::dev(), Repo::of_older());
    let server = GitServer::start(repo.path().parent().unwrap());
    // Its machines are t2.micro.
    let ec2 = Ec2::start(Image::agent(), &json!({ "pending_secs": 1 }));
    let url = ec2.url();
    let region = Region::at(ec2, &url, "x86_64");
    let home = &region.home;
    let git = server.url(repo.path().file_name().unwrap().to_str().unwrap());
    std::fs::write(home.scratch("spark.yml"), with_repo(&git)).unwrap();
    let mut push = home.command(&["config", "push", "spark.yml", "--yes"]);
    push.env("CONSUL_HTTP_ADDR", consul.url());
    home.start(&mut push).wait(secs(60)).exited(0);
    // From now on there is nothing but what Consul has.
    std::fs::remove_file(home.scratch("spark.yml")).unwrap();
    let args = ["launch", "log-reg-iris", "--from", "consul", "--on", "aws"];
    let mut command = region.serve.command(home, &args);
    command.env("CONSUL_HTTP_ADDR", consul.url()).args(quick());
    let ended = home.start(&mut command).wait(limit());
    ended.exited(0).said("nothing is left");
    region.assert_nothing_left();
    let receipt = region.receipt();
    assert_eq!(
        (&receipt["commit"], receipt["cost_micros"].as_u64() > Some(0)),
        (&repo.head().into(), true)
    );
    for row in region.bill() {
        assert_eq!(row["type"], "t2.micro");
    }
    let out = home.scratch("out");
    home.verb(&["results", "last", "--to", out.to_str().unwrap()])
        .exited(0);
    assert_right(&out);
    let output = home.verb(&["logs", "last"]);
    assert!(output.exited(0).stdout.contains("accuracy"), "{output:#?}");
}
