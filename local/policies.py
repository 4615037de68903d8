"""Checks the IAM policies: those of the roles in template.yaml, and docs/deployer-policy.json.

Run by audit.py with the audit tools' Python. Prints a JSON list of findings: rule, place, text.

The roles' statements are linted by parliament. The deployer's policy is linted as well and compared with AWS's own
resource schemas: for each resource type, they list the actions that CloudFormation calls as the deployer.
"""

import fnmatch
import json
import pathlib
import re
import sys

import cfnlint.decode.cfn_yaml
import parliament
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

PROJECT = pathlib.Path(__file__).resolve().parent.parent
DEPLOYER = PROJECT / "docs" / "deployer-policy.json"
# IAM counts the characters of a role's inline policies without their white space.
LARGEST_POLICY = 10240
NOTHING = {"Ref": "AWS::NoValue"}

# The resource types into which SAM expands its types. A type without an entry fails.
EXPANDED = {
    "AWS::Serverless::Function": ["AWS::Lambda::Function"],
    "Event SQS": ["AWS::Lambda::EventSourceMapping"],
    "Event DynamoDB": ["AWS::Lambda::EventSourceMapping"],
    # Only with AnnouncementSchemas=on, which needs rights beyond this policy: docs/parameters.md.
    "AWS::Serverless::Application": [],
    "Event ScheduleV2": ["AWS::Scheduler::Schedule"],
    "EventInvokeConfig": ["AWS::Lambda::EventInvokeConfig"],
}

# Actions that AWS's schemas list but this template never causes, each with the reason.
NEVER_CALLED = {
    "ec2:*": "no function is in a VPC",
    "elasticfilesystem:*": "no function mounts a file system",
    "s3files:*": "no function mounts a bucket",
    "lambda:PassCapacityProvider": "functions run on Lambda's own capacity",
    "lambda:*CodeSigning*": "no code-signing configuration",
    "lambda:*FunctionScalingConfig": "no provisioned scaling",
    "lambda:PutFunctionRecursionConfig": "loop detection keeps its default",
    "lambda:PutRuntimeManagementConfig": "runtime updates keep their default",
    "lambda:AssociateRuntimeAlias": "runtime updates keep their default",
    "lambda:PublishVersion": "no function has versions",
    "iam:AttachRolePolicy": "roles have inline policies only",
    "iam:DetachRolePolicy": "roles have inline policies only",
    "iam:*UserPolicy": "the stack has no users",
    "iam:*GroupPolicy": "the stack has no groups",
    "iam:*PermissionsBoundary": "no boundary; add both if your account demands one",
    "iam:UpdateRoleDescription": "no role has a description",
    "events:PutPermission": "the event bus has no policy",
    "events:RemovePermission": "the event bus has no policy",
    "kms:GenerateDataKeyWithoutPlaintext": "the event bus and its archive have no key",
    "kms:ReEncrypt*": "the event bus and its archive have no key",
    "dynamodb:*Replica": "tables are in one region",
    "dynamodb:BatchWriteItem": "for replicas only",
    "dynamodb:DeleteItem": "for replicas only",
    "dynamodb:GetItem": "for replicas only",
    "dynamodb:PutItem": "for replicas only",
    "dynamodb:Query": "for replicas only",
    "dynamodb:Scan": "for replicas only",
    "dynamodb:UpdateItem": "for replicas only",
    "dynamodb:*ResourcePolicy": "no table has a resource policy",
    "dynamodb:*Import*": "no table is imported from S3",
    "dynamodb:EnableKinesisStreamingDestination": "no table streams to Kinesis",
    "dynamodb:DisableKinesisStreamingDestination": "no table streams to Kinesis",
    "dynamodb:UpdateKinesisStreamingDestination": "no table streams to Kinesis",
    "dynamodb:UpdateContributorInsights": "contributor insights stay off",
    "apigateway:*Resource": "tags go by POST and DELETE on /tags; IAM knows no such action",
    "kinesis:*": "no table streams to Kinesis",
    "kms:ListAliases": "keys are named by ARN",
    "kms:RevokeGrant": "for replicas only",
    "s3:GetObjectMetadata": "no table is imported from S3",
    "s3:GetObjectVersion": "the code's objects are named without a version",
    "s3:REST.PUT.OBJECT": "no log group delivers to S3",
    "firehose:*": "no log group delivers to Firehose",
    "logs:CreateLogStream": "for imports only",
    "logs:DescribeLogStreams": "for imports only",
    "logs:PutLogEvents": "for imports only",
    "logs:*DataProtectionPolicy": "no data protection policy",
    "logs:*IndexPolic*": "no index policy",
    "logs:PutBearerTokenAuthentication": "not used by a log group of ours",
    "logs:PutLogGroupDeletionProtection": "not used by a log group of ours",
    "logs:DeleteResourcePolicy": "the log groups bring no resource policy",
    "secretsmanager:GetRandomPassword": "the secret's first value is in the template",
    "secretsmanager:*Region*": "the secret is in one region",
    "secretsmanager:GetSecretValue": "for generated passwords only; a deployer needs no secret",
    "ses:PutConfigurationSet*": "the configuration set has no options",
    "sns:*DataProtectionPolicy": "no data protection policy",
}

# Actions of the policy that no resource schema lists, each with the reason.
ALSO_CALLED = {
    "cloudformation:*": "`sam deploy` works through change sets",
    "s3:CreateBucket": "the first `sam deploy` makes the bucket for the code",
    "s3:PutBucket*": "the first `sam deploy` configures that bucket",
    "s3:PutEncryptionConfiguration": "the first `sam deploy` configures that bucket",
    "s3:GetBucket*": "CloudFormation reads back what it configured",
    "s3:GetEncryptionConfiguration": "CloudFormation reads back what it configured",
    "s3:PutObject": "`sam deploy` uploads code and template",
    "s3:DeleteObject": "`sam delete` removes what was uploaded",
    "logs:UpdateLogDelivery": "API Gateway sets up its access log as the deployer",
    "logs:GetLogDelivery": "API Gateway sets up its access log as the deployer",
    "logs:ListLogDeliveries": "API Gateway sets up its access log as the deployer",
    "logs:DeleteLogDelivery": "API Gateway takes its access log down as the deployer",
}


def main():
    template = cfnlint.decode.cfn_yaml.load(str(PROJECT / "template.yaml"))
    findings = []
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        # A role has its policies inside; an AWS::IAM::Policy is one.
        for policy in properties.get("Policies", [properties] if resource["Type"] == "AWS::IAM::Policy" else []):
            document = Resolver(template).value(policy["PolicyDocument"])
            findings += linted(f"template.yaml {name}", document)
    deployer = json.loads(DEPLOYER.read_text())
    findings += linted("docs/deployer-policy.json", deployer)
    findings += compared(template, deployer)
    findings += unreachable(template, deployer)
    size = len(re.sub(r"\s", "", DEPLOYER.read_text()))
    if size > LARGEST_POLICY:
        text = f"{size} characters; IAM takes {LARGEST_POLICY} inline in a role"
        findings.append(("TOO_LARGE", "docs/deployer-policy.json", text))
    json.dump(findings, sys.stdout)


def linted(place, document):
    """Parliament's findings for each statement, and those for the whole document that no statement has."""
    findings = []
    for statement in document["Statement"]:
        for one in analyzed({**document, "Statement": [statement]}):
            findings.append((one.issue, f"{place} {statement['Sid']}", str(one.detail or "")))
    for one in analyzed(document):
        if one.issue not in {issue for issue, _, _ in findings}:
            findings.append((one.issue, place, str(one.detail or "")))
    return findings


def analyzed(document):
    return parliament.analyze_policy_string(json.dumps(document)).findings


def compared(template, deployer):
    """The actions that the deployer's policy lacks, and those that it has without need."""
    place = "docs/deployer-policy.json"
    allowed = {action for statement in deployer["Statement"] for action in listed(statement["Action"])}
    called = {}
    for kind in kinds(template):
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
        for verb in ("create", "read", "update", "delete"):
            for action in handlers.get(verb, {}).get("permissions", []):
                called.setdefault(action, set()).add(kind)
    never = {action: pattern for action in called for pattern in NEVER_CALLED if matches(action, pattern)}
    findings = []
    for action in sorted(set(called) - set(never)):
        if not any(matches(action, pattern) for pattern in allowed):
            findings.append(("MISSING_ACTION", place, f"{action}: CloudFormation calls it for {min(called[action])}"))
    for pattern in sorted(allowed):
        needed = any(matches(action, pattern) for action in set(called) - set(never))
        if not needed and not any(matches(pattern, other) for other in ALSO_CALLED):
            findings.append(("NEEDLESS_ACTION", place, f"{pattern}: nothing in template.yaml needs it"))
    for pattern in sorted(set(NEVER_CALLED) - set(never.values())):
        if not any(matches(action, pattern) for action in called):
            findings.append(("STALE", "local/policies.py", f"NEVER_CALLED has {pattern}, which no schema lists"))
    for pattern in sorted(ALSO_CALLED):
        if not any(matches(action, pattern) for action in allowed):
            findings.append(("STALE", "local/policies.py", f"ALSO_CALLED has {pattern}, which the policy lacks"))
    return findings


def unreachable(template, deployer):
    """The resources whose names the deployer's policy does not allow to create."""
    findings = []
    resolver = Resolver(template)
    for name, resource in template["Resources"].items():
        action = Resolver.CREATED_BY.get(resource["Type"])
        if action is None:
            continue
        arn = resolver.arn(name)
        reached = any(
            fnmatch.fnmatchcase(arn, pattern)
            for statement in deployer["Statement"]
            if action in listed(statement["Action"])
            for pattern in listed(statement["Resource"])
        )
        if not reached:
            findings.append(("OTHER_NAME", "docs/deployer-policy.json", f"{action} does not reach {name}: {arn}"))
    return findings


def kinds(template):
    """Every resource type of the template, as CloudFormation sees it."""
    found = set()
    for resource in template["Resources"].values():
        kind = resource["Type"]
        found.update(EXPANDED[kind] if kind.startswith("AWS::Serverless::") else [kind])
        if kind == "AWS::Serverless::Function":
            for event in resource["Properties"].get("Events", {}).values():
                found.update(EXPANDED[f"Event {event['Type']}"])
            if "EventInvokeConfig" in resource["Properties"]:
                found.update(EXPANDED["EventInvokeConfig"])
    return sorted(found)


def matches(action, pattern):
    """IAM compares actions without regard to case."""
    return fnmatch.fnmatchcase(action.lower(), pattern.lower())


def listed(value):
    return value if isinstance(value, list) else [value]


class Resolver:
    """Puts plausible values where the template has intrinsic functions. Both sides of a choice count."""

    ARNS = {
        "AWS::DynamoDB::Table": "arn:aws:dynamodb:us-east-1:123456789012:table/{}",
        "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:{}",
        "AWS::SNS::Topic": "arn:aws:sns:us-east-1:123456789012:{}",
        "AWS::Serverless::Function": "arn:aws:lambda:us-east-1:123456789012:function:{}",
        "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:{}-a1B2c3",
        "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:{}:*",
        "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{}",
        "AWS::Events::EventBus": "arn:aws:events:us-east-1:123456789012:event-bus/{}",
        "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:{}",
        "AWS::KMS::Key": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    }
    CREATED_BY = {
        "AWS::DynamoDB::Table": "dynamodb:CreateTable",
        "AWS::SQS::Queue": "sqs:CreateQueue",
        "AWS::SNS::Topic": "sns:CreateTopic",
        "AWS::Serverless::Function": "lambda:CreateFunction",
        "AWS::SecretsManager::Secret": "secretsmanager:CreateSecret",
        "AWS::Logs::LogGroup": "logs:CreateLogGroup",
        "AWS::IAM::Role": "iam:CreateRole",
        "AWS::Events::EventBus": "events:CreateEventBus",
        "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm",
    }
    # The properties that name a resource. Without one, CloudFormation makes a name.
    NAMES = ("Name", "TableName", "QueueName", "TopicName", "FunctionName", "LogGroupName", "RoleName", "AlarmName")
    PSEUDO = {
        "AWS::Partition": "aws",
        "AWS::Region": "us-east-1",
        "AWS::AccountId": "123456789012",
        "AWS::StackName": "flex-fulfillment",
        "AWS::URLSuffix": "amazonaws.com",
    }

    def __init__(self, template):
        self.resources = template["Resources"]
        self.parameters = template["Parameters"]

    def value(self, it):
        if isinstance(it, list):
            return [self.value(side) for each in it for side in sides(each)]
        if not isinstance(it, dict):
            return it
        if len(it) == 1:
            (key, inner), = it.items()
            if key == "Ref":
                return self.named(inner)
            if key == "Fn::GetAtt":
                name, attribute = inner if isinstance(inner, list) else inner.split(".")[:2]
                return self.arn(name) + ("/stream/2026-01-01" if attribute == "StreamArn" else "")
            if key == "Fn::Sub":
                return self.substituted(inner)
            if key == "Fn::If":
                return self.value(sides(it)[0])
            if key == "Fn::Select":
                return self.value(inner[1])[int(inner[0])]
            if key == "Fn::Split":
                return self.value(inner[1]).split(inner[0])
            if key == "Fn::Join":
                return inner[0].join(self.value(inner[1]))
        return {key: self.value(inner) for key, inner in it.items()}

    def named(self, name):
        if name in self.PSEUDO:
            return self.PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name].get("Default") or self.sample(name)
        # A topic's reference is its ARN; the others' is the name.
        return self.arn(name) if self.resources[name]["Type"] == "AWS::SNS::Topic" else self.physical(name)

    def sample(self, parameter):
        if parameter.endswith("KeyArn"):
            return self.ARNS["AWS::KMS::Key"]
        return "sample@shop.example"

    def arn(self, name):
        kind = self.resources[name]["Type"]
        if kind not in self.ARNS:
            raise SystemExit(f"local/policies.py: add the form of the ARN of a {kind} to Resolver.ARNS")
        return self.ARNS[kind].format(self.physical(name))

    def physical(self, name):
        """The name in the account. CloudFormation puts the stack's name before the resource's, but for secrets."""
        properties = self.resources[name].get("Properties", {})
        for property in self.NAMES:
            if property in properties:
                return self.value(properties[property])
        secret = self.resources[name]["Type"] == "AWS::SecretsManager::Secret"
        return f"{name}-x" if secret else f"flex-fulfillment-{name}-x"

    def substituted(self, inner):
        text, names = (inner, {}) if isinstance(inner, str) else inner
        def put(found):
            name = found.group(1)
            if name in names:
                return self.value(names[name])
            return self.arn(name[:-4]) if name.endswith(".Arn") else self.named(name)
        return re.sub(r"\$\{([^}]+)\}", put, text)


def sides(it):
    """Both sides of a choice, without `AWS::NoValue`."""
    if isinstance(it, dict) and set(it) == {"Fn::If"}:
        return [side for one in it["Fn::If"][1:] if one != NOTHING for side in sides(one)]
    return [it]


if __name__ == "__main__":
    main()
