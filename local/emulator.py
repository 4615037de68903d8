"""MiniStack as a process of its own, with permissions enforced as on AWS and every decision recorded.

MiniStack enforces IAM with AUTH=true. Four details differ from AWS and are corrected here:

- A request over plain HTTP counts as TLS. The SDK always uses TLS on AWS, and the queues' policies deny the rest.
- Sending a mail is judged on the sender's identity and on the configuration set that the mail names, with
  `ses:FromAddress`; not on `*` without a sender.
- Unsigned requests pass. Only the tests' own tools send them; the functions always sign.
- CloudFormation accepts an alarm on a metric math expression. MiniStack cannot evaluate one, so it never rings here.

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
from ministack.services.cloudformation import provisioners  # noqa: E402

MAIL_ACTIONS = ("ses:SendEmail", "ses:SendRawEmail")

pin_origin, enforce, alarm_record = app.pin_request_origin, iam.enforce, provisioners._cw_metric_alarm_record
# Opened once, because there are thousands of decisions a minute.
trace = open(os.environ["IAM_TRACE"], "a") if "IAM_TRACE" in os.environ else None  # noqa: SIM115


def mail(body, region):
    """The sender's address of a mail and its resources, for which SES checks permissions in its API version 1."""
    form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode("latin-1")).items()}
    source = form.get("Source") or email.message_from_bytes(base64.b64decode(form.get("RawMessage.Data", "")))["From"]
    address = email.utils.parseaddr(source or "")[1]
    prefix = f"arn:aws:ses:{region}:{get_account_id()}"
    sets = [f"{prefix}:configuration-set/{form['ConfigurationSetName']}"] if "ConfigurationSetName" in form else []
    return address, [f"{prefix}:identity/{address}", *sets]


def judge(access_key_id, action, service, region, resource_arn="*", service_context=None):
    if iam._anonymous.get() and not access_key_id:
        return None
    request, resources = iam._signed_request.get(), [resource_arn]
    if action in MAIL_ACTIONS and resource_arn == "*" and request:
        address, resources = mail(request.body, region)
        service_context = {**(service_context or {}), "ses:FromAddress": address}
    for resource in resources:
        denial = enforce(access_key_id, action, service, region, resource, service_context)
        if trace:
            record(access_key_id, action, resource, denial)
        if denial:
            return denial
    return None


def record(access_key_id, action, resource, denial):
    principal = (sts._sessions.get(access_key_id) or {}).get("Arn", "root")
    decision = denial.code if isinstance(denial, iam.AuthError) else denial.decision if denial else "Allow"
    print(json.dumps([principal, action, resource, decision]), file=trace, flush=True)


def alarm_with_math(name, properties):
    """The stored alarm. In place of an expression it watches a metric that gets no data."""
    if "Metrics" in properties:
        properties = {**properties, "Metrics": None, "Namespace": "metric-math", "MetricName": name}
    return alarm_record(name, properties)


app.pin_request_origin = lambda address, _secure: pin_origin(address, True)
iam.enforce = judge
provisioners._cw_metric_alarm_record = alarm_with_math
if os.environ.get("IAM_TRUST_KEYS") == "1":
    iam.authenticate = lambda *_: None

if __name__ == "__main__":
    app.main()
