//! Requests as API Gateway hands them to a function, and answers as it gets them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kit::{
    drive::Bundle,
    signed::{Headers, signed_as},
    story::{Delivery, SECRET},
};
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A request before the gateway wraps it.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) method: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Post {
    /// A delivery, signed now with the shop's secret.
    pub(crate) fn signed(bundle: &Bundle, delivery: &Delivery) -> Self {
        let headers = signed_as(
            &delivery.id,
            SECRET,
            &delivery.body,
            domain::ports::Clock::now(&bundle.world),
        );
        Self::with(headers, delivery.body.as_bytes())
    }

    /// JSON with these headers.
    pub(crate) fn with(headers: Headers, body: &[u8]) -> Self {
        let json = ("content-type", "application/json".to_owned());
        let headers = headers
            .into_iter()
            .chain([json])
            .map(|(name, value)| (name.to_owned(), value));
        Self {
            method: "POST",
            provider: "flex",
            headers: headers.collect(),
            body: body.to_vec(),
        }
    }

    /// The same with another value for a header, or without it.
    pub(crate) fn header(mut self, name: &str, value: Option<&str>) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers
            .extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    fn header_map(&self) -> Value {
        self.headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect()
    }

    /// Wrapped as by an HTTP API (payload format 2.0), which sends a text as it is and anything else in base64.
    pub(crate) fn to_http_api(&self) -> Request {
        match str::from_utf8(&self.body) {
            Ok(text) => self.to_v2(text, false),
            Err(_) => self.to_http_api_in_base64(),
        }
    }

    /// The same, in base64 whatever it is.
    pub(crate) fn to_http_api_in_base64(&self) -> Request {
        self.to_v2(&STANDARD.encode(&self.body), true)
    }

    fn to_v2(&self, body: &str, is_base64: bool) -> Request {
        let path = format!("/webhooks/{}", self.provider);
        request(&json!({
            "version": "2.0",
            "routeKey": "POST /webhooks/{provider}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": self.header_map(),
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "domainName": "api.execute-api.us-east-1.amazonaws.com",
                "domainPrefix": "api",
                "http": {
                    "method": self.method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "Svix-Webhooks/1.0",
                },
                "requestId": "request",
                "routeKey": "POST /webhooks/{provider}",
                "stage": "$default",
                "time": "10/Oct/2025:09:53:30 +0000",
                "timeEpoch": 1_760_090_010_000_u64,
            },
            "pathParameters": {"provider": self.provider},
            "body": body,
            "isBase64Encoded": is_base64,
        }))
    }

    /// Wrapped as by a REST API (payload format 1.0).
    pub(crate) fn to_rest_api(&self) -> Request {
        let mut many: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.headers {
            many.entry(name).or_default().push(value);
        }
        request(&json!({
            "resource": "/webhooks/{provider}",
            "path": format!("/webhooks/{}", self.provider),
            "httpMethod": self.method,
            "headers": self.header_map(),
            "multiValueHeaders": many,
            "queryStringParameters": null,
            "multiValueQueryStringParameters": null,
            "pathParameters": {"provider": self.provider},
            "stageVariables": null,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "httpMethod": self.method,
                "identity": {"sourceIp": "192.0.2.1", "userAgent": "Svix-Webhooks/1.0"},
                "path": format!("/live/webhooks/{}", self.provider),
                "protocol": "HTTP/1.1",
                "requestId": "request",
                "requestTimeEpoch": 1_760_090_010_000_u64,
                "resourceId": "resource",
                "resourcePath": "/webhooks/{provider}",
                "stage": "live",
            },
            "body": String::from_utf8(self.body.clone()).unwrap(),
            "isBase64Encoded": false,
        }))
    }
}

fn request(event: &Value) -> Request {
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// Intake's answer to the gateway. Logs as `main` does.
pub(crate) async fn answer(bundle: &Bundle, request: &Request) -> Response<Body> {
    let answer = intake::http::take(&bundle.intake, request).await;
    answer.log(std::time::Duration::from_millis(7));
    intake::http::response(&answer).unwrap()
}
