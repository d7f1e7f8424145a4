"""Instances: they have all that their template says, and a life that takes time."""

from __future__ import annotations

import base64
from typing import Any

from conftest import LONG, Rig, code_of, until


def full_template(rig: Rig, group: str, user_data: str, **more: Any) -> str:
    """A template as Mayfly makes them."""
    role, profile = rig.name("role"), rig.name("profile")
    rig.iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    rig.iam.create_instance_profile(InstanceProfileName=profile)
    rig.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
    return rig.template(
        IamInstanceProfile={"Name": profile},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
        InstanceInitiatedShutdownBehavior="terminate",
        UserData=base64.b64encode(user_data.encode()).decode(),
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40, "VolumeType": "gp3", "Throughput": 250}}],
        NetworkInterfaces=[{"DeviceIndex": 0, "AssociatePublicIpAddress": False, "Groups": [group]}],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "mayfly:role", "Value": "worker"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "mayfly:run", "Value": "a-run"}]},
        ],
        **more,
    )


def test_all_of_a_template_reaches_the_members_of_a_group(rig: Rig) -> None:
    _, subnets, security = rig.network("a")
    template = full_template(rig, security, '{"version":1}')
    group = rig.group(template, subnets, Tags=[{"Key": "mayfly:run", "Value": "a-run", "PropagateAtLaunch": True}])
    rig.size(group, 1)
    member = rig.wait_members(group, 1)[0]["InstanceId"]
    (instance,) = rig.instances([member])
    assert instance["IamInstanceProfile"]["Arn"].startswith("arn:aws:iam::")
    options = instance["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"], options["InstanceMetadataTags"]) == (
        "required",
        1,
        "enabled",
    )
    assert [one["GroupId"] for one in instance["SecurityGroups"]] == [security]
    assert "PublicIpAddress" not in instance
    assert instance["PrivateIpAddress"].startswith("127.")
    assert instance["NetworkInterfaces"][0]["PrivateIpAddress"] == instance["PrivateIpAddress"]
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["mayfly:run"] == "a-run"
    assert tags["mayfly:role"] == "worker"
    assert tags["aws:autoscaling:groupName"] == group
    behavior = rig.ec2.describe_instance_attribute(InstanceId=member, Attribute="instanceInitiatedShutdownBehavior")
    assert behavior["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    disks = instance["BlockDeviceMappings"]
    assert [one["DeviceName"] for one in disks] == ["/dev/xvda"]
    (volume,) = rig.ec2.describe_volumes(VolumeIds=[disks[0]["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["VolumeType"], volume["Throughput"]) == (40, "gp3", 250)
    assert {"Key": "mayfly:run", "Value": "a-run"} in volume["Tags"]
    shown = rig.call("GET", f"machines/{member}")
    assert shown["user_data"] == '{"version":1}'
    assert shown["tags"]["mayfly:role"] == "worker"
    assert shown["private_address"] == instance["PrivateIpAddress"]


def test_the_latest_version_of_a_template_is_that_of_the_launch(rig: Rig) -> None:
    _, subnets, security = rig.network("a")
    template = full_template(rig, security, "first")
    group = rig.group(template, subnets)
    rig.size(group, 1)
    first = rig.wait_members(group, 1)[0]["InstanceId"]
    rig.ec2.create_launch_template_version(
        LaunchTemplateName=template,
        SourceVersion="1",
        LaunchTemplateData={"UserData": base64.b64encode(b"second").decode()},
    )
    rig.size(group, 2)
    members = rig.wait_members(group, 2)
    second = next(one for one in members if one["InstanceId"] != first)
    assert rig.call("GET", f"machines/{first}")["user_data"] == "first"
    shown = rig.call("GET", f"machines/{second['InstanceId']}")
    # What the version does not say comes from its source.
    assert (shown["user_data"], shown["shutdown_behavior"]) == ("second", "terminate")
    assert second["LaunchTemplate"]["Version"] == "2"


def test_versions_of_a_template_can_be_deleted_but_not_the_default(rig: Rig) -> None:
    template = rig.template()
    for _ in range(2):
        rig.ec2.create_launch_template_version(LaunchTemplateName=template, LaunchTemplateData={"InstanceType": "c5.large"})
    done = rig.ec2.delete_launch_template_versions(LaunchTemplateName=template, Versions=["1", "2"])
    assert [one["VersionNumber"] for one in done["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    assert [one["VersionNumber"] for one in done["UnsuccessfullyDeletedLaunchTemplateVersions"]] == [1]
    left = rig.ec2.describe_launch_template_versions(LaunchTemplateName=template)["LaunchTemplateVersions"]
    assert [one["VersionNumber"] for one in left] == [1, 3]


def test_templates_are_listed_in_pages_and_deleted_once(rig: Rig) -> None:
    names = {rig.template() for _ in range(17)}
    pages = rig.ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 10})
    found = [one["LaunchTemplateName"] for page in pages for one in page["LaunchTemplates"]]
    assert len(found) == len(set(found))
    assert names <= set(found)
    name = names.pop()
    rig.ec2.delete_launch_template(LaunchTemplateName=name)
    missing = "InvalidLaunchTemplateName.NotFoundException"
    assert code_of(rig.ec2.delete_launch_template, LaunchTemplateName=name) == missing


def test_a_new_profile_is_unknown_for_a_while(rig: Rig) -> None:
    rig.call("POST", "settings", {"profile_lag_secs": LONG})
    profile = rig.name("profile")
    rig.iam.create_instance_profile(InstanceProfileName=profile)
    asked = {"ImageId": rig.image(), "IamInstanceProfile": {"Name": profile}}
    assert code_of(rig.ec2.run_instances, MinCount=1, MaxCount=1, **asked) == "InvalidParameterValue"
    rig.later()
    rig.ec2.run_instances(MinCount=1, MaxCount=1, **asked)


def test_a_spot_template_makes_spot_instances(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    group = rig.group(rig.template(InstanceMarketOptions={"MarketType": "spot"}), subnets)
    rig.size(group, 1)
    member = rig.wait_members(group, 1)[0]["InstanceId"]
    assert rig.instances([member])[0]["InstanceLifecycle"] == "spot"


def run(rig: Rig, **more: Any) -> str:
    """One instance of its own."""
    made = rig.ec2.run_instances(ImageId=rig.image(), InstanceType="m5.large", MinCount=1, MaxCount=1, **more)
    return str(made["Instances"][0]["InstanceId"])


def state(rig: Rig, instance: str) -> str:
    """Its state."""
    return str(rig.instances([instance])[0]["State"]["Name"])


def test_an_instance_passes_through_all_its_states(rig: Rig) -> None:
    rig.call("POST", "settings", {"pending_secs": LONG, "shutting_down_secs": LONG})
    instance = run(rig)
    assert state(rig, instance) == "pending"
    rig.later()
    until("running", lambda: state(rig, instance) == "running")
    rig.ec2.terminate_instances(InstanceIds=[instance])
    assert state(rig, instance) == "shutting-down"
    rig.later()
    until("terminated", lambda: state(rig, instance) == "terminated")
    (ended,) = rig.instances([instance])
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert "PrivateIpAddress" not in ended


def test_a_termination_may_be_answered_and_not_done(rig: Rig) -> None:
    instance = run(rig)
    until("running", lambda: state(rig, instance) == "running")
    rig.call("POST", "settings", {"deaf_terminates": 2})
    for _ in range(2):
        rig.ec2.terminate_instances(InstanceIds=[instance])
        assert state(rig, instance) == "running"
    rig.ec2.terminate_instances(InstanceIds=[instance])
    until("terminated", lambda: state(rig, instance) == "terminated")


def test_a_new_instance_is_unknown_until_the_lag_has_passed(rig: Rig) -> None:
    rig.call("POST", "settings", {"describe_lag_secs": LONG})
    instance = run(rig)
    assert code_of(rig.ec2.describe_instances, InstanceIds=[instance]) == "InvalidInstanceID.NotFound"
    assert code_of(rig.ec2.terminate_instances, InstanceIds=[instance]) == "InvalidInstanceID.NotFound"
    by_id = [{"Name": "instance-id", "Values": [instance]}]
    assert rig.ec2.describe_instances(Filters=by_id)["Reservations"] == []
    rig.later()
    until("the instance", lambda: rig.ec2.describe_instances(Filters=by_id)["Reservations"])


def test_a_describe_may_show_nothing_for_once(rig: Rig) -> None:
    instance = run(rig)
    by_id = [{"Name": "instance-id", "Values": [instance]}]
    rig.call("POST", "settings", {"flapping_describes": 1})
    assert rig.ec2.describe_instances(Filters=by_id)["Reservations"] == []
    assert rig.ec2.describe_instances(Filters=by_id)["Reservations"] != []


def test_members_of_a_group_are_unknown_until_its_lag_has_passed(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    rig.call("POST", "settings", {"group_lag_secs": LONG})
    group = rig.group(rig.template(), subnets)
    rig.size(group, 1)
    by_group = [{"Name": "tag:aws:autoscaling:groupName", "Values": [group]}]
    until("the instance", lambda: rig.ec2.describe_instances(Filters=by_group)["Reservations"])
    described = rig.described(group)
    assert described is not None
    assert described["Instances"] == []
    rig.later()
    rig.wait_members(group, 1)


def test_one_token_makes_one_instance_and_other_parameters_are_refused(rig: Rig) -> None:
    image = rig.image()
    request = {"ImageId": image, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1, "ClientToken": rig.name("token")}
    ids = {rig.ec2.run_instances(**request)["Instances"][0]["InstanceId"] for _ in range(3)}
    assert len(ids) == 1
    assert code_of(rig.ec2.run_instances, **request | {"InstanceType": "c5.large"}) == "IdempotentParameterMismatch"
    template = {
        "LaunchTemplateName": rig.name("template"),
        "LaunchTemplateData": {"ImageId": image},
        "ClientToken": rig.name("token"),
    }
    made = {rig.ec2.create_launch_template(**template)["LaunchTemplate"]["LaunchTemplateId"] for _ in range(2)}
    assert len(made) == 1


def test_pages_hold_as_many_instances_as_asked_and_filters_know_wildcards(rig: Rig) -> None:
    mark = rig.name("mark")
    rig.ec2.run_instances(
        ImageId=rig.image(),
        InstanceType="m5.large",
        MinCount=7,
        MaxCount=7,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "mark", "Value": mark}]}],
    )
    mine = {"Name": "tag:mark", "Values": [mark]}
    pages = list(rig.ec2.get_paginator("describe_instances").paginate(Filters=[mine], PaginationConfig={"PageSize": 5}))
    assert [sum(len(one["Instances"]) for one in page["Reservations"]) for page in pages] == [5, 2]
    for more in (
        {"Name": "instance-type", "Values": ["m5.*"]},
        {"Name": "tag:mark", "Values": [f"{mark[:3]}*"]},
        {"Name": "tag-key", "Values": ["mark"]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ):
        found = rig.ec2.describe_instances(Filters=[mine, more])["Reservations"]
        assert sum(len(one["Instances"]) for one in found) == 7, more
    assert rig.ec2.describe_instances(Filters=[mine, {"Name": "instance-lifecycle", "Values": ["spot"]}])["Reservations"] == []
    assert code_of(rig.ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidParameterValue"


def test_an_unknown_image_or_profile_and_a_full_zone_are_refused(rig: Rig) -> None:
    asked = {"InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}
    assert code_of(rig.ec2.run_instances, ImageId="ami-00000000000000000", **asked) == "InvalidAMIID.NotFound"
    refused = code_of(rig.ec2.run_instances, ImageId=rig.image(), IamInstanceProfile={"Name": "nobody"}, **asked)
    assert refused == "InvalidParameterValue"
    rig.call("POST", "capacity", {"m5.large/*": 0})
    assert code_of(rig.ec2.run_instances, ImageId=rig.image(), **asked) == "InsufficientInstanceCapacity"


def test_a_fleet_of_300_is_described_cheaply(rig: Rig) -> None:
    _, subnets, _ = rig.network("abc")
    group = rig.group(rig.template(), subnets, high=300)
    rig.size(group, 300)
    until("300 members", lambda: len(rig.members(group)) == 300, 60)
    before = rig.cpu_secs()
    found = rig.ec2.describe_instances(Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": [group]}])
    took = rig.cpu_secs() - before
    assert sum(len(one["Instances"]) for one in found["Reservations"]) == 300
    # moto's own way takes 1.8 s, this 0.05 s; the tick takes its share meanwhile.
    assert took < 0.6, f"{took} s of CPU"
    rig.size(group, 0)
    rig.wait_members(group, 0)
