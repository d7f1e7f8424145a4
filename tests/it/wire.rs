//! What is wrong on the wire gets the right answer, changes nothing, and leaves the server answering.

mod bytes;
mod claims;
mod floods;
mod limits;
mod node;
mod person;
mod tokens;

use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::server::{Serve, bearer};

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned())
        .unwrap()
        .connect()
        .await
        .expect("the server takes a connection")
}

/// Asserts that a call was refused with this code, and that its message says why.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(what: &str, code: Code, reply: Result<T, Status>) {
    let status = reply.err().unwrap_or_else(|| panic!("{what} was taken"));
    assert_eq!(status.code(), code, "{what}: {status:?}");
    assert!(
        status.message().len() > 5,
        "{what} was refused without a word: {status:?}"
    );
}
