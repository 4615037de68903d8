"""Compares each role's permissions with its calls in a run, and with the calls that AWS makes for it.

The emulator refuses what a role may not do, as AWS does (emulator.py), and records every decision. From these records:

- a refused call is an error, because the function would fail on AWS;
- a permission without a call is an error, unless UNUSED gives its reason. So no role may do more than it needs, and a
  test notices each permission that is taken away.

The emulator does not check the calls that AWS makes for a role: it polls queues, writes logs and starts schedules. This
file derives these calls from the deployed stack and checks them by `iam:SimulatePrincipalPolicy`. The function's own
policy shows if the API may call it.
"""

import collections
import fnmatch
import json
import re
from dataclasses import dataclass

import aws
import say

# Permissions that no test on the local stack uses, each with its reason.
UNUSED = {
    ("ReceiptsRole", "ses:SendRawEmail", "identity/harborandpine.example"):
        "SES checks the domain, not the address, if the domain is verified",
    ("ReconcileRole", "dynamodb:PutItem", "AnnouncementsTable"):
        "a recovered event that is not understood is parked; no sample makes reconcile recover one",
    ("ReceiptsRole", "ses:SendRawEmail", "identity/support@harborandpine.example"):
        "SES also checks the recipient while the account is in its sandbox",
}

POLLING = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
STREAMING = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
LOGGING = ("logs:CreateLogStream", "logs:PutLogEvents")


@dataclass(frozen=True, order=True)
class Permission:
    """One action on one resource. `role` is the logical id in the template."""

    role: str
    action: str
    resource: str

    def covers(self, action, resource):
        return fnmatch.fnmatchcase(action, self.action) and fnmatch.fnmatchcase(resource, self.resource)


class Roles:
    """The deployed stack's roles, their permissions, and the calls that AWS makes for them. Read before the run, because a
    storm stops the emulator."""

    def __init__(self, stack):
        endpoint = stack["endpoint"]
        self.resources = aws.stack_resources(endpoint, stack["stack_name"])
        self.logical = {physical: logical for logical, (_, physical) in self.resources.items()}
        self.names = [physical for kind, physical in self.resources.values() if kind == "AWS::IAM::Role"]
        self.allowed = {
            Permission(self.logical[name], action, resource)
            for name in self.names
            for policy in aws.role_policies(endpoint, name).values()
            for statement in policy["Statement"]
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }
        self.needs = needs(endpoint, self)
        self.problems = [
            f"{self.logical[name]} may not {action} on {self.readable(resource)}, which AWS needs"
            for name, action, resource in sorted(self.needs)
            if not aws.may(endpoint, name, action, resource)
        ]
        self.problems += closed_routes(endpoint, self)

    def readable(self, resource):
        """A resource by its logical id, if it has one, so that a report is readable and the same for each stack."""
        named = [
            (len(name), logical)
            for logical, (_, physical) in self.resources.items()
            # A queue's physical id is its URL.
            if (name := physical.rsplit("/", 1)[-1] if physical.startswith("http") else physical)
            and re.search(rf"(^|[:/]){re.escape(name)}([:/-]|$)", resource)
        ]
        if not named:
            return resource.split(":", 5)[-1]
        index = resource.partition("/index/")[2]
        logical = max(named)[1]
        return f"{logical}/index/{index}" if index else logical


def listed(value):
    return value if isinstance(value, list) else [value]


def calls(trace):
    """The number of each role's calls, by call and decision, from the emulator's record."""
    counted = collections.Counter()
    with open(trace) as lines:
        for line in lines:
            principal, action, resource, decision = json.loads(line)
            if ":assumed-role/" in principal:
                counted[principal.split("/")[1], action, resource, decision] += 1
    return counted


def needs(endpoint, roles):
    """The calls that AWS makes for a role and the emulator does not check: (role's name, action, resource)."""
    found = set()
    for mapping in aws.event_source_mappings(endpoint):
        role = aws.function(endpoint, mapping["FunctionArn"])["Role"].rsplit("/", 1)[-1]
        actions = STREAMING if "/stream/" in mapping["EventSourceArn"] else POLLING
        found |= {(role, action, mapping["EventSourceArn"]) for action in actions}
    for logical, (kind, physical) in roles.resources.items():
        if kind == "AWS::Lambda::Function":
            configuration = aws.function(endpoint, physical)
            role = configuration["Role"].rsplit("/", 1)[-1]
            group = aws.log_group_arn(endpoint, configuration["LoggingConfig"]["LogGroup"])
            found |= {(role, action, f"{group}:log-stream:any") for action in LOGGING}
        if kind == "AWS::Scheduler::Schedule":
            target = aws.schedule_target(endpoint, physical)
            found.add((target["RoleArn"].rsplit("/", 1)[-1], "lambda:InvokeFunction", target["Arn"]))
    return found


def closed_routes(endpoint, roles):
    """Each route of the webhook's API that may not call its function."""
    for logical, (kind, physical) in roles.resources.items():
        if kind != "AWS::ApiGatewayV2::Api":
            continue
        for route, function in aws.routes(endpoint, physical).items():
            method, path = route.split(" ")
            # As API Gateway names the caller: the stage, then the route as it is written.
            source = f"arn:aws:execute-api:{aws.REGION}:{aws.ACCOUNT}:{physical}/$default/{method}{path}"
            statements = aws.function_policy(endpoint, function)["Statement"]
            if not any(lets_in(statement, source) for statement in statements):
                yield f"{logical} may not call {roles.logical[function]} for {route}"


def lets_in(statement, source):
    patterns = [
        pattern
        for condition, keys in statement.get("Condition", {}).items() if condition in ("ArnLike", "ArnEquals")
        for name, pattern in keys.items() if name.lower() == "aws:sourcearn"
    ]
    return (
        statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
        and "lambda:InvokeFunction" in listed(statement["Action"])
        and any(fnmatch.fnmatchcase(source, pattern) for pattern in patterns)
    )


def check(roles, trace, everything):
    """Reports on the record of a run. Raises a Failure for a refused call, for a call of AWS's that a role does not allow
    and, if the run covers `everything`, for a permission without a use."""
    allowed, counted = roles.allowed, calls(trace)
    problems = [
        f"{roles.logical.get(name, name)} was refused {action} on {roles.readable(resource)}, {times} times ({decision})"
        for (name, action, resource, decision), times in sorted(counted.items())
        if decision != "Allow"
    ]
    problems += roles.problems
    # CMD may deploy other stacks. Their roles are not compared, but a refused call is an error there as well.
    uses = {
        (roles.logical[name], action, resource) for name, action, resource, _ in counted if name in roles.logical
    } | {
        (roles.logical[name], action, resource) for name, action, resource in roles.needs
    }
    needed = {permission for permission in allowed if is_needed(permission, allowed, uses)}
    if everything:
        problems += unused(allowed - needed, allowed, roles)
    refused = sum(times for (*_, decision), times in counted.items() if decision != "Allow")
    say.line(
        f"permissions: {sum(counted.values())} calls of {len(roles.names)} roles checked, {refused} refused; "
        f"{len(needed)} of {len(allowed)} permissions needed, {len(roles.needs)} needs of AWS checked"
    )
    for permission in sorted(allowed - needed) if everything else []:
        if reason := UNUSED.get(key(permission, roles)):
            say.line(f"  unused: {permission.role} {permission.action} on {roles.readable(permission.resource)}: {reason}")
    if problems:
        raise say.Failure("the roles and what the functions do differ:\n  " + "\n  ".join(problems))


def is_needed(permission, allowed, uses):
    """Whether a use depends on this permission, because no other permission of the role covers it."""
    others = [other for other in allowed if other.role == permission.role and other != permission]
    return any(
        role == permission.role and permission.covers(action, resource)
        and not any(other.covers(action, resource) for other in others)
        for role, action, resource in uses
    )


def unused(idle, allowed, roles):
    """The faults of permissions without a use, and of the reasons in UNUSED."""
    idle = {key(permission, roles) for permission in idle}
    present = {key(permission, roles) for permission in allowed}
    for known in sorted(idle - set(UNUSED)):
        yield "{} has no use for {} on {}: remove it, or test what needs it".format(*known)
    for known in sorted(set(UNUSED) - idle):
        state = "is used" if known in present else "is not in the template"
        yield "{} {} on {} {}: take it out of UNUSED in local/permissions.py".format(*known, state)


def key(permission, roles):
    return permission.role, permission.action, roles.readable(permission.resource)
