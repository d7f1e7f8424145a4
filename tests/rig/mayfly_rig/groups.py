"""Auto Scaling groups: what their calls refuse and record. What groups then do is in `reconcile`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult

from . import activities, ec2, launch
from .machines import MACHINES
from .world import WORLD

ACTIVE = ("Pending", "InService")


class Groups(OrderedDict[str, Any]):
    """Groups by name; an unknown name is AWS's error, not Python's."""

    def __missing__(self, name: str) -> Any:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


def _init(original: Any) -> Any:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.autoscaling_groups = Groups()
        self.rig_activities = []

    return init


def check_bounds(low: int | None, high: int | None, desired: int | None) -> None:
    """Min, max and desired must be in order."""
    if low is not None and high is not None and low > high:
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if desired is None or low is None or high is None:
        return
    if not low <= desired <= high:
        raise ValidationError(f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}")


def refuse_deleting(group: Any) -> None:
    """A group that is being deleted takes no changes."""
    if getattr(group, "status", None):
        raise ValidationError(f"AutoScalingGroup {group.name} is pending delete")


def _create(original: Any) -> Any:
    def create(self: Any, **kwargs: Any) -> Any:
        name = kwargs["name"]
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        if kwargs["min_size"] is None or kwargs["max_size"] is None:
            raise ValidationError("MinSize and MaxSize are required")
        check_bounds(kwargs["min_size"], kwargs["max_size"], kwargs["desired_capacity"])
        try:
            group = original(self, **kwargs)
        except AutoscalingClientError:
            raise
        except ServiceException as error:
            raise ValidationError(f"You must use a valid fully-formed launch template. {error.message}") from error
        try:
            _check_template(self, group)
        except ServiceException:
            del self.autoscaling_groups[name]
            raise
        WORLD.touch()
        return group

    return create


def _check_template(backend: Any, group: Any) -> None:
    """AWS tries the template, dry, before it makes a group of it."""
    if group.ec2_launch_template is None:
        raise ValidationError("The rig launches from launch templates only")
    data = group.ec2_launch_template.get_version(group.launch_template_version).data
    if group.mixed_instances_policy and data.get("InstanceMarketOptions"):
        raise ValidationError(
            "Incompatible launch template: You cannot use a launch template that is set to request Spot Instances "
            "(InstanceMarketOptions) when you configure an Auto Scaling group with a mixed instances policy. Remove "
            "InstanceMarketOptions from the launch template and try again."
        )
    image = data.get("ImageId")
    if image is not None and image not in backend.ec2_backend.amis:
        raise ValidationError(f"You must use a valid fully-formed launch template. The image id '[{image}]' does not exist")
    profile = data.get("IamInstanceProfile") or {}
    try:
        launch.profile_of(backend.ec2_backend, profile.get("Name"), profile.get("Arn"))
    except ServiceException as error:
        raise ValidationError(f"You must use a valid fully-formed launch template. {error.message}") from error


def _update(original: Any) -> Any:
    def update(self: Any, **kwargs: Any) -> Any:
        group = self.autoscaling_groups[kwargs["name"]]
        refuse_deleting(group)
        low = kwargs["min_size"] if kwargs["min_size"] is not None else group.min_size
        high = kwargs["max_size"] if kwargs["max_size"] is not None else group.max_size
        check_bounds(low, high, kwargs["desired_capacity"])
        if kwargs["desired_capacity"] is None:
            kwargs["desired_capacity"] = min(max(group.desired_capacity, low), high)
        before = group.mixed_instances_policy
        done = original(self, **kwargs)
        if not kwargs.get("mixed_instances_policy") and not kwargs.get("launch_template"):
            # moto forgets the policy of a group whose size is changed.
            group.mixed_instances_policy = before
        return done

    return update


def _group_set_desired_capacity(self: Any, new_capacity: int | None) -> None:
    self.desired_capacity = self.min_size if new_capacity is None else new_capacity
    # What failed before is tried at once when the size is changed.
    self.retry_at = 0.0
    WORLD.touch()


def _backend_set_desired_capacity(self: Any, group_name: str, desired_capacity: int | None) -> None:
    group = self.autoscaling_groups[group_name]
    refuse_deleting(group)
    if desired_capacity is not None and desired_capacity > group.max_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired_capacity} is above max value {group.max_size} for the AutoScalingGroup."
        )
    if desired_capacity is not None and desired_capacity < group.min_size:
        raise ValidationError(
            f"New SetDesiredCapacity value {desired_capacity} is below min value {group.min_size} for the AutoScalingGroup."
        )
    group.set_desired_capacity(desired_capacity)


def _delete(self: Any) -> EmptyResult:
    backend = self.autoscaling_backend
    group = backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
    if not self._get_bool_param("ForceDelete", False):
        states = {state.lifecycle_state for state in group.instance_states}
        if states & set(ACTIVE) or (group.desired_capacity and not states):
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        if states:
            raise AutoscalingClientError(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            )
    group.status = "Delete in progress"
    group.desired_capacity = group.min_size = 0
    forget_actions(backend, group.name)
    if not group.instance_states:
        del backend.autoscaling_groups[group.name]
    WORLD.touch()
    return EmptyResult()


def forget_actions(backend: Any, name: str) -> None:
    """Scheduled actions go with their group."""
    for key in [key for key in backend.scheduled_actions if key[0] == name]:
        del backend.scheduled_actions[key]


def _terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> dict[str, Any]:
    for group in self.autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance_id == instance_id and state.lifecycle_state in ACTIVE:
                return _end_member(group, state, should_decrement)
    raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


def _end_member(group: Any, state: Any, should_decrement: bool) -> dict[str, Any]:
    before = group.desired_capacity
    if should_decrement:
        if before - 1 < group.min_size:
            raise ValidationError(
                "Currently, desiredSize equals minSize. Terminating instance without replacement will violate group's min "
                "size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        group.desired_capacity = before - 1
    shrinking = f", shrinking the capacity from {before} to {before - 1}" if should_decrement else ""
    state.lifecycle_state = "Terminating"
    state.activity = activities.record(
        group,
        f"Terminating EC2 instance: {state.instance_id}",
        f"instance {state.instance_id} was taken out of service in response to a user request{shrinking}.",
        "InProgress",
    )
    machine = MACHINES.get(state.instance_id)
    if machine is not None:
        ec2.end(machine, ec2.USER)
    return dict(state.activity)


def _shown_instances(self: Any) -> list[Any]:
    seen_since = WORLD.now() - WORLD.settings.group_lag_secs
    known = ((state, MACHINES.get(state.instance_id)) for state in self.instance_states)
    return [state for state, machine in known if machine is None or machine.launched <= seen_since]


def _member_template(self: Any) -> dict[str, Any] | None:
    group = self.auto_scaling_group
    if group is None or group.ec2_launch_template is None:
        return None
    tags = self.instance.ec2_backend.tags.get(self.instance_id, {})
    return {
        "LaunchTemplateId": group.ec2_launch_template.id,
        "LaunchTemplateName": group.ec2_launch_template.name,
        "Version": tags.get("aws:ec2launchtemplate:version", "1"),
    }


def _terminate_response(self: Any) -> ActionResult:
    activity = self.autoscaling_backend.terminate_instance(
        self._get_param("InstanceId"), self._get_bool_param("ShouldDecrementDesiredCapacity", False)
    )
    return ActionResult({"Activity": activity})


def _nothing(self: Any, *args: Any, **kwargs: Any) -> None:
    """The tick sees what ended and replaces it."""
    WORLD.touch()


def install() -> None:
    """Patches moto."""
    backend: Any = models.AutoScalingBackend
    backend.__init__ = _init(backend.__init__)
    backend.create_auto_scaling_group = _create(backend.create_auto_scaling_group)
    backend.update_auto_scaling_group = _update(backend.update_auto_scaling_group)
    backend.set_desired_capacity = _backend_set_desired_capacity
    backend.terminate_instance = _terminate_instance
    backend.notify_terminate_instances = _nothing
    group: Any = FakeAutoScalingGroup
    group.set_desired_capacity = _group_set_desired_capacity
    group.replace_autoscaling_group_instances = _nothing
    group.instances = property(_shown_instances)
    group.active_instances = lambda self: [one for one in self.instance_states if one.lifecycle_state in ACTIVE]
    state: Any = models.InstanceState
    state.launch_template = property(_member_template)
    response: Any = AutoScalingResponse
    response.delete_auto_scaling_group = _delete
    response.describe_scaling_activities = activities.describe
    response.terminate_instance_in_auto_scaling_group = _terminate_response
