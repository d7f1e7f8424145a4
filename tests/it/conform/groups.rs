//! Auto Scaling: the rig.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mayfly_proto::RunId;
use mayfly_sim::call::{Aws, Res};
use mayfly_sim::product::aws::fleet::State;
use mayfly_sim::product::aws::tags::{Group, name};
use mayfly_sim::region::Region as Model;
use mayfly_tests::ec2::Image;
use mayfly_tests::wait::{self, secs};
use mayfly_tests::{Chance, Ec2};
use serde_json::{Value, json};

const CALLS: usize = 40;
/// After each call, so long that all is at rest.
const REST_SECS: u64 = 180;

/// What the model may need beyond that: less than what lies between the end of a rest and the next lease.
const MORE_SECS: u64 = 60;

/// What there is of each group: how many are wanted, and how many are up.
type Shown = BTreeMap<String, (u64, u64)>;

struct Real {
    ec2: Ec2,
}

impl Real {
    fn start() -> Self {
        let settings = json!({ "pending_secs": 1, "shutting_down_secs": 1, "health_check_secs": 1 });
        let ec2 = Ec2::start(Image::none(), &settings);
        let image = ec2.register_image("image", "x86_64");
        let template = [
            ("LaunchTemplateName", "template"),
            ("LaunchTemplateData.ImageId", &image),
            ("LaunchTemplateData.InstanceType", "m5.large"),
            (
                "LaunchTemplateData.MetadataOptions.InstanceMetadataTags",
                "enabled",
            ),
        ];
        ec2.aws("ec2", "CreateLaunchTemplate", &template);
        Self { ec2 }
    }

    fn group(&self, action: &str, name: &str, more: &[(&str, &str)]) -> (u16, String) {
        let fields = [&[("AutoScalingGroupName", name)], more].concat();
        self.ec2.try_aws("autoscaling", action, &fields)
    }

    /// As the coordinator asks: what is there already is made.
    fn ask(&self, request: &Aws) -> bool {
        let (status, said) = match request {
            Aws::Ensure(name, _) => {
                let fields = [
                    ("MinSize", "0"),
                    ("MaxSize", "0"),
                    ("AvailabilityZones.member.1", "us-east-1a"),
                    ("LaunchTemplate.LaunchTemplateName", "template"),
                ];
                let (status, said) = self.group("CreateAutoScalingGroup", name, &fields);
                if said.contains("AlreadyExists") {
                    (200, said)
                } else {
                    (status, said)
                }
            }
            Aws::Scale(name, wanted, _) => {
                let wanted = wanted.to_string();
                let fields = [("MaxSize", wanted.as_str()), ("DesiredCapacity", &wanted)];
                self.group("UpdateAutoScalingGroup", name, &fields)
            }
            Aws::PutLease(name, at) => {
                let at = at.to_string();
                let fields = [
                    ("ScheduledActionName", "lease"),
                    ("StartTime", at.as_str()),
                    ("MinSize", "0"),
                    ("MaxSize", "0"),
                    ("DesiredCapacity", "0"),
                ];
                self.group("PutScheduledUpdateGroupAction", name, &fields)
            }
            Aws::Delete(name) => {
                let (status, said) = self.group("DeleteAutoScalingGroup", name, &[("ForceDelete", "true")]);
                let gone = said.contains("not found");
                if gone { (200, said) } else { (status, said) }
            }
            Aws::Terminate(ids) => {
                let fields: Vec<(String, &str)> = ids
                    .iter()
                    .enumerate()
                    .map(|(n, id)| (format!("InstanceId.{}", n + 1), id.as_str()))
                    .collect();
                let fields: Vec<(&str, &str)> = fields.iter().map(|(key, id)| (key.as_str(), *id)).collect();
                self.ec2.try_aws("ec2", "TerminateInstances", &fields)
            }
            other => panic!("{other:?} is not asked here"),
        };
        assert!(status == 200 || status == 400, "{status}: {said}");
        status == 200
    }

    fn pass(&self) {
        self.ec2
            .rig("POST", "clock", &json!({ "advance_secs": REST_SECS }));
    }

    fn clock(&self) -> Timestamp {
        let said = self.ec2.rig("GET", "clock", &Value::Null);
        let text = said["now"].as_str().unwrap_or_else(|| panic!("{said}"));
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn shown(&self) -> Shown {
        let said = self.ec2.aws("autoscaling", "DescribeAutoScalingGroups", &[]);
        let up = |group: &str| {
            let all = self.ec2.rig("GET", "machines", &Value::Null);
            let all = all["machines"].as_array().cloned().unwrap_or_default();
            let of = |one: &&Value| one["tags"]["aws:autoscaling:groupName"] == group;
            all.iter()
                .filter(of)
                .filter(|one| one["state"] == "running")
                .count() as u64
        };
        let groups = said.split("<AutoScalingGroupName>").skip(1);
        groups
            .map(|text| {
                let name = text.split('<').next().unwrap().to_owned();
                let wanted = text.split("<DesiredCapacity>").nth(1).unwrap();
                let wanted = wanted.split('<').next().unwrap().parse().unwrap();
                (name.clone(), (wanted, up(&name)))
            })
            .collect()
    }

    fn up(&self) -> Vec<String> {
        let all = self.ec2.instances().into_iter();
        all.filter(|info| info.state == "running")
            .map(|info| info.id)
            .collect()
    }
}

fn shown(model: &mut Model, names: &[String; 2]) -> Shown {
    let Res::States(states) = model.ask(&Aws::States(names.clone())) else {
        panic!("no groups")
    };
    let up = up(model);
    let of = |group: Group| up.iter().filter(|(_, of)| *of == group).count() as u64;
    let all = states.into_iter();
    all.map(|(group, state)| {
        let name = if group == Group::Master {
            &names[0]
        } else {
            &names[1]
        };
        (name.clone(), (u64::from(state.desired), of(group)))
    })
    .collect()
}

fn up(model: &mut Model) -> Vec<(String, Group)> {
    let Res::Instances(all) = model.ask(&Aws::Machines) else {
        panic!("no machines")
    };
    let up = all.into_iter().filter(|one| one.state == State::Up);
    up.map(|one| (one.id, one.group)).collect()
}

fn granted(res: &Res) -> bool {
    match res {
        Res::Done => true,
        Res::Failed => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_model_of_groups_answers_as_the_rig() {
    for seed in 0..3 {
        agree(seed);
    }
}

fn agree(seed: u64) {
    let run = RunId::derive("job", "request", "{}", "0123").unwrap();
    let names = [Group::Master, Group::Workers].map(|group| name(&run, group));
    let (real, mut model, mut chance) = (Real::start(), Model::new(seed).unwrap(), Chance::new(seed));
    for call in 0..CALLS {
        let which = chance.below(2);
        let (name, group) = (names[which].clone(), [Group::Master, Group::Workers][which]);
        let number = chance.below(4);
        let after =
            |clock: Timestamp| clock + SignedDuration::from_secs(100 * i64::try_from(number).unwrap() - 50);
        let (told, asked) = match chance.below(8) {
            0..=1 => same(Aws::Ensure(name.clone(), group)),
            2..=4 => same(Aws::Scale(name.clone(), u32::try_from(number).unwrap(), 1)),
            5 => (
                Aws::PutLease(name.clone(), after(model.clock())),
                Aws::PutLease(name.clone(), after(real.clock())),
            ),
            6 => {
                let one = up(&mut model).into_iter().find(|(_, of)| *of == group);
                let all = real.up();
                let theirs = all.iter().find(|id| member(&real, id, &name));
                let (Some((ours, _)), Some(theirs)) = (one, theirs) else {
                    continue;
                };
                (Aws::Terminate(vec![ours]), Aws::Terminate(vec![theirs.clone()]))
            }
            _ => same(Aws::Delete(name.clone())),
        };
        let at = format!("seed {seed}, call {call}: {told:?}");
        assert_eq!(granted(&model.ask(&told)), real.ask(&asked), "{at}");
        model.pass(REST_SECS * 1_000);
        real.pass();
        let mut expected = shown(&mut model, &names);
        let mut more = 0;
        let rested = wait::within(wait::patient(secs(10)), || {
            if real.shown() == expected {
                return Some(());
            }
            // A machine of the model whose agent finds nobody powers off, and is replaced a little later.
            if more < MORE_SECS {
                more += 1;
                model.pass(1_000);
                expected = shown(&mut model, &names);
            }
            None
        });
        assert!(
            rested.is_some(),
            "{at}: the model has {expected:?}, the rig {:?}",
            real.shown()
        );
    }
}

fn same(request: Aws) -> (Aws, Aws) {
    (request.clone(), request)
}

fn member(real: &Real, id: &str, group: &str) -> bool {
    let one = real.ec2.rig("GET", &format!("machines/{id}"), &Value::Null);
    one["tags"]["aws:autoscaling:groupName"] == group
}
