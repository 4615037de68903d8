"""Tests of the three examples: python3 -m unittest discover examples/announcements"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import sys
import threading
import unittest
from unittest import mock

from botocore.stub import Stubber

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("warehouse", "webhook/src", "recovery/src"):
    sys.path.insert(0, str(HERE / folder))
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")

import recovery
import warehouse
import webhook

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
NOW = 1_760_100_000


def example(kind):
    return json.loads((HERE.parents[1] / "events" / "announcements" / f"{kind}.json").read_text())


class WarehouseTest(unittest.TestCase):
    def test_an_order_is_taken_once_however_often_it_is_announced(self):
        store, event = warehouse.Warehouse(":memory:"), example("order.paid")
        picks = store.take(event)
        order = event["detail"]["order"]
        self.assertEqual(picks["order_id"], order["order_id"])
        self.assertEqual(
            [pick["quantity"] for pick in picks["picks"]], [line["quantity"] for line in order["lines"]]
        )
        self.assertEqual(picks["ship_to"], event["detail"]["contact"]["shipping"])
        self.assertIsNone(store.take(event))
        event["detail"]["id"] = "another"
        self.assertIsNotNone(store.take(event))

    def test_an_order_without_lines_or_contact_is_taken(self):
        event = example("order.paid")
        del event["detail"]["contact"], event["detail"]["order"]["lines"]
        picks = warehouse.pick_list(event)
        self.assertEqual((picks["picks"], picks["ship_to"]), (None, None))


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers with the server's next status, and keeps the requests."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.headers, body))
        self.send_response(self.server.status)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class WebhookTest(unittest.TestCase):
    def setUp(self):
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
        self.server.requests, self.server.status = [], 204
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        url = f"http://127.0.0.1:{self.server.server_port}/hook"
        environment = mock.patch.dict(os.environ, {"ENDPOINT_URL": url, "SIGNING_SECRET": "arn:secret"})
        environment.start()
        self.addCleanup(environment.stop)

    def test_the_request_is_signed_over_its_id_time_and_body(self):
        announcement = example("order.paid")["detail"]
        webhook.post(announcement, SECRET, NOW)
        [(headers, body)] = self.server.requests
        self.assertEqual(headers["webhook-id"], announcement["id"])
        self.assertEqual(headers["webhook-timestamp"], str(NOW))
        signed = b"%s.%d.%s" % (announcement["id"].encode(), NOW, body)
        expected = hmac.new(bytes(range(24)), signed, hashlib.sha256).digest()
        self.assertEqual(headers["webhook-signature"], "v1," + base64.b64encode(expected).decode())
        self.assertEqual(json.loads(body)["data"], announcement)
        self.assertEqual(json.loads(body)["type"], "order.paid")

    def test_the_prefix_of_the_secret_is_optional(self):
        bare = SECRET.removeprefix("whsec_")
        self.assertEqual(webhook.signature(SECRET, "a", 1, b"{}"), webhook.signature(bare, "a", 1, b"{}"))

    def test_any_answer_but_2xx_is_a_retry_and_shows_no_order(self):
        announcement = example("order.paid")["detail"]
        for status in (302, 400, 410, 500):
            self.server.status = status
            with self.assertRaises(webhook.NotAccepted) as refused:
                webhook.post(announcement, SECRET, NOW)
            self.assertEqual(str(refused.exception), f"{announcement['id']}: the endpoint answered {status}")
        self.assertEqual(len(self.server.requests), 4)

    def test_no_answer_is_a_retry(self):
        with mock.patch.dict(os.environ, {"ENDPOINT_URL": "http://127.0.0.1:1/"}):
            with self.assertRaises(webhook.NotAccepted):
                webhook.post(example("order.paid")["detail"], SECRET, NOW)

    def test_the_secret_is_read_once_in_five_minutes(self):
        webhook._secret = (None, 0)
        event = {"Records": [{"body": json.dumps(example("order.paid"))}]}
        with Stubber(webhook.secrets) as stub:
            stub.add_response("get_secret_value", {"SecretString": SECRET}, {"SecretId": "arn:secret"})
            webhook.handler(event, None)
            webhook.handler(event, None)
            stub.assert_no_pending_responses()
        webhook._secret = (None, 0)
        [first, second] = [headers["webhook-id"] for headers, _ in self.server.requests]
        self.assertEqual(first, second)


class RecoveryTest(unittest.TestCase):
    def setUp(self):
        self.stub = Stubber(recovery.dynamodb)
        self.stub.activate()
        self.addCleanup(self.stub.deactivate)
        environment = mock.patch.dict(os.environ, {"RESOURCES_TABLE": "Resources", "SALES_TABLE": "Sales"})
        environment.start()
        self.addCleanup(environment.stop)
        send = mock.patch.object(recovery, "send")
        self.send = send.start()
        self.addCleanup(send.stop)

    def has(self, **row):
        """The row of the session in the Resources table."""
        self.stub.add_response("get_item", {"Item": row} if row else {})

    def writes(self):
        self.stub.add_response("put_item", {})

    def refuses(self, operation="put_item"):
        self.stub.add_client_error(operation, "ConditionalCheckFailedException")

    def handle(self, kind):
        recovery.handler(example(kind), None)
        self.stub.assert_no_pending_responses()

    CONTACT = {"M": {"value": {"S": "pat@example.com"}}}

    def test_an_abandoned_checkout_gets_one_mail(self):
        self.has(contact=self.CONTACT, contact_until={"S": "2999-01-01T00:00:00Z"})
        self.writes()
        self.handle("checkout.abandoned")
        session_id = example("checkout.abandoned")["detail"]["checkout_session"]["checkout_session_id"]
        self.send.assert_called_once_with(session_id, "pat@example.com")
        self.has(contact=self.CONTACT)
        self.refuses()
        self.handle("checkout.abandoned")
        self.send.assert_called_once()

    def test_no_mail_without_an_address_or_after_the_payment(self):
        paid = {"M": {"value": {"S": "paid"}}}
        for row in (
            {},
            {"status": {"M": {"value": {"S": "expired"}}}},
            {"contact": self.CONTACT, "contact_until": {"S": "2020-01-01T00:00:00.5Z"}},
            {"contact": self.CONTACT, "status": paid},
        ):
            self.has(**row)
            self.handle("checkout.abandoned")
        self.send.assert_not_called()

    def test_a_conversion_is_remembered_by_the_order(self):
        self.writes()
        self.handle("checkout.converted")
        self.send.assert_not_called()
        of_one_order = [{"order_id": "ord_1", "checkout_session_id": session} for session in ("cs_1", "cs_2")]
        self.assertEqual(*map(recovery.sale_of, of_one_order))
        self.assertEqual(recovery.sale_of({"checkout_session_id": "cs_1"}), "checkout_session_id#cs_1")

    def test_a_mail_that_is_not_sent_is_tried_again(self):
        self.send.side_effect = RuntimeError
        self.has(contact=self.CONTACT)
        self.writes()
        self.stub.add_response("delete_item", {})
        with self.assertRaises(RuntimeError):
            self.handle("checkout.abandoned")
        self.stub.assert_no_pending_responses()


if __name__ == "__main__":
    unittest.main()
