//! What went wrong with the store, in words that say what to do about it.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

type Cause = Box<dyn Error + Send + Sync>;

/// A request to the store failed, after the retries that it deserved.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{doing} {url}: {fault}")]
struct Inner {
    doing: &'static str,
    url: String,
    fault: StoreFault,
    #[source]
    source: Option<Cause>,
}

/// What S3 says of a request whose body is not that of its checksum or length.
const DAMAGED: [&str; 4] = [
    "BadDigest",
    "IncompleteBody",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
];

/// Kinds of failure, as far as they ask for different answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreFault {
    /// 403: the keys are wrong or lack the right.
    Denied {
        /// The server's own code, such as `AccessDenied` or `SignatureDoesNotMatch`.
        code: String,
    },
    /// The clock of this machine is too far from the server's.
    ClockSkew,
    /// There is no such bucket.
    NoBucket {
        /// Its name.
        bucket: String,
    },
    /// The bucket is in another region.
    OtherRegion {
        /// The region that was tried.
        tried: String,
        /// Where the server says it is.
        actual: Option<String>,
    },
    /// No connection.
    Connect {
        /// Where to.
        endpoint: String,
    },
    /// No answer in time.
    Timeout,
    /// The server is overloaded or failing, and was so at every try.
    Unavailable {
        /// HTTP status.
        status: u16,
        /// Why, in its own words; may be empty.
        said: String,
    },
    /// The object is larger than the caller allows.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The most allowed, in bytes.
        max: u64,
    },
    /// Two conditional writes kept meeting each other.
    Contended,
    /// A local file that takes part could not be read or written.
    LocalFile,
    /// What arrived is not what was sent: nothing is stored, and it may be sent again.
    Damaged {
        /// The server's own code, such as `BadDigest`.
        code: String,
    },
    /// The stored object is not what was sent, or changed while it was read.
    Corrupt {
        /// What differs.
        what: &'static str,
    },
    /// Anything else the server refused.
    Refused {
        /// HTTP status; 0 when there was no usable reply.
        status: u16,
        /// The server's own code and message.
        message: String,
    },
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { code } => {
                write!(
                    f,
                    "access denied ({code}): check the keys and that they may read and write this prefix"
                )
            }
            Self::ClockSkew => {
                f.write_str("this machine's clock is too far off: set it (timedatectl set-ntp true)")
            }
            Self::NoBucket { bucket } => {
                write!(f, "there is no bucket {bucket:?}: create it or name another")
            }
            Self::OtherRegion {
                tried,
                actual: Some(actual),
            } => {
                write!(
                    f,
                    "the bucket is in region {actual}, not {tried}: set the store's region to {actual}"
                )
            }
            Self::OtherRegion { tried, actual: None } => {
                write!(
                    f,
                    "the bucket is not in region {tried}: set the store's region to the bucket's"
                )
            }
            Self::Connect { endpoint } => write!(f, "cannot connect to {endpoint}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unavailable { status, said } => {
                write!(f, "the server is overloaded or failing (HTTP {status})")?;
                if said.is_empty() {
                    return Ok(());
                }
                write!(f, ": {said}")
            }
            Self::TooLarge { size, max } => write!(f, "the object has {size} bytes, at most {max} are read"),
            Self::Contended => f.write_str("other writers changed the object at every try"),
            Self::LocalFile => f.write_str("a local file cannot be used"),
            Self::Damaged { code } => write!(f, "what arrived is not what was sent ({code})"),
            Self::Corrupt { what } => write!(f, "the stored object is not right: {what}"),
            Self::Refused { status, message } => write!(f, "refused (HTTP {status}): {message}"),
        }
    }
}

impl StoreError {
    /// The kind of failure.
    #[must_use]
    pub fn fault(&self) -> &StoreFault {
        &self.0.fault
    }

    /// True when the same request will fail the same way until somebody changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match &self.0.fault {
            StoreFault::Denied { .. }
            | StoreFault::ClockSkew
            | StoreFault::NoBucket { .. }
            | StoreFault::OtherRegion { .. }
            | StoreFault::TooLarge { .. }
            | StoreFault::LocalFile => true,
            StoreFault::Connect { .. }
            | StoreFault::Timeout
            | StoreFault::Unavailable { .. }
            | StoreFault::Contended
            | StoreFault::Damaged { .. }
            | StoreFault::Corrupt { .. } => false,
            StoreFault::Refused { status, .. } => (400..500).contains(status),
        }
    }
}

/// Where an error happened.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) doing: &'static str,
    pub(super) key: &'a str,
    pub(super) bucket: &'a str,
    pub(super) endpoint: Option<&'a str>,
    pub(super) region: &'a str,
}

impl At<'_> {
    pub(super) fn fault(self, fault: StoreFault) -> StoreError {
        self.caused(fault, None)
    }

    fn caused(self, fault: StoreFault, source: Option<Cause>) -> StoreError {
        let url = format!("s3://{}/{}", self.bucket, self.key);
        StoreError(Box::new(Inner {
            doing: self.doing,
            url,
            fault,
            source,
        }))
    }

    pub(super) fn file(self, source: std::io::Error) -> StoreError {
        self.caused(StoreFault::LocalFile, Some(source.into()))
    }

    pub(super) fn changed(self) -> StoreError {
        self.fault(StoreFault::Corrupt {
            what: "it changed while it was read",
        })
    }

    pub(super) fn broken_body(self, source: impl Into<Cause>) -> StoreError {
        let fault = StoreFault::Corrupt {
            what: "its body ended early or failed its checksum",
        };
        self.caused(fault, Some(source.into()))
    }

    pub(super) fn sdk<E>(self, error: SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let fault = self.classify(&error);
        // The server's own words are in the fault already; a lower layer's are not.
        let said = matches!(error, SdkError::ServiceError(_));
        let source = if said { None } else { error.into_source().ok() };
        self.caused(fault, source)
    }

    fn classify<E: ProvideErrorMetadata>(self, error: &SdkError<E, HttpResponse>) -> StoreFault {
        match error {
            SdkError::TimeoutError(_) => StoreFault::Timeout,
            SdkError::DispatchFailure(e) if e.is_timeout() => StoreFault::Timeout,
            SdkError::DispatchFailure(_) => StoreFault::Connect {
                endpoint: self
                    .endpoint
                    .map_or_else(|| format!("S3 in {}", self.region), str::to_owned),
            },
            SdkError::ServiceError(e) => self.service(status(error), e.err(), e.raw()),
            SdkError::ResponseError(e) => self.unread(e.raw()),
            // Construction failures, and what later versions of the SDK may add.
            SdkError::ConstructionFailure(_) | _ => StoreFault::Refused {
                status: 0,
                message: "the request could not be built".into(),
            },
        }
    }

    fn service(self, status: u16, error: &impl ProvideErrorMetadata, raw: &HttpResponse) -> StoreFault {
        let code = error.code().unwrap_or("no code");
        match (status, code) {
            (_, "RequestTimeTooSkewed") => StoreFault::ClockSkew,
            (_, "NoSuchBucket") => StoreFault::NoBucket {
                bucket: self.bucket.to_owned(),
            },
            (301 | 307, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => {
                StoreFault::OtherRegion {
                    tried: self.region.to_owned(),
                    actual: raw.headers().get("x-amz-bucket-region").map(str::to_owned),
                }
            }
            // Also in a success: S3 may know only at the end of a completion.
            (401 | 403, _) | (_, "AccessDenied") => StoreFault::Denied {
                code: code.to_owned(),
            },
            (_, code) if DAMAGED.contains(&code) => StoreFault::Damaged {
                code: code.to_owned(),
            },
            (500.., _) | (429, _) => StoreFault::Unavailable {
                status,
                said: error.message().unwrap_or_default().to_owned(),
            },
            _ => StoreFault::Refused {
                status,
                message: format!("{code}: {}", error.message().unwrap_or("no message")),
            },
        }
    }

    fn unread(self, raw: &HttpResponse) -> StoreFault {
        let status = raw.status().as_u16();
        if status >= 500 {
            let said = String::new();
            return StoreFault::Unavailable { status, said };
        }
        StoreFault::Refused {
            status,
            message: "the reply is not one of S3's: is the endpoint an S3 server?".into(),
        }
    }
}

/// HTTP status of the reply, 0 without one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> u16 {
    error.raw_response().map_or(0, |raw| raw.status().as_u16())
}
