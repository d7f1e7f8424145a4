//! Launch templates: everything a machine is born with.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceMetadataTagsState, LaunchTemplateInstanceNetworkInterfaceSpecificationRequest,
    LaunchTemplateTagSpecificationRequest, RequestLaunchTemplateData, ResourceType, ShutdownBehavior, Tag,
    TagSpecification, VolumeType,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::{Blueprint, Fleet};
use crate::error::{AwsError, Kind, failed, gone};
use crate::tags::Group;

/// What a machine is told beside its tags. It holds a join token, which is good for one role of one run: for ten minutes,
/// or while the run may last where nobody is there to renew it; no `Debug`.
#[derive(Clone, Serialize)]
pub struct UserData {
    /// Of this shape.
    pub version: u32,
    /// Exchanged at `Enroll`.
    pub join_token: String,
    /// Opens the package that the master's coordinator begins with: the master alone is told, and the job's user cannot
    /// read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_key: Option<String>,
    /// Authority of the coordinator's certificate.
    pub fingerprint: Option<String>,
    /// Where nodes register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consul: Option<ConsulAt>,
    /// URL of the store, where it is not AWS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_endpoint: Option<String>,
    /// What jobs get their keys from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_role: Option<JobRole>,
}

/// The role that jobs get sessions of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRole {
    /// Its ARN.
    pub arn: String,
    /// URL of STS, where it is not AWS's own.
    pub endpoint: Option<String>,
}

/// Where Consul is. Its token is in the image, or nowhere: every process of a machine can read its user data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsulAt {
    /// `http://host:port`, `https://host:port` or `host:port`.
    pub address: String,
    /// Datacenter; the agent's own otherwise.
    pub datacenter: Option<String>,
    /// First part of every name and key of ours.
    pub prefix: String,
}

impl UserData {
    fn encoded(&self) -> Result<String, AwsError> {
        let text = serde_json::to_string(self).map_err(|error| {
            AwsError::new(
                Kind::Invalid,
                "write the user data of machines",
                error.to_string(),
            )
        })?;
        Ok(BASE64_STANDARD.encode(text))
    }
}

/// Tags as EC2 takes them.
pub(crate) fn ec2_tags(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

pub(crate) fn on_launch(
    kind: ResourceType,
    tags: &BTreeMap<String, String>,
) -> LaunchTemplateTagSpecificationRequest {
    LaunchTemplateTagSpecificationRequest::builder()
        .resource_type(kind)
        .set_tags(Some(ec2_tags(tags)))
        .build()
}

/// Metadata: tokens only, and not beyond the machine itself, so that no container and no proxy reaches it.
pub(crate) fn guarded_metadata() -> LaunchTemplateInstanceMetadataOptionsRequest {
    LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .instance_metadata_tags(LaunchTemplateInstanceMetadataTagsState::Enabled)
        .build()
}

/// What the machines of a group are born with.
fn data(blueprint: &Blueprint, group: Group, user_data: String) -> RequestLaunchTemplateData {
    let make = blueprint.make(group);
    let tags = blueprint.labels.of(group);
    let disk = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(VolumeType::Gp3)
        .volume_size(i32::try_from(make.disk_gib).unwrap_or(i32::MAX))
        .encrypted(true)
        .delete_on_termination(true)
        .build();
    let root = LaunchTemplateBlockDeviceMappingRequest::builder()
        .device_name(&blueprint.root_device)
        .ebs(disk)
        .build();
    let interface = LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .associate_public_ip_address(blueprint.public_address)
        .delete_on_termination(true)
        .groups(&blueprint.security_group)
        .build();
    let profile = LaunchTemplateIamInstanceProfileSpecificationRequest::builder()
        .name(&blueprint.profile)
        .build();
    RequestLaunchTemplateData::builder()
        .image_id(&blueprint.image)
        .set_instance_type(make.types.first().map(|name| name.as_str().into()))
        .iam_instance_profile(profile)
        .block_device_mappings(root)
        .network_interfaces(interface)
        .metadata_options(guarded_metadata())
        // A machine that powers itself off is gone, not stopped and paid for.
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .set_key_name(blueprint.key_pair.clone())
        .user_data(user_data)
        .tag_specifications(on_launch(ResourceType::Instance, &tags))
        .tag_specifications(on_launch(ResourceType::Volume, &tags))
        .tag_specifications(on_launch(ResourceType::NetworkInterface, &tags))
        .build()
}

impl Fleet {
    /// Makes the template of a group, or gives the one that is there a new version.
    pub(super) async fn ensure_template(
        &self,
        blueprint: &Blueprint,
        group: Group,
        user_data: &UserData,
    ) -> Result<(), AwsError> {
        let name = self.name(group);
        let tags = TagSpecification::builder()
            .resource_type(ResourceType::LaunchTemplate)
            .set_tags(Some(ec2_tags(&blueprint.labels.of(group))))
            .build();
        let made = self
            .account
            .ec2
            .create_launch_template()
            .launch_template_name(&name)
            .client_token(&name)
            .tag_specifications(tags)
            .launch_template_data(data(blueprint, group, user_data.encoded()?))
            .send()
            .await;
        match made.map_err(|error| failed(format!("make the launch template {name}"), error)) {
            Ok(_) => Ok(()),
            // One of an earlier try: its token may have expired.
            Err(error) if error.kind() == Kind::Exists || is_other_request(&error) => {
                self.new_version(blueprint, group, user_data).await
            }
            Err(error) => Err(error),
        }
    }

    /// Groups launch from the latest version.
    pub(super) async fn new_version(
        &self,
        blueprint: &Blueprint,
        group: Group,
        user_data: &UserData,
    ) -> Result<(), AwsError> {
        let name = self.name(group);
        let made = self
            .account
            .ec2
            .create_launch_template_version()
            .launch_template_name(&name)
            .launch_template_data(data(blueprint, group, user_data.encoded()?))
            .send()
            .await;
        made.map(|_| ())
            .map_err(|error| failed(format!("renew the launch template {name}"), error))
    }

    pub(super) async fn delete_template(&self, group: Group) -> Result<(), AwsError> {
        let name = self.name(group);
        let deleted = self
            .account
            .ec2
            .delete_launch_template()
            .launch_template_name(&name)
            .send()
            .await;
        let deleted = deleted.map_err(|error| failed(format!("delete the launch template {name}"), error));
        gone(deleted).map(|_| ())
    }
}

/// The same client token with other content: made by an earlier try, with another join token.
fn is_other_request(error: &AwsError) -> bool {
    error.code() == Some("IdempotentParameterMismatch")
}
