"""Scheduled actions: refused when they are late, fired when they are due, gone with their group."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeScheduledAction

from . import activities
from .groups import check_bounds, refuse_deleting
from .reconcile import backends
from .world import WORLD, moment


def _seconds(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return float(value.timestamp())


def _put(  # noqa: PLR0917 - as it is called
    self: Any,
    name: str,
    desired_capacity: Any,
    max_size: Any,
    min_size: Any,
    scheduled_action_name: str,
    start_time: Any,
    end_time: Any,
    recurrence: str | None,
    timezone: str | None,
) -> Any:
    group = self.autoscaling_groups[name]
    refuse_deleting(group)
    low, high, desired = (None if size is None else int(size) for size in (min_size, max_size, desired_capacity))
    if low is None and high is None and desired is None:
        raise ValidationError("At least one of MinSize, MaxSize, or DesiredCapacity must be specified")
    check_bounds(low, high, desired)
    start = _seconds(start_time)
    if start is not None:
        _check_start(self, name, scheduled_action_name, start)
    elif not recurrence:
        raise ValidationError("Either StartTime or Recurrence must be specified")
    kind: Any = FakeScheduledAction
    action = kind(name, desired, high, low, scheduled_action_name, start_time, end_time, recurrence, timezone)
    action.start_time = moment(start) if start is not None else None
    action.time = action.start_time
    action.due = start
    action.scheduled_action_arn = (
        f"arn:aws:autoscaling:{self.region_name}:{self.account_id}:scheduledUpdateGroupAction:{group._id}:"
        f"autoScalingGroupName/{name}:scheduledActionName/{scheduled_action_name}"
    )
    self.scheduled_actions[(name, scheduled_action_name)] = action
    return action


def _check_start(backend: Any, group: str, name: str, start: float) -> None:
    if start < WORLD.now():
        raise ValidationError("Given start time is in the past")
    for (of, other), action in backend.scheduled_actions.items():
        if of == group and other != name and action.due == start:
            raise ValidationError("A scheduled action with this scheduled start time already exists")


def _delete(self: Any, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
    if self.scheduled_actions.pop((auto_scaling_group_name, scheduled_action_name), None) is None:
        raise ValidationError("Scheduled action name not found")


def tick(now: float) -> None:
    """Fires what is due, once."""
    for backend in backends():
        for key, action in list(backend.scheduled_actions.items()):
            if action.due is None or now < action.due:
                continue
            group = backend.autoscaling_groups.get(action.auto_scaling_group_name)
            if group is not None and "ScheduledActions" in group._suspended_processes:
                continue
            del backend.scheduled_actions[key]
            if group is not None and not getattr(group, "status", None):
                _fire(group, action)


def _fire(group: Any, action: Any) -> None:
    group.min_size = action.min_size if action.min_size is not None else group.min_size
    group.max_size = action.max_size if action.max_size is not None else group.max_size
    desired = action.desired_capacity if action.desired_capacity is not None else group.desired_capacity
    group.set_desired_capacity(min(max(desired, group.min_size), group.max_size))
    activities.record(
        group,
        f"Executing scheduled action: {action.scheduled_action_name}",
        f"a scheduled action update of AutoScalingGroup constraints to min: {group.min_size}, max: {group.max_size}, "
        f"desired: {group.desired_capacity} was executed.",
    )


def install() -> None:
    """Patches moto."""
    backend: Any = AutoScalingBackend
    backend.put_scheduled_update_group_action = _put
    backend.delete_scheduled_action = _delete
