"""The local stack: AWS on this machine, with template.yaml deployed into it.

    stack.py tools       install the pinned tools under .local/
    stack.py examples    install what the examples run on
    stack.py lint        check template.yaml
    stack.py audit       audit template, permissions, dependencies and workflows
    stack.py up          start the stack, or bring a running one up to date
    stack.py status      say what runs
    stack.py down        stop it
    stack.py send FILE   sign a file as the provider does and post it to the stack
    stack.py event FILE  print a sample as a function would get it, a delivery signed now
    stack.py invoke FUNCTION [FILE]
                         run a function on a sample, against the stack, in a container if Docker runs
    stack.py deploy TEMPLATE
                         deploy another template beside the stack and print its outputs
    stack.py remove NAME remove such a stack
    stack.py run -- CMD  run CMD against a stack of its own, which ends with it

`up` leaves what it started running and writes .local/stack.json; `run` hands CMD the path of such a file
in STACK_FILE. Needs nothing but the standard library.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.error

import audit
import aws
import deployment
import invocation
import permissions
import processes
import say
import sender
import tools
from paths import LOCAL, STACK_FILE, Place


def name_and_value(text):
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


PARAMETER = {
    "action": "append",
    "default": [],
    "type": name_and_value,
    "metavar": "NAME=VALUE",
    "help": f"a parameter of the template, any number of times; KmsKeyArn={deployment.NEW_KEY} makes a key",
}


def main():
    commands = argparse.ArgumentParser(prog="stack.py", description=__doc__.split("\n", 1)[0])
    verbs = commands.add_subparsers(dest="verb", required=True)
    verbs.add_parser("tools", help="install the pinned tools")
    verbs.add_parser("examples", help="install what the examples run on")
    verbs.add_parser("lint", help="check template.yaml")
    audited = verbs.add_parser("audit", help="audit template, permissions, dependencies and workflows")
    audited.add_argument("--online", action="store_true", help="fail where a database cannot be fetched")
    up = verbs.add_parser("up", help="start the stack, or bring a running one up to date")
    up.add_argument("--mode", choices=["test", "live"], default="test")
    up.add_argument("--parameter", **PARAMETER)
    verbs.add_parser("status", help="say what runs")
    verbs.add_parser("down", help="stop the stack")
    send = verbs.add_parser("send", help="post a signed event to the stack")
    send.add_argument("file")
    event = verbs.add_parser("event", help="print a sample, signed now")
    event.add_argument("file")
    invoke = verbs.add_parser("invoke", help="run a function on a sample, in a container if Docker runs")
    invoke.add_argument("function")
    invoke.add_argument("file", nargs="?", help="an event; - reads it from standard input")
    invoke.add_argument("--no-container", action="store_true", help="do not use Docker")
    invoke.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], type=setting, dest="changes",
                        help="change a variable of the function; implies --no-container")
    deploy = verbs.add_parser("deploy", help="deploy another template beside the stack")
    deploy.add_argument("template", help="a parameter with the name of an output of the stack gets its value")
    deploy.add_argument("--name", required=True, help="the name of the new stack")
    deploy.add_argument("--parameter", **PARAMETER)
    remove = verbs.add_parser("remove", help="remove a stack that `deploy` made")
    remove.add_argument("name")
    run = verbs.add_parser("run", help="run a command against a stack of its own")
    run.add_argument("--mode", choices=["test", "live"], default="test")
    run.add_argument("--faults", metavar="SEED", type=int, help="put a proxy between the functions and AWS that can fail them")
    run.add_argument("--every-permission", action="store_true",
                     help="fail if CMD, which uses the whole stack, leaves a role's permission without a use")
    run.add_argument("--expect-refusals", action="store_true", help="CMD takes permissions away, so refused calls are no error")
    run.add_argument("--bare", action="store_true", help="leave secrets and sender to CMD, as `sam deploy` does")
    run.add_argument("--parameter", **PARAMETER)
    run.add_argument("command", nargs=argparse.REMAINDER)
    asked = commands.parse_args()

    # A closed terminal or a polite kill must clean up as Ctrl-C does.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(VERBS[asked.verb](asked))
    except say.Failure as failure:
        say.failure(failure)
        sys.exit(1)
    except KeyboardInterrupt:
        say.line("stopped")
        sys.exit(130)


def install(_asked):
    tools.install()


def install_for_examples(_asked):
    tools.install_for_examples()


def lint(_asked):
    tools.install()
    deployment.lint()


def run_audit(asked):
    tools.install_for_audit()
    audit.run(asked.online)


def up(asked):
    place = Place(LOCAL)
    tools.install()
    # First, so that an unusable key does not stop the running stack.
    wanted = deployment.flex_source(asked.mode)
    stack = deployment.read(place)
    given = dict(asked.parameter)
    outdated = stack and why_not(stack, asked.mode, given, wanted)
    if outdated:
        say.line(f"{outdated}; starting a new one")
        processes.stop(stack["processes"])
        stack = None
    stack = deployment.refresh(place, stack) if stack else start(place, asked.mode, given, preferred_port=4566)
    say.line(f"""
webhook URL   {stack['webhook_url']}
AWS endpoint  {stack['endpoint']}   (any credentials, region {stack['region']})
Flex          {stack['flex_base_url']}
all the rest  {STACK_FILE.relative_to(LOCAL.parent)}

send an event   make send EVENT=events/flex/checkout.session.completed.json
read the mails  {stack['endpoint']}/_ministack/ses/messages
watch the logs  tail -f .local/logs/ministack.log
stop            make down""")
    if wanted and not wanted["webhook_secret_sha256"]:
        say.line("\nwithout FLEX_WEBHOOK_SECRET no delivery of Flex's own verifies, only those of `make send`")


def why_not(stack, mode, given, wanted):
    """The reason why a running stack does not fit the request, or None."""
    if not deployment.healthy(stack):
        return "the stack of before is no longer healthy"
    if stack["parameters"]["Mode"] != mode:
        return f"the running stack is in {stack['parameters']['Mode']} mode"
    if stack.get("given", {}) != given:
        return "the running stack has other parameters"
    running = stack.get("flex_source")
    if running == wanted:
        return None
    flex = [source["base_url"] if source else "the stand-in" for source in (running, wanted)]
    if flex[0] == flex[1]:
        return f"the running stack speaks to {flex[0]} with other keys"
    return f"the running stack speaks to {flex[0]}, not to {flex[1]}"


def status(_asked):
    stack = deployment.read(Place(LOCAL))
    if not stack:
        say.line("no local stack is running; `make up` starts one")
        return 1
    if not deployment.healthy(stack):
        say.line("the local stack has died; `make up` starts a new one, .local/logs/ministack.log may say why")
        return 1
    say.line(f"running in {stack['parameters']['Mode']} mode")
    for name, process in stack["processes"].items():
        say.line(f"  {name:<14}pid {process['pid']}")
    say.line(f"  webhook URL   {stack['webhook_url']}")
    say.line(f"  AWS endpoint  {stack['endpoint']}")


def down(_asked):
    place = Place(LOCAL)
    stack = deployment.read(place)
    if not stack:
        say.line("no local stack is running")
        return
    processes.stop(stack["processes"])
    place.clear()
    say.line("the local stack is stopped")


def send(asked):
    return sender.send(running(), asked.file)


def event(asked):
    sys.stdout.buffer.write(invocation.sample(running(), pathlib.Path(asked.file)))


def invoke(asked):
    in_container = not (asked.no_container or asked.changes)
    return invocation.invoke(running(), asked.function, asked.file, dict(asked.changes), in_container)


def deploy(asked):
    outputs = deployment.deploy_beside(running(), pathlib.Path(asked.template), asked.name, dict(asked.parameter))
    say.line(json.dumps(outputs))


def remove(asked):
    aws.delete_stack(running()["endpoint"], asked.name)


def setting(text):
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def running():
    """The stack that `up` has started or, within `run`, that run's stack."""
    named = os.environ.get("STACK_FILE")
    stack = deployment.read(Place(pathlib.Path(named).parent if named else LOCAL))
    if not stack or not deployment.healthy(stack):
        raise say.Failure("no local stack is running; `make up` starts one")
    return stack


def run(asked):
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    if not command:
        raise say.Failure("run what? stack.py run -- CMD")
    tools.install()
    forget_dead_runs()
    place = Place(LOCAL / "runs" / str(os.getpid()))
    stack = start(place, asked.mode, dict(asked.parameter), dies_with_us=True, faults=asked.faults,
                  bare=asked.bare)
    try:
        roles = permissions.Roles(stack)
        child = subprocess.Popen(
            command,
            env={**os.environ, "STACK_FILE": str(place.stack_file)},
            preexec_fn=processes.tie_to_parent,
        )
        try:
            code = child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        if not asked.expect_refusals:
            # A failed CMD did not use all permissions.
            permissions.check(roles, place.decisions, asked.every_permission and code == 0)
    finally:
        processes.stop(stack["processes"])
        shutil.rmtree(place.scratch, ignore_errors=True)
    if code == 0:
        shutil.rmtree(place.root, ignore_errors=True)
    else:
        say.line(f"the stack's logs are kept in {place.logs.relative_to(LOCAL.parent)}")
    # A shell says it the same way when a signal ended the command.
    return code if code >= 0 else 128 - code


def start(place, mode, given, preferred_port=None, dies_with_us=False, faults=None, bare=False):
    """A fresh stack. If a part fails to start, this stops the others."""
    with contextlib.ExitStack() as undo:
        started = {}
        undo.callback(lambda: processes.stop(started))
        stack = deployment.start(place, mode, started, given, preferred_port, dies_with_us, faults, bare)
        undo.pop_all()
        return stack


def forget_dead_runs():
    """Deletes the folders of failed runs, which were kept for their logs."""
    runs = LOCAL / "runs"
    for folder in runs.iterdir() if runs.exists() else []:
        if not processes.exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)


VERBS = {
    "tools": install,
    "examples": install_for_examples,
    "lint": lint,
    "audit": run_audit,
    "up": up,
    "status": status,
    "down": down,
    "send": send,
    "event": event,
    "invoke": invoke,
    "deploy": deploy,
    "remove": remove,
    "run": run,
}

if __name__ == "__main__":
    try:
        main()
    except urllib.error.URLError as error:
        say.failure(say.Failure(f"the local stack does not answer: {error.reason}"))
        sys.exit(1)
