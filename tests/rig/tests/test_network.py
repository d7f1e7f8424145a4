"""Networks are taken down in order, or not at all."""

from __future__ import annotations

from conftest import Rig, code_of, until


def test_what_is_in_use_cannot_be_deleted(rig: Rig) -> None:
    vpc, subnets, security = rig.network("a")
    gateway = rig.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    rig.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = rig.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    rig.ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[0])
    endpoint = rig.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[table])
    nic = {"DeviceIndex": 0, "AssociatePublicIpAddress": True, "Groups": [security]}
    group = rig.group(rig.template(NetworkInterfaces=[nic]), subnets)
    rig.size(group, 1)
    member = rig.wait_members(group, 1)[0]["InstanceId"]
    assert rig.instances([member])[0]["PublicIpAddress"]
    interface = rig.instances([member])[0]["NetworkInterfaces"][0]["NetworkInterfaceId"]

    violation = "DependencyViolation"
    assert code_of(rig.ec2.delete_security_group, GroupId=security) == violation
    assert code_of(rig.ec2.delete_subnet, SubnetId=subnets[0]) == violation
    assert code_of(rig.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == violation
    assert code_of(rig.ec2.delete_network_interface, NetworkInterfaceId=interface) == "InvalidParameterValue"
    assert code_of(rig.ec2.delete_vpc, VpcId=vpc) == violation

    rig.groups.delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
    until("the interface to be gone", lambda: interface not in rig.call("GET", "leftovers")["interfaces"])
    rig.ec2.delete_subnet(SubnetId=subnets[0])
    assert code_of(rig.ec2.delete_vpc, VpcId=vpc) == violation
    rig.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    rig.ec2.delete_internet_gateway(InternetGatewayId=gateway)
    assert code_of(rig.ec2.delete_vpc, VpcId=vpc) == violation
    rig.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpoint"]["VpcEndpointId"]])
    # The association went with its subnet.
    rig.ec2.delete_route_table(RouteTableId=table)
    assert code_of(rig.ec2.delete_vpc, VpcId=vpc) == violation
    rig.ec2.delete_security_group(GroupId=security)
    rig.ec2.delete_vpc(VpcId=vpc)


def test_a_group_that_another_names_cannot_be_deleted(rig: Rig) -> None:
    vpc, _, first = rig.network("a")
    second = rig.ec2.create_security_group(GroupName="second", Description="second", VpcId=vpc)["GroupId"]
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": second}]}]
    rig.ec2.authorize_security_group_ingress(GroupId=first, IpPermissions=rule)
    assert code_of(rig.ec2.delete_security_group, GroupId=second) == "DependencyViolation"
    rig.ec2.delete_security_group(GroupId=first)
    rig.ec2.delete_security_group(GroupId=second)


def test_a_group_that_names_itself_can_be_deleted(rig: Rig) -> None:
    _, _, group = rig.network("a")
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    rig.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule)
    rig.ec2.delete_security_group(GroupId=group)


def test_a_full_subnet_takes_no_more(rig: Rig) -> None:
    vpc = rig.ec2.create_vpc(CidrBlock="10.251.0.0/16")["Vpc"]["VpcId"]
    subnet = rig.ec2.create_subnet(VpcId=vpc, CidrBlock="10.251.0.0/28", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    group = rig.group(rig.template(), [subnet], high=20)
    rig.size(group, 12)
    failed = until("a failure", lambda: rig.activities(group, "Failed"))[0]
    assert "not enough free addresses" in failed["StatusMessage"]


def test_without_a_subnet_an_instance_is_in_the_default_one_of_its_zone(rig: Rig) -> None:
    made = rig.ec2.run_instances(
        ImageId=rig.image(),
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": "us-east-1b"},
    )
    (instance,) = made["Instances"]
    (subnet,) = rig.ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
    assert subnet["AvailabilityZone"] == "us-east-1b"
    assert subnet["DefaultForAz"]
    assert instance["PrivateIpAddress"].startswith("127.31.")


def test_a_nat_gateway_holds_its_address_and_its_subnet(rig: Rig) -> None:
    vpc, subnets, _ = rig.network("a")
    address = rig.ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = rig.ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    assert code_of(rig.ec2.release_address, AllocationId=address) == "InvalidIPAddress.InUse"
    assert code_of(rig.ec2.delete_subnet, SubnetId=subnets[0]) == "DependencyViolation"
    assert code_of(rig.ec2.delete_nat_gateway, NatGatewayId="nat-0123456789abcdef0") == "NatGatewayNotFound"
    assert rig.call("GET", "leftovers")["interfaces"] == []
    rig.ec2.delete_nat_gateway(NatGatewayId=made)
    rig.ec2.release_address(AllocationId=address)
    rig.ec2.delete_subnet(SubnetId=subnets[0])
    states = [one["State"] for one in rig.ec2.describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NatGateways"]]
    assert states == ["deleted"]


def test_a_nat_gateway_comes_and_goes_in_its_time(rig: Rig) -> None:
    _, subnets, _ = rig.network("a")
    address = rig.ec2.allocate_address(Domain="vpc")["AllocationId"]
    rig.call("POST", "settings", {"nat_secs": 0.3})
    gateway = rig.ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]
    made = [gateway["NatGatewayId"]]

    def is_now(state: str) -> bool:
        return bool(rig.ec2.describe_nat_gateways(NatGatewayIds=made)["NatGateways"][0]["State"] == state)

    assert gateway["State"] == "pending"
    until("the gateway", lambda: is_now("available"))
    rig.ec2.delete_nat_gateway(NatGatewayId=made[0])
    assert is_now("deleting")
    assert code_of(rig.ec2.release_address, AllocationId=address) == "InvalidIPAddress.InUse"
    until("its end", lambda: is_now("deleted"))
    rig.ec2.release_address(AllocationId=address)
    rig.ec2.delete_subnet(SubnetId=subnets[0])
