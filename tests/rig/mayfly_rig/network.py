"""Networks: what is in use cannot be deleted, and instances have loopback addresses, which real processes can bind."""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import (
    elastic_ip_addresses,
    elastic_network_interfaces,
    internet_gateways,
    nat_gateways,
    security_groups,
    subnets,
    vpcs,
)

from .machines import LIVING, MACHINES
from .world import WORLD

LOOPBACK_OCTET = 127
OCTETS = 256


def loopback(address: str) -> str:
    """127.a.b.c for 10.a.b.c, with the second octet shifted by the setting."""
    first, second, third, fourth = (int(part) for part in address.split("."))
    if first == LOOPBACK_OCTET:
        return address
    second = (second + WORLD.settings.loopback_shift) % OCTETS
    return f"{LOOPBACK_OCTET}.{second}.{third}.{fourth}"


def _get_available_subnet_ip(original: Any) -> Any:
    def get(self: Any, instance: Any) -> str:
        try:
            address = original(self, instance)
        except (StopIteration, RuntimeError) as error:
            raise EC2ClientError(
                "InsufficientFreeAddressesInSubnet",
                f"There are not enough free addresses in subnet '{self.id}' to satisfy the requested number of instances.",
            ) from error
        if not isinstance(self.cidr, ipaddress.IPv4Network):
            return str(address)
        mapped = loopback(address)
        del self._subnet_ips[address]
        self._subnet_ips[mapped] = instance
        return mapped

    return get


def _create_network_interface(original: Any) -> Any:
    def create(self: Any, subnet: Any, private_ip_address: Any, *args: Any, **kwargs: Any) -> Any:
        if not private_ip_address and not kwargs.get("private_ip_addresses"):
            where = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
            private_ip_address = where.get_available_subnet_ip(None)
        return original(self, subnet, private_ip_address, *args, **kwargs)

    return create


def _violation(kind: str, name: str) -> DependencyViolationError:
    return DependencyViolationError(f"The {kind} '{name}' has dependencies and cannot be deleted.")


def _delete_subnet(original: Any) -> Any:
    def delete(self: Any, subnet_id: str) -> Any:
        if any(eni.subnet.id == subnet_id for eni in self.enis.values()):
            raise _violation("subnet", subnet_id)
        deleted = original(self, subnet_id)
        for table in self.route_tables.values():
            for association in [key for key, value in table._associations.items() if value == subnet_id]:
                del table._associations[association]
        return deleted

    return delete


def _delete_security_group(original: Any) -> Any:
    def delete(self: Any, name: str | None = None, group_id: str | None = None) -> Any:
        group = self.get_security_group_from_id(group_id) if group_id else self.get_security_group_from_name(name)
        if group is not None:
            _refuse_group_in_use(self, group)
        return original(self, name=name, group_id=group_id)

    return delete


def _refuse_group_in_use(backend: Any, group: Any) -> None:
    if group.name == "default" and group.vpc_id in backend.vpcs and not getattr(backend, "deletes_vpc", False):
        raise EC2ClientError("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    used = any(group.id in (of.id for of in eni.group_set) for eni in backend.enis.values())
    others = [of for groups in backend.groups.values() for of in groups.values() if of.id != group.id]
    named = any(
        rule.source_group.get("GroupId") == group.id for other in others for rule in [*other.ingress_rules, *other.egress_rules]
    )
    if used or named:
        raise DependencyViolationError(f"resource {group.id} has a dependent object")


def _delete_vpc(original: Any) -> Any:
    def delete(self: Any, vpc_id: str) -> Any:
        if any(one.vpc_id == vpc_id and one.state != "deleted" for one in self.nat_gateways.values()):
            raise _violation("vpc", vpc_id)
        attached = any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in self.internet_gateways.values())
        groups = [group for group in self.groups.get(vpc_id, {}).values() if group.name != "default"]
        endpoints = [one for one in self.vpc_end_points.values() if one.vpc_id == vpc_id and one.state != "deleted"]
        if attached or groups or endpoints:
            raise _violation("vpc", vpc_id)
        self.deletes_vpc = True
        try:
            return original(self, vpc_id)
        finally:
            self.deletes_vpc = False

    return delete


def _detach_internet_gateway(original: Any) -> Any:
    def detach(self: Any, internet_gateway_id: str, vpc_id: str) -> Any:
        for machine in MACHINES.of(self):
            if machine.state in LIVING and machine.instance.vpc_id == vpc_id and machine.instance.public_ip:
                raise DependencyViolationError(
                    f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
                    "detaching the gateway."
                )
        return original(self, internet_gateway_id, vpc_id)

    return detach


def _delete_network_interface(original: Any) -> Any:
    def delete(self: Any, eni_id: str) -> Any:
        eni = self.enis.get(eni_id)
        machine = MACHINES.get(eni.instance.id) if eni is not None and eni.instance is not None else None
        is_ending = machine is not None and machine.gone_at is not None and WORLD.now() >= machine.gone_at
        if machine is not None and machine.ended is None and not is_ending:
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        return original(self, eni_id)

    return delete


def _vpc_endpoint(original: Any) -> Any:
    def init(self: Any, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        # moto cannot delete one that was made without a type.
        self.vpc_endpoint_type = self.vpc_endpoint_type or "Gateway"

    return init


def _delete_vpc_endpoints(original: Any) -> Any:
    def delete(self: Any, vpce_ids: list[str] | None = None) -> None:
        for endpoint_id in vpce_ids or []:
            # An endpoint that is deleted is gone, and deleting it again is not an error of the call.
            if endpoint_id in self.vpc_end_points:
                original(self, [endpoint_id])
                del self.vpc_end_points[endpoint_id]

    return delete


def _settle_nat_gateways(backend: Any) -> None:
    for gateway in backend.nat_gateways.values():
        if WORLD.now() < getattr(gateway, "settles", 0.0):
            continue
        if gateway.state == "pending":
            gateway.state = "available"
        elif gateway.state == "deleting":
            gateway.state = "deleted"
            # Its interface goes with it, and its address is free again.
            for address in backend.addresses:
                if address.eni is not None and address.eni.id == gateway._eni.id:
                    address.eni = address.association_id = None
            backend.enis.pop(gateway._eni.id, None)


def _change_nat_gateway(state: str) -> Any:
    """A call that makes or deletes one: it takes its time."""

    def patch(original: Any) -> Any:
        def change(self: Any, *args: Any, **kwargs: Any) -> Any:
            gateway = original(self, *args, **kwargs)
            gateway.state, gateway.settles = state, WORLD.now() + WORLD.settings.nat_secs
            _settle_nat_gateways(self)
            return gateway

        return change

    return patch


def _describe_nat_gateways(original: Any) -> Any:
    def describe(self: Any, *args: Any, **kwargs: Any) -> Any:
        _settle_nat_gateways(self)
        return original(self, *args, **kwargs)

    return describe


def _delete_nat_gateway(original: Any) -> Any:
    change = _change_nat_gateway("deleting")(original)

    def delete(self: Any, nat_gateway_id: str) -> Any:
        if nat_gateway_id not in self.nat_gateways:
            raise EC2ClientError("NatGatewayNotFound", f"NatGateway {nat_gateway_id} was not found")
        return change(self, nat_gateway_id)

    return delete


def _release_address(original: Any) -> Any:
    def release(self: Any, address: str | None = None, allocation_id: str | None = None) -> Any:
        _settle_nat_gateways(self)
        found = [one for one in self.addresses if one.allocation_id == allocation_id or one.public_ip == address]
        for one in found:
            if one.eni is not None:
                raise EC2ClientError("InvalidIPAddress.InUse", f"Address {one.public_ip} is in use.")
        return original(self, address=address, allocation_id=allocation_id)

    return release


def install() -> None:
    """Patches moto."""
    patches: list[tuple[Any, str, Any]] = [
        (subnets.Subnet, "get_available_subnet_ip", _get_available_subnet_ip),
        (subnets.SubnetBackend, "delete_subnet", _delete_subnet),
        (elastic_network_interfaces.NetworkInterfaceBackend, "create_network_interface", _create_network_interface),
        (elastic_network_interfaces.NetworkInterfaceBackend, "delete_network_interface", _delete_network_interface),
        (security_groups.SecurityGroupBackend, "delete_security_group", _delete_security_group),
        (vpcs.VPCBackend, "delete_vpc", _delete_vpc),
        (vpcs.VPCEndPoint, "__init__", _vpc_endpoint),
        (vpcs.VPCBackend, "delete_vpc_endpoints", _delete_vpc_endpoints),
        (nat_gateways.NatGatewayBackend, "create_nat_gateway", _change_nat_gateway("pending")),
        (nat_gateways.NatGatewayBackend, "describe_nat_gateways", _describe_nat_gateways),
        (nat_gateways.NatGatewayBackend, "delete_nat_gateway", _delete_nat_gateway),
        (elastic_ip_addresses.ElasticAddressBackend, "release_address", _release_address),
        (internet_gateways.InternetGatewayBackend, "detach_internet_gateway", _detach_internet_gateway),
    ]
    for owner, name, patch in patches:
        setattr(owner, name, patch(getattr(owner, name)))
