//! What AWS refuses, told apart by what to do about it.

/// Kinds of failure, as far as they ask for different answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No machine of this type is to be had in this zone now: another zone or type may have one.
    Capacity,
    /// A quota of the account is used up.
    Quota,
    /// The credentials lack a permission.
    Permission,
    /// There are no credentials, or they are not valid or not any more.
    Credentials,
    /// Type, image, zone or architecture do not go together.
    Unsupported,
    /// A request that makes no sense to AWS.
    Invalid,
    /// What is named is not there.
    NotFound,
    /// What is to be made is there already.
    Exists,
    /// Something else still uses it.
    InUse,
    /// Too many requests.
    Throttled,
    /// It may work later.
    Transient,
}

impl Kind {
    /// Whether trying again in a while may help, with nothing changed.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Capacity | Self::Throttled | Self::Transient | Self::InUse
        )
    }

    /// The kind that a code of EC2, Auto Scaling, IAM, STS or Service Quotas stands for; `None` where it says nothing.
    ///
    /// Codes: Amazon EC2 API reference, "Error codes"; Amazon EC2 Auto Scaling API reference, "Common errors".
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        let kind = match code {
            "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientReservedInstanceCapacity"
            | "InsufficientCapacity"
            | "InsufficientCapacityOnOutpost"
            | "UnfulfillableCapacity"
            | "SpotMaxPriceTooLow" => Self::Capacity,
            "VcpuLimitExceeded"
            | "InstanceLimitExceeded"
            | "MaxSpotInstanceCountExceeded"
            | "ResourceCountExceeded"
            | "VpcLimitExceeded"
            | "AddressLimitExceeded"
            | "SecurityGroupLimitExceeded"
            | "LimitExceeded"
            | "LimitExceededException"
            | "ServiceQuotaExceededException"
            | "VolumeLimitExceeded"
            | "MaxIOPSLimitExceeded"
            | "InsufficientFreeAddressesInSubnet" => Self::Quota,
            "UnauthorizedOperation"
            | "AccessDenied"
            | "AccessDeniedException"
            | "Client.UnauthorizedOperation" => Self::Permission,
            "AuthFailure"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "OptInRequired"
            | "Blocked"
            | "PendingVerification" => Self::Credentials,
            "Unsupported"
            | "UnsupportedOperation"
            | "InvalidInstanceType"
            | "UnsupportedHibernationConfiguration" => Self::Unsupported,
            "AlreadyExists"
            | "AlreadyExistsFault"
            | "EntityAlreadyExists"
            | "EntityAlreadyExistsException" => Self::Exists,
            "DependencyViolation"
            | "ResourceInUse"
            | "ResourceInUseFault"
            | "ScalingActivityInProgress"
            | "ScalingActivityInProgressFault"
            | "DeleteConflict"
            | "DeleteConflictException"
            | "ResourceContention"
            | "ResourceContentionFault" => Self::InUse,
            "NoSuchEntity"
            | "NoSuchEntityException"
            | "NoSuchBucket"
            | "NoSuchResourceException"
            | "ParameterNotFound" => Self::NotFound,
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "ThrottledException"
            | "RequestThrottled"
            | "EC2ThrottledException"
            | "SlowDown" => Self::Throttled,
            "InternalError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "Unavailable"
            | "ServiceUnavailableException"
            | "IncorrectState"
            | "IncorrectInstanceState" => Self::Transient,
            _ => Self::of_shape(code)?,
        };
        Some(kind)
    }

    /// Codes that are made by a pattern.
    fn of_shape(code: &str) -> Option<Self> {
        if code.ends_with(".NotFound") || code.ends_with("NotFoundException") {
            return Some(Self::NotFound);
        }
        if code.ends_with(".Duplicate")
            || code.ends_with("AlreadyExistsException")
            || code.ends_with("AlreadyExists")
        {
            return Some(Self::Exists);
        }
        if code.ends_with(".InUse") {
            return Some(Self::InUse);
        }
        if code.starts_with("Invalid") || code.starts_with("Missing") || code == "ValidationError" {
            return Some(Self::Invalid);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_for_what_to_do_about_it() {
        let cases = [
            ("InsufficientInstanceCapacity", Kind::Capacity),
            ("VcpuLimitExceeded", Kind::Quota),
            ("MaxSpotInstanceCountExceeded", Kind::Quota),
            ("UnauthorizedOperation", Kind::Permission),
            ("AccessDenied", Kind::Permission),
            ("AuthFailure", Kind::Credentials),
            ("ExpiredToken", Kind::Credentials),
            ("Unsupported", Kind::Unsupported),
            ("InvalidAMIID.NotFound", Kind::NotFound),
            ("InvalidLaunchTemplateName.NotFoundException", Kind::NotFound),
            ("InvalidLaunchTemplateName.AlreadyExistsException", Kind::Exists),
            ("InvalidGroup.Duplicate", Kind::Exists),
            ("InvalidPermission.Duplicate", Kind::Exists),
            ("DependencyViolation", Kind::InUse),
            ("RequestLimitExceeded", Kind::Throttled),
            ("Throttling", Kind::Throttled),
            ("ValidationError", Kind::Invalid),
            ("InvalidParameterValue", Kind::Invalid),
        ];
        for (code, kind) in cases {
            assert_eq!(Kind::of_code(code), Some(kind), "{code}");
        }
        assert_eq!(Kind::of_code("SomethingNew"), None);
    }

    #[test]
    fn what_is_permanent_is_not_tried_again() {
        for kind in [
            Kind::Quota,
            Kind::Permission,
            Kind::Credentials,
            Kind::Unsupported,
            Kind::Invalid,
        ] {
            assert!(!kind.may_pass(), "{kind:?}");
        }
        for kind in [Kind::Capacity, Kind::Throttled, Kind::Transient] {
            assert!(kind.may_pass(), "{kind:?}");
        }
    }
}
