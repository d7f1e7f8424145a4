//! What Consul answers: values, lists of keys, services, sessions.

use std::sync::LazyLock;
use std::time::Duration;

use mayfly_kit::consul::{Cas, Consul, ConsulSettings, Kind, Query};

use crate::liar::{Answer, Liar, STATUS, parts};

static LIAR: LazyLock<Liar> = LazyLock::new(Liar::start);
static CONSUL: LazyLock<Consul> =
    LazyLock::new(|| Consul::open(&ConsulSettings::at(LIAR.address())).expect("settings"));

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let [status, index, body] = parts(bytes);
    let status = STATUS[usize::from(status.first().copied().unwrap_or_default()) % STATUS.len()];
    let index: String = index
        .iter()
        .filter(|c| c.is_ascii_graphic())
        .map(|c| char::from(*c))
        .collect();
    let says = move |_: &str| Answer {
        status,
        headers: format!("X-Consul-Index: {index}\r\nLocation: /elsewhere\r\n"),
        body: body.clone(),
    };
    let query = Query {
        kind: Kind::Master,
        tags: vec![("run", "a-abcdefgh".into())],
        from: [10, 0, 0, 9].into(),
    };
    LIAR.during(says, async {
        if let Ok(Some(value)) = CONSUL.get("jobs/a").await {
            let _ = mayfly_configs::text_of("jobs/a", value.bytes);
        }
        for key in CONSUL.list("jobs/").await.unwrap_or_default() {
            assert!(key.starts_with("jobs/") && !key.contains(".."), "{key}");
        }
        for found in CONSUL
            .healthy(&query, 3, Duration::from_secs(1))
            .await
            .into_iter()
            .flat_map(|f| f.instances)
        {
            assert!(
                found.address.port() > 0 && !found.address.ip().is_loopback(),
                "{found:?}"
            );
        }
        if let Ok(session) = CONSUL.create_session("a-abcdefgh-worker-1").await {
            let _ = CONSUL.renew_session(&session).await;
        }
        let _ = CONSUL.put("jobs/a", b"x".to_vec(), Cas::New).await;
    });
}
