//! A server that answers what a test wants, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Ends with this.
pub(super) struct Canned {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Parts>>>,
    _tasks: JoinSet<()>,
}

impl Canned {
    /// Answers each request by its head, and by how many came before it.
    pub(super) async fn serve(
        answer: impl Fn(&Parts, usize) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Parts>>> = Arc::default();
        let kept = Arc::clone(&asked);
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (answer, kept) = (answer.clone(), Arc::clone(&kept));
            async move {
                let (head, body) = request.into_parts();
                // An answer before the end of the body is lost with the connection.
                let _body = axum::body::to_bytes(body, usize::MAX).await;
                let mut kept = kept.lock().unwrap();
                let response = answer(&head, kept.len());
                kept.push(head);
                response
            }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked.
    pub(super) fn asked(&self) -> Vec<Parts> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer; of a HEAD there is no body.
pub(super) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

/// An error as S3 writes it.
pub(super) fn error(status: u16, code: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>no</Message></Error>"
    );
    reply(status, headers, &body)
}
