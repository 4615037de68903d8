//! Converts the gateway's requests and responses.

use crate::{Intake, answer::Answer, request::Incoming};
use domain::{
    delivery::job::FulfillmentJob,
    ports::{Events, Queue, SigningKeys},
};
use lambda_http::{Body, Request, RequestExt, Response};

/// Takes in a request. `lambda_http` has decoded its base64 body.
pub async fn take<S: Events + Queue<FulfillmentJob>, K: SigningKeys>(
    intake: &Intake<S, K>,
    request: &Request,
) -> Answer {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
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

/// The gateway's response, with an empty body.
pub fn response(answer: &Answer) -> Result<Response<Body>, lambda_http::http::Error> {
    let reply = answer.reply();
    let mut response = Response::builder().status(reply.status);
    if let Some((name, value)) = reply.header {
        response = response.header(name, value);
    }
    response.body(Body::Empty)
}
