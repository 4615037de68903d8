"""Signs as Flex does (headers of the Svix family), and posts to the local stack."""

import base64
import hashlib
import hmac
import json
import pathlib
import secrets
import time
import urllib.error
import urllib.request

import aws
import say


def send(stack, file):
    path = pathlib.Path(file)
    if not path.is_file():
        raise say.Failure(f"there is no file {file}")
    body = path.read_bytes()
    request = urllib.request.Request(stack["webhook_url"], data=body, method="POST", headers={
        "content-type": "application/json",
        **signature(stack["webhook_secret"], body, f"msg_{secrets.token_hex(12)}", int(time.time())),
    })
    try:
        with aws.opener.open(request, timeout=30) as answer:
            say.line(f"answered {answer.status} {answer.reason}")
            return 0
    except urllib.error.HTTPError as error:
        say.line(f"answered {error.code} {error.reason}")
        return 1


def sign_sample(stack, event):
    """An API Gateway event with a fresh signature, because the stored one is old and has no known secret. None for an
    event without a delivery."""
    headers = event.get("headers") if isinstance(event, dict) else None
    if not headers or "svix-signature" not in headers:
        return None
    body = event["body"].encode()
    if event["isBase64Encoded"]:
        body = base64.b64decode(body)
    headers.update(signature(stack["webhook_secret"], body, headers["svix-id"], int(time.time())))
    return json.dumps(event, indent=2).encode() + b"\n"


def signature(secret, body, delivery_id, timestamp):
    key = base64.b64decode(secret.rpartition("_")[2])
    signed = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": delivery_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
