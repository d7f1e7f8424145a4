//! The bucket itself.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::error::status;
use super::{Store, StoreError};

impl Store {
    /// Creates the bucket when it is not there.
    ///
    /// # Errors
    /// It is neither there nor can it be created.
    pub async fn ensure_bucket(&self) -> Result<(), StoreError> {
        match self.client.head_bucket().bucket(&self.bucket).send().await {
            Ok(_) => Ok(()),
            Err(e) if status(&e) == 404 => self.create_bucket().await,
            Err(e) => Err(self.at("look at", "").sdk(e)),
        }
    }

    async fn create_bucket(&self) -> Result<(), StoreError> {
        let request = self.client.create_bucket().bucket(&self.bucket);
        // The oldest region is the one that must not be named.
        let request = if self.region == "us-east-1" {
            request
        } else {
            let region = BucketLocationConstraint::from(self.region.as_str());
            let place = CreateBucketConfiguration::builder()
                .location_constraint(region)
                .build();
            request.create_bucket_configuration(place)
        };
        match request.send().await {
            Ok(_) => Ok(()),
            Err(e)
                if e.as_service_error()
                    .is_some_and(|e| e.is_bucket_already_owned_by_you()) =>
            {
                Ok(())
            }
            Err(e) => Err(self.at("create", "").sdk(e)),
        }
    }
}
