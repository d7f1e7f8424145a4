//! Compiles the protocol with `protox`, so that nobody has to install `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["mayfly/v1/agent.proto", "mayfly/v1/run.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    tonic_prost_build::configure().compile_fds(protox::compile(files, ["."])?)?;
    Ok(())
}
