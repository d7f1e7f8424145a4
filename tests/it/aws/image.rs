//! Which image machines boot from.

use mayfly_tests::Repo;
use mayfly_tests::ec2::Image;
use mayfly_tests::region::{Region, job};
use nix::sys::signal::Signal;
use serde_json::json;

use super::light::LIMIT;

/// Says of an image what a bake says of its own.
fn baked(region: &Region, image: &str, spark: &str) {
    let tags = [
        ("ResourceId.1", image),
        ("Tag.1.Key", "mayfly:version"),
        ("Tag.1.Value", "0.1.0"),
        ("Tag.2.Key", "managed-by"),
        ("Tag.2.Value", "mayfly"),
        ("Tag.3.Key", "mayfly:spark"),
        ("Tag.3.Value", spark),
    ];
    region.ec2.aws("ec2", "CreateTags", &tags);
}

#[test]
fn an_image_is_found_by_what_its_bake_says_of_it() {
    let machines = Image::of(&["sleep", "1000"]);
    let region = Region::with(machines, &json!({}), |settings, _| {
        settings["aws"].as_object_mut().unwrap().remove("image");
    });
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py");
    let refused = |why: &str| {
        region.launch(&job, &[]).wait(LIMIT).exited(2).said(why);
    };
    refused("no image in us-east-1 was baked for arm64");
    let other = region.ec2.register_image("old", "arm64");
    baked(&region, &other, "3.5.1");
    refused("have Spark 3.5.1, not 4.0.5");
    let wanted = region.ec2.register_image("new", "arm64");
    baked(&region, &wanted, "3.5.1 4.0.5");
    let mut launch = region.launch(&job, &[]);
    launch.until("a machine", LIMIT, || {
        (!region.up("master").is_empty()).then_some(())
    });
    assert_eq!(region.record()["plan"]["made_of"]["image"]["id"], wanted.as_str());
    launch.signal(Signal::SIGINT);
    launch.wait(LIMIT).exited(130).said("nothing is left");
    region.assert_nothing_left();
}

#[test]
fn an_image_with_another_spark_is_refused_before_anything_is_made() {
    let region = Region::of(Image::of(&["sleep", "1000"]), &json!({}));
    let repo = Repo::of_jobs();
    let job = job("idle", &repo.path().display().to_string(), "plain.py");
    let images = region.ec2.aws("ec2", "DescribeImages", &[("Owner.1", "self")]);
    let named = images
        .split("<imageId>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .unwrap();
    baked(&region, named, "3.5.1");
    let refused = region.launch(&job, &[]).wait(LIMIT);
    refused.exited(2).said("has Spark 3.5.1, the job wants 4.0.5");
    assert!(region.bill().is_empty(), "a machine was paid for");
}
