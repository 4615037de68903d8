"""Runs a function's build under AWS's runtime emulator: the Lambda runtime API without a container.

https://github.com/aws/aws-lambda-runtime-interface-emulator
"""

import http.client
import json
import socket
import subprocess
import sys
import time

import aws
import deployment
import processes
import say
import tools

START_SECONDS = 10
# The emulator ends an invocation at the function's timeout, and then needs a moment to answer.
MARGIN_SECONDS = 10


def invoke(folder, configuration, variables, event):
    """The answer of the bootstrap in `folder` to one event. Its log goes to stderr."""
    port = deployment.free_port(None)
    emulator = subprocess.Popen(
        [tools.runtime_emulator(), "--log-level", "error",
         "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
         "--runtime-api-address", f"127.0.0.1:{deployment.free_port(None)}",
         folder / "bootstrap"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        env=environment(configuration, variables),
        cwd=folder,
        preexec_fn=processes.tie_to_parent,
    )
    try:
        wait_until_it_listens(emulator, port)
        return ask(port, event, configuration["Timeout"] + MARGIN_SECONDS)
    finally:
        emulator.terminate()
        emulator.wait()


def environment(configuration, variables):
    """The environment that Lambda gives a function, without the user's."""
    return {
        "AWS_REGION": aws.REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(configuration["Timeout"]),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
        **variables,
    }


def wait_until_it_listens(emulator, port):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if emulator.poll() is not None or time.monotonic() > deadline:
                raise say.Failure("the runtime emulator did not start; its log is above") from None
            time.sleep(0.01)


def ask(port, event, seconds):
    # The emulator calls every function `function`.
    path = "/2015-03-31/functions/function/invocations"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("POST", path, body=event, headers={"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise say.Failure(f"the runtime emulator did not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise say.Failure("the function ended without an answer; its log is above")
    return text


def is_error(answer):
    """Whether the function failed. Lambda reports it in a header, the emulator only in the body."""
    try:
        return "errorType" in (json.loads(answer) or {})
    except ValueError:
        return True
