"""One rig for all tests, as a process of its own; its knobs are turned back after each test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
LIMIT_SECS = 15.0
# For delays that a test ends by setting the clock: no machine is too slow to see what there is before.
LONG = 600
QUICK = {"pending_secs": 0.1, "shutting_down_secs": 0.1, "health_check_secs": 0.1, "retry_secs": 0.3}


def until(what: str, ask: Callable[[], T | None], limit: float = LIMIT_SECS) -> T:
    """Asks until there is an answer."""
    began = time.monotonic()
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() - began < limit, f"waited {limit} s in vain for {what}"
        time.sleep(0.02)


@dataclass
class Rig:
    """A rig that runs, and clients of it."""

    url: str
    process: subprocess.Popen[bytes]
    made: int = 0
    clients: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """`/_rig/…`."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/_rig/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=70) as reply:
            return json.load(reply)

    def later(self) -> None:
        """Everything that takes `LONG` has passed."""
        self.call("POST", "clock", {"advance_secs": LONG + 1})

    def cpu_secs(self) -> float:
        """CPU time that the rig has taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """The same, for what must be refused."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.call(method, path, body)
        return caught.value.code, json.load(caught.value)["error"]

    def client(self, service: str, key: str = "AKIAIOSFODNN7EXAMPLE", **config: Any) -> Any:
        """A client of AWS that tries once, unless told otherwise."""
        config = {"retries": {"total_max_attempts": 1}} | config
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            config=Config(**config),
        )

    @property
    def ec2(self) -> Any:
        """EC2."""
        return self.clients.setdefault("ec2", self.client("ec2"))

    @property
    def groups(self) -> Any:
        """Auto Scaling."""
        return self.clients.setdefault("autoscaling", self.client("autoscaling"))

    @property
    def iam(self) -> Any:
        """IAM."""
        return self.clients.setdefault("iam", self.client("iam"))

    def name(self, kind: str) -> str:
        """A name that nobody else has."""
        self.made += 1
        return f"{kind}-{self.made}"

    def network(self, zones: str = "ab") -> tuple[str, list[str], str]:
        """A VPC, a subnet in each zone, a security group."""
        self.made += 1
        vpc = self.ec2.create_vpc(CidrBlock=f"10.{self.made % 250}.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{self.made % 250}.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for index, zone in enumerate(zones)
        ]
        group = self.ec2.create_security_group(GroupName=self.name("nodes"), Description="nodes", VpcId=vpc)["GroupId"]
        return vpc, subnets, group

    def image(self, architecture: str = "x86_64") -> str:
        """A registered image."""
        return str(
            self.ec2.register_image(Name=self.name("image"), Architecture=architecture, RootDeviceName="/dev/xvda")["ImageId"]
        )

    def template(self, image: str | None = None, **data: Any) -> str:
        """A launch template; its name."""
        name = self.name("template")
        data = {"ImageId": image or self.image(), "InstanceType": "m5.large"} | data
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
        return name

    def group(self, template: str, subnets: list[str], low: int = 0, high: int = 10, **more: Any) -> str:
        """A group; its name."""
        name = self.name("group")
        given = (
            {} if "MixedInstancesPolicy" in more else {"LaunchTemplate": {"LaunchTemplateName": template, "Version": "$Latest"}}
        )
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=low, MaxSize=high, VPCZoneIdentifier=",".join(subnets), **given, **more
        )
        return name

    def size(self, group: str, desired: int) -> None:
        """Sets the size."""
        self.groups.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=desired)

    def described(self, group: str) -> dict[str, Any] | None:
        """The group, while there is one."""
        found = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
        return found[0] if found else None

    def members(self, group: str) -> list[dict[str, Any]]:
        """Instances of a group that are in service."""
        described = self.described(group)
        return [one for one in (described or {}).get("Instances", []) if one["LifecycleState"] == "InService"]

    def wait_members(self, group: str, count: int) -> list[dict[str, Any]]:
        """Waits until so many are in service, and no more are in the group."""

        def ask() -> bool:
            states = [one["LifecycleState"] for one in (self.described(group) or {}).get("Instances", [])]
            return states == ["InService"] * count

        until(f"{count} members of {group}", ask)
        return self.members(group)

    def instances(self, ids: list[str]) -> list[dict[str, Any]]:
        """DescribeInstances."""
        found = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    def activities(self, group: str, status: str | None = None) -> list[dict[str, Any]]:
        """Scaling activities, newest first."""
        all_of_them = self.groups.describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
        return [one for one in all_of_them if status in (None, one["StatusCode"])]


def start(*arguments: str) -> Rig:
    """Starts one; it ends when its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mayfly_rig", *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    return Rig(said["url"], process)


@pytest.fixture(scope="session")
def one_rig() -> Iterator[Rig]:
    """The rig of all tests."""
    made = start("--settings", json.dumps(QUICK))
    yield made
    assert made.process.stdin is not None
    made.process.stdin.close()
    made.process.wait(10)


@pytest.fixture
def rig(one_rig: Rig) -> Iterator[Rig]:
    """The rig, as it was at its start."""
    yield one_rig
    for path in ("faults", "launch-errors", "calls"):
        one_rig.call("DELETE", path)
    one_rig.call("POST", "capacity", {})
    one_rig.call("POST", "quotas", {"L-1216C47A": 10_000, "L-34B43A08": 10_000})
    lags = ("describe_lag_secs", "group_lag_secs", "profile_lag_secs", "nat_secs")
    still = dict.fromkeys((*lags, "flapping_describes", "deaf_terminates", "untagged_launches"), 0)
    one_rig.call("POST", "settings", QUICK | still)
    for group in one_rig.groups.describe_auto_scaling_groups()["AutoScalingGroups"]:
        one_rig.groups.delete_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True)
    alone = [one["id"] for one in one_rig.call("GET", "bill")["instances"] if not one["group"] and not one["ended"]]
    if alone:
        one_rig.ec2.terminate_instances(InstanceIds=alone)
    until("the end of all instances", lambda: not one_rig.call("GET", "leftovers")["instances"], 30)


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    """The error that a call ends with."""
    import botocore.exceptions

    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def error_of(call: Callable[..., Any], **arguments: Any) -> str:
    """The error's text."""
    import botocore.exceptions

    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Message"])
