"""Reads whether a merchant can take payments, and what it must still do: one GetItem."""

import json
import os
import sys

import boto3

# Create it once: it keeps its connections.
dynamodb = boto3.client("dynamodb")
TABLE = os.environ["RESOURCES_TABLE"]


def readiness(merchant_id):
    """An exception means "unknown", not "no"."""
    item = dynamodb.get_item(
        TableName=TABLE,
        Key={"resource_id": {"S": f"merchant#{merchant_id}"}},
        # `missing` is a reserved word of DynamoDB.
        ProjectionExpression="can_take_payments, #missing",
        ExpressionAttributeNames={"#missing": "missing"},
        # Costs half of True, which only a read right after a write needs.
        ConsistentRead=False,
    ).get("Item")
    # The first event about the merchant creates the row.
    if item is None:
        return {"can_take_payments": False, "missing": None}
    missing = [text["S"] for text in item["missing"]["L"]]
    return {"can_take_payments": item["can_take_payments"]["BOOL"], "missing": missing}


if __name__ == "__main__":
    _, merchant_id = sys.argv
    print(json.dumps(readiness(merchant_id), separators=(",", ":")))
