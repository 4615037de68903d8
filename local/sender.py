"""Posts a file to the local stack, signed as Flex signs (headers of the Svix family)."""

import base64
import hashlib
import hmac
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


def signature(secret, body, delivery_id, timestamp):
    key = base64.b64decode(secret.rpartition("_")[2])
    signed = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": delivery_id,
        "svix-timestamp": str(timestamp),
        "svix-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
