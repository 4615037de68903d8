"""Runs one function in a container by `sam local invoke`, against the running local stack."""

import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.parse

import aws
import container
import deployment
import relay
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
}


def invoke(stack, function, file):
    if function not in SAMPLES:
        raise say.Failure(f"there is no function {function}; there are {', '.join(SAMPLES)}")
    path = pathlib.Path(file) if file else PROJECT / SAMPLES[function]
    engine = container.Engine()
    deployment.build()
    template = with_endpoint(BUILD / "template.yaml")
    with contextlib.ExitStack() as open_for_it:
        scratch = open_for_it.enter_context(tempfile.TemporaryDirectory())
        variables = pathlib.Path(scratch) / "variables.json"
        reach = Reach(engine.host_address(), open_for_it)
        variables.write_text(json.dumps({function: environment(stack, function, reach)}))
        command = [
            tools.SAM / "bin" / "sam", "local", "invoke", function, "--event", "-",
            "--template-file", template, "--config-env", "local",
            "--parameter-overrides", f"Architecture={tools.architecture()}",
            "--env-vars", variables, "--layer-cache-basedir", LOCAL / "cache" / "layers",
        ]
        # SAM would ask the registry for a newer one each time.
        if engine.has(f"public.ecr.aws/lambda/provided:al2023-{tools.architecture()}"):
            command.append("--skip-pull-image")
        # Signed last: a signature is good for five minutes.
        event = sample(stack, path)
        code = subprocess.run(command, input=event, env=deployment.environment(stack["endpoint"]), cwd=PROJECT).returncode
        # SAM ends the answer without a line break.
        say.line("")
        return code


def sample(stack, path):
    """A file as it is to be handed to a function: a delivery is signed now, anything else is left alone."""
    if not path.is_file():
        raise say.Failure(f"there is no file {path}")
    text = path.read_bytes()
    try:
        return sender.sign_sample(stack, json.loads(text)) or text
    except ValueError:
        return text


def environment(stack, function, reach):
    """What the deployed function is given, but for addresses, which a container reaches another way, and queues:
    what is sent by hand goes to queues that no deployed function reads, so that the next step is left to do."""
    name = stack["functions"][function.removesuffix("Function").lower()]
    variables = aws.function_variables(stack["endpoint"], name)
    for variable in variables:
        if variable.endswith("_QUEUE_URL"):
            queue = "by-hand-" + variable.removesuffix("_QUEUE_URL").lower()
            variables[variable] = aws.create_queue(stack["endpoint"], queue)
    if stack["stand_in_url"] and "FLEX_API_BASE_URL" in variables:
        variables["FLEX_API_BASE_URL"] = reach.url(stack["stand_in_url"])
    return {**variables, "AWS_ENDPOINT_URL": reach.url(stack["endpoint"])}


class Reach:
    """Opens a way for containers to what listens on 127.0.0.1 only."""

    def __init__(self, host, open_for_it):
        self.host = host
        self.open_for_it = open_for_it

    def url(self, local):
        target = urllib.parse.urlsplit(local)
        port = self.open_for_it.enter_context(relay.open_at(self.host, (target.hostname, target.port)))
        return f"http://{self.host}:{port}"


def with_endpoint(template):
    """The built template with a variable more. SAM hands a function no variable that its template does not have,
    and on AWS it must not have this one."""
    text, places = re.subn(
        r"^( +)Variables:\n", r"\g<0>\1  AWS_ENDPOINT_URL: ''\n", template.read_text(), flags=re.MULTILINE
    )
    if not places:
        raise say.Failure(f"{template.relative_to(PROJECT)} gives no function any variables; `make up` builds it anew")
    # Beside the original, since a template names its code by relative paths.
    copy = template.with_name("invoke.yaml")
    copy.write_text(text)
    return copy
