"""Starts a recovery mail for an abandoned checkout: at most one for each sale, and none for a paid one."""

import json
import os
import time

import boto3

# Seconds. An announcement that is published again after this time may start a second mail.
REMEMBERED_FOR = 90 * 24 * 3600

dynamodb = boto3.client("dynamodb")


def send(session_id, _address):
    """Replace it with a call of your mail service. An exception is a retry."""
    # The address is personal data and stays out of the log.
    print(json.dumps({"recovery_mail": session_id}))


def handler(event, _context):
    now = int(time.time())
    detail = event["detail"]
    session = detail["checkout_session"]
    if event["detail-type"] == "checkout.converted":
        remember(session, "paid", now)
    else:
        recover(session, now)


def recover(session, now):
    """Sends the mail, unless the sale was paid, has its mail, or the address is gone."""
    address = address_of(session["checkout_session_id"], now)
    if not address:
        return
    # Before the mail: two events at once start one mail. A stop before the mail loses it.
    if not remember(session, "mailed", now):
        return
    try:
        send(session["checkout_session_id"], address)
    except Exception:
        forget(session)
        raise


def sale_of(session):
    """The key of the sale: several sessions may be for one order or invoice."""
    for kind in ("order_id", "invoice_id", "checkout_session_id"):
        if session.get(kind):
            return f"{kind}#{session[kind]}"


def remember(session, state, now):
    """Writes the row of the sale. A payment replaces everything; a mail replaces nothing. Returns True if it wrote."""
    item = {
        "sale": {"S": sale_of(session)},
        "state": {"S": state},
        "expires_at": {"N": str(now + REMEMBERED_FOR)},
    }
    condition = {} if state == "paid" else {"ConditionExpression": "attribute_not_exists(sale)"}
    try:
        dynamodb.put_item(TableName=os.environ["SALES_TABLE"], Item=item, **condition)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def forget(session):
    """Removes the row of a mail that was not sent. The row of a payment stays."""
    try:
        dynamodb.delete_item(
            TableName=os.environ["SALES_TABLE"],
            Key={"sale": {"S": sale_of(session)}},
            ConditionExpression="#state = :mailed",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":mailed": {"S": "mailed"}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        pass


def address_of(session_id, now):
    """The buyer's address; None if the session was paid since, or the address is erased or must be forgotten."""
    row = dynamodb.get_item(
        TableName=os.environ["RESOURCES_TABLE"],
        Key={"resource_id": {"S": f"checkout_session#{session_id}"}},
        # `status` is a reserved word of DynamoDB.
        ProjectionExpression="contact, contact_until, #status",
        ExpressionAttributeNames={"#status": "status"},
        # The announcement comes after the write of the row, and this read must see the write.
        ConsistentRead=True,
    ).get("Item", {})
    if "contact" not in row or row.get("status", {}).get("M", {}).get("value", {}).get("S") == "paid":
        return None
    # RFC 3339 in UTC, so the first 19 characters compare as text.
    until = row.get("contact_until", {}).get("S")
    if until and until[:19] <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)):
        return None
    return row["contact"]["M"]["value"]["S"]
