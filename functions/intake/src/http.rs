//! The gateway's request and response, to and from intake's own.

use crate::{Intake, answer::Answer, request::Incoming};
use domain::{
    delivery::job::FulfillmentJob,
    ports::{Clock, Events, Queue, SigningKeys},
};
use lambda_http::{Body, Request, RequestExt, Response};

/// Takes a request in. The body has been decoded by the gateway's base64 flag.
pub async fn take<E: Events, Q: Queue<FulfillmentJob>, K: SigningKeys, C: Clock>(
    intake: &Intake<E, Q, K, C>,
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

/// The answer for the gateway. Its body is empty.
pub fn response(answer: &Answer) -> Result<Response<Body>, lambda_http::http::Error> {
    let reply = answer.reply();
    let mut response = Response::builder().status(reply.status);
    if let Some((name, value)) = reply.header {
        response = response.header(name, value);
    }
    response.body(Body::Empty)
}
