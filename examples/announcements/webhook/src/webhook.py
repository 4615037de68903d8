"""Posts an announcement to an HTTP endpoint, signed in the Standard Webhooks format.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request

import boto3

PREFIX = "whsec_"
# Seconds; the format recommends 15 to 30.
ANSWER_WITHIN = 20
SECRET_IS_FRESH_FOR = 300

secrets = boto3.client("secretsmanager")
_secret = (None, 0)


class NotAccepted(Exception):
    """The endpoint did not accept the event. SQS delivers it again."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is a failure: it would turn the POST into a GET, maybe at another host."""

    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(NoRedirect)


def handler(event, _context):
    for record in event["Records"]:
        post(json.loads(record["body"])["detail"], secret(), int(time.time()))


def secret():
    """The signing secret, read again after five minutes, so that a rotation needs no deployment."""
    global _secret
    value, read_at = _secret
    if value is None or time.monotonic() - read_at > SECRET_IS_FRESH_FOR:
        value = secrets.get_secret_value(SecretId=os.environ["SIGNING_SECRET"])["SecretString"]
        _secret = (value, time.monotonic())
    return value


def signature(secret, webhook_id, timestamp, body):
    """The header `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def request(announcement, secret, timestamp):
    """The headers and the body. The id is the same for each attempt and for each publication."""
    body = {"type": announcement["kind"], "timestamp": announcement["occurred_at"], "data": announcement}
    body = json.dumps(body, separators=(",", ":")).encode()
    webhook_id = announcement["id"]
    headers = {
        "content-type": "application/json",
        "user-agent": "fulfillment-webhook",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, webhook_id, timestamp, body),
    }
    return headers, body


def post(announcement, secret, timestamp):
    headers, body = request(announcement, secret, timestamp)
    posted = urllib.request.Request(os.environ["ENDPOINT_URL"], data=body, headers=headers, method="POST")
    try:
        # Each answer but 2xx is an error.
        with opener.open(posted, timeout=ANSWER_WITHIN):
            print(json.dumps({"posted": announcement["id"]}))
    except urllib.error.HTTPError as error:
        # `None`, because the answer may quote the order.
        raise NotAccepted(f"{announcement['id']}: the endpoint answered {error.code}") from None
    except OSError as error:
        raise NotAccepted(f"{announcement['id']}: no answer: {type(error).__name__}") from None
