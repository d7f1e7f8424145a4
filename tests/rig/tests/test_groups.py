"""Groups: what their calls refuse, and what they do by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from conftest import LONG, Rig, code_of, error_of, until


def test_a_second_group_of_a_name_is_refused_and_leaves_the_first_alone(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    template = rig.template()
    group = rig.group(template, subnets)
    rig.size(group, 1)
    member = rig.wait_members(group, 1)[0]["InstanceId"]
    again = {
        "AutoScalingGroupName": group,
        "MinSize": 0,
        "MaxSize": 1,
        "VPCZoneIdentifier": subnets[0],
        "LaunchTemplate": {"LaunchTemplateName": template},
    }
    assert code_of(rig.groups.create_auto_scaling_group, **again) == "AlreadyExists"
    assert rig.members(group)[0]["InstanceId"] == member


def test_a_second_template_of_a_name_is_refused(rig: Rig) -> None:
    name = rig.template()
    refused = code_of(rig.ec2.create_launch_template, LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large"})
    assert refused == "InvalidLaunchTemplateName.AlreadyExistsException"


def test_sizes_out_of_order_are_refused(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets, low=1, high=3)
    setting = rig.groups.set_desired_capacity
    assert "above max value 3" in error_of(setting, AutoScalingGroupName=group, DesiredCapacity=4)
    assert "below min value 1" in error_of(setting, AutoScalingGroupName=group, DesiredCapacity=0)
    assert code_of(rig.groups.update_auto_scaling_group, AutoScalingGroupName=group, MinSize=4) == "ValidationError"
    assert code_of(setting, AutoScalingGroupName="nobody", DesiredCapacity=0) == "ValidationError"
    described = rig.described(group)
    assert described is not None
    assert (described["MinSize"], described["MaxSize"], described["DesiredCapacity"]) == (1, 3, 1)


def test_a_group_with_instances_is_deleted_only_by_force_and_only_when_they_are_gone(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    rig.size(group, 2)
    rig.wait_members(group, 2)
    assert code_of(rig.groups.delete_auto_scaling_group, AutoScalingGroupName=group) == "ResourceInUse"
    rig.call("POST", "settings", {"shutting_down_secs": LONG})
    rig.groups.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
    described = rig.described(group)
    assert described is not None
    assert described["Status"] == "Delete in progress"
    assert code_of(rig.groups.set_desired_capacity, AutoScalingGroupName=group, DesiredCapacity=0) == "ValidationError"
    rig.later()
    until("the group to be gone", lambda: rig.described(group) is None)


def test_a_member_that_ended_is_replaced(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    rig.size(group, 2)
    first = rig.wait_members(group, 2)[0]["InstanceId"]
    rig.call("POST", f"machines/{first}/poweroff")
    # Its template says nothing of shutdown: it stops, and the group replaces it all the same.
    until("another member", lambda: len(rig.members(group)) == 2 and first not in str(rig.members(group)))
    assert any("health check" in one["Cause"] for one in rig.activities(group))


def test_a_group_whose_launches_are_suspended_replaces_nothing(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    rig.size(group, 2)
    members = rig.wait_members(group, 2)
    rig.groups.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=["Launch"])
    rig.ec2.terminate_instances(InstanceIds=[members[0]["InstanceId"]])
    rig.wait_members(group, 1)
    rig.groups.resume_processes(AutoScalingGroupName=group)
    rig.wait_members(group, 2)


def test_a_member_is_terminated_with_and_without_its_place(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    rig.size(group, 2)
    first, second = (one["InstanceId"] for one in rig.wait_members(group, 2))
    end = rig.groups.terminate_instance_in_auto_scaling_group
    activity = end(InstanceId=first, ShouldDecrementDesiredCapacity=True)["Activity"]
    assert first in activity["Description"]
    rig.wait_members(group, 1)
    end(InstanceId=second, ShouldDecrementDesiredCapacity=False)
    until("a replacement", lambda: rig.members(group) and rig.members(group)[0]["InstanceId"] != second)
    refused = code_of(end, InstanceId="i-0123456789abcdef0", ShouldDecrementDesiredCapacity=True)
    assert refused == "ValidationError"


def test_to_zero_ends_all_members(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    rig.size(group, 3)
    ids = [one["InstanceId"] for one in rig.wait_members(group, 3)]
    rig.groups.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, MaxSize=0, DesiredCapacity=0)
    rig.wait_members(group, 0)
    assert {one["State"]["Name"] for one in rig.instances(ids)} == {"terminated"}


def test_a_scheduled_action_is_listed_until_it_fires(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    rig.size(group, 1)
    rig.wait_members(group, 1)
    at = datetime.now(UTC) + timedelta(seconds=rig.call("GET", "clock")["ahead_secs"] + 600)
    put = rig.groups.put_scheduled_update_group_action
    put(AutoScalingGroupName=group, ScheduledActionName="lease", StartTime=at, MinSize=0, MaxSize=0, DesiredCapacity=0)
    listed = rig.groups.describe_scheduled_actions(AutoScalingGroupName=group)["ScheduledUpdateGroupActions"]
    assert [one["ScheduledActionName"] for one in listed] == ["lease"]
    assert abs((listed[0]["StartTime"] - at).total_seconds()) < 1.5
    rig.call("POST", "clock", {"advance_secs": 601})
    rig.wait_members(group, 0)
    assert rig.groups.describe_scheduled_actions(AutoScalingGroupName=group)["ScheduledUpdateGroupActions"] == []


def test_actions_of_one_name_in_two_groups_are_two_and_go_with_their_group(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    template = rig.template()
    groups = [rig.group(template, subnets) for _ in range(2)]
    at = datetime.now(UTC) + timedelta(days=1)
    for group in groups:
        rig.groups.put_scheduled_update_group_action(
            AutoScalingGroupName=group, ScheduledActionName="lease", StartTime=at, DesiredCapacity=0
        )
    rig.groups.delete_auto_scaling_group(AutoScalingGroupName=groups[0])
    listed = rig.groups.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    assert [one["AutoScalingGroupName"] for one in listed if one["AutoScalingGroupName"] in groups] == [groups[1]]


def test_an_action_in_the_past_is_refused(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets)
    refused = error_of(
        rig.groups.put_scheduled_update_group_action,
        AutoScalingGroupName=group,
        ScheduledActionName="late",
        StartTime=datetime.now(UTC) - timedelta(seconds=60),
        DesiredCapacity=0,
    )
    assert "in the past" in refused


def test_a_template_that_cannot_be_launched_makes_no_group(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    image = rig.image()
    template = rig.template(image)
    rig.ec2.deregister_image(ImageId=image)
    name = rig.name("group")
    refused = error_of(
        rig.groups.create_auto_scaling_group,
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=1,
        VPCZoneIdentifier=subnets[0],
        LaunchTemplate={"LaunchTemplateName": template},
    )
    assert f"'[{image}]' does not exist" in refused
    assert rig.described(name) is None


def test_a_member_that_does_not_end_is_told_again(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    group = rig.group(rig.template(), subnets, 1)
    rig.wait_members(group, 1)
    rig.call("POST", "settings", {"deaf_terminates": 2})
    rig.groups.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
    until("the end of the group", lambda: rig.described(group) is None)
    assert rig.call("GET", "settings")["deaf_terminates"] == 0


def test_an_instance_may_come_without_its_tags(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "mayfly:role", "Value": "worker"}]}]
    group = rig.group(rig.template(TagSpecifications=tags), subnets, 0)
    rig.call("POST", "settings", {"untagged_launches": 1})
    rig.size(group, 2)
    ids = [one["InstanceId"] for one in rig.wait_members(group, 2)]
    named = [one for one in rig.instances(ids) if any(tag["Key"] == "mayfly:role" for tag in one.get("Tags", []))]
    assert len(named) == 1
