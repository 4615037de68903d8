"""Reads paid orders from the queue and prints what to pick. Each order is printed once."""

import json
import os
import sqlite3
import sys

import boto3


def pick_list(event):
    """What to pick and where to send it, from an event as EventBridge delivers it."""
    detail = event["detail"]
    order, contact = detail["order"], detail.get("contact", {})
    # Without `lines` the order has too many for an announcement: read it from your shop.
    lines = order.get("lines")
    picks = lines and [
        {"sku": line.get("sku"), "product_id": line.get("product_id"), "quantity": line["quantity"]} for line in lines
    ]
    missing = {short["sku"]: short["missing"] for short in order.get("shortfalls", []) if short["missing"]}
    return {"order_id": order["order_id"], "picks": picks, "missing": missing, "ship_to": contact.get("shipping")}


class Warehouse:
    """Orders by the ids of their announcements. The file stands for the warehouse's own database."""

    def __init__(self, path):
        self.database = sqlite3.connect(path)
        self.database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, pick_list TEXT NOT NULL)")

    def take(self, event):
        """Stores an order. Returns its pick list, or None if the order is known."""
        picks = pick_list(event)
        row = (event["detail"]["id"], json.dumps(picks))
        # The id is the same for each publication of an announcement.
        with self.database:
            added = self.database.execute("INSERT OR IGNORE INTO orders VALUES (?, ?)", row)
        return picks if added.rowcount else None


def main(queue_url, path):
    queue = boto3.client("sqs")
    warehouse = Warehouse(path)
    while True:
        received = queue.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in received.get("Messages", []):
            picks = warehouse.take(json.loads(message["Body"]))
            if picks:
                print(json.dumps(picks), flush=True)
            # After the order is stored: a stop before this line brings the message again.
            queue.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main(os.environ["ORDERS_QUEUE_URL"], *sys.argv[1:])
