//! Servers that are not Consul, or not at their best: nothing they say is believed, and none can hold us.

use std::time::{Duration, Instant};

use mayfly_kit::consul::{
    Cas, Consul, ConsulError, ConsulFault, ConsulSettings, Health, Kind, Query, Service,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Answers every request with the same bytes; `endless` is repeated until the other side hangs up.
struct Liar {
    consul: Consul,
    address: String,
    _task: JoinSet<()>,
}

impl Liar {
    async fn says(answer: &[u8]) -> Self {
        Self::start(answer, b"").await
    }

    async fn start(answer: &[u8], endless: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (answer, endless) = (answer.to_vec(), endless.to_vec());
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_err() || stream.write_all(&answer).await.is_err() {
                    continue;
                }
                while !endless.is_empty() && stream.write_all(&endless).await.is_ok() {}
            }
        });
        let settings = ConsulSettings {
            token: Some("canary-of-this-test".into()),
            ..ConsulSettings::at(address.clone())
        };
        Self {
            consul: Consul::open(&settings).unwrap(),
            address,
            _task: task,
        }
    }

    async fn json(body: &str) -> Self {
        Self::says(&http("200 OK", body)).await
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nX-Consul-Index: 7\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn query() -> Query {
    Query {
        kind: Kind::Master,
        tags: vec![("run", "a-abcdefgh".into())],
        from: "127.0.0.1".parse().unwrap(),
    }
}

fn service() -> Service {
    Service {
        kind: Kind::Worker,
        name: "a-abcdefgh-worker-1".into(),
        address: "127.99.0.1:8081".parse().unwrap(),
        tags: vec![("run", "a-abcdefgh".into())],
        ready: Some("127.99.0.1:9464".parse().unwrap()),
        admin_port: Some(9464),
        ui_port: None,
    }
}

/// The error of each kind of call.
async fn errors(consul: &Consul) -> Vec<ConsulError> {
    let now = Duration::ZERO;
    vec![
        consul.get("jobs/a").await.expect_err("get"),
        consul.list("jobs/").await.expect_err("list"),
        consul
            .put("jobs/a", b"x".to_vec(), Cas::New)
            .await
            .expect_err("put"),
        consul.delete("jobs/a", 1).await.expect_err("delete"),
        consul.register(&service()).await.expect_err("register"),
        consul
            .report(&service(), Health::Passing, "x")
            .await
            .expect_err("report"),
        consul.deregister(&service()).await.expect_err("deregister"),
        consul.healthy(&query(), 0, now).await.expect_err("healthy"),
        consul.create_session("x").await.expect_err("session"),
    ]
}

#[tokio::test]
async fn answers_that_are_no_success_say_what_to_do() {
    type Is = fn(&ConsulFault) -> bool;
    let table: [(&str, &str, Is); 6] = [
        ("403 Forbidden", "Permission denied", |f| {
            matches!(f, ConsulFault::Denied { .. })
        }),
        ("429 Too Many Requests", "", |f| *f == ConsulFault::RateLimited),
        ("500 Internal Server Error", "No cluster leader", |f| {
            *f == ConsulFault::NoLeader
        }),
        (
            "301 Moved Permanently\r\nLocation: http://127.0.0.1:1/v1/kv/x",
            "",
            |f| *f == ConsulFault::Redirect { status: 301 },
        ),
        ("503 Service Unavailable", "later\nforged", |f| {
            matches!(f, ConsulFault::Refused { status: 503, .. })
        }),
        ("200 OK", "<html>sign in to this network</html>", |f| {
            matches!(f, ConsulFault::NotConsul { .. })
        }),
    ];
    for (status, body, is) in table {
        let liar = Liar::says(&http(status, body)).await;
        for error in errors(&liar.consul).await {
            assert!(is(error.fault()), "{status}: {error}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(&liar.address), "it does not say where: {text}");
            assert!(
                !text.contains("canary") && !error.to_string().contains('\n'),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn bytes_that_are_not_http() {
    for bytes in [
        &b""[..],
        b"\x00\x01\x02\x03",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
    ] {
        let liar = Liar::says(bytes).await;
        let error = liar.consul.get("jobs/a").await.unwrap_err();
        assert!(*error.fault() == ConsulFault::Broken, "{bytes:?}: {error}");
    }
    // A header that is not ASCII is no reason to stop.
    let liar =
        Liar::says(b"HTTP/1.1 200 OK\r\nX-Consul-Index: \xff\xfe\r\nContent-Length: 2\r\n\r\n[]").await;
    assert_eq!(
        liar.consul
            .healthy(&query(), 9, Duration::ZERO)
            .await
            .unwrap()
            .index,
        0
    );
}

#[tokio::test]
async fn bodies_without_end_are_cut() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Long ones: what is asked for is the limit of the size, and not that of the time.
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let liar = Liar::start(head, chunk.as_bytes()).await;
    for error in errors(&liar.consul).await {
        assert!(matches!(error.fault(), ConsulFault::TooLarge { .. }), "{error}");
    }
    let long = format!("[{}1]", "1,".repeat(100_000));
    let liar = Liar::json(&long).await;
    let error = liar
        .consul
        .healthy(&query(), 0, Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.fault(), &ConsulFault::TooLarge { max: 64 * 1024 });
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let consul = Consul::open(&ConsulSettings::at(listener.local_addr().unwrap().to_string())).unwrap();
    let began = Instant::now();
    let wait = Duration::from_millis(500);
    let query = query();
    let (get, healthy) = tokio::join!(consul.get("jobs/a"), consul.healthy(&query, 7, wait));
    assert_eq!(get.unwrap_err().fault(), &ConsulFault::Timeout);
    assert_eq!(healthy.unwrap_err().fault(), &ConsulFault::Timeout);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn keys_that_make_no_sense() {
    let pair = |value: &str| {
        format!(
            r#"[{{"LockIndex":0,"Key":"mayfly/jobs/a","Flags":0,"Value":{value},"CreateIndex":1,"ModifyIndex":2}}]"#
        )
    };
    let read = async |body: &str| Liar::json(body).await.consul.get("jobs/a").await;
    assert_eq!(read(&pair(r#""aGk=""#)).await.unwrap().unwrap().bytes, b"hi");
    assert_eq!(read(&pair("null")).await.unwrap().unwrap().bytes, b"");
    for bad in [
        pair(r#""not base64!""#),
        pair("17"),
        pair(r#""aGk=","Value":"aGk=""#),
        pair(r#""aGk=""#).replace("mayfly/jobs/a", "mayfly/jobs/b"),
        pair(r#""aGk=""#).replace("\"ModifyIndex\":2", "\"ModifyIndex\":-2"),
        pair(r#""aGk=""#).replace("\"ModifyIndex\":2", "\"ModifyIndex\":99999999999999999999999"),
        pair(r#""aGk=""#).replace("\"ModifyIndex\":2", "\"ModifyIndex\":NaN"),
        format!("[{0},{0}]", pair(r#""aGk=""#).trim_matches(['[', ']'])),
        "[]".into(),
        "null".into(),
        "{}".into(),
        "[".repeat(10_000),
        String::new(),
    ] {
        let error = read(&bad).await.unwrap_err();
        assert!(
            matches!(error.fault(), ConsulFault::NotConsul { .. }),
            "{bad}: {error}"
        );
    }
    // An owner that is no session is none.
    let odd = pair(r#""aGk=","Session":"../x""#);
    assert_eq!(read(&odd).await.unwrap().unwrap().session, None);
}

#[tokio::test]
async fn services_that_make_no_sense() {
    let healthy = async |body: &str| {
        Liar::json(body)
            .await
            .consul
            .healthy(&query(), 0, Duration::ZERO)
            .await
    };
    let entry = |service: &str| {
        format!(r#"{{"Node":{{}},"Service":{{"ID":"m","Tags":["run=a-abcdefgh"],{service}}},"Checks":[]}}"#)
    };
    let good = entry(r#""Address":"127.0.0.2","Port":7077"#);
    let found = healthy(&format!("[{good}]")).await.unwrap();
    assert_eq!((found.instances.len(), found.index), (1, 7));
    // One that cannot be believed does not hide the others.
    let odd = [
        entry(r#""Address":"","Port":7077"#),
        entry(r#""Address":"0.0.0.0","Port":7077"#),
        entry(r#""Address":"master.example.org","Port":7077"#),
        entry(r#""Address":"127.0.0.3","Port":70000"#),
        entry(r#""Address":"127.0.0.3","Port":-1"#),
        entry(r#""Address":"127.0.0.3""#),
        good.replace("\"m\"", "\"../..;\\n\""),
        good.replace("run=a", "run=b"),
        good.replace(r#"["run=a-abcdefgh"]"#, "null"),
    ];
    let found = healthy(&format!("[{},{good}]", odd.join(","))).await.unwrap();
    assert_eq!(found.instances.len(), 1, "{found:?}");
    assert_eq!(found.refused.len(), 8, "as many reasons as are kept: {found:?}");
    for bad in [
        "{}",
        "null",
        "[null]",
        r#"[{"Service":null}]"#,
        r#"[{"Service":{"ID":7}}]"#,
        "[",
    ] {
        let error = healthy(bad).await.unwrap_err();
        assert!(
            matches!(error.fault(), ConsulFault::NotConsul { .. }),
            "{bad}: {error}"
        );
    }
}

#[tokio::test]
async fn a_session_whose_id_is_none() {
    for bad in [
        r#"{"ID":"x"}"#,
        r#"{"ID":"../../kv/mayfly/jobs/a/ffffffffffffff"}"#,
        "{}",
        r#"{"ID":7}"#,
    ] {
        let liar = Liar::json(bad).await;
        let error = liar.consul.create_session("x").await.unwrap_err();
        assert!(
            matches!(error.fault(), ConsulFault::NotConsul { .. }),
            "{bad}: {error}"
        );
    }
}
