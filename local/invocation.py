"""Runs one function on one event, against the running local stack: in a container by `sam local invoke`, or under
AWS's runtime emulator without one."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

import aws
import container
import deployment
import relay
import runtime
import say
import sender
import tools
from paths import BUILD, LOCAL, PROJECT

SAMPLES = {
    "IntakeFunction": "events/intake.json",
    "FulfillmentFunction": "events/fulfillment.json",
    "ReceiptsFunction": "events/receipts.json",
    "FeedbackFunction": "events/feedback.json",
    "SweepFunction": "events/sweep.json",
    "ReconcileFunction": "events/reconcile.json",
    "AnnouncementsFunction": "events/announcements.json",
}


def invoke(stack, function, file, changes, in_container):
    if function not in SAMPLES:
        raise say.Failure(f"there is no function {function}; there are {', '.join(SAMPLES)}")
    # Standard input comes signed, as SAM takes it.
    event = sys.stdin.buffer.read() if file == "-" else None
    path = pathlib.Path(file) if file else PROJECT / SAMPLES[function]

    def read():
        # Sign last: a signature is valid for five minutes.
        return sample(stack, path) if event is None else event

    engine = usable_engine() if in_container else None
    deployment.build()
    if engine:
        return invoke_in_container(stack, function, read, engine)
    return invoke_here(stack, function, read, changes)


def usable_engine():
    try:
        return container.Engine()
    except container.Unusable as reason:
        # Stdout is for the answer.
        print(f"running without a container: {reason}", file=sys.stderr, flush=True)
        return None


def invoke_here(stack, function, read, changes):
    configuration = deployed(stack, function)
    variables = {**environment(stack, configuration, lambda url: url), **changes}
    answer = runtime.invoke(BUILD / function, configuration, variables, read())
    say.line(answer)
    return 1 if runtime.is_error(answer) else 0


def invoke_in_container(stack, function, read, engine):
    template = with_endpoint(BUILD / "template.yaml")
    with contextlib.ExitStack() as open_for_it:
        scratch = open_for_it.enter_context(tempfile.TemporaryDirectory())
        variables = pathlib.Path(scratch) / "variables.json"
        reach = Reach(engine.host_address(), open_for_it)
        configuration = deployed(stack, function)
        variables.write_text(json.dumps({function: environment(stack, configuration, reach.url)}))
        command = [
            tools.SAM / "bin" / "sam", "local", "invoke", function, "--event", "-",
            "--template-file", template, "--config-env", "local",
            "--parameter-overrides", f"Architecture={tools.architecture()}",
            "--env-vars", variables, "--layer-cache-basedir", LOCAL / "cache" / "layers",
        ]
        # Otherwise SAM asks the registry for a newer one each time.
        if engine.has(f"public.ecr.aws/lambda/provided:al2023-{tools.architecture()}"):
            command.append("--skip-pull-image")
        code = subprocess.run(command, input=read(), env=deployment.environment(stack["endpoint"]), cwd=PROJECT).returncode
        # SAM ends the answer without a line break.
        say.line("")
        return code


def sample(stack, path):
    """A file as input for a function. A delivery gets a fresh signature; other files stay unchanged."""
    if not path.is_file():
        raise say.Failure(f"there is no file {path}")
    text = path.read_bytes()
    try:
        return sender.sign_sample(stack, json.loads(text)) or text
    except ValueError:
        return text


def deployed(stack, function):
    return aws.function(stack["endpoint"], stack["functions"][function.removesuffix("Function").lower()])


def environment(stack, configuration, reachable):
    """The deployed function's variables, with two changes. `reachable` turns the address of a local server into the
    one that the function must use. Queues are replaced by queues that no deployed function reads, so that the next
    step is left to do."""
    variables = configuration["Environment"]["Variables"]
    for variable in variables:
        if variable.endswith("_QUEUE_URL"):
            queue = "by-hand-" + variable.removesuffix("_QUEUE_URL").lower()
            variables[variable] = aws.create_queue(stack["endpoint"], queue)
    if stack["stand_in_url"] and "FLEX_API_BASE_URL" in variables:
        variables["FLEX_API_BASE_URL"] = reachable(stack["stand_in_url"])
    if "FLINT_API_BASE_URL" in variables:
        variables["FLINT_API_BASE_URL"] = reachable(stack["flint_stand_in_url"])
    return {**variables, "AWS_ENDPOINT_URL": reachable(stack["endpoint"])}


class Reach:
    """Lets containers reach servers that listen on 127.0.0.1 only."""

    def __init__(self, host, open_for_it):
        self.host = host
        self.open_for_it = open_for_it

    def url(self, local):
        target = urllib.parse.urlsplit(local)
        port = self.open_for_it.enter_context(relay.open_at(self.host, (target.hostname, target.port)))
        return f"http://{self.host}:{port}"


def with_endpoint(template):
    """The built template with one more variable. SAM passes a function only the variables of its template, and on AWS it
    must not have this one."""
    text, places = re.subn(
        r"^( +)Variables:\n", r"\g<0>\1  AWS_ENDPOINT_URL: ''\n", template.read_text(), flags=re.MULTILINE
    )
    if not places:
        raise say.Failure(f"{template.relative_to(PROJECT)} gives no function any variables; `make up` builds it again")
    # Beside the original, because a template names its code by relative paths.
    copy = template.with_name("invoke.yaml")
    copy.write_text(text)
    return copy
