//! Answers of EC2 and Auto Scaling, as far as a fleet reads them.

use super::{Machine, Said, World};

const SPACE: &str = "xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"";

pub(super) fn throttled(service: &str) -> Said {
    if service == "autoscaling" {
        return error(400, "Throttling", "Rate exceeded");
    }
    let text = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>\
                </Errors><RequestID>crowd</RequestID></Response>";
    Said::Here(503, text.to_owned())
}

/// Auto Scaling has one code for most of what it refuses.
pub(super) fn refused(message: &str) -> Said {
    error(400, "ValidationError", message)
}

fn error(status: u16, code: &str, message: &str) -> Said {
    let text = format!(
        "<ErrorResponse {SPACE}><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>crowd</RequestId></ErrorResponse>"
    );
    Said::Here(status, text)
}

pub(super) fn done(action: &str) -> String {
    format!(
        "<{action}Response {SPACE}><ResponseMetadata><RequestId>crowd</RequestId></ResponseMetadata></{action}Response>"
    )
}

pub(super) fn no_activities() -> String {
    format!(
        "<DescribeScalingActivitiesResponse {SPACE}><DescribeScalingActivitiesResult><Activities/>\
         </DescribeScalingActivitiesResult></DescribeScalingActivitiesResponse>"
    )
}

pub(super) fn groups(world: &World, names: &[String]) -> String {
    let member = |name: &String| {
        let group = world.groups.get(name)?;
        let here = world
            .machines
            .iter()
            .filter(|one| one.group == *name && one.state() != "terminated");
        let machines: String = here
            .map(|one| format!("<member><InstanceId>{}</InstanceId></member>", one.id))
            .collect();
        let status = if group.deleting {
            "<Status>Delete in progress</Status>"
        } else {
            ""
        };
        Some(format!(
            "<member><AutoScalingGroupName>{name}</AutoScalingGroupName><MinSize>0</MinSize><MaxSize>{0}</MaxSize>\
             <DesiredCapacity>{0}</DesiredCapacity><VPCZoneIdentifier>{1}</VPCZoneIdentifier>{status}\
             <Tags><member><Key>mayfly:deadline</Key><Value>{2}</Value></member></Tags>\
             <Instances>{machines}</Instances></member>",
            group.desired, group.subnets, group.deadline
        ))
    };
    let members: String = names.iter().filter_map(member).collect();
    format!(
        "<DescribeAutoScalingGroupsResponse {SPACE}><DescribeAutoScalingGroupsResult><AutoScalingGroups>{members}\
         </AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
    )
}

pub(super) fn instances(page: &[&Machine], run: &str, next: Option<usize>) -> String {
    let items: String = page.iter().map(|machine| item(machine, run)).collect();
    let next = next
        .map(|at| format!("<nextToken>{at}</nextToken>"))
        .unwrap_or_default();
    format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>crowd</requestId>\
         <reservationSet><item><reservationId>r-1</reservationId><instancesSet>{items}</instancesSet></item>\
         </reservationSet>{next}</DescribeInstancesResponse>"
    )
}

fn item(machine: &Machine, run: &str) -> String {
    let role = if machine.group.ends_with("-master") {
        "master"
    } else {
        "worker"
    };
    let state = machine.state();
    let tag = |key: &str, value: &str| format!("<item><key>{key}</key><value>{value}</value></item>");
    format!(
        "<item><instanceId>{}</instanceId><instanceType>t4g.small</instanceType><launchTime>{}</launchTime>\
         <placement><availabilityZone>us-east-1a</availabilityZone></placement>\
         <instanceState><code>0</code><name>{state}</name></instanceState><tagSet>{}{}{}</tagSet></item>",
        machine.id,
        machine.launched.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        tag("mayfly:run", run),
        tag("mayfly:role", role),
        tag("managed-by", "mayfly"),
    )
}

pub(super) fn terminated() -> String {
    "<TerminateInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>crowd</requestId>\
     <instancesSet/></TerminateInstancesResponse>"
        .to_owned()
}
