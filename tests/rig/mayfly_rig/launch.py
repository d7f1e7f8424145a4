"""Launches: checked as AWS checks them, with all that was asked, and each instance known to the rig."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models.instances import InstanceBackend, InstanceState
from moto.ec2.responses import instances as responses
from moto.ec2.utils import filter_iam_instance_profiles
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend

from . import templates
from .capacity import CAPACITY, architectures
from .errors import LaunchError, launch_error
from .machines import MACHINES, Machine
from .world import WORLD


def _run_instances(original: Any) -> Any:
    def run(self: Any, image_id: str | None, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any) -> Any:
        checked = kwargs.pop("capacity_checked", False)
        image_id, user_data = templates.fill(self, image_id, user_data, kwargs)
        image = _image(self, image_id)
        kind, market = kwargs["instance_type"], "spot" if kwargs.get("instance_market_options") else "on-demand"
        az = _zone(self, kwargs)
        _default_subnet(self, az, kwargs)
        if not checked:
            _check_capacity((kind, az, market), count)
        _check_fit(kind, image)
        _check_addresses(self, kwargs.get("subnet_id"), count)
        _check_metadata_tags(kwargs)
        profile = profile_of(self, kwargs.pop("iam_instance_profile_name", None), kwargs.pop("iam_instance_profile_arn", None))
        _root_device(image, kwargs)
        reservation = original(self, image.id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            _lose_tags(instance)
            _adopt(instance, market, image, profile, kwargs)
        return reservation

    return run


def _image(backend: Any, image_id: str | None) -> Any:
    image = backend.amis.get(image_id)
    if image is None:
        raise launch_error("InvalidAMIID.NotFound", image=image_id)
    return image


def _zone(backend: Any, kwargs: dict[str, Any]) -> str:
    if kwargs.get("subnet_id"):
        return str(backend.get_subnet(kwargs["subnet_id"]).availability_zone)
    return str(kwargs.get("placement") or f"{backend.region_name}a")


def _default_subnet(backend: Any, az: str, kwargs: dict[str, Any]) -> None:
    """Without a subnet, that of the default VPC in the zone."""
    subnet = backend.get_default_subnets().get(az)
    if not kwargs.get("subnet_id") and subnet is not None:
        kwargs["subnet_id"] = kwargs["nics"][0]["SubnetId"] = subnet.id


def _check_capacity(pool: tuple[str, str, str], count: int) -> None:
    planned: Counter[tuple[str, str, str]] = Counter()
    for _ in range(count):
        problem = CAPACITY.problem(pool, planned)
        if problem is not None:
            raise problem
        planned[pool] += 1


def _check_fit(kind: str, image: Any) -> None:
    able = architectures(kind)
    if able and image.architecture and image.architecture not in able:
        raise LaunchError(
            "InvalidParameterValue",
            f"The architecture '{','.join(able)}' of the specified instance type does not match the architecture "
            f"'{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again.",
        )


def _check_addresses(backend: Any, subnet_id: str | None, count: int) -> None:
    if subnet_id and backend.get_subnet(subnet_id).available_ip_address_count < count:
        raise LaunchError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{subnet_id}' to satisfy the requested number of instances.",
        )


def _check_metadata_tags(kwargs: dict[str, Any]) -> None:
    options = kwargs.get("metadata_options") or {}
    if options.get("InstanceMetadataTags") != "enabled":
        return
    for key in kwargs["tags"].get("instance", {}):
        if "/" in key or " " in key or key in (".", "..", "_index"):
            raise LaunchError(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), and must "
                "not be a reserved name ('.', '..', '_index')",
            )


def _lose_tags(instance: Any) -> None:
    """What AWS says that it never does; its own tags stay."""
    if WORLD.settings.untagged_launches == 0:
        return
    WORLD.settings.untagged_launches -= 1
    tags = instance.ec2_backend.tags[instance.id]
    for key in [key for key in tags if not key.startswith("aws:")]:
        del tags[key]


def profile_of(backend: Any, name: str | None, arn: str | None) -> Any:
    """The instance profile of this name or ARN, if one is asked for."""
    if not name and not arn:
        return None
    return _find_profile(backend.account_id, backend.partition, arn, name)


def _find_profile(account: str, partition: str, iam_instance_profile_arn: Any, iam_instance_profile_name: Any) -> Any:
    name, arn = iam_instance_profile_name, iam_instance_profile_arn
    try:
        found = filter_iam_instance_profiles(account, partition, arn, name)
    except ServiceException:
        found = None
    if found is not None and WORLD.now() >= found.rig_created + WORLD.settings.profile_lag_secs:
        return found
    which, value = ("name", name) if name else ("arn", arn)
    raise LaunchError(
        "InvalidParameterValue",
        f"Value ({value}) for parameter iamInstanceProfile.{which} is invalid. Invalid IAM Instance Profile {which}",
    )


def _root_device(image: Any, kwargs: dict[str, Any]) -> None:
    """A mapping of the root's name changes the root; without one there is a root of 8 GiB beside what is mapped."""
    root = image.root_device_name
    mappings = [copy.deepcopy(mapping) for mapping in kwargs.get("block_device_mappings") or []]
    if all(mapping["DeviceName"] != root for mapping in mappings):
        mappings.insert(0, {"DeviceName": root, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}})
    for mapping in mappings:
        ebs = mapping.setdefault("Ebs", {})
        ebs.setdefault("DeleteOnTermination", mapping["DeviceName"] == root)
        if not ebs.get("SnapshotId"):
            ebs.setdefault("VolumeSize", 8)
    kwargs["block_device_mappings"] = mappings


def _adopt(instance: Any, market: str, image: Any, profile: Any, kwargs: dict[str, Any]) -> None:
    now = WORLD.now()
    instance._state = InstanceState("pending", 0)
    instance.lifecycle = "spot" if market == "spot" else None
    if profile is not None:
        instance.iam_instance_profile = {"Arn": profile.arn, "Id": profile.id}
    for mapping in kwargs["block_device_mappings"]:
        volume = instance.block_device_mapping.get(mapping["DeviceName"])
        if volume is not None:
            stored = instance.ec2_backend.volumes[volume.volume_id]
            stored.iops = mapping["Ebs"].get("Iops") or stored.iops
            stored.throughput = mapping["Ebs"].get("Throughput") or (125 if stored.volume_type == "gp3" else None)
    MACHINES.add(
        Machine(
            instance=instance,
            type=instance.instance_type,
            az=instance.placement.zone,
            market=market,
            architecture=image.architecture or "x86_64",
            image=image.id,
            profile=profile.arn if profile is not None else None,
            role=profile.roles[0].name if profile is not None and profile.roles else None,
            launched=now,
            ready_at=now + WORLD.settings.pending_secs,
            since=now,
        )
    )


def _create_instance_profile(original: Any) -> Any:
    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        profile = original(self, *args, **kwargs)
        profile.rig_created = WORLD.now()
        return profile

    return create


def _remove_role(original: Any) -> Any:
    def remove(self: Any, profile_name: str, role_name: str) -> None:
        # moto says nothing of one that is not in it but 500.
        if all(role.name != role_name for role in self.get_instance_profile(profile_name).roles):
            raise NotFoundException(f"The role with name {role_name} cannot be found in the instance profile {profile_name}.")
        original(self, profile_name, role_name)

    return remove


def install() -> None:
    """Patches moto."""
    backend: Any = InstanceBackend
    backend.run_instances = _run_instances(backend.run_instances)
    profiles: Any = IAMBackend
    profiles.create_instance_profile = _create_instance_profile(profiles.create_instance_profile)
    profiles.remove_role_from_instance_profile = _remove_role(profiles.remove_role_from_instance_profile)
    calls: Any = responses
    calls.filter_iam_instance_profiles = _find_profile
