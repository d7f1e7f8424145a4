"""`/_rig/…`: the test's side of the rig, in JSON. README.md lists it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from moto.ec2.models import ec2_backends

from . import ec2
from .capacity import CAPACITY, ErrorRule
from .faults import CALLS, FAULTS, fault
from .machines import MACHINES, Machine
from .prices import PRICES
from .reconcile import backends
from .wire import Reply
from .world import WORLD, stamp

BODY_MAX = 1024 * 1024
OK = 200
WAIT_MAX = 60.0
NOTICE_SECS = 120.0


class Refused(Exception):
    """What was asked cannot be done."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(environ: dict[str, Any]) -> Reply:
    """Answers one request; what is refused changes nothing."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/_rig/").rstrip("/")
    query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    try:
        value = _route(method, path, query, _body(environ))
    except Refused as refused:
        return _json({"error": str(refused)}, refused.status)
    except (ValueError, TypeError, KeyError, AttributeError, re.error) as problem:
        return _json({"error": f"{method} {path}: {problem}"}, 400)
    return _json(value, OK)


def _json(value: Any, status: int) -> Reply:
    line = f"{status} {'OK' if status == OK else 'Refused'}"
    return Reply(line, [("Content-Type", "application/json")], json.dumps(value).encode())


def _body(environ: dict[str, Any]) -> dict[str, Any]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > BODY_MAX:
        raise ValueError("the body is too large")
    value = json.loads(environ["wsgi.input"].read(length) or b"{}")
    if not isinstance(value, dict):
        raise TypeError("the body is a JSON object")
    return value


def _route(method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    if path == "machines" and method == "GET":
        return _machines(int(query.get("after", "0")), min(float(query.get("wait", "0")), WAIT_MAX))
    with WORLD.lock:
        match (method, path.split("/")):
            case ("GET", ["machines", one]):
                return _machine(one).shown()
            case ("POST", ["machines", one, action]):
                return _act(_machine(one), action, body)
        route = ROUTES.get((method, path))
        if route is None:
            raise Refused(404, f"no {method} {path}")
        done = route(body)
        WORLD.wake.set()
        return {} if done is None else done


def _machines(after: int, wait: float) -> dict[str, Any]:
    with WORLD.changed:
        WORLD.changed.wait_for(lambda: WORLD.version > after, wait)
        return {"version": WORLD.version, "machines": [machine.shown() for machine in MACHINES]}


def _machine(instance_id: str) -> Machine:
    machine = MACHINES.get(instance_id)
    if machine is None:
        raise Refused(404, f"no machine {instance_id}")
    return machine


def _act(machine: Machine, action: str, body: dict[str, Any]) -> dict[str, Any]:
    if action == "poweroff":
        ec2.power_off(machine)
    elif action == "fail":
        ec2.end(machine, ec2.HARDWARE)
    elif action == "rebalance":
        machine.rebalance = stamp(WORLD.now())
    elif action == "interrupt":
        at = WORLD.now() + float(body.get("after_secs", NOTICE_SECS))
        # Without a notice AWS just takes it.
        if body.get("notice", True):
            machine.notice = {"action": str(body.get("action", "terminate")), "time": stamp(at)[:-5] + "Z"}
        machine.kill_at = at
    else:
        raise Refused(404, f"no action {action}: poweroff, fail, rebalance, interrupt")
    WORLD.touch()
    return machine.shown()


def _set_capacity(body: dict[str, Any]) -> None:
    CAPACITY.limits = {str(pool): int(limit) for pool, limit in body.items()}


def _set_quotas(body: dict[str, Any]) -> None:
    unknown = set(body) - set(CAPACITY.quotas)
    if unknown:
        raise ValueError(f"no quota {', '.join(sorted(unknown))}; there are {', '.join(CAPACITY.quotas)}")
    CAPACITY.quotas.update({code: float(value) for code, value in body.items()})


def _add_error(body: dict[str, Any]) -> None:
    rule = ErrorRule(**{"match": "*", "message": None, "times": 1, **body})
    CAPACITY.rules.append(rule)


def _set_prices(body: dict[str, Any]) -> None:
    PRICES.set_on_demand.update({key: float(value) for key, value in body.get("on_demand", {}).items()})
    PRICES.set_spot.update({key: float(value) for key, value in body.get("spot", {}).items()})


def _advance(body: dict[str, Any]) -> dict[str, Any]:
    if "ahead_secs" in body:
        if list(MACHINES):
            raise ValueError("there are machines already: from now on time goes forward only, with advance_secs")
        WORLD.ahead_secs = float(body["ahead_secs"])
    else:
        secs = float(body["advance_secs"])
        if secs < 0:
            raise ValueError("time goes forward only")
        WORLD.ahead_secs += secs
    WORLD.touch()
    return _clock({})


def _clock(_: dict[str, Any]) -> dict[str, Any]:
    return {"now": stamp(WORLD.now()), "ahead_secs": WORLD.ahead_secs}


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    WORLD.settings.update(body)
    return WORLD.settings.shown()


def _bill(_: dict[str, Any]) -> dict[str, Any]:
    return {"now": stamp(WORLD.now()), "instances": [machine.billed() for machine in MACHINES]}


def _of_networks(backend: Any) -> set[str]:
    """A NAT gateway is part of its network, and of no run."""
    return {gateway._eni.id for gateway in backend.nat_gateways.values()}


def _leftovers(_: dict[str, Any]) -> dict[str, Any]:
    every = [backend for account in list(ec2_backends.values()) for backend in list(account.values())]
    groups = backends()
    return {
        "instances": [machine.id for machine in MACHINES if machine.state != "terminated"],
        "groups": [name for backend in groups for name in backend.autoscaling_groups],
        "scheduled_actions": ["/".join(key) for backend in groups for key in backend.scheduled_actions],
        "templates": [template.name for backend in every for template in backend.launch_templates.values()],
        "volumes": [volume.id for backend in every for volume in backend.volumes.values() if volume.attachment],
        "interfaces": [eni.id for backend in every for eni in backend.enis.values() if eni.id not in _of_networks(backend)],
    }


ROUTES: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
    ("GET", "settings"): lambda _: WORLD.settings.shown(),
    ("POST", "settings"): _settings,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _advance,
    ("POST", "faults"): lambda body: FAULTS.add(fault(body)),
    ("DELETE", "faults"): lambda _: FAULTS.clear(),
    ("GET", "calls"): lambda _: CALLS.shown(),
    ("DELETE", "calls"): lambda _: CALLS.clear(),
    ("GET", "capacity"): lambda _: CAPACITY.limits,
    ("POST", "capacity"): _set_capacity,
    ("GET", "quotas"): lambda _: CAPACITY.quotas,
    ("POST", "quotas"): _set_quotas,
    ("POST", "launch-errors"): _add_error,
    ("DELETE", "launch-errors"): lambda _: CAPACITY.rules.clear(),
    ("POST", "prices"): _set_prices,
    ("GET", "bill"): _bill,
    ("GET", "leftovers"): _leftovers,
}
