//! A network is made, made again, and taken away: once each, whatever came between.

use mayfly_configs::Policy;
use mayfly_tests::ec2::{Ec2, Image};
use mayfly_tests::http::Request;
use mayfly_tests::{Account, Home, wait};
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

/// How many things of the network there are, of each kind that AWS lists by tag.
pub(super) fn parts(ec2: &Ec2, name: &str) -> Vec<(&'static str, usize)> {
    let listed = |action| {
        let params = [
            ("Filter.1.Name", "tag:mayfly:network"),
            ("Filter.1.Value.1", name),
        ];
        let said = ec2.aws("ec2", action, &params);
        said.matches("<key>mayfly:network</key>").count()
    };
    let kinds = [
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeInternetGateways",
        "DescribeRouteTables",
        "DescribeVpcEndpoints",
        "DescribeSecurityGroups",
        "DescribeAddresses",
    ];
    kinds.into_iter().map(|kind| (kind, listed(kind))).collect()
}

/// Of those, the ones that there are, in their order.
fn counts(ec2: &Ec2) -> Vec<usize> {
    parts(ec2, NAME).into_iter().map(|(_, count)| count).collect()
}

/// The next call of this kind is done, and its answer is a refusal: as if whoever made it had died right after.
fn dies_after(ec2: &Ec2, action: &str) {
    let fault = json!({ "action": action, "times": 1, "applied": true, "status": 400, "code": "UnauthorizedOperation" });
    ec2.rig("POST", "faults", &fault);
}

#[test]
fn a_network_is_made_once_however_often_it_is_asked_for() {
    let account = account();
    allowed::from_now_on(&account.ec2);
    let first = shown(&account.home, &CREATE);
    assert_eq!(first["complete"], true, "{first:#}");
    allowed::assert_covered(&account.ec2, Who::Person, &[Policy::Network]);
    let there = counts(&account.ec2);
    let subnets = first["network"]["subnets"].as_array().unwrap().len();
    assert!(subnets > 1, "one zone alone: {first:#}");
    assert_eq!(there, [1, subnets, 1, 1, 1, 1, 0]);
    assert_eq!(shown(&account.home, &CREATE), first);
    assert_eq!(counts(&account.ec2), there);
}

/// Each step is done and nobody hears of it; the next command goes on from there.
#[test]
fn a_command_that_dies_after_any_step_is_given_again_and_doubles_nothing() {
    let account = account();
    for action in MAKING {
        dies_after(&account.ec2, action);
        account.home.verb(&CREATE).said("injected by the rig");
        account.ec2.rig("DELETE", "faults", &Value::Null);
    }
    let made = shown(&account.home, &CREATE);
    assert_eq!(made["complete"], true, "{made:#}");
    let subnets = made["network"]["subnets"].as_array().unwrap().len();
    assert_eq!(counts(&account.ec2), [1, subnets, 1, 1, 1, 1, 0]);
    assert_eq!(made["network"]["associated"].as_array().unwrap().len(), subnets);

    for action in TAKING {
        dies_after(&account.ec2, action);
        let died = account.home.verb(&["network", "destroy", NAME, "--yes"]);
        died.said("injected by the rig");
        account.ec2.rig("DELETE", "faults", &Value::Null);
    }
    for _ in 0..2 {
        let gone = account.home.verb(&["network", "destroy", NAME, "--yes"]);
        assert!(
            gone.exited(0)
                .stdout
                .contains("nothing is left of the network second")
        );
    }
    assert_eq!(counts(&account.ec2), [0; 7]);
    // The other network is as it was.
    assert_eq!(
        shown(&account.home, &["network", "show", "--json"])["complete"],
        true
    );
}

#[test]
fn a_command_that_is_killed_is_given_again_and_doubles_nothing() {
    let account = account();
    let mut command = account.home.command(&CREATE);
    let mut killed = account.home.start(&mut command);
    wait::until("its first parts", LIMIT, || {
        (counts(&account.ec2)[1] > 0).then_some(())
    });
    killed.kill();
    let made = shown(&account.home, &CREATE);
    let subnets = made["network"]["subnets"].as_array().unwrap().len();
    assert_eq!(counts(&account.ec2), [1, subnets, 1, 1, 1, 1, 0]);
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
    let id = |xml: &str, name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>")).expect(xml);
        rest.split('<').next().unwrap().to_owned()
    };
    let group = [
        ("GroupName", "database"),
        ("GroupDescription", "x"),
        ("VpcId", vpc),
    ];
    let group = id(&ec2.aws("ec2", "CreateSecurityGroup", &group), "groupId");
    let block = [("VpcId", vpc), ("CidrBlock", "10.43.240.0/24")];
    let other = id(&ec2.aws("ec2", "CreateSubnet", &block), "subnetId");
    let interface = [("SubnetId", subnet)];
    let interface = id(
        &ec2.aws("ec2", "CreateNetworkInterface", &interface),
        "networkInterfaceId",
    );
    let table = id(
        &ec2.aws("ec2", "CreateRouteTable", &[("VpcId", vpc)]),
        "routeTableId",
    );
    let whole = counts(ec2);
    let destroy = || account.home.verb(&["network", "destroy", NAME, "--yes"]);
    let refused = destroy();
    refused
        .exited(3)
        .said(&format!("the security group {group} (database)"))
        .said("nothing has been taken away");
    for other in [&other, &interface, &table] {
        refused.said(other);
    }
    assert_eq!(counts(ec2), whole);

    for (action, name, id) in [
        ("DeleteNetworkInterface", "NetworkInterfaceId", &interface),
        ("DeleteRouteTable", "RouteTableId", &table),
        ("DeleteSubnet", "SubnetId", &other),
        ("DeleteSecurityGroup", "GroupId", &group),
    ] {
        ec2.aws("ec2", action, &[(name, id)]);
    }
    destroy().exited(0);
    assert_eq!(counts(ec2), [0; 7]);
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
    let (id, whole) = (account.ec2.instances()[0].id.clone(), counts(&account.ec2));
    let refused = account.home.verb(&["network", "destroy", NAME, "--yes"]);
    refused.exited(3).said(&format!("the machine {id}"));
    assert_eq!(counts(&account.ec2), whole);
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
    for _ in 0..2 {
        shown(&account.home, &CREATE);
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
        assert!(!versioning.contains("Enabled"), "{versioning}");
        let policy: Value = serde_json::from_str(&told("policy")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert!(statements.iter().all(|one| one["Effect"] == "Deny"), "{policy:#}");
        let insecure = json!({ "Bool": { "aws:SecureTransport": "false" } });
        assert!(
            statements.iter().any(|one| one["Condition"] == insecure),
            "{policy:#}"
        );
    }
}
