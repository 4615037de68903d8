"""The handful of AWS calls that a deployment needs, without an SDK.

MiniStack checks no signature; it reads service and region from where one would stand.
"""

import json
import urllib.parse
import urllib.request
import xml.etree.ElementTree

REGION = "us-east-1"

# A proxy of the user's has no business between us and this machine.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(endpoint, service, path="/", method="POST", body=b"", headers=None, timeout=10):
    asked = urllib.request.Request(endpoint + path, data=body, method=method, headers=headers or {})
    asked.add_header(
        "authorization",
        f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0",
    )
    with opener.open(asked, timeout=timeout) as answer:
        return answer.read()


def query(endpoint, service, action, **parameters):
    form = urllib.parse.urlencode({"Action": action, **parameters}).encode()
    return request(endpoint, service, body=form, headers={"content-type": "application/x-www-form-urlencoded"})


def create_bucket(endpoint, name):
    request(endpoint, "s3", f"/{name}", method="PUT")


def put_secret(endpoint, secret, value):
    request(
        endpoint,
        "secretsmanager",
        body=json.dumps({"SecretId": secret, "SecretString": json.dumps(value)}).encode(),
        headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.PutSecretValue"},
    )


def verify_sender(endpoint, address):
    query(endpoint, "ses", "VerifyEmailIdentity", EmailAddress=address)


def stack_outputs(endpoint, stack_name):
    answer = xml.etree.ElementTree.fromstring(
        query(endpoint, "cloudformation", "DescribeStacks", StackName=stack_name)
    )
    outputs = {}
    for member in answer.iter():
        if member.tag.endswith("member"):
            fields = {child.tag.rpartition("}")[2]: child.text for child in member}
            if "OutputKey" in fields:
                outputs[fields["OutputKey"]] = fields["OutputValue"]
    return outputs


def mend_concurrency(endpoint):
    """MiniStack keeps a MaximumConcurrency that comes from a parameter as text, and its poller then fails on
    every turn. AWS takes it as the number that it is."""
    path = "/2015-03-31/event-source-mappings"
    for mapping in json.loads(request(endpoint, "lambda", f"{path}/", method="GET"))["EventSourceMappings"]:
        limit = int(mapping["ScalingConfig"]["MaximumConcurrency"])
        request(
            endpoint,
            "lambda",
            f"{path}/{mapping['UUID']}",
            method="PUT",
            body=json.dumps({"ScalingConfig": {"MaximumConcurrency": limit}}).encode(),
            headers={"content-type": "application/json"},
        )


def create_queue(endpoint, name):
    """The queue's URL; one that is there already is kept."""
    answer = xml.etree.ElementTree.fromstring(query(endpoint, "sqs", "CreateQueue", QueueName=name))
    return next(node.text for node in answer.iter() if node.tag.endswith("QueueUrl"))


def function_variables(endpoint, name):
    """The environment that a deployed function is given."""
    answer = request(endpoint, "lambda", f"/2015-03-31/functions/{name}/configuration", method="GET")
    return json.loads(answer)["Environment"]["Variables"]


def healthy(endpoint):
    try:
        with opener.open(f"{endpoint}/_ministack/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
