"""The side of the booter: machines as they come up and end, notices, and the bill."""

from __future__ import annotations

import threading
from typing import Any

from conftest import LONG, REGION, Rig, until


def launched(rig: Rig, **data: Any) -> tuple[str, str]:
    """A group and its one member."""
    _, subnets, _ = rig.network("a")
    group = rig.group(rig.template(**data), subnets)
    rig.size(group, 1)
    return group, rig.wait_members(group, 1)[0]["InstanceId"]


def test_a_waiting_client_hears_of_a_change(rig: Rig) -> None:
    version = rig.call("GET", "machines")["version"]
    heard: list[Any] = []
    waiter = threading.Thread(target=lambda: heard.append(rig.call("GET", f"machines?after={version}&wait=20")))
    waiter.start()
    _, instance = launched(rig)
    waiter.join(20)
    assert heard
    assert heard[0]["version"] > version
    assert rig.call("GET", f"machines/{instance}")["state"] == "running"


def test_a_wait_without_news_ends(rig: Rig) -> None:
    version = rig.call("GET", "machines")["version"]
    assert rig.call("GET", f"machines?after={version + 1000}&wait=0.2")["machines"] is not None


def test_a_poweroff_ends_an_instance_that_is_set_to_terminate(rig: Rig) -> None:
    group, instance = launched(rig, InstanceInitiatedShutdownBehavior="terminate")
    rig.size(group, 0) if rig.call("POST", f"machines/{instance}/poweroff") else None
    until("its end", lambda: rig.call("GET", f"machines/{instance}")["state"] == "terminated")
    assert rig.instances([instance])[0]["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_spot_interruption_has_a_notice_and_then_takes_the_instance(rig: Rig) -> None:
    group, instance = launched(rig, InstanceMarketOptions={"MarketType": "spot"})
    shown = rig.call("POST", f"machines/{instance}/interrupt", {"after_secs": LONG})
    assert shown["notice"]["action"] == "terminate"
    assert shown["notice"]["time"].endswith("Z")
    assert shown["state"] == "running"
    rig.later()
    until("its end", lambda: rig.call("GET", f"machines/{instance}")["state"] == "terminated")
    assert rig.instances([instance])[0]["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    until("a replacement", lambda: rig.members(group) and rig.members(group)[0]["InstanceId"] != instance)


def test_a_rebalance_recommendation_ends_nothing(rig: Rig) -> None:
    _, instance = launched(rig)
    assert rig.call("POST", f"machines/{instance}/rebalance")["rebalance"]
    assert rig.call("GET", f"machines/{instance}")["state"] == "running"


def test_tags_are_shown_to_the_instance_only_where_its_options_say_so(rig: Rig) -> None:
    _, instance = launched(rig)
    assert rig.call("GET", f"machines/{instance}")["tags"] is None


def test_the_bill_has_each_instance_from_when_to_when(rig: Rig) -> None:
    group, instance = launched(rig)
    rig.ec2.create_tags(Resources=[instance], Tags=[{"Key": "mayfly:role", "Value": "master"}])

    def line() -> dict[str, Any]:
        return next(one for one in rig.call("GET", "bill")["instances"] if one["id"] == instance)

    open_line = line()
    assert (open_line["type"], open_line["lifecycle"], open_line["az"]) == ("m5.large", "on-demand", f"{REGION}a")
    assert (open_line["role"], open_line["group"], open_line["to"]) == ("master", group, None)
    rig.size(group, 0)
    until("its end", lambda: line()["ended"])
    assert line()["to"] <= line()["ended"]


def test_nothing_is_left_over_after_a_release(rig: Rig) -> None:
    group, instance = launched(rig)
    left = rig.call("GET", "leftovers")
    assert instance in left["instances"]
    assert group in left["groups"]
    assert left["volumes"]
    rig.groups.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)

    def is_gone() -> bool:
        left = rig.call("GET", "leftovers")
        return group not in left["groups"] and not left["instances"] and not left["volumes"] and not left["interfaces"]

    until("the end of all of it", is_gone)


def test_what_is_not_known_is_refused(rig: Rig) -> None:
    assert rig.refused("POST", "settings", {"pending": 1})[0] == 400
    assert "pending_secs" in rig.refused("POST", "settings", {"pending_secs": -1})[1]
    assert rig.refused("POST", "faults", {"servise": "ec2"})[0] == 400
    assert rig.refused("POST", "faults", {"action": "("})[0] == 400
    assert rig.refused("POST", "quotas", {"L-1": 1})[0] == 400
    assert rig.refused("GET", "machines/i-0")[0] == 404
    assert rig.refused("GET", "weather")[0] == 404
