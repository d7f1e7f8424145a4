"""Instances: a life that takes time, from pending to terminated, and images as they were registered."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.models import amis
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason
from moto.ec2.responses.amis import AmisResponse

from .machines import MACHINES, Machine
from .world import WORLD

USER = ("Client.UserInitiatedShutdown", "User initiated shutdown")
INSIDE = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
SPOT = ("Server.SpotInstanceTermination", "Spot instance termination")
HARDWARE = ("Server.InternalError", "Internal error on launch")


_moto_terminate: Any = Instance.terminate
_moto_stop: Any = Instance.stop


def end(machine: Machine, cause: tuple[str, str]) -> None:
    """Begins the end of an instance; the tick finishes it."""
    if machine.state in ("shutting-down", "terminated"):
        return
    settings = WORLD.settings
    if cause == USER and settings.deaf_terminates > 0:
        settings.deaf_terminates -= 1
        return
    now = WORLD.now()
    machine.cause_code, machine.cause = cause
    machine.ending, machine.since, machine.gone_at = now, now, now + WORLD.settings.shutting_down_secs
    machine.kill_at = None
    machine.instance._state = InstanceState("shutting-down", 32)
    _set_reason(machine)
    WORLD.touch()


def _set_reason(machine: Machine) -> None:
    code, text = machine.cause_code, machine.cause
    when = machine.since if machine.ending is None else machine.ending
    at = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S GMT")
    machine.instance._reason = text if machine.cause_code != USER[0] else f"User initiated ({at})"
    machine.instance.state_reason = StateReason(f"{code}: {text}", code)


def _terminate(self: Any) -> Any:
    previous = copy.copy(self._state)
    machine = MACHINES.get(self.id)
    if machine is not None:
        end(machine, USER)
    return previous


def _stop(self: Any) -> Any:
    previous = _moto_stop(self)
    machine = MACHINES.get(self.id)
    if machine is not None:
        machine.since = WORLD.now()
        WORLD.touch()
    return previous


def power_off(machine: Machine) -> None:
    """The instance shut itself down: what happens then is a setting of the instance."""
    if machine.state not in ("pending", "running"):
        return
    if machine.instance.instance_initiated_shutdown_behavior == "terminate":
        end(machine, INSIDE)
    else:
        _stop(machine.instance)
        machine.cause_code, machine.cause = INSIDE
        _set_reason(machine)


def _finish(machine: Machine, now: float) -> None:
    instance = machine.instance
    if machine.running is None and machine.ending is not None:
        machine.ending = None
    for nic in instance.nics.values():
        nic.stop()
        if nic.delete_on_termination and instance.ec2_backend.enis.get(nic.id) is nic:
            nic.delete()
        elif not nic.delete_on_termination:
            nic.attachment_id, nic.instance, nic.status = None, None, "available"
        # moto's own end must not meet them again.
        nic.delete_on_termination = False
    _moto_terminate(instance)
    instance._state = InstanceState("terminated", 48)
    machine.ended = machine.since = now
    _set_reason(machine)


def tick(now: float) -> None:
    """Moves every instance on whose time has come."""
    changed = False
    for machine in MACHINES:
        if machine.ended is not None:
            continue
        if machine.state == "pending" and now >= machine.ready_at:
            machine.instance._state = InstanceState("running", 16)
            machine.running = machine.since = now
            changed = True
        if machine.kill_at is not None and now >= machine.kill_at:
            end(machine, SPOT)
        if machine.state == "shutting-down" and machine.gone_at is not None and now >= machine.gone_at:
            _finish(machine, now)
            changed = True
    if changed:
        WORLD.touch()


_BORN: dict[str, Any] = {}


def _init(original: Any) -> Any:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        # moto looks for it, to attach its disks, before the launch is done.
        _BORN[self.id] = self

    return init


def _get_instance(self: Any, instance_id: str) -> Any:
    instance = _BORN.get(instance_id)
    if instance is None or instance.ec2_backend is not self:
        raise InvalidInstanceIdError(instance_id)
    return instance


def _get_multi_instances_by_id(self: Any, instance_ids: list[str], filters: Any = None) -> list[Any]:
    now = WORLD.now()
    found, missing = [], []
    for instance_id in instance_ids:
        machine = MACHINES.get(instance_id)
        if machine is None or machine.instance.ec2_backend is not self or not machine.is_visible(now):
            missing.append(instance_id)
        elif machine.instance.applies(filters):
            found.append(machine.instance)
    if missing:
        raise InvalidInstanceIdError(missing)
    return found


def _describe_images(original: Any) -> Any:
    def describe(self: Any, ami_ids: Any = None, filters: Any = None, **rest: Any) -> Any:
        # Each new instance asks so; moto would look through all images.
        if not ami_ids and not rest and filters and list(filters) == ["image-id"] and isinstance(filters["image-id"], str):
            image = self.amis.get(filters["image-id"])
            return [image] if image is not None else []
        return original(self, ami_ids=ami_ids, filters=filters, **rest)

    return describe


def _register_image(original: Any) -> Any:
    def register(self: Any) -> Any:
        name = self._get_param("Name")
        if any(image.name == name and image.owner_id == self.current_account for image in self.ec2_backend.amis.values()):
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use")
        answer = original(self)
        image = self.ec2_backend.amis[answer.result["ImageId"]]
        image.architecture = self._get_param("Architecture") or "x86_64"
        image.root_device_name = self._get_param("RootDeviceName") or image.root_device_name
        image.root_device_type = "ebs"
        image.virtualization_type = "hvm"
        image.add_tags(self._parse_tag_specification().get("image", {}))
        return answer

    return register


def install() -> None:
    """Patches moto."""
    backend: Any = InstanceBackend
    backend.get_instance = _get_instance
    backend.get_multi_instances_by_id = _get_multi_instances_by_id
    instance: Any = Instance
    instance.__init__ = _init(instance.__init__)
    instance.terminate = _terminate
    instance.stop = _stop
    images: Any = amis.AmiBackend
    images.describe_images = _describe_images(images.describe_images)
    response: Any = AmisResponse
    response.register_image = _register_image(response.register_image)
