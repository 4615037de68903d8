"""Intake's job, as a user of Python would write it: verify, deduplicate, queue, answer."""

import base64
import json
import os
import time

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from svix.webhooks import Webhook, WebhookVerificationError

FRESH_FOR_SECONDS = 5 * 60

sqs = boto3.client("sqs")
secrets_manager = boto3.client("secretsmanager")
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(
    event_key_jmespath="event_id",
    expires_after_seconds=90 * 24 * 60 * 60,
    raise_on_no_idempotency_key=True,
)


def read():
    found = secrets_manager.get_secret_value(SecretId=os.environ["WEBHOOK_SECRETS_ARN"])
    secrets = json.loads(found["SecretString"])["webhook_secrets"]
    # The package knows the prefix `whsec_` only.
    return [Webhook(secret.removeprefix("fwhsec_")) for secret in secrets], time.monotonic()


webhooks, read_at = read()


def verified(body, headers):
    global webhooks, read_at
    if time.monotonic() - read_at > FRESH_FOR_SECONDS:
        webhooks, read_at = read()
    refusal = None
    for webhook in webhooks:
        try:
            webhook.verify(body, headers)
            return json.loads(body)
        except WebhookVerificationError as error:
            refusal = error
    raise refusal


@idempotent_function(data_keyword_argument="event", config=config, persistence_store=persistence)
def queue(event):
    sqs.send_message(QueueUrl=os.environ["FULFILLMENT_QUEUE_URL"], MessageBody=json.dumps(event))
    return {"queued": True}


def handler(request, context):
    config.register_lambda_context(context)
    body = request["body"]
    if request.get("isBase64Encoded"):
        body = base64.b64decode(body)
    try:
        queue(event=verified(body, request["headers"]))
    except WebhookVerificationError as error:
        print(json.dumps({"outcome": "refused", "reason": str(error)}))
        return {"statusCode": 401}
    except Exception as error:  # noqa: BLE001 (the sender should retry)
        print(json.dumps({"outcome": "unavailable", "reason": str(error)}))
        return {"statusCode": 503, "headers": {"retry-after": "30"}}
    print(json.dumps({"outcome": "accepted"}))
    return {"statusCode": 200}
