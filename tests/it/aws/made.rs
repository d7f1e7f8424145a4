//! A network is made, made again, and taken away: once each, whatever came between.

use mayfly_configs::Policy;
use mayfly_tests::ec2::{Ec2, Image};
use mayfly_tests::http::Request;
use mayfly_tests::{Account, Ended, Home, wait};
use serde_json::{Value, json};

use super::allowed::{self, Who};
use super::light::LIMIT;

/// One beside that of the account.
const NAME: &str = "second";
const BUCKET: &str = "second-runs";
const CREATE: [&str; 8] = [
    "network",
    "create",
    NAME,
    "--bucket",
    BUCKET,
    "--cidr",
    "10.43.0.0/16",
    "--json",
];

const DESTROY: [&str; 4] = ["network", "destroy", NAME, "--yes"];

/// Calls that make something of a network, in their order.
const MAKING: [&str; 16] = [
    "^PUT /second-runs/?$",
    "CreateVpc$",
    "ModifyVpcAttribute",
    "CreateInternetGateway",
    "AttachInternetGateway",
    "CreateSubnet",
    "CreateRouteTable",
    "CreateRoute$",
    "AssociateRouteTable",
    "CreateVpcEndpoint",
    "CreateSecurityGroup",
    "AuthorizeSecurityGroupIngress",
    "CreateRole$",
    "PutRolePolicy",
    "CreateInstanceProfile",
    "AddRoleToInstanceProfile",
];

/// Calls that take something of it away.
const TAKING: [&str; 12] = [
    "DeleteSecurityGroup",
    "DeleteVpcEndpoints",
    "DisassociateRouteTable",
    "DeleteRouteTable",
    "DeleteSubnet",
    "DetachInternetGateway",
    "DeleteInternetGateway",
    "DeleteVpc$",
    "RemoveRoleFromInstanceProfile",
    "DeleteInstanceProfile",
    "DeleteRolePolicy",
    "DeleteRole$",
];

fn account() -> Account {
    Account::of(Image::none(), &json!({}))
}

fn shown(home: &Home, args: &[&str]) -> Value {
    home.verb(args).exited(0).json()
}

/// What AWS lists of a network by tag, a kind each.
const KINDS: [&str; 7] = [
    "DescribeVpcs",
    "DescribeSubnets",
    "DescribeInternetGateways",
    "DescribeRouteTables",
    "DescribeVpcEndpoints",
    "DescribeSecurityGroups",
    "DescribeAddresses",
];

/// How many things there are of each kind.
type Parts = [(&'static str, usize); KINDS.len()];

/// So many of each kind, in their order.
pub(super) fn of_each(counts: [usize; KINDS.len()]) -> Parts {
    std::array::from_fn(|n| (KINDS[n], counts[n]))
}

/// Those of the network.
pub(super) fn parts(ec2: &Ec2, name: &str) -> Parts {
    let listed = |action| {
        let params = [
            ("Filter.1.Name", "tag:mayfly:network"),
            ("Filter.1.Value.1", name),
        ];
        let said = ec2.aws("ec2", action, &params);
        said.matches("<key>mayfly:network</key>").count()
    };
    KINDS.map(|kind| (kind, listed(kind)))
}

/// A public network with so many subnets, and nothing twice.
fn one_with(subnets: usize) -> Parts {
    of_each([1, subnets, 1, 1, 1, 1, 0])
}

/// The next call of this kind is done, and its answer is a refusal: as if whoever made it had died right after. The command
/// comes as far as that call.
pub(super) fn dies_after(account: &Account, action: &str, command: &[&str]) -> Ended {
    let fault = json!({ "action": action, "times": 1, "applied": true, "status": 400, "code": "UnauthorizedOperation" });
    account.ec2.rig("POST", "faults", &fault);
    let died = account.home.verb(command);
    assert!(
        died.stderr.contains("injected by the rig"),
        "{command:?} does not come to {action}: {died:#?}"
    );
    account.ec2.rig("DELETE", "faults", &Value::Null);
    died
}

/// Where machines of the network can reach to, and who can reach them.
fn is_open_outwards_only(ec2: &Ec2, network: &Value) {
    let id = |part: &str| network[part].as_str().expect(part);
    let told = |action: &str, name: &str, value: &str| ec2.aws("ec2", action, &[(name, value)]);
    let routes = told("DescribeRouteTables", "RouteTableId.1", id("routes"));
    assert!(routes.contains(id("gateway")), "no way to the internet: {routes}");
    let group = told("DescribeSecurityGroups", "GroupId.1", id("security_group"));
    let within = group.split_once("<ipPermissions>");
    let within = within.and_then(|(_, rest)| rest.split_once("</ipPermissions>"));
    let within = within.map_or("", |(within, _)| within);
    let own = format!("<groupId>{}</groupId>", id("security_group"));
    assert!(
        within.contains(&own) && within.matches("<ipProtocol>-1<").count() == 1,
        "nodes do not reach each other: {group}"
    );
    assert!(
        !within.contains("<cidrIp") && within.matches("<ipProtocol>").count() == 1,
        "others are let in: {within}"
    );
    let names = [("VpcId", id("vpc")), ("Attribute", "enableDnsHostnames")];
    let names = ec2.aws("ec2", "DescribeVpcAttribute", &names);
    assert!(
        names.contains("<value>true</value>"),
        "machines have no names: {names}"
    );
}

/// Each role has what it may do.
fn roles_have_their_policies(ec2: &Ec2) {
    for what in ["node", "job"] {
        let role = format!("mayfly-{NAME}-{what}");
        let has = ec2.aws("iam", "ListRolePolicies", &[("RoleName", &role)]);
        assert!(
            has.contains(&format!("<member>mayfly-{what}</member>")),
            "the role {role} may do nothing: {has}"
        );
    }
}

#[test]
fn a_network_is_made_once_however_often_it_is_asked_for() {
    let account = account();
    allowed::from_now_on(&account.ec2);
    let first = shown(&account.home, &CREATE);
    assert_eq!(first["complete"], true, "{first:#}");
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::Network]);
    let subnets = first["network"]["subnets"].as_array().unwrap().len();
    assert!(subnets > 1, "one zone alone: {first:#}");
    let associated = first["network"]["associated"].as_array().unwrap().len();
    assert_eq!(associated, subnets, "subnets without its routes: {first:#}");
    assert_eq!(parts(&account.ec2, NAME), one_with(subnets));
    is_open_outwards_only(&account.ec2, &first["network"]);
    assert_eq!(shown(&account.home, &CREATE), first, "another one");
    assert_eq!(parts(&account.ec2, NAME), one_with(subnets));
}

/// Each step is done and nobody hears of it; the next command goes on from there.
#[test]
fn a_command_that_dies_after_any_step_is_given_again_and_doubles_nothing() {
    let account = account();
    for action in MAKING {
        dies_after(&account, action, &CREATE);
    }
    let made = shown(&account.home, &CREATE);
    assert_eq!(made["complete"], true, "{made:#}");
    let subnets = made["network"]["subnets"].as_array().unwrap().len();
    assert_eq!(parts(&account.ec2, NAME), one_with(subnets));
    assert_eq!(made["network"]["associated"].as_array().unwrap().len(), subnets);
    roles_have_their_policies(&account.ec2);

    for action in TAKING {
        dies_after(&account, action, &DESTROY);
    }
    for _ in 0..2 {
        let gone = account.home.verb(&DESTROY);
        assert!(
            gone.exited(0)
                .stdout
                .contains("nothing is left of the network second"),
            "{gone:#?}"
        );
    }
    assert_eq!(parts(&account.ec2, NAME), of_each([0; KINDS.len()]));
    // The other network is as it was.
    assert_eq!(
        shown(&account.home, &["network", "show", "--json"])["complete"],
        true,
        "the other network"
    );
}

#[test]
fn a_command_that_is_killed_is_given_again_and_doubles_nothing() {
    let account = account();
    let mut command = account.home.command(&CREATE);
    let mut killed = account.home.start(&mut command);
    wait::until("its first parts", LIMIT, || {
        (parts(&account.ec2, NAME)[1].1 > 0).then_some(())
    });
    killed.kill();
    let made = shown(&account.home, &CREATE);
    let subnets = made["network"]["subnets"].as_array().unwrap().len();
    assert_eq!(parts(&account.ec2, NAME), one_with(subnets));
}

/// What is somebody else's is named, and nothing is taken away before it is gone.
#[test]
fn a_network_with_things_of_others_in_it_stays_whole_and_they_are_named() {
    let account = account();
    let made = shown(&account.home, &CREATE);
    let network = &made["network"];
    let (vpc, subnet) = (
        network["vpc"].as_str().unwrap(),
        network["subnets"][0]["id"].as_str().unwrap(),
    );
    let ec2 = &account.ec2;
    // Of what is made of it, the part of its answer that is its id.
    let made = |action: &str, id: &str, params: &[(&str, &str)]| {
        let xml = ec2.aws("ec2", action, params);
        let (_, rest) = xml.split_once(&format!("<{id}>")).expect(&xml);
        rest.split('<').next().unwrap().to_owned()
    };
    let group = [
        ("GroupName", "database"),
        ("GroupDescription", "x"),
        ("VpcId", vpc),
    ];
    let group = made("CreateSecurityGroup", "groupId", &group);
    let block = [("VpcId", vpc), ("CidrBlock", "10.43.240.0/24")];
    let other = made("CreateSubnet", "subnetId", &block);
    let interface = [("SubnetId", subnet)];
    let interface = made("CreateNetworkInterface", "networkInterfaceId", &interface);
    let table = made("CreateRouteTable", "routeTableId", &[("VpcId", vpc)]);
    let service = [
        ("VpcId", vpc),
        ("ServiceName", "com.amazonaws.us-east-1.dynamodb"),
        ("VpcEndpointType", "Gateway"),
    ];
    let endpoint = made("CreateVpcEndpoint", "vpcEndpointId", &service);
    let address = made("AllocateAddress", "allocationId", &[("Domain", "vpc")]);
    let nat = [("SubnetId", subnet), ("AllocationId", &address)];
    let nat = made("CreateNatGateway", "natGatewayId", &nat);
    let whole = parts(ec2, NAME);
    let refused = account.home.verb(&DESTROY);
    refused
        .exited(3)
        .said(&format!("the security group {group} (database)"))
        .said("nothing has been taken away");
    for other in [&other, &interface, &table, &endpoint, &nat] {
        refused.said(other);
    }
    assert_eq!(parts(ec2, NAME), whole);

    for (action, name, id) in [
        ("DeleteNatGateway", "NatGatewayId", &nat),
        ("ReleaseAddress", "AllocationId", &address),
        ("DeleteVpcEndpoints", "VpcEndpointId.1", &endpoint),
        ("DeleteNetworkInterface", "NetworkInterfaceId", &interface),
        ("DeleteRouteTable", "RouteTableId", &table),
        ("DeleteSubnet", "SubnetId", &other),
        ("DeleteSecurityGroup", "GroupId", &group),
    ] {
        ec2.aws("ec2", action, &[(name, id)]);
    }
    account.home.verb(&DESTROY).exited(0);
    assert_eq!(parts(ec2, NAME), of_each([0; KINDS.len()]));
}

#[test]
fn a_machine_that_lives_in_a_network_keeps_it_and_is_named() {
    let account = account();
    let made = shown(&account.home, &CREATE);
    let image = account.ec2.register_image("theirs", "arm64");
    let subnet = made["network"]["subnets"][0]["id"].as_str().unwrap();
    let params = [
        ("ImageId", image.as_str()),
        ("InstanceType", "t4g.small"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("SubnetId", subnet),
    ];
    account.ec2.aws("ec2", "RunInstances", &params);
    let (id, whole) = (account.ec2.instances()[0].id.clone(), parts(&account.ec2, NAME));
    let stays = || {
        let refused = account.home.verb(&DESTROY);
        refused.exited(3).said(&format!("the machine {id}"));
        assert_eq!(parts(&account.ec2, NAME), whole);
    };
    stays();
    // One that is stopped has its address in the network all the same.
    account.ec2.aws("ec2", "StopInstances", &[("InstanceId.1", &id)]);
    account.ec2.wait_state(&id, "stopped", LIMIT);
    stays();
}

/// Says something to S3 that it must take.
fn put(ec2: &Ec2, path: &str, body: &str) {
    let credential = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let request = Request {
        method: "PUT",
        headers: &[("Authorization", credential)],
        body,
        ..Request::get(path)
    };
    let url = ec2.url();
    let page = request.send(url.trim_start_matches("http://").parse().unwrap());
    let page = page.expect("an answer");
    assert!(page.status < 300, "PUT {path}: {}", page.body);
}

/// A bucket that was there keeps what its owner said of it.
#[test]
fn the_rules_of_a_bucket_that_was_there_stay() {
    let account = account();
    put(&account.ec2, &format!("/{BUCKET}"), "");
    let rule = "<LifecycleConfiguration><Rule><ID>theirs</ID><Filter><Prefix>old/</Prefix></Filter>\
                <Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>";
    put(&account.ec2, &format!("/{BUCKET}?lifecycle"), rule);
    let statement = json!({
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::123456789012:root" },
        "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
    put(&account.ec2, &format!("/{BUCKET}?policy"), &policy.to_string());
    for _ in 0..2 {
        shown(&account.home, &CREATE);
        let told = |what: &str| account.ec2.object(&format!("/{BUCKET}?{what}")).expect(what);
        let lifecycle = told("lifecycle");
        assert_eq!(lifecycle.matches("<Rule>").count(), 2, "{lifecycle}");
        assert!(
            lifecycle.contains("<ID>theirs</ID>") && lifecycle.contains("<Days>30</Days>"),
            "{lifecycle}"
        );
        let policy: Value = serde_json::from_str(&told("policy")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 3, "{policy:#}");
        assert_eq!(statements[0], statement);
    }
}

/// What S3 says of the bucket, read back without the SDK.
#[test]
fn the_bucket_is_encrypted_private_unversioned_and_forgets_what_uploads_left() {
    let account = account();
    // There a bucket has a location, and is not made twice; us-east-1 takes both as they come.
    let create = [&CREATE[..], &["--region", "eu-west-1"]].concat();
    for _ in 0..2 {
        shown(&account.home, &create);
        let told = |what: &str| account.ec2.object(&format!("/{BUCKET}?{what}")).expect(what);
        let holds = |what: &str, all: &[&str]| {
            let said = told(what);
            for one in all {
                assert!(said.contains(one), "{one} is not in {said}");
            }
        };
        holds("encryption", &["<SSEAlgorithm>AES256</SSEAlgorithm>"]);
        holds(
            "publicAccessBlock",
            &[
                "<BlockPublicAcls>true<",
                "<IgnorePublicAcls>true<",
                "<BlockPublicPolicy>true<",
                "<RestrictPublicBuckets>true<",
            ],
        );
        holds(
            "lifecycle",
            &[
                "<AbortIncompleteMultipartUpload>",
                "<DaysAfterInitiation>1</DaysAfterInitiation>",
                "<Status>Enabled</Status>",
            ],
        );
        let versioning = told("versioning");
        assert!(!versioning.contains("Enabled"), "it keeps versions: {versioning}");
        let policy: Value = serde_json::from_str(&told("policy")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let denies = statements.iter().all(|one| one["Effect"] == "Deny");
        assert!(denies, "somebody is let in: {policy:#}");
        let insecure = json!({ "Bool": { "aws:SecureTransport": "false" } });
        assert!(
            statements.iter().any(|one| one["Condition"] == insecure),
            "what is not encrypted on its way is let in: {policy:#}"
        );
    }
}
