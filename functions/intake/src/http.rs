//! Converts the gateway's requests and responses.

use crate::{Intake, answer::Answer, request::Incoming};
use domain::{
    delivery::job::FulfillmentJob,
    ports::{Events, Queue, SigningKeys},
};
use lambda_http::{Body, Request, RequestExt, Response, http::HeaderMap};
use std::collections::BTreeMap;

/// Takes in a request. `lambda_http` has decoded its base64 body.
pub async fn take<S: Events + Queue<FulfillmentJob>, K: SigningKeys>(
    intake: &Intake<S, K>,
    request: &Request,
) -> Answer {
    let joined = joined(request.headers());
    let header = |name: &str| {
        let joined = joined.get(name).map(String::as_str);
        joined.or_else(|| request.headers().get(name)?.to_str().ok())
    };
    let parameters = request.path_parameters();
    let incoming = Incoming {
        method: request.method().as_str(),
        provider: parameters.first("provider").unwrap_or_default(),
        header: &header,
        body: match request.body() {
            Body::Text(text) => text.as_bytes(),
            Body::Binary(bytes) => bytes,
            _ => &[],
        },
    };
    intake.take(&incoming).await
}

/// The headers that came more than once, each joined by commas. An HTTP API joins them so itself.
fn joined(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let several = headers.keys().filter_map(|name| {
        let values = headers.get_all(name).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        (texts.len() > 1).then(|| (name.as_str(), texts.join(",")))
    });
    several.collect()
}

/// The gateway's response, with an empty body.
pub fn response(answer: &Answer) -> Result<Response<Body>, lambda_http::http::Error> {
    let reply = answer.reply();
    let mut response = Response::builder().status(reply.status);
    if let Some((name, value)) = reply.header {
        response = response.header(name, value);
    }
    response.body(Body::Empty)
}
