"""What a group does by itself: launch, spread, replace, shrink, and try again."""

from __future__ import annotations

from collections import Counter
from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, InstanceState, autoscaling_backends
from moto.core.exceptions import ServiceException

from . import activities, ec2
from .capacity import CAPACITY
from .groups import ACTIVE
from .machines import MACHINES
from .placement import Plan, Pool, plan, split
from .prices import PRICES
from .world import WORLD

DEAD = ("shutting-down", "terminated", "stopping", "stopped")


def backends() -> list[Any]:
    """Auto Scaling of every account and region that was used."""
    return [backend for account in list(autoscaling_backends.values()) for backend in list(account.values())]


def tick(now: float) -> None:
    """One look at every group."""
    for backend in backends():
        for group in list(backend.autoscaling_groups.values()):
            _follow(group, now)
            if getattr(group, "status", None):
                _delete(backend, group)
                continue
            _check_health(group, now)
            active = group.active_instances()
            missing = group.desired_capacity - len(active)
            if missing > 0 and not _suspends(group, "Launch") and now >= group.retry_at:
                _launch(group, active, now)
            elif missing < 0 and not _suspends(group, "Terminate"):
                _shrink(group, active, -missing)


def _suspends(group: Any, process: str) -> bool:
    return process in group._suspended_processes


def _follow(group: Any, now: float) -> None:
    """Members go in service when they run, and leave when they have ended."""
    gone = []
    for state in group.instance_states:
        if state.lifecycle_state == "Pending" and state.instance.state == "running":
            state.lifecycle_state = "InService"
            WORLD.touch()
        if state.lifecycle_state == "Terminating" and state.instance.state == "terminated":
            gone.append(state)
            activities.finished(state.activity)
        elif state.lifecycle_state == "Terminating" and now >= getattr(state, "again_at", now):
            _end(state, ec2.USER, now)
    if gone:
        group.instance_states = [state for state in group.instance_states if state not in gone]
        WORLD.touch()


def _delete(backend: Any, group: Any) -> None:
    for state in group.instance_states:
        if state.lifecycle_state != "Terminating":
            _retire(group, state, "instance was taken out of service in response to the deletion of its group.", ec2.USER)
    if not group.instance_states:
        del backend.autoscaling_groups[group.name]
        WORLD.touch()


def _check_health(group: Any, now: float) -> None:
    if _suspends(group, "HealthCheck"):
        return
    for state in group.active_instances():
        if state.instance.state in DEAD:
            state.health_status = "Unhealthy"
        if state.health_status == "Healthy":
            continue
        if not hasattr(state, "sick_since"):
            state.sick_since = now
        if now < state.sick_since + WORLD.settings.health_check_secs or _suspends(group, "ReplaceUnhealthy"):
            continue
        _retire(
            group,
            state,
            "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or "
            "stopped.",
            ec2.USER,
        )


def _retire(group: Any, state: Any, why: str, cause: tuple[str, str]) -> None:
    state.lifecycle_state = "Terminating"
    state.activity = activities.record(group, f"Terminating EC2 instance: {state.instance_id}", why, "InProgress")
    _end(state, cause, WORLD.now())
    WORLD.touch()


def _end(state: Any, cause: tuple[str, str], now: float) -> None:
    machine = MACHINES.get(state.instance_id)
    if machine is not None:
        ec2.end(machine, cause)
    state.again_at = now + WORLD.settings.retry_secs


def _targets(group: Any, desired: int) -> dict[str, int]:
    policy = group.mixed_instances_policy
    if policy:
        distribution = policy.get("InstancesDistribution", {})
        base = int(distribution.get("OnDemandBaseCapacity") or 0)
        percent = distribution.get("OnDemandPercentageAboveBaseCapacity")
        return split(desired, base, 100 if percent is None else int(percent))
    data = group.ec2_launch_template.get_version(group.launch_template_version).data
    market = data.get("InstanceMarketOptions", {}).get("MarketType")
    return {"spot": desired} if market == "spot" else {"on-demand": desired}


def _market(state: Any) -> str:
    return "spot" if state.instance.lifecycle == "spot" else "on-demand"


def _zones(group: Any) -> list[tuple[str, str | None]]:
    if not group.vpc_zone_identifier:
        return [(zone, None) for zone in group.availability_zones]
    subnets = group.vpc_zone_identifier.split(",")
    return [(group.ec2_backend.get_subnet(subnet.strip()).availability_zone, subnet.strip()) for subnet in subnets]


def _specifications(group: Any) -> list[tuple[str, tuple[str, str]]]:
    """Types that the group may launch, with the template of each, in the group's order."""
    own = (group.ec2_launch_template.id, str(group.launch_template_version))
    data = group.ec2_backend.get_launch_template(own[0]).get_version(own[1]).data
    overrides = ((group.mixed_instances_policy or {}).get("LaunchTemplate") or {}).get("Overrides") or [{}]
    found = []
    for override in overrides:
        template = override.get("LaunchTemplateSpecification") or {}
        name = template.get("LaunchTemplateName")
        identity = template.get("LaunchTemplateId") or (
            group.ec2_backend.get_launch_template_by_name(name).id if name else own[0]
        )
        version = str(template.get("Version") or "$Default") if template else own[1]
        found.append((override.get("InstanceType") or data.get("InstanceType"), (identity, version)))
    return found


def _choices(group: Any) -> Any:
    specifications = _specifications(group)
    distribution = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
    on_demand = distribution.get("OnDemandAllocationStrategy", "prioritized")
    spot = distribution.get("SpotAllocationStrategy", "lowest-price")

    def choices(market: str, az: str, subnet: str | None) -> list[Pool]:
        pools = [Pool(kind, az, subnet, market, template) for kind, template in specifications]
        if market == "spot" and spot != "capacity-optimized-prioritized":
            pools.sort(key=lambda pool: PRICES.spot(pool.type, az))
        elif market == "on-demand" and on_demand == "lowest-price":
            pools.sort(key=lambda pool: PRICES.on_demand(pool.type))
        return pools

    return choices


def _launch(group: Any, active: list[Any], now: float) -> None:
    have = Counter(_market(state) for state in active)
    room = group.desired_capacity - len(active)
    try:
        wanted = {}
        for market, target in _targets(group, group.desired_capacity).items():
            wanted[market] = min(room, max(0, target - have[market]))
            room -= wanted[market]
        zones = Counter(state.availability_zone for state in active)
        made = plan(wanted, _zones(group), _choices(group), zones, CAPACITY.problem)
    except ServiceException as error:
        made = Plan(failures=[("on-demand", error)])
    for pool, count in made.launches.items():
        try:
            _launch_pool(group, pool, count)
        except ServiceException as error:
            made.failures.append((pool.market, error))
    for market, cause in made.failures:
        _record_failure(group, market, cause)
        group.retry_at = now + WORLD.settings.retry_secs
    WORLD.touch()


def _launch_pool(group: Any, pool: Pool, count: int) -> None:
    before = len(group.active_instances())
    reservation = group.ec2_backend.run_instances(
        None,
        count,
        None,
        [],
        instance_type=pool.type,
        is_instance_type_default=False,
        instance_market_options="spot" if pool.market == "spot" else None,
        launch_template={"LaunchTemplateId": pool.template[0], "Version": pool.template[1]},
        subnet_id=pool.subnet,
        placement=None if pool.subnet else pool.az,
        region_name=group.region,
        tags={"instance": {**group.get_propagated_tags(), ASG_NAME_TAG: group.name}},
        capacity_checked=True,
    )
    for index, instance in enumerate(reservation.instances):
        protects = group.new_instances_protected_from_scale_in
        group.instance_states.append(InstanceState(instance, "Pending", "Healthy", protects, group))
        machine = MACHINES.get(instance.id)
        if machine is not None:
            machine.group = group.name
        activities.record(
            group,
            f"Launching a new EC2 instance: {instance.id}",
            "an instance was started in response to a difference between desired and actual capacity, increasing the "
            f"capacity from {before + index} to {before + index + 1}.",
        )


def _record_failure(group: Any, market: str, error: Any) -> None:
    code, text = (error.code, error.message) if error is not None else ("InsufficientInstanceCapacity", "No capacity.")
    text = text if text.endswith(".") else f"{text}."
    if group.mixed_instances_policy:
        kind = "Spot" if market == "spot" else "On-Demand"
        text = f"Could not launch {kind} Instances. {code} - {text}"
    elif code == "UnauthorizedOperation":
        text = f"API: ec2:RunInstances {text}"
    activities.record(
        group,
        "Launching a new EC2 instance",
        "an instance was started in response to a difference between desired and actual capacity, increasing the "
        f"capacity from {len(group.active_instances())} to {group.desired_capacity}.",
        "Failed",
        f"{text} Launching EC2 instance failed.",
    )


def _shrink(group: Any, active: list[Any], count: int) -> None:
    """Ends members: of the market that has too many, of the fullest zone, the oldest first."""
    targets = _targets(group, group.desired_capacity)
    for step in range(count):
        free = [state for state in active if state.lifecycle_state in ACTIVE and not state.protected_from_scale_in]
        if not free:
            return
        markets = Counter(_market(state) for state in active if state.lifecycle_state in ACTIVE)
        zones = Counter(state.availability_zone for state in active if state.lifecycle_state in ACTIVE)
        victim = max(
            free,
            key=lambda state: (
                state.health_status != "Healthy",
                markets[_market(state)] - targets.get(_market(state), 0),
                zones[state.availability_zone],
            ),
        )
        was = group.desired_capacity + count - step
        _retire(
            group,
            victim,
            "an instance was taken out of service in response to a difference between desired and actual capacity, "
            f"shrinking the capacity from {was} to {was - 1}.",
            ec2.USER,
        )
