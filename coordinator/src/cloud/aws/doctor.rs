//! Every check of a launch on AWS, whatever is wrong with the others.

use jiff::SignedDuration;
use mayfly_aws::AwsError;
use mayfly_aws::account::Identity;
use mayfly_aws::catalog::denied;
use mayfly_aws::network::Network;
use mayfly_configs::Job;

use super::needs::{self, Kinds};
use super::site::AwsSite;
use crate::check::{Check, Checks, Verdict, clock};
use crate::cloud::CloudError;

/// What a node does with the store, below its run.
const OF_NODES: [&str; 3] = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"];
const LOG_IN: &str = "log in as for the AWS CLI: `aws configure`, `aws sso login`, or AWS_PROFILE";
const REGION: &str = "name one that the account may use: --region, AWS_REGION, or `region` in ~/.aws/config";

impl AwsSite {
    /// Looks at each thing that a launch of this job needs, with its record in `store` (`s3://bucket/prefix`).
    pub async fn examine(&self, job: &Job, store: &str, checks: &mut Checks) {
        let (identity, ahead) = self.account.identity_and_clock().await;
        checks.0.push(of_clock(ahead));
        let known = credentials(identity, checks);
        if !known {
            let others = [
                "region",
                "network",
                "instance types",
                "nodes' access to the store",
            ];
            return checks.skip_all(&others, "without credentials nothing can be asked");
        }
        checks.0.push(self.region().await);
        let network = self.network.complete(&self.account).await;
        let network = checks.take("network", network, needs::network_found, "");
        self.examine_machines(job, network.as_ref(), checks).await;
        checks.0.push(match &network {
            Some(network) => self.access_of_nodes(network, store).await,
            None => Check::skipped(ACCESS, "the network is not complete"),
        });
    }

    async fn region(&self) -> Check {
        const NAME: &str = "region";
        let region = self.account.region();
        match self.account.regions().await {
            Ok(all) if all.iter().any(|one| one == region) => Check::ok(NAME, region),
            Ok(_) => {
                let found = format!("{region} is none that this account may use");
                Check::of(NAME, Verdict::Problem, found, REGION)
            }
            Err(error) => Check::skipped(NAME, error),
        }
    }

    async fn examine_machines(&self, job: &Job, network: Option<&Network>, checks: &mut Checks) {
        let kinds = Kinds::of(job);
        let offers = self.offers(&kinds).await;
        let offers = checks.take("instance types", offers, |offers| needs::offers_found(offers), "");
        let Some(offers) = offers else {
            let others = ["image", "zones", "addresses", "vCPU quota", "price"];
            return checks.skip_all(&others, "the instance types are not known");
        };
        let image = match needs::architecture(&kinds, &offers) {
            Ok(architecture) => self.image(job, &architecture).await,
            Err(error) => Err(error),
        };
        checks.take("image", image, needs::image_found, "");
        let subnets = match network {
            Some(network) => needs::subnets(network, &kinds, &offers),
            None => Err(CloudError::Permanent("the network is not complete".to_owned())),
        };
        let subnets = checks.take("zones", subnets, |subnets| needs::subnets_found(subnets), "");
        checks.0.push(match &subnets {
            Some(subnets) => needs::addresses_check(job, subnets),
            None => Check::skipped("addresses", "there is no subnet to look at"),
        });
        let quota = self.quota(job, &offers).await;
        checks.take("vCPU quota", quota, Clone::clone, "");
        let prices = self.prices(job, &kinds).await;
        checks.take("price", prices, |_| "known of every type".to_owned(), "");
    }

    /// As far as IAM tells it beforehand.
    async fn access_of_nodes(&self, network: &Network, store: &str) -> Check {
        let Some(object) = object_of_a_run(&network.role_arn, store) else {
            return Check::skipped(ACCESS, "the store is not one of AWS");
        };
        match denied(&self.account, &network.role_arn, &object, &OF_NODES).await {
            Ok(denied) if denied.is_empty() => Check::ok(ACCESS, format!("{} may use it", network.role_arn)),
            Ok(denied) => Check::of(
                ACCESS,
                Verdict::Problem,
                format!("{} may not {} on {object}", network.role_arn, denied.join(", ")),
                "make the network again with this bucket and prefix: `coordinator network create --bucket … --prefix …`",
            ),
            Err(error) => Check::skipped(ACCESS, error),
        }
    }
}

const ACCESS: &str = "nodes' access to the store";

fn of_clock(ahead: Option<SignedDuration>) -> Check {
    match ahead {
        Some(ahead) => clock("clock", "AWS", ahead),
        None => Check::skipped("clock", "AWS did not answer with its time"),
    }
}

fn credentials(identity: Result<Identity, AwsError>, checks: &mut Checks) -> bool {
    let found = |identity: &Identity| format!("{} in account {}", identity.arn, identity.account);
    checks.take("credentials", identity, found, LOG_IN).is_some()
}

/// ARN of an object that a node would write, in the partition of its role.
fn object_of_a_run(role: &str, store: &str) -> Option<String> {
    let partition = role.strip_prefix("arn:")?.split(':').next()?;
    let place = store.strip_prefix("s3://")?.trim_end_matches('/');
    Some(format!("arn:{partition}:s3:::{place}/runs/doctor/probe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_a_run_is_named_in_the_partition_of_the_role() {
        let role = "arn:aws-cn:iam::111122223333:role/mayfly-default-node";
        let object = object_of_a_run(role, "s3://my-runs/team/");
        assert_eq!(
            object.as_deref(),
            Some("arn:aws-cn:s3:::my-runs/team/runs/doctor/probe")
        );
        assert_eq!(object_of_a_run(role, "http://127.0.0.1:9000"), None);
        assert_eq!(object_of_a_run("", "s3://my-runs"), None);
    }
}
