"""DescribeInstances, written by hand: moto's serializer takes 6 ms of CPU for each instance, and knows few filters."""

from __future__ import annotations

import base64
import fnmatch
import itertools
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.responses.instances import InstanceResponse

from .machines import MACHINES, Machine
from .world import WORLD, stamp

PAGE = 1000


def _groups(machine: Machine) -> list[str]:
    return [group.id for group in machine.instance.security_groups]


def _here(machine: Machine, value: Any) -> list[Any]:
    """An instance that ended has no place in a network any more."""
    return [] if machine.state == "terminated" or value is None else [value]


FILTERS: dict[str, Callable[[Machine], Iterable[Any]]] = {
    "architecture": lambda machine: [machine.architecture],
    "availability-zone": lambda machine: [machine.az],
    "client-token": lambda machine: [machine.instance.client_token or ""],
    "iam-instance-profile.arn": lambda machine: [machine.profile or ""],
    "image-id": lambda machine: [machine.image],
    "instance-id": lambda machine: [machine.id],
    "instance-lifecycle": lambda machine: ["spot"] if machine.market == "spot" else [],
    "instance-state-code": lambda machine: [machine.instance.state_code],
    "instance-state-name": lambda machine: [machine.state],
    "instance-type": lambda machine: [machine.type],
    "instance.group-id": _groups,
    "key-name": lambda machine: [machine.instance.key_name or ""],
    "launch-time": lambda machine: [stamp(machine.launched)],
    "metadata-options.http-tokens": lambda machine: [machine.instance.metadata_options.http_tokens],
    "network-interface.subnet-id": lambda machine: _here(machine, machine.instance.subnet_id),
    "private-ip-address": lambda machine: _here(machine, machine.instance.private_ip),
    "subnet-id": lambda machine: _here(machine, machine.instance.subnet_id),
    "tag-key": lambda machine: machine.tags,
    "tag-value": lambda machine: machine.tags.values(),
    "vpc-id": lambda machine: _here(machine, machine.instance.vpc_id),
}


def _values(machine: Machine, name: str) -> list[str]:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        tags = machine.tags
        return [tags[key]] if key in tags else []
    if name not in FILTERS:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return [str(value) for value in FILTERS[name](machine)]


def matches(machine: Machine, filters: dict[str, list[str]]) -> bool:
    """All filters must match, each by any of its values; `*` and `?` are wildcards."""
    return all(
        any(fnmatch.fnmatchcase(has, _pattern(wanted)) for has in _values(machine, name) for wanted in values)
        for name, values in filters.items()
    )


def _pattern(value: str) -> str:
    return value.replace("[", "[[]")


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"<{name}>{escape(str(value))}</{name}>"


def _items(name: str, rows: Iterable[str]) -> str:
    return f"<{name}>" + "".join(f"<item>{row}</item>" for row in rows) + f"</{name}>"


def _interface(machine: Machine, nic: Any) -> str:
    return (
        _text("networkInterfaceId", nic.id)
        + _text("subnetId", nic.subnet.id)
        + _text("vpcId", nic.subnet.vpc_id)
        + _text("status", "in-use")
        + _text("privateIpAddress", nic.private_ip_address)
        + _items("groupSet", (_text("groupId", group.id) + _text("groupName", group.name) for group in nic.group_set))
        + f"<attachment>{_text('deviceIndex', nic.device_index)}{_text('status', 'attached')}"
        + f"{_text('attachmentId', nic.attachment_id)}"
        + f"{_text('deleteOnTermination', bool(nic.delete_on_termination))}</attachment>"
    )


def _place(machine: Machine) -> str:
    instance = machine.instance
    if machine.state == "terminated":
        return _items("networkInterfaceSet", [])
    return (
        _text("subnetId", instance.subnet_id)
        + _text("vpcId", instance.vpc_id)
        + _text("privateIpAddress", instance.private_ip)
        + _text("privateDnsName", instance.private_dns_name)
        + _text("ipAddress", instance.public_ip)
        + _items(
            "groupSet",
            (_text("groupId", group.id) + _text("groupName", group.name) for group in instance.security_groups),
        )
        + _items("networkInterfaceSet", (_interface(machine, nic) for nic in instance.nics.values()))
    )


def _disk(device: str, volume: Any) -> str:
    return (
        _text("deviceName", device)
        + f"<ebs>{_text('volumeId', volume.volume_id)}{_text('status', 'attached')}"
        + f"{_text('deleteOnTermination', bool(volume.delete_on_termination))}</ebs>"
    )


def _instance(machine: Machine) -> str:
    instance = machine.instance
    options = instance.metadata_options
    profile = instance.iam_instance_profile
    reason = instance.state_reason
    profile_xml = (
        f"<iamInstanceProfile>{_text('arn', profile['Arn'])}{_text('id', profile['Id'])}</iamInstanceProfile>" if profile else ""
    )
    reason_xml = (
        f"<stateReason>{_text('code', reason.code)}{_text('message', reason.message)}</stateReason>" if reason.code else ""
    )
    return (
        _text("instanceId", machine.id)
        + _text("imageId", machine.image)
        + f"<instanceState>{_text('code', instance.state_code)}{_text('name', machine.state)}</instanceState>"
        + _text("reason", instance._reason)
        + reason_xml
        + _text("keyName", instance.key_name)
        + _text("amiLaunchIndex", instance.ami_launch_index)
        + _text("instanceType", machine.type)
        + _text("launchTime", stamp(machine.launched))
        + f"<placement>{_text('availabilityZone', machine.az)}{_text('tenancy', 'default')}</placement>"
        + f"<monitoring>{_text('state', instance.monitoring_state)}</monitoring>"
        + _place(machine)
        + _text("architecture", machine.architecture)
        + _text("rootDeviceType", "ebs")
        + _text("rootDeviceName", instance.root_device_name)
        + _items("blockDeviceMapping", (_disk(*pair) for pair in instance.get_block_device_mapping))
        + _text("virtualizationType", "hvm")
        + _text("clientToken", instance.client_token)
        + _text("instanceLifecycle", "spot" if machine.market == "spot" else None)
        + _items("tagSet", (_text("key", key) + _text("value", value) for key, value in machine.tags.items()))
        + _text("ebsOptimized", bool(instance.ebs_optimized))
        + profile_xml
        + f"<metadataOptions>{_text('state', 'applied')}{_text('httpTokens', options.http_tokens)}"
        + f"{_text('httpPutResponseHopLimit', options.http_put_response_hop_limit)}"
        + f"{_text('httpEndpoint', options.http_endpoint)}"
        + f"{_text('instanceMetadataTags', options.instance_metadata_tags)}</metadataOptions>"
    )


def _reservations(machines: list[Machine], reservation_of: dict[str, str]) -> Iterable[str]:
    for reservation, members in itertools.groupby(machines, key=lambda machine: reservation_of[machine.id]):
        own = list(members)
        yield (
            _text("reservationId", reservation)
            + _text("ownerId", own[0].instance.owner_id)
            + "<groupSet/>"
            + _items("instancesSet", (_instance(machine) for machine in own))
        )


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("at:"))
    except ValueError as error:
        raise EC2ClientError("InvalidNextToken", f"The token '{token}' is invalid") from error


def _chosen(backend: Any, ids: list[str], filters: dict[str, list[str]]) -> list[Machine]:
    now = WORLD.now()
    visible = [machine for machine in MACHINES.of(backend) if machine.is_visible(now)]
    if WORLD.settings.flapping_describes > 0:
        WORLD.settings.flapping_describes -= 1
        visible = []
    if ids:
        known = {machine.id: machine for machine in visible}
        missing = [one for one in ids if one not in known]
        if missing:
            raise InvalidInstanceIdError(missing)
        visible = [known[one] for one in ids]
    return [machine for machine in visible if matches(machine, filters)]


def _describe_instances(self: Any) -> str:
    self.error_on_dryrun()
    ids = self._get_param("InstanceIds", [])
    size = self._get_param("MaxResults")
    if ids and size:
        raise EC2ClientError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    for name in (filters := self._filters_from_querystring()):
        if not name.startswith("tag:") and name not in FILTERS:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    chosen = _chosen(self.ec2_backend, ids, filters)
    start = _offset(self._get_param("NextToken"))
    stop = start + int(size or PAGE)
    reservation_of = {
        instance.id: reservation.id
        for reservation in self.ec2_backend.reservations.values()
        for instance in reservation.instances
    }
    more = base64.urlsafe_b64encode(f"at:{stop}".encode()).decode() if stop < len(chosen) else None
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>rig</requestId>'
        + _items("reservationSet", _reservations(chosen[start:stop], reservation_of))
        + _text("nextToken", more)
        + "</DescribeInstancesResponse>"
    )


def install() -> None:
    """Patches moto."""
    response: Any = InstanceResponse
    response.describe_instances = _describe_instances
