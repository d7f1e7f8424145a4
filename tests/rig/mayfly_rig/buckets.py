"""Buckets: their policies are kept and not applied, since moto knows no conditions and takes each Deny for all calls."""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket


def _get_permission(self: Any, action: str, resource: str) -> PermissionResult:
    return PermissionResult.NEUTRAL


def install() -> None:
    """Puts it in moto's place."""
    FakeBucket.get_permission = _get_permission
