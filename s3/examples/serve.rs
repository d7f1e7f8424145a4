//! Serves a folder by hand: `cargo run -p mayfly-s3 --example serve -- FOLDER 127.0.0.1:9000`, with the keys in
//! `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Ends when its standard input does.

use std::error::Error;
use std::io::Read;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(root), Some(listen)) = (args.next(), args.next()) else {
        return Err("usage: serve FOLDER ADDRESS".into());
    };
    let server = mayfly_s3::Server::start(mayfly_s3::Config {
        root: root.into(),
        listen: listen.parse()?,
        access_key: std::env::var("AWS_ACCESS_KEY_ID")?,
        secret_key: std::env::var("AWS_SECRET_ACCESS_KEY")?,
        region: std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
    })
    .await?;
    let wait = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(wait).await??;
    server.stop().await;
    Ok(())
}
