//! A Range header that cannot be read is no range: S3, and HTTP, answer with the whole object. `s3s` refuses it, and
//! only after the signature, which covers the header, has been checked: so such requests take a way of their own.

use hyper::header::{AUTHORIZATION, RANGE};
use hyper::http::Extensions;
use hyper::{HeaderMap, Method, Uri};
use s3s::dto::Range;
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, HttpError, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

/// Answers GET and HEAD with a Range that is none, once the caller is known.
pub(crate) struct WithoutRange {
    /// The same operations, for callers who are known already.
    pub(crate) inner: S3Service,
}

#[async_trait::async_trait]
impl S3Route for WithoutRange {
    fn is_match(&self, method: &Method, uri: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        // What is signed in the query would be checked again.
        let signed_in_query = uri
            .query()
            .is_some_and(|query| query.contains("Signature=") || query.contains("Algorithm="));
        matches!(*method, Method::GET | Method::HEAD) && !signed_in_query && has_bad_range(headers)
    }

    async fn call(&self, req: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let mut plain = hyper::Request::new(req.input);
        *plain.method_mut() = req.method;
        *plain.uri_mut() = req.uri;
        *plain.headers_mut() = req.headers;
        plain.headers_mut().remove(RANGE);
        plain.headers_mut().remove(AUTHORIZATION);
        let answer = self.inner.call(plain).await;
        let failed = |error: HttpError| S3Error::with_source(S3ErrorCode::InternalError, error.into());
        let (parts, body) = answer.map_err(failed)?.into_parts();
        let mut response = S3Response::with_status(body, parts.status);
        response.headers = parts.headers;
        Ok(response)
    }
}

fn has_bad_range(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(RANGE).iter();
    ranges.any(|range| range.to_str().map_or(true, |range| Range::parse(range).is_err()))
}
