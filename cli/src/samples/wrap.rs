//! Wraps a delivery as the platform does.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

fn map(headers: &[(String, String)]) -> Map<String, Value> {
    headers
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect()
}

/// An event of an HTTP API, version 2.0.
pub(super) fn http(
    provider: &str,
    headers: &[(String, String)],
    body: &str,
    now: Timestamp,
) -> Value {
    let path = format!("/webhooks/{provider}");
    json!({
        "version": "2.0",
        "routeKey": "POST /webhooks/{provider}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": map(headers),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": "POST", "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "till",
            },
            "requestId": "SampleRequest1=",
            "routeKey": "POST /webhooks/{provider}",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "pathParameters": {"provider": provider},
        "body": body,
        "isBase64Encoded": false,
    })
}

/// An event of a REST API.
pub(super) fn rest(provider: &str, headers: &[(String, String)], body: &str) -> Value {
    let path = format!("/webhooks/{provider}");
    let many: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.clone(), json!([value])))
        .collect();
    json!({
        "resource": "/webhooks/{provider}",
        "path": path,
        "httpMethod": "POST",
        "headers": map(headers),
        "multiValueHeaders": many,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": {"provider": provider},
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2c3d4e5", "httpMethod": "POST",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "till"},
            "path": path, "protocol": "HTTP/1.1", "requestId": "SampleRequest1=",
            "resourceId": "abc123", "resourcePath": "/webhooks/{provider}", "stage": "prod",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// A batch of one message for fulfillment: the job that intake queues for the event.
pub(super) fn sqs(provider: &str, event: &Value) -> Value {
    let id = event.get(super::id_member(provider));
    let job = json!({"version": "1", "event_id": id}).to_string();
    json!({"Records": [{
        "messageId": "00000000-0000-4000-8000-000000000001",
        "receiptHandle": "SampleReceiptHandle1",
        "body": job,
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1760090003000",
            "SenderId": "AROAEXAMPLE:flex-fulfillment-IntakeFunction",
            "ApproximateFirstReceiveTimestamp": "1760090003005",
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:flex-fulfillment-FulfillmentQueue",
        "awsRegion": "us-east-1",
    }]})
}
