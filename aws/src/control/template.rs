//! What the machine of a server is born with.

use aws_sdk_ec2::types::{
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest, RequestLaunchTemplateData, ResourceType,
    ShutdownBehavior, TagSpecification, VolumeType,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{Wanted, name, tags_of};
use crate::Account;
use crate::error::{AwsError, Kind, failed};
use crate::fleet::{ec2_tags, guarded_metadata, on_launch};

fn data(wanted: &Wanted, door: &str) -> RequestLaunchTemplateData {
    let (network, tags) = (&wanted.network, tags_of(&wanted.network.name, &wanted.store));
    // As large as the image: the server keeps nothing on it that is not in the store.
    let disk = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(VolumeType::Gp3)
        .encrypted(true)
        .delete_on_termination(true)
        .build();
    let root = LaunchTemplateBlockDeviceMappingRequest::builder()
        .device_name(&wanted.image.root_device)
        .ebs(disk)
        .build();
    let interface = LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .associate_public_ip_address(network.public)
        .delete_on_termination(true)
        .groups(door)
        .groups(&network.security_group)
        .build();
    let profile = LaunchTemplateIamInstanceProfileSpecificationRequest::builder()
        .name(name(&network.name))
        .build();
    RequestLaunchTemplateData::builder()
        .image_id(&wanted.image.id)
        .instance_type(wanted.kind.as_str().into())
        .iam_instance_profile(profile)
        .block_device_mappings(root)
        .network_interfaces(interface)
        .metadata_options(guarded_metadata())
        // One that powers itself off is gone, and its group makes another.
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .user_data(BASE64_STANDARD.encode(&wanted.user_data))
        .tag_specifications(on_launch(ResourceType::Instance, &tags))
        .tag_specifications(on_launch(ResourceType::Volume, &tags))
        .tag_specifications(on_launch(ResourceType::NetworkInterface, &tags))
        .build()
}

/// Makes the template, or gives the one that is there a new version; the number of that version. Its group names the number
/// and not `$Latest`: whoever may write templates of runs cannot decide what boots with the server's role.
pub(super) async fn ensure(account: &Account, wanted: &Wanted, door: &str) -> Result<String, AwsError> {
    let name = name(&wanted.network.name);
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::LaunchTemplate)
        .set_tags(Some(ec2_tags(&tags_of(&wanted.network.name, &wanted.store))))
        .build();
    let made = account
        .ec2
        .create_launch_template()
        .launch_template_name(&name)
        .tag_specifications(tags)
        .launch_template_data(data(wanted, door))
        .send()
        .await;
    let number = match made.map_err(|error| failed(format!("make the launch template {name}"), error)) {
        Ok(made) => made.launch_template.and_then(|made| made.latest_version_number),
        Err(error) if error.kind() == Kind::Exists => {
            let made = account
                .ec2
                .create_launch_template_version()
                .launch_template_name(&name)
                .launch_template_data(data(wanted, door))
                .send()
                .await;
            let made = made.map_err(|error| failed(format!("renew the launch template {name}"), error))?;
            made.launch_template_version.and_then(|made| made.version_number)
        }
        Err(error) => return Err(error),
    };
    number.map(|number| number.to_string()).ok_or_else(|| {
        let doing = format!("make the launch template {name}");
        AwsError::new(Kind::Transient, doing, "AWS's answer has no version")
    })
}
