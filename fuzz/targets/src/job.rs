//! A job file, as a person or a repository has it; the settings of a coordinator and of a person are read the same way.

use std::path::Path;

use mayfly_configs::{parse, parse_client, parse_job, parse_settings, shared, text_of};

/// Gives it one input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = text_of("jobs.yml", bytes.to_vec()) else {
        return;
    };
    if let Ok(file) = parse("jobs.yml", &text, &|name| Some(name.to_owned())) {
        for job in &file.jobs {
            // What a record keeps of a job is read back as it was.
            let kept = serde_json::to_string(job).expect("a job as JSON");
            assert_eq!(
                &serde_json::from_str::<mayfly_configs::Job>(&kept).expect("the job again"),
                job
            );
            let name = Some(job.name.as_str());
            assert!(parse_job("jobs.yml", &text, &|name| Some(name.to_owned()), name, &[]).is_ok());
        }
    }
    let _ = shared("jobs.yml", &text);
    let _ = parse_settings(Some((Path::new("coordinator.yml"), &text)), &[]);
    let _ = parse_client(Path::new("client.yml"), &text);
}
