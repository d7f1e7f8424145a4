//! What a browser speaks over TLS: HTTP/2 if it may, and HTTP/1.1 where it wants a WebSocket.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS13;

use super::socket;
use crate::server::Serve;

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

async fn connect(serve: &Serve, offered: &[&[u8]]) -> TlsStream<TcpStream> {
    let client = socket::client(&serve.home.path(), &[&TLS13], None);
    let stream = TcpStream::connect(serve.addr).await.unwrap();
    let name = ServerName::from(serve.addr.ip());
    let offered = offered.iter().map(|&name| name.to_vec()).collect();
    client.with_alpn(offered).connect(name, stream).await.unwrap()
}

/// The first line of the answer to who asks for a WebSocket with these headers.
async fn asked(serve: &Serve, headers: &str) -> String {
    let mut stream = connect(serve, &[HTTP1]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(HTTP1));
    let request = format!(
        "GET /runs/idle-aaaaaaaa/spark/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\r\n",
        serve.addr
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

#[test]
fn a_browser_has_http1_for_a_websocket() {
    mayfly_tests::programs::toolchain();
    let serve = Serve::with(&["--tls"]);
    Runtime::new().unwrap().block_on(async {
        let both = connect(&serve, &[HTTP1, HTTP2]).await;
        assert_eq!(
            both.get_ref().1.alpn_protocol(),
            Some(HTTP2),
            "where both are offered"
        );
        let token = format!("Authorization: Bearer {}\r\n", serve.token);
        for (status, headers) in [
            ("401 Unauthorized", format!("Origin: https://{}\r\n", serve.addr)),
            ("403 Forbidden", format!("Origin: http://{}\r\n", serve.addr)),
            ("404 Not Found", token),
        ] {
            assert_eq!(
                asked(&serve, &headers).await,
                format!("HTTP/1.1 {status}"),
                "{headers}"
            );
        }
        serve.assert_well("its end").await;
    });
    serve.stop();
}
