"""Where groups launch: zones, types, markets, and what there is no room for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from conftest import LONG, Rig, until

from mayfly_rig.placement import split


def mixed(template: str, types: list[str], base: int = 0, percent: int = 0) -> dict[str, Any]:
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "$Latest"},
            "Overrides": [{"InstanceType": kind} for kind in types],
        },
        "InstancesDistribution": {
            "OnDemandBaseCapacity": base,
            "OnDemandPercentageAboveBaseCapacity": percent,
            "SpotAllocationStrategy": "price-capacity-optimized",
        },
    }


def kinds(rig: Rig, group: str) -> Counter[tuple[str, str, str]]:
    found = rig.instances([one["InstanceId"] for one in rig.members(group)])
    return Counter(
        (one["InstanceType"], one["Placement"]["AvailabilityZone"][-1], one.get("InstanceLifecycle", "on-demand"))
        for one in found
    )


def test_on_demand_and_spot_are_split_as_aws_rounds() -> None:
    assert split(5, 1, 0) == {"on-demand": 1, "spot": 4}
    assert split(5, 0, 50) == {"on-demand": 3, "spot": 2}
    assert split(2, 3, 0) == {"on-demand": 2, "spot": 0}
    assert split(0, 1, 100) == {"on-demand": 0, "spot": 0}


def test_members_are_spread_over_zones(rig: Rig) -> None:
    _, subnets, _ = rig.network("abc")
    group = rig.group(rig.template(), subnets)
    rig.size(group, 6)
    rig.wait_members(group, 6)
    assert Counter(zone for _, zone, _ in kinds(rig, group).elements()) == {"a": 2, "b": 2, "c": 2}


def test_a_mixed_group_has_its_base_on_demand_and_the_rest_on_spot(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    template = rig.template()
    group = rig.group(template, subnets, MixedInstancesPolicy=mixed(template, ["m5.xlarge", "c5.large"], base=1))
    rig.size(group, 3)
    rig.wait_members(group, 3)
    # On demand by priority, spot by price.
    assert kinds(rig, group) == {("m5.xlarge", "a", "on-demand"): 1, ("c5.large", "a", "spot"): 2}


def test_the_policy_of_a_group_survives_a_change_of_its_size(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    template = rig.template()
    group = rig.group(template, subnets, MixedInstancesPolicy=mixed(template, ["c5.large"]))
    rig.groups.update_auto_scaling_group(AutoScalingGroupName=group, MaxSize=5, DesiredCapacity=1)
    rig.wait_members(group, 1)
    described = rig.described(group)
    assert described is not None
    assert described["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"][0]["InstanceType"] == "c5.large"
    assert kinds(rig, group) == {("c5.large", "a", "spot"): 1}


def test_without_capacity_the_next_type_and_then_the_next_zone_is_taken(rig: Rig) -> None:
    _, subnets, _ = rig.network("ab")
    template = rig.template()
    rig.call("POST", "capacity", {"c5.large/us-east-1a/spot": 1, "m5.large/us-east-1a/spot": 1, "*/us-east-1b/spot": 5})
    group = rig.group(template, subnets, MixedInstancesPolicy=mixed(template, ["c5.large", "m5.large"]))
    rig.size(group, 5)
    rig.wait_members(group, 5)
    assert kinds(rig, group) == {("c5.large", "a", "spot"): 1, ("m5.large", "a", "spot"): 1, ("c5.large", "b", "spot"): 3}


def test_a_partial_fleet_shows_why_and_is_completed_when_there_is_room(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    rig.call("POST", "capacity", {"m5.large/us-east-1a": 3})
    rig.call("POST", "settings", {"retry_secs": LONG})
    group = rig.group(rig.template(), subnets)
    rig.size(group, 5)
    until("3 members", lambda: len(rig.members(group)) == 3)
    failed = until("failures", lambda: rig.activities(group, "Failed"))[0]
    assert (
        "do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a)" in failed["StatusMessage"]
    )
    assert failed["StatusMessage"].endswith("Launching EC2 instance failed.")
    # Many ticks have passed since.
    assert len(rig.activities(group, "Failed")) == 1
    rig.later()
    until("another try", lambda: len(rig.activities(group, "Failed")) == 2)
    rig.call("POST", "capacity", {})
    rig.later()
    rig.wait_members(group, 5)


def test_quotas_of_vcpus_are_kept(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    rig.call("POST", "quotas", {"L-1216C47A": 4, "L-34B43A08": 0})
    group = rig.group(rig.template(), subnets)
    rig.size(group, 3)
    failed = until("a failure", lambda: rig.activities(group, "Failed"))[0]
    assert "more vCPU capacity than your current vCPU limit of 4 allows" in failed["StatusMessage"]
    template = rig.template()
    spot = rig.group(template, subnets, MixedInstancesPolicy=mixed(template, ["m5.large"]))
    rig.size(spot, 1)
    failed = until("a failure", lambda: rig.activities(spot, "Failed"))[0]
    assert failed["StatusMessage"].startswith("Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance")
    quotas = rig.client("service-quotas")
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]["Value"] == 4


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("UnauthorizedOperation", "API: ec2:RunInstances You are not authorized to perform this operation."),
        ("Unsupported", "is not supported in your requested Availability Zone (us-east-1a)"),
        ("InsufficientInstanceCapacity", "We currently do not have sufficient m5.large capacity"),
    ],
)
def test_errors_on_demand_are_in_the_activities_and_pass(rig: Rig, code: str, text: str) -> None:
    _, subnets, _ = rig.network("a")
    rig.call("POST", "launch-errors", {"match": "m5.large/*", "code": code, "times": 1})
    group = rig.group(rig.template(), subnets)
    rig.size(group, 1)
    failed = until("a failure", lambda: rig.activities(group, "Failed"))[0]
    assert text in failed["StatusMessage"]
    rig.wait_members(group, 1)


def test_an_image_that_is_gone_fails_the_launch(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    image = rig.image()
    group = rig.group(rig.template(image), subnets)
    rig.ec2.deregister_image(ImageId=image)
    rig.size(group, 1)
    failed = until("a failure", lambda: rig.activities(group, "Failed"))[0]
    assert failed["StatusMessage"] == f"The image id '[{image}]' does not exist. Launching EC2 instance failed."


def test_an_image_of_another_architecture_fails_the_launch(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    group = rig.group(rig.template(rig.image("arm64")), subnets)
    rig.size(group, 1)
    failed = until("a failure", lambda: rig.activities(group, "Failed"))[0]
    assert "does not match the architecture 'arm64'" in failed["StatusMessage"]
