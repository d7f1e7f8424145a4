//! Many runs in a store: each record is asked for once.

use mayfly_kit::layout;
use mayfly_proto::RunId;
use mayfly_tests::{Home, embedded};

use super::Rig;
use super::tap::Tap;
use crate::past::{ended, record_as};

const RUNS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_many_runs_asks_for_each_record_once() {
    let home = Home::light();
    let run = tokio::task::block_in_place(|| ended(&home, "many"));
    let rig = Rig::new().await;
    for number in 0..RUNS {
        let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
        let id = format!("many-aaaaaa{}{}", letter(number / 26), letter(number));
        let record = record_as(&run, &id);
        let id: RunId = id.parse().unwrap();
        rig.store.put(&layout::record(&id), record).await.unwrap();
    }
    let tap = Tap::before(rig.server.addr(), "/run.json", |_| {}).await;
    let mut list = home.command(&["list", "--json", "--max", "1000"]);
    list.env("MAYFLY_STORE", "s3://stored/team")
        .env("AWS_ENDPOINT_URL", tap.url())
        .env("AWS_REGION", embedded::REGION)
        .env("AWS_ACCESS_KEY_ID", embedded::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", embedded::SECRET_KEY);
    let mut list = home.start(&mut list);
    let told = tokio::task::block_in_place(|| list.wait(mayfly_tests::wait::secs(60)));
    let told = told.exited(0).json();
    assert_eq!(told["runs"].as_array().unwrap().len(), RUNS);
    assert_eq!(tap.seen(), RUNS, "records that were asked for");
}
