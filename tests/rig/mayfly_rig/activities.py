"""What DescribeScalingActivities shows: each launch, each end, and each failure with its reason."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from moto.core.responses import ActionResult

from .world import WORLD, moment, stamp

KEPT = 5000
PAGE = 100


def record(group: Any, description: str, cause: str, status: str = "Successful", message: str | None = None) -> dict[str, Any]:
    """Adds one; the newest is shown first."""
    now = WORLD.now()
    activity: dict[str, Any] = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "Description": description,
        "Cause": f"At {stamp(now)[:-5]}Z {cause}",
        "StartTime": moment(now),
        "StatusCode": status,
        "Progress": 100 if status in ("Successful", "Failed") else 50,
        "Details": f'{{"Subnet ID":"{group.vpc_zone_identifier or ""}"}}',
    }
    if status in ("Successful", "Failed"):
        activity["EndTime"] = moment(now)
    if message is not None:
        activity["StatusMessage"] = message
    kept = group.autoscaling_backend.rig_activities
    kept.insert(0, activity)
    del kept[KEPT:]
    return activity


def finished(activity: dict[str, Any]) -> None:
    """What was in progress is done."""
    activity.update(StatusCode="Successful", Progress=100, EndTime=moment(WORLD.now()))


def describe(self: Any) -> ActionResult:
    """DescribeScalingActivities."""
    name = self._get_param("AutoScalingGroupName")
    ids = self._get_param("ActivityIds", [])
    deleted = self._get_bool_param("IncludeDeletedGroups", False)
    backend = self.autoscaling_backend
    if name and not deleted:
        backend.autoscaling_groups[name]
    found = [
        activity
        for activity in backend.rig_activities
        if (not name or activity["AutoScalingGroupName"] == name)
        and (not ids or activity["ActivityId"] in ids)
        and (deleted or activity["AutoScalingGroupName"] in backend.autoscaling_groups)
    ]
    token = self._get_param("NextToken")
    start = int(base64.b64decode(token)) if token else 0
    stop = start + (self._get_int_param("MaxRecords") or PAGE)
    more = base64.b64encode(str(stop).encode()).decode() if stop < len(found) else None
    return ActionResult({"Activities": found[start:stop], "NextToken": more})
