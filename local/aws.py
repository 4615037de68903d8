"""The handful of AWS calls that a deployment needs, without an SDK.

MiniStack checks no signature; it reads service and region from where one would stand.
"""

import json
import urllib.parse
import urllib.request
import xml.etree.ElementTree

REGION = "us-east-1"
# The account that MiniStack plays.
ACCOUNT = "000000000000"

# Calls to this machine must not use the user's proxy.
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
    body = json.dumps({"EmailIdentity": address}).encode()
    request(endpoint, "ses", "/v2/email/identities", body=body, headers={"content-type": "application/json"})


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


def delete_stack(endpoint, stack_name):
    query(endpoint, "cloudformation", "DeleteStack", StackName=stack_name)


def members(answer):
    """The `member` elements of a query answer, each as a dictionary of its text fields."""
    for member in xml.etree.ElementTree.fromstring(answer).iter():
        if member.tag.endswith("member"):
            yield {child.tag.rpartition("}")[2]: child.text or "" for child in member}


def stack_resources(endpoint, stack_name):
    """Type and physical id of each of the stack's resources, by its logical id."""
    answer = query(endpoint, "cloudformation", "DescribeStackResources", StackName=stack_name)
    return {
        fields["LogicalResourceId"]: (fields["ResourceType"], fields["PhysicalResourceId"])
        for fields in members(answer)
        if "LogicalResourceId" in fields
    }


def role_policies(endpoint, role):
    """The role's inline policies, by name."""
    answer = xml.etree.ElementTree.fromstring(query(endpoint, "iam", "ListRolePolicies", RoleName=role))
    names = [member.text for member in answer.iter() if member.tag.endswith("member")]
    return {name: role_policy(endpoint, role, name) for name in names}


def role_policy(endpoint, role, name):
    answer = query(endpoint, "iam", "GetRolePolicy", RoleName=role, PolicyName=name)
    document = next(node for node in xml.etree.ElementTree.fromstring(answer).iter() if node.tag.endswith("PolicyDocument"))
    return json.loads(urllib.parse.unquote(document.text))


def put_role_policy(endpoint, role, name, policy):
    query(endpoint, "iam", "PutRolePolicy", RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def may(endpoint, role, action, resource):
    """Whether a role's own policies allow an action on a resource, as IAM's simulator answers."""
    answer = query(
        endpoint, "iam", "SimulatePrincipalPolicy",
        **{"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "ActionNames.member.1": action,
           "ResourceArns.member.1": resource},
    )
    decisions = [node.text for node in xml.etree.ElementTree.fromstring(answer).iter() if node.tag.endswith("EvalDecision")]
    return decisions == ["allowed"]


def event_source_mappings(endpoint):
    return json.loads(request(endpoint, "lambda", "/2015-03-31/event-source-mappings/", method="GET"))["EventSourceMappings"]


def function(endpoint, name):
    """A deployed function's configuration."""
    return json.loads(request(endpoint, "lambda", f"/2015-03-31/functions/{name}/configuration", method="GET"))


def function_policy(endpoint, name):
    """The policy that lets other accounts and services call a function."""
    answer = request(endpoint, "lambda", f"/2015-03-31/functions/{name}/policy", method="GET")
    return json.loads(json.loads(answer)["Policy"])


def routes(endpoint, api):
    """The function of each route of an HTTP API, by its name, by the route's key."""
    def items(what):
        return json.loads(request(endpoint, "apigateway", f"/v2/apis/{api}/{what}", method="GET"))["items"]

    functions = {
        integration["integrationId"]: integration["integrationUri"].split(":function:")[1].split("/")[0].split(":")[0]
        for integration in items("integrations")
    }
    return {route["routeKey"]: functions[route["target"].removeprefix("integrations/")] for route in items("routes")}


def log_group_arn(endpoint, name):
    """The log group's ARN without the `:*` that stands for its streams."""
    groups = json.loads(request(
        endpoint,
        "logs",
        body=json.dumps({"logGroupNamePrefix": name}).encode(),
        headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.DescribeLogGroups"},
    ))["logGroups"]
    return next(group["arn"].removesuffix(":*") for group in groups if group["logGroupName"] == name)


def schedule_target(endpoint, name):
    """The target of a schedule: `Arn` and `RoleArn`."""
    return json.loads(request(endpoint, "scheduler", f"/schedules/{name}", method="GET"))["Target"]


def mend_concurrency(endpoint):
    """Replaces text by numbers. MiniStack keeps a MaximumConcurrency from a parameter as text, and its poller then fails.
    AWS converts it."""
    path = "/2015-03-31/event-source-mappings"
    for mapping in event_source_mappings(endpoint):
        scaling = mapping.get("ScalingConfig")
        if not scaling:  # a stream's mapping
            continue
        limit = int(scaling["MaximumConcurrency"])
        request(
            endpoint,
            "lambda",
            f"{path}/{mapping['UUID']}",
            method="PUT",
            body=json.dumps({"ScalingConfig": {"MaximumConcurrency": limit}}).encode(),
            headers={"content-type": "application/json"},
        )


def create_key(endpoint):
    """The ARN of a new symmetric key."""
    answer = request(
        endpoint,
        "kms",
        body=b"{}",
        headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.CreateKey"},
    )
    return json.loads(answer)["KeyMetadata"]["Arn"]


def create_queue(endpoint, name):
    """Creates the queue unless it exists, and returns its URL."""
    answer = xml.etree.ElementTree.fromstring(query(endpoint, "sqs", "CreateQueue", QueueName=name))
    return next(node.text for node in answer.iter() if node.tag.endswith("QueueUrl"))


def healthy(endpoint):
    try:
        with opener.open(f"{endpoint}/_ministack/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
