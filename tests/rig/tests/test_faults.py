"""Faults on demand, the log of calls, and the services that moto has not."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest
from conftest import ROOT, Rig, code_of, start, until


def test_throttling_is_met_and_passes(rig: Rig) -> None:
    for service, action, code in (
        ("ec2", "DescribeVpcs", "RequestLimitExceeded"),
        ("autoscaling", "DescribeAutoScalingGroups", "Throttling"),
    ):
        rig.call("POST", "faults", {"service": service, "action": action, "times": 2, "status": 400, "code": code})
    patient = {"retries": {"total_max_attempts": 4, "mode": "standard"}}
    assert rig.client("ec2", **patient).describe_vpcs()["Vpcs"]
    rig.client("autoscaling", **patient).describe_auto_scaling_groups()
    counts = rig.call("GET", "calls")["counts"]
    assert counts["ec2 DescribeVpcs"] == 3
    assert counts["autoscaling DescribeAutoScalingGroups"] == 3


def test_a_fault_strikes_only_what_it_names(rig: Rig) -> None:
    rig.call(
        "POST", "faults", {"service": "^ec2$", "action": "^DescribeSubnets$", "status": 403, "code": "UnauthorizedOperation"}
    )
    rig.ec2.describe_vpcs()
    assert code_of(rig.ec2.describe_subnets) == "UnauthorizedOperation"
    rig.ec2.describe_subnets()


def test_a_call_may_be_done_and_its_reply_lost(rig: Rig) -> None:
    name = rig.name("template")
    rig.call("POST", "faults", {"action": "CreateLaunchTemplate", "applied": True, "reset": True})
    with pytest.raises(botocore.exceptions.HTTPClientError):
        rig.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large"})
    assert rig.ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]


def test_a_reply_may_be_held_while_the_call_is_done(rig: Rig) -> None:
    name = rig.name("template")
    rig.call("POST", "faults", {"action": "CreateLaunchTemplate", "applied": True, "latency_secs": 1.5})
    impatient = rig.client("ec2", read_timeout=0.5)
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        impatient.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large"})
    by_name = [{"Name": "launch-template-name", "Values": [name]}]
    until("the template", lambda: rig.ec2.describe_launch_templates(Filters=by_name)["LaunchTemplates"])


def test_a_call_may_be_lost_before_it_is_done(rig: Rig) -> None:
    name = rig.name("template")
    rig.call("POST", "faults", {"action": "CreateLaunchTemplate", "reset": True})
    with pytest.raises(botocore.exceptions.HTTPClientError):
        rig.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large"})
    missing = code_of(rig.ec2.describe_launch_templates, LaunchTemplateNames=[name])
    assert missing == "InvalidLaunchTemplateName.NotFoundException"


def test_answers_may_be_slow(rig: Rig) -> None:
    rig.call("POST", "faults", {"action": "DescribeVpcs", "latency_secs": 0.4})
    began = time.monotonic()
    rig.ec2.describe_vpcs()
    assert time.monotonic() - began >= 0.4


def test_a_bucket_lets_a_burst_through_and_throttles_the_rest(rig: Rig) -> None:
    rig.call(
        "POST",
        "faults",
        {"action": "DescribeVpcs", "rate": 0.01, "burst": 2, "status": 503, "code": "RequestLimitExceeded"},
    )
    rig.ec2.describe_vpcs()
    rig.ec2.describe_vpcs()
    assert code_of(rig.ec2.describe_vpcs) == "RequestLimitExceeded"
    rig.call("DELETE", "faults")
    rig.ec2.describe_vpcs()


def test_faults_of_s3_and_json_services_are_in_their_own_words(rig: Rig) -> None:
    rig.call("POST", "faults", {"service": "s3", "action": "PUT /slow", "status": 503, "code": "SlowDown"})
    assert code_of(rig.client("s3").create_bucket, Bucket="slow") == "SlowDown"
    rig.call("POST", "faults", {"service": "ssm", "status": 400, "code": "ThrottlingException"})
    assert code_of(rig.client("ssm").get_parameter, Name="x") == "ThrottlingException"


def test_s3_objects_come_back_whole(rig: Rig) -> None:
    s3 = rig.client("s3")
    bucket = rig.name("bucket")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 100_000)
    assert s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == 100_000
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x" * 100_000
    assert code_of(s3.put_object, Bucket=bucket, Key="a", Body=b"", IfNoneMatch="*") == "PreconditionFailed"


def test_of_many_first_writers_one_wins(rig: Rig) -> None:
    s3 = rig.client("s3", max_pool_connections=16)
    bucket = rig.name("bucket")
    s3.create_bucket(Bucket=bucket)

    def write(number: int) -> bool:
        try:
            s3.put_object(Bucket=bucket, Key="commit", Body=str(number).encode(), IfNoneMatch="*")
        except botocore.exceptions.ClientError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(write, range(32))) == 1


def test_spot_prices_differ_by_type_and_zone_and_can_be_set(rig: Rig) -> None:
    rig.call("POST", "prices", {"spot": {"c5.xlarge/us-east-1b": 0.01}})
    asked = {"InstanceTypes": ["m5.large", "c5.xlarge"], "ProductDescriptions": ["Linux/UNIX"]}
    rows = rig.ec2.describe_spot_price_history(**asked)["SpotPriceHistory"]
    prices = {(row["InstanceType"], row["AvailabilityZone"]): float(row["SpotPrice"]) for row in rows}
    assert prices["c5.xlarge", "us-east-1b"] == 0.01
    assert 0.02 < prices["m5.large", "us-east-1a"] < prices["m5.large", "us-east-1c"] < 0.096


def test_the_price_list_knows_types(rig: Rig) -> None:
    found = rig.client("pricing").get_products(
        ServiceCode="AmazonEC2", Filters=[{"Type": "TERM_MATCH", "Field": "instanceType", "Value": "m5.xlarge"}]
    )
    (product,) = (json.loads(row) for row in found["PriceList"])
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert float(dimension["pricePerUnit"]["USD"]) == 0.192


def test_the_rig_ends_when_its_input_is_closed() -> None:
    rig = start()
    assert rig.process.stdin is not None
    rig.process.stdin.close()
    assert rig.process.wait(30) == 0


def test_the_rig_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys, os\n"
        "p = subprocess.Popen([sys.executable, '-m', 'mayfly_rig'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "p.stdout.readline(); print(p.pid, flush=True); os._exit(9)\n"
    )
    import sys

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=False, timeout=60)
    pid = int(said.stdout)
    began = time.monotonic()
    while _is_alive(pid):
        assert time.monotonic() - began < 30
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_an_instances_keys_end_when_they_say(rig: Rig) -> None:
    now = int(time.time())
    assert rig.client("ec2", key=f"ASIARIG{now + 600}").describe_vpcs()["Vpcs"]
    assert code_of(rig.client("ec2", key=f"ASIARIG{now - 1}").describe_vpcs) == "ExpiredToken"


def test_a_request_of_another_hour_is_refused_where_dates_count() -> None:
    strict = start("--settings", json.dumps({"date_slack_secs": 300}))
    strict.call("POST", "clock", {"ahead_secs": -3600})
    assert code_of(strict.ec2.describe_vpcs) == "AuthFailure"
    assert code_of(strict.groups.describe_auto_scaling_groups) == "SignatureDoesNotMatch"
    strict.call("POST", "clock", {"ahead_secs": 0})
    assert strict.ec2.describe_vpcs()["Vpcs"]
    assert strict.process.stdin is not None
    strict.process.stdin.close()
    strict.process.wait(10)


def test_time_is_not_turned_back_under_machines(rig: Rig) -> None:
    _, subnets, _ = rig.network()
    rig.group(rig.template(), subnets, 1)
    until("a machine", lambda: rig.call("GET", "bill")["instances"])
    assert rig.refused("POST", "clock", {"ahead_secs": 0})[0] == 400
