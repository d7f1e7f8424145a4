//! What time it is for AWS: every answer says so, a refusal too.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use jiff::{SignedDuration, Timestamp};

/// By how much this machine's clock was ahead when the last answer came.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Option<SignedDuration>>>);

impl Watch {
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "clock of AWS"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let theirs = context.response().headers().get("date").and_then(read);
        let ahead = theirs.map(|theirs| Timestamp::now().duration_since(theirs));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        Ok(())
    }
}

/// A `Date` header.
fn read(text: &str) -> Option<Timestamp> {
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    Timestamp::from_second(date.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read_or_passed_over() {
        let read_second = |text| read(text).map(Timestamp::as_second);
        assert_eq!(read_second("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for bad in ["", "now", "1994-11-06T08:49:37Z"] {
            assert_eq!(read_second(bad), None, "{bad}");
        }
    }
}
