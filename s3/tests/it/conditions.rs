//! Conditional requests, and races between two servers over one folder.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures::future::join_all;

use crate::rig::{BUCKET, Rig, bytes, client, code, serve};

#[tokio::test]
async fn reads() {
    let rig = Rig::new().await;
    let etag = rig.put("k", b"x").await;
    let get = || rig.client.get_object().bucket(BUCKET).key("k");
    get().if_match(&etag).send().await.unwrap();
    assert_eq!(code(get().if_match("\"no\"").send().await), "PreconditionFailed");
    assert_eq!(code(get().if_none_match(&etag).send().await), "304");
    let modified = get().send().await.unwrap().last_modified.unwrap();
    assert_eq!(code(get().if_modified_since(modified).send().await), "304");
    get().if_unmodified_since(modified).send().await.unwrap();
    let head = || rig.client.head_object().bucket(BUCKET).key("k");
    assert_eq!(code(head().if_none_match(&etag).send().await), "304");
    assert_eq!(code(head().if_match("\"no\"").send().await), "412");
}

#[tokio::test]
async fn writes() {
    let rig = Rig::new().await;
    let put = |body: &str| rig.client.put_object().bucket(BUCKET).key("k").body(bytes(body));
    assert_eq!(code(put("0").if_match("\"no\"").send().await), "NoSuchKey");
    let first = put("1").if_none_match("*").send().await.unwrap().e_tag.unwrap();
    assert_eq!(
        code(put("2").if_none_match("*").send().await),
        "PreconditionFailed"
    );
    put("2").if_match(&first).send().await.unwrap();
    assert_eq!(code(put("3").if_match(&first).send().await), "PreconditionFailed");
    assert_eq!(rig.get("k").await, b"2");
    let delete = || rig.client.delete_object().bucket(BUCKET).key("k");
    assert_eq!(code(delete().if_match(&first).send().await), "PreconditionFailed");
    delete().if_match("*").send().await.unwrap();
    assert!(rig.is_absent("k").await);
}

async fn create(client: Client, key: String, body: String) -> Option<String> {
    let put = client.put_object().bucket(BUCKET).key(key).if_none_match("*");
    match put.body(ByteStream::from(body.clone().into_bytes())).send().await {
        Ok(_) => Some(body),
        Err(error) => {
            assert_eq!(code::<(), _>(Err(error)), "PreconditionFailed");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_creators_wins_across_servers() {
    let rig = Rig::new().await;
    let second = serve(rig.folder.path()).await;
    let clients = [rig.client.clone(), client(&second, "key", "secret")];
    // A plain key, one that no path can say, and one whose place another key takes.
    rig.put("taken/by", b"x").await;
    for key in ["commit", "odd//commit", "taken"] {
        let racing = (0..32).map(|n| create(clients[n % 2].clone(), key.to_owned(), format!("{n}")));
        let won: Vec<String> = join_all(racing).await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "{key}: {won:?}");
        assert_eq!(rig.get(key).await, won[0].as_bytes());
    }
    second.stop().await;
}

async fn add_ten(client: Client) {
    for _ in 0..10 {
        loop {
            let got = client.get_object().bucket(BUCKET).key("n").send().await.unwrap();
            let etag = got.e_tag.clone().unwrap();
            let body = got.body.collect().await.unwrap().to_vec();
            let next = String::from_utf8(body).unwrap().parse::<u32>().unwrap() + 1;
            let put = client
                .put_object()
                .bucket(BUCKET)
                .key("n")
                .if_match(etag)
                .body(bytes(&next.to_string()));
            if put.send().await.is_ok() {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_and_swap_loses_nothing_across_servers() {
    let rig = Rig::new().await;
    let second = serve(rig.folder.path()).await;
    rig.put("n", b"0").await;
    let clients = [rig.client.clone(), client(&second, "key", "secret")];
    join_all((0..4).map(|n| add_ten(clients[n % 2].clone()))).await;
    assert_eq!(rig.get("n").await, b"40");
    second.stop().await;
}
