"""Whether a customer has access to a product, and until when: one GetItem."""

import json
import os
import sys
import time

import boto3

# Made once, since it keeps its connections.
dynamodb = boto3.client("dynamodb")
TABLE = os.environ["ENTITLEMENTS_TABLE"]


def access(customer_id, product_id, now):
    """`now` and `until` are Unix seconds. An exception means that nobody knows, not that there is no access."""
    item = dynamodb.get_item(
        TableName=TABLE,
        Key={"customer_id": {"S": customer_id}, "entry": {"S": f"product#{product_id}"}},
        # Half the price of True, which is for a reader that must see what was written a moment ago.
        ConsistentRead=False,
    ).get("Item")
    # There is a row from the first subscription on; before, the answer is no.
    if item is None:
        return {"allowed": False, "until": None, "reason": None}
    until = int(item["access_until"]["N"])
    # The time decides. The reason is for people: it may be a word that is new to this program.
    return {"allowed": now < until, "until": until, "reason": item["reason"]["S"]}


if __name__ == "__main__":
    _, customer_id, product_id = sys.argv
    print(json.dumps(access(customer_id, product_id, int(time.time())), separators=(",", ":")))
