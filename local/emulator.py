"""MiniStack as a process of its own, with permissions enforced as on AWS and every decision recorded.

MiniStack enforces IAM with AUTH=true. Three details differ from AWS and are corrected here:

- A request over plain HTTP counts as TLS. The SDK always uses TLS on AWS, and the queues' policies deny the rest.
- Sending a mail is judged on the sender's identity and with `ses:FromAddress`, not on `*` without a sender.
- Unsigned requests pass. Only the tests' own tools send them; the functions always sign.

IAM_TRACE names the file that gets one JSON line a decision: principal, action, resource, decision. With
IAM_TRUST_KEYS=1 signatures are not checked: behind a proxy the signed host is not this process.
"""

import base64
import email
import email.utils
import json
import os
import urllib.parse

os.environ["AUTH"] = "true"

import ministack.app as app  # noqa: E402 (AUTH is read on import)
import ministack.core.iam_evaluator as iam  # noqa: E402
from ministack.core.responses import get_account_id  # noqa: E402
from ministack.services import sts  # noqa: E402

MAIL_ACTIONS = ("ses:SendEmail", "ses:SendRawEmail")

pin_origin, enforce = app.pin_request_origin, iam.enforce
# Opened once and kept: there are thousands of decisions a minute.
trace = open(os.environ["IAM_TRACE"], "a") if "IAM_TRACE" in os.environ else None  # noqa: SIM115


def sender(body):
    """The address that a mail comes from, by SES's API version 1."""
    form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode("latin-1")).items()}
    if "Source" in form:
        return email.utils.parseaddr(form["Source"])[1]
    mail = email.message_from_bytes(base64.b64decode(form.get("RawMessage.Data", "")))
    return email.utils.parseaddr(mail["From"] or "")[1]


def judge(access_key_id, action, service, region, resource_arn="*", service_context=None):
    if iam._anonymous.get() and not access_key_id:
        return None
    request = iam._signed_request.get()
    if action in MAIL_ACTIONS and resource_arn == "*" and request:
        address = sender(request.body)
        resource_arn = f"arn:aws:ses:{region}:{get_account_id()}:identity/{address}"
        service_context = {**(service_context or {}), "ses:FromAddress": address}
    denial = enforce(access_key_id, action, service, region, resource_arn, service_context)
    if trace:
        principal = (sts._sessions.get(access_key_id) or {}).get("Arn", "root")
        decision = denial.code if isinstance(denial, iam.AuthError) else denial.decision if denial else "Allow"
        print(json.dumps([principal, action, resource_arn, decision]), file=trace, flush=True)
    return denial


app.pin_request_origin = lambda address, _secure: pin_origin(address, True)
iam.enforce = judge
if os.environ.get("IAM_TRUST_KEYS") == "1":
    iam.authenticate = lambda *_: None

if __name__ == "__main__":
    app.main()
