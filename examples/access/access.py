"""Reads a customer's access to a product, and its end: one GetItem."""

import json
import os
import sys
import time

import boto3

# Create it once: it keeps its connections.
dynamodb = boto3.client("dynamodb")
TABLE = os.environ["ENTITLEMENTS_TABLE"]


def access(customer_id, product_id, now):
    """`now` and `until` are Unix seconds. An exception means "unknown", not "no access"."""
    item = dynamodb.get_item(
        TableName=TABLE,
        Key={"customer_id": {"S": customer_id}, "entry": {"S": f"product#{product_id}"}},
        # Costs half of True, which only a read right after a write needs.
        ConsistentRead=False,
    ).get("Item")
    # The first subscription creates the row; without a row, there is no access.
    if item is None:
        return {"allowed": False, "until": None, "reason": None}
    until = int(item["access_until"]["N"])
    # The time decides. The reason is for people, and new words may come.
    return {"allowed": now < until, "until": until, "reason": item["reason"]["S"]}


if __name__ == "__main__":
    _, customer_id, product_id = sys.argv
    print(json.dumps(access(customer_id, product_id, int(time.time())), separators=(",", ":")))
