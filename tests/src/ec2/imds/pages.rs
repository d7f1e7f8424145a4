//! The pages of the metadata, out of what the rig knows of an instance.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::ec2::Info;

/// One page; `None` where there is none. A folder lists what is in it.
pub(super) fn page(info: &Info, path: &str, credentials_secs: u64) -> Option<String> {
    match path {
        "/latest/user-data" => return info.user_data.clone(),
        "/latest/dynamic/instance-identity/document" => return Some(document(info)),
        _ => {}
    }
    let path = path.strip_prefix("/latest/meta-data/")?;
    Some(match path.trim_end_matches('/') {
        "ami-id" => info.image.clone(),
        "instance-id" => info.id.clone(),
        "instance-type" => info.kind.clone(),
        "instance-life-cycle" => info.lifecycle.clone(),
        "local-ipv4" => info.private_address.to_string(),
        "placement/availability-zone" => info.az.clone(),
        "placement/region" => info.region.clone(),
        "spot/instance-action" => info.notice.as_ref()?.to_string(),
        "spot/termination-time" => info.notice.as_ref()?["time"].as_str()?.to_owned(),
        "events/recommendations/rebalance" => {
            json!({ "noticeTime": seconds(info.rebalance.as_ref()?) }).to_string()
        }
        "iam/info" => json!({ "Code": "Success", "InstanceProfileArn": info.profile.as_ref()? }).to_string(),
        "iam/security-credentials" => info.profile_role.clone()?,
        path => deeper(info, path, credentials_secs)?,
    })
}

fn deeper(info: &Info, path: &str, credentials_secs: u64) -> Option<String> {
    if let Some(name) = path.strip_prefix("iam/security-credentials/") {
        return (Some(name) == info.profile_role.as_deref()).then(|| credentials(info, credentials_secs));
    }
    let tags = info.tags.as_ref()?;
    if path == "tags/instance" {
        let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
        return Some(keys.join("\n"));
    }
    let value = tags.get(path.strip_prefix("tags/instance/")?)?;
    Some(value.as_str()?.to_owned())
}

/// Without the fraction that the rig writes.
fn seconds(time: &str) -> String {
    time.replace(".000Z", "Z")
}

fn document(info: &Info) -> String {
    json!({
        "accountId": info.account,
        "architecture": info.architecture,
        "availabilityZone": info.az,
        "billingProducts": Value::Null,
        "imageId": info.image,
        "instanceId": info.id,
        "instanceType": info.kind,
        "pendingTime": seconds(&info.launch_time),
        "privateIp": info.private_address,
        "region": info.region,
        "version": "2017-09-30",
    })
    .to_string()
}

/// Keys name their own end, as the rig reads it.
fn credentials(info: &Info, secs: u64) -> String {
    let now = info.now();
    let lasts = SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX));
    let end = now + lasts;
    json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "AccessKeyId": format!("ASIARIG{}", end.as_second()),
        "SecretAccessKey": format!("secret-of-{}", info.id),
        "Token": format!("session-of-{}", info.id),
        "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
    .to_string()
}
