//! The keys of a role.

use aws_credential_types::provider::ProvideCredentials as _;

use super::*;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn document(change: &[(&str, Option<&str>)]) -> String {
    let mut fields = serde_json::json!({
        "Code": "Success", "LastUpdated": "2030-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "sesame", "Token": "session", "Expiration": "2030-01-01T06:00:00Z",
    });
    for (name, value) in change {
        match value {
            Some(value) => fields[*name] = (*value).into(),
            None => drop(fields.as_object_mut().unwrap().remove(*name)),
        }
    }
    fields.to_string()
}

fn with_role(fake: &Fake, text: impl Into<Bytes>) {
    fake.page(ROLES, "node-role\n");
    fake.page(&format!("{ROLES}node-role"), text);
    fake.change(|says| says.date = Some("Tue, 01 Jan 2030 00:00:00 GMT"));
}

#[tokio::test]
async fn the_keys_of_the_role_are_good_for_as_long_as_their_giver_says() {
    let fake = Fake::start().await;
    with_role(&fake, document(&[]));
    let keys = fake.imds().session_keys().await.unwrap();
    assert_eq!(keys.good_for, Duration::from_secs(6 * 3600));
    assert_eq!(
        (keys.access_key.as_str(), keys.token.as_str()),
        ("ASIAEXAMPLE", "session")
    );
}

#[tokio::test]
async fn keys_that_are_none_are_refused_and_not_shown() {
    let fake = Fake::start().await;
    assert!(matches!(
        fake.imds().session_keys().await,
        Err(ImdsError::Missing { .. })
    ));
    for (text, says) in [
        (document(&[("Code", Some("Failed"))]), "\"Failed\""),
        (
            document(&[("Expiration", Some("2029-12-31T00:00:00Z"))]),
            "expired",
        ),
        (document(&[("Expiration", Some("tomorrow"))]), "Expiration"),
        (document(&[("Token", None)]), "Token"),
        (document(&[("Token", Some(""))]), "Token"),
        (document(&[("AccessKeyId", None)]), "AccessKeyId"),
        (
            document(&[("SecretAccessKey", Some("sesame\n"))]),
            "SecretAccessKey",
        ),
        ("{\"Code\": sesame}".into(), "line 1"),
        (String::new(), "line 1"),
    ] {
        with_role(&fake, text);
        let error = fake.imds().session_keys().await.err().unwrap().to_string();
        assert!(error.contains(says) && !error.contains("sesame"), "{error}");
    }
    for role in ["", "two\nroles", "../../instance-id", "<html>"] {
        fake.page(ROLES, role.to_owned());
        assert!(fake.imds().session_keys().await.is_err(), "{role}");
    }
}

#[tokio::test]
async fn keys_are_fetched_again_after_half_a_short_life_and_outlast_metadata_that_is_down() {
    let fake = Fake::start().await;
    let profile = InstanceProfile::new(fake.imds());
    with_role(&fake, document(&[("Expiration", Some("2030-01-01T00:01:00Z"))]));
    let first = profile.provide_credentials().await.unwrap();
    assert!(first.expiry().unwrap() <= std::time::SystemTime::now() + Duration::from_secs(30));
    let asked = fake.count(Method::GET);
    profile.keys().await.unwrap();
    assert_eq!(fake.count(Method::GET), asked, "they are kept");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    fake.change(|says| says.status = Some(503));
    assert_eq!(profile.keys().await.unwrap().access_key, "ASIAEXAMPLE");
    fake.change(|says| says.status = None);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    with_role(&fake, document(&[("AccessKeyId", Some("ASIANEXT"))]));
    assert_eq!(profile.keys().await.unwrap().access_key, "ASIANEXT");
}

#[tokio::test]
async fn keys_are_not_used_beyond_their_end() {
    let fake = Fake::start().await;
    let profile = InstanceProfile::new(fake.imds());
    with_role(&fake, document(&[("Expiration", Some("2030-01-01T00:01:00Z"))]));
    profile.keys().await.unwrap();
    fake.change(|says| says.status = Some(503));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(55)).await;
    tokio::time::resume();
    let error = profile.provide_credentials().await.unwrap_err();
    assert!(format!("{error:?}").contains("503"), "{error:?}");
}
