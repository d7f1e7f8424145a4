//! Prometheus finds everything in Consul: Debian 11's, since Debian 12's is built without that.

use mayfly_tests::prometheus::{Debian, Prometheus};
use mayfly_tests::wait::secs;
use mayfly_tests::{Consul, Home, Job, Repo, Serve, slots};

const SHIPPED: &str = include_str!("../../../configs/prometheus-consul.yml");
/// Where the shipped configuration has Consul.
const SHIPPED_CONSUL: &str = "127.0.0.1:8500";

#[test]
fn nodes_are_found_in_consul_too() {
    let _slot = slots::take();
    let (home, repo, consul) = (Home::light(), Repo::of_jobs(), Consul::dev());
    let serve = Serve::start_with(&home, &["--consul", &consul.url()]);
    assert!(SHIPPED.contains(SHIPPED_CONSUL) && SHIPPED.contains(": 5s"));
    let host = consul.url().replace("http://", "");
    let config = SHIPPED.replace(SHIPPED_CONSUL, &host).replace(": 5s", ": 1s");
    let prometheus = Prometheus::start(Debian::Eleven, &config);
    let job = Job::at_gate("scraped", &home, &repo, "holds.py");
    let mut launch = serve.launch(&home, &job, &[]);
    let run = home.run_of(&job, &mut launch);
    launch.until("the job", secs(180), || home.heard("holds"));
    let up = format!("up{{job=\"mayfly-nodes\",run=\"{}\"}} == 1", run.id);
    let found = launch.until("both nodes to be scraped", secs(60), || {
        Some(prometheus.query(&up)).filter(|series| series.len() == 2)
    });
    super::assert_labels(&found, run.id.as_str());
    let coordinator = "mayfly_build_info{job=\"mayfly-coordinator\",program=\"coordinator\"}";
    launch.until("the coordinator to be scraped", secs(60), || {
        prometheus.query(coordinator).pop()
    });
    home.tell("go");
    launch.wait(secs(90)).exited(0);
    run.assert_closed("succeeded");
}
