"""Makes a stack: MiniStack, the stand-ins for the providers, and template.yaml deployed by `sam deploy`."""

import base64
import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
import urllib.parse

import aws
import processes
import say
import tools
from paths import BUILD, LOCAL, PROJECT, lock, write_private

STACK_NAME = "local"
BUCKET = "artifacts"
# The template of a build whose functions are zipped.
PACKED = BUILD / "packed.yaml"

# Fulfillment refuses to start with a key of the other mode.
INVENTED_KEYS = {"test": "fsk_test_local", "live": "fsk_local"}
INVENTED_FLINT_KEYS = {"test": "flint_test_local", "live": "flint_live_local"}

# As the value of KmsKeyArn: make a key first.
NEW_KEY = "new"

# The shop of the examples and of the demo.
SHOP = {
    "MerchantName": "Harbor & Pine Wellness",
    "MerchantAddress": "12 Custom House Wharf | Portland, ME 04101",
    "SupportEmail": "support@harborandpine.example",
    "ReceiptSender": "receipts@harborandpine.example",
    # The template rejects a live stack without a recipient.
    "AlarmEmail": "oncall@harborandpine.example",
}


def start(place, mode, started, given, preferred_port=None, dies_with_us=False, faults=None, bare=False):
    """Starts everything and describes it in the place's stack file. `started` lists the processes that the caller must
    stop after a failure. `given` are parameters of the template that replace ours. With a seed for `faults`, the functions
    reach AWS through a proxy that can fail calls. A `bare` stack is left as `sam deploy` leaves it: without secrets and
    without a verified sender."""
    place.prepare()
    build()
    build_stand_in()
    flex = real_flex(mode) or stand_in(mode)
    endpoint, proxy = start_ministack(place, started, preferred_port, dies_with_us, faults)
    flex_url, flint_url = start_stand_in(place, started, dies_with_us)
    if flex["stand_in"]:
        flex["base_url"] = flex_url
    flint_secret = random_webhook_secret("whsec_")
    wait_until("starting the local AWS", started["ministack"], place.logs / "ministack.log",
               lambda: aws.healthy(endpoint))
    aws.create_bucket(endpoint, BUCKET)
    if not bare:
        aws.verify_sender(endpoint, SHOP["ReceiptSender"])
    parameters = {
        **SHOP,
        "Mode": mode,
        "Architecture": tools.architecture(),
        "Provider": "both",
        "FlexApiBaseUrl": flex["base_url"],
        "FlintApiBaseUrl": flint_url,
        # Flint would send its own.
        "FlintReceipts": "on",
        # A failed message comes again after seconds, not minutes.
        "RetryBaseSeconds": "1",
        # All features that are off by default.
        "Restock": "any",
        "GraceDays": "7",
        "OnFullRefund": "revoke",
        "PaymentFailedMail": "on",
        "ShipmentMail": "on",
        "TrialEndsMail": "on",
        # The emulator does not know archives.
        "AnnouncementArchiveDays": "0",
        **given,
    }
    if parameters.get("KmsKeyArn") == NEW_KEY:
        parameters["KmsKeyArn"] = aws.create_key(endpoint)
    built = deploy(endpoint, parameters, place)
    outputs = aws.stack_outputs(endpoint, STACK_NAME)
    urls = {name: outputs.get(output) for name, output in (("flex", "WebhookUrl"), ("flint", "FlintWebhookUrl"))}
    # A queue's physical id is its URL.
    resources = {logical: physical for logical, (_, physical) in aws.stack_resources(endpoint, STACK_NAME).items()}
    secrets_of = {
        "FlexWebhookSecrets": {"webhook_secrets": [flex["webhook_secret"]]},
        "FlexApiKey": {"api_key": flex["api_key"]},
        "FlintWebhookSecrets": {"webhook_secrets": [flint_secret]},
        "FlintApiKey": {"api_key": INVENTED_FLINT_KEYS[mode]},
    }
    # A provider that the stack does not serve has none.
    stored = {name: value for name, value in secrets_of.items() if name in resources}
    for name, value in stored.items() if not bare else ():
        aws.put_secret(endpoint, resources[name], value)
    return write(place, {
        "endpoint": endpoint,
        "region": aws.REGION,
        # Empty for a provider that the stack does not serve.
        "webhook_url": local_webhook_url(endpoint, urls["flex"]) if urls["flex"] else "",
        "flint_webhook_url": local_webhook_url(endpoint, urls["flint"]) if urls["flint"] else "",
        "flint_webhook_secret": flint_secret,
        "flint_stand_in_url": flint_url,
        "webhook_secret": flex["webhook_secret"],
        "flex_source": flex_source(mode),
        "flex_base_url": flex["base_url"],
        "stand_in_url": flex["base_url"] if flex["stand_in"] else None,
        "fault_proxy_url": proxy,
        "stack_name": STACK_NAME,
        "tables": {
            name: resources[f"{name.title()}Table"]
            for name in ("events", "orders", "links", "stock", "entitlements", "receipts", "resources",
                         "announcements")
        },
        "queues": {
            f"{name}{kind}": resources[f"{name.title()}{kind.title().replace('_', '')}Queue"]
            for name in ("fulfillment", "receipt", "feedback") for kind in ("", "_dead_letter")
        },
        "functions": {
            name: resources[f"{name.title()}Function"]
            for name in ("intake", "fulfillment", "receipts", "feedback", "sweep", "reconcile", "announcements")
        },
        "event_bus": outputs["EventBusName"],
        "secrets": [resources[name] for name in stored],
        "parameters": parameters,
        "given": given,
        "built": built,
        "processes": started,
    })


def refresh(place, stack):
    """Deploys the changes since the last deployment into a running stack. It keeps tables, secrets and addresses."""
    build()
    if stack["built"] == fingerprint():
        say.line("  nothing has changed since the last deployment")
        return stack
    return write(place, {**stack, "built": deploy(stack["endpoint"], stack["parameters"], place)})


def lint():
    for what, command in (
        ("sam validate --lint", ["sam", "validate", "--lint", "--template-file", PROJECT / "template.yaml"]),
        ("cfn-lint", ["cfn-lint", PROJECT / "template.yaml"]),
        ("cfn-lint of the other templates", ["cfn-lint", PROJECT / "events" / "announcements" / "schemas.yaml",
                                             *sorted((PROJECT / "examples").glob("*/*/template.yaml"))]),
    ):
        tool, *arguments = command
        say.run(what, [tools.SAM / "bin" / tool, *arguments], LOCAL / "logs" / f"{tool}.log",
                env=environment(), cwd=PROJECT)


def build():
    """`sam build`, if its input has changed since the last one."""
    with lock("build"):
        stamp = BUILD / "built"
        if PACKED.exists() and stamp.exists() and stamp.read_text() == fingerprint():
            return
        stamp.unlink(missing_ok=True)
        wanted = fingerprint()
        say.run(
            "building the functions (minutes the first time)",
            [tools.SAM / "bin" / "sam", "build", "--build-dir", BUILD, "--cache-dir", LOCAL / "cache",
             "--parameter-overrides", f"Architecture={tools.architecture()}"],
            LOCAL / "logs" / "sam-build.log",
            # Without link-time optimization: it takes minutes for each function and changes no behavior. A build for AWS
            # has it.
            env={**environment(), "CARGO_PROFILE_RELEASE_LTO": "off"},
            cwd=PROJECT,
        )
        pack()
        stamp.write_text(wanted)


def pack():
    """Zips each function, for all deployments of this build: `sam deploy` would do it each time, for three seconds. Lambda
    gets the same files."""
    def archive(line):
        folder = BUILD / line["folder"]
        shutil.make_archive(str(folder), "zip", folder)
        return f"{line[0]}.zip"

    template = (BUILD / "template.yaml").read_text()
    PACKED.write_text(re.sub(r"^ +CodeUri: (?P<folder>\w+)$", archive, template, flags=re.MULTILINE))


def deploy(endpoint, parameters, place):
    """`sam deploy` of the build; returns its fingerprint. The user's samconfig.toml is for AWS, so this repeats each
    option that matters."""
    with lock("build"):
        say.run(
            "deploying template.yaml",
            [tools.SAM / "bin" / "sam", "deploy", "--template-file", PACKED,
             "--config-env", "local", "--stack-name", STACK_NAME, "--s3-bucket", BUCKET,
             "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
             "--no-progressbar", "--parameter-overrides",
             *(f'{name}="{value}"' for name, value in parameters.items())],
            place.logs / "sam-deploy.log",
            env=environment(endpoint),
            cwd=PROJECT,
        )
        aws.mend_concurrency(endpoint)
        return (BUILD / "built").read_text()


def deploy_beside(stack, template, name, parameters):
    """`sam deploy` of another template into the stack's account. A parameter with the name of one of the stack's outputs
    gets its value. Returns the outputs."""
    endpoint = stack["endpoint"]
    text = template.read_text()
    given = {
        output: value
        for output, value in aws.stack_outputs(endpoint, stack["stack_name"]).items()
        if re.search(rf"^  {output}:", text, re.MULTILINE)
    }
    log = LOCAL / "logs" / f"sam-deploy-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    say.run(
        f"deploying {os.path.relpath(template, PROJECT)}",
        [tools.SAM / "bin" / "sam", "deploy", "--template-file", template.resolve(), "--config-env", "local",
         "--stack-name", name, "--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset",
         "--no-fail-on-empty-changeset", "--no-progressbar", "--parameter-overrides",
         *(f'{key}="{value}"' for key, value in {**given, **parameters}.items())],
        log,
        env=environment(endpoint),
        cwd=PROJECT,
    )
    return aws.stack_outputs(endpoint, name)


def fingerprint():
    """Of everything that `sam build` reads."""
    digest = hashlib.sha256(tools.architecture().encode())
    digest.update((tools.SAM / "installed").read_bytes())
    files = [PROJECT / name for name in ("Cargo.toml", "Cargo.lock", "template.yaml")]
    for folder in ("functions", "shared"):
        files += sorted(path for path in (PROJECT / folder).rglob("*") if path.is_file())
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            digest.update(f"{file.relative_to(PROJECT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def real_flex(mode):
    """The real Flex in test mode, if the user gives a key or an address; otherwise None."""
    key = os.environ.get("FLEX_API_KEY")
    base_url = os.environ.get("FLEX_API_BASE_URL")
    if not (key or base_url):
        return None
    if mode == "live" or key and not key.startswith("fsk_test_"):
        raise say.Failure("the local stack is no place for real money: use Flex in test mode, with a key fsk_test_…")
    return {
        "base_url": (base_url or "https://api.withflex.com").rstrip("/"),
        "api_key": key or INVENTED_KEYS["test"],
        "webhook_secret": os.environ.get("FLEX_WEBHOOK_SECRET") or random_webhook_secret(),
        "stand_in": False,
    }


def flex_source(mode):
    """The Flex that the user asks for, with hashes in place of keys, to compare it later. None for the stand-in."""
    flex = real_flex(mode)
    if not flex:
        return None
    webhook_secret = os.environ.get("FLEX_WEBHOOK_SECRET")
    return {
        "base_url": flex["base_url"],
        "api_key_sha256": hashlib.sha256(flex["api_key"].encode()).hexdigest(),
        "webhook_secret_sha256": webhook_secret and hashlib.sha256(webhook_secret.encode()).hexdigest(),
    }


def build_stand_in():
    """Builds the server that answers as the providers' APIs do. Its addresses are known once it runs."""
    say.run(
        "building the providers' stand-in",
        ["cargo", "build", "--locked", "--package", "tests", "--bin", "stand-in"],
        LOCAL / "logs" / "stand-in-build.log",
        cwd=PROJECT,
    )


def stand_in(mode):
    return {"api_key": INVENTED_KEYS[mode], "webhook_secret": random_webhook_secret(), "stand_in": True}


def start_stand_in(place, started, dies_with_us):
    """Starts the stand-in. Returns the addresses of Flex's API and of Flint's."""
    port_file, log = place.scratch / "stand-in-ports", place.logs / "stand-in.log"
    target = PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")
    started["stand-in"] = processes.start(
        [target / "debug" / "stand-in", "--port", "0", "--flint-port", "0", "--port-file", port_file],
        log,
        environment(),
        dies_with_us,
    )
    wait_until("starting the providers' stand-in", started["stand-in"], log,
               lambda: port_file.exists() and port_file.read_text().strip())
    return [f"http://127.0.0.1:{port}" for port in port_file.read_text().split()]


def random_webhook_secret(prefix="fwhsec_"):
    return prefix + base64.b64encode(secrets.token_bytes(32)).decode()


def start_ministack(place, started, preferred_port, dies_with_us, faults):
    """Starts the emulator. Returns its address, and the fault proxy's address or None."""
    port = free_port(preferred_port)
    endpoint = f"http://127.0.0.1:{port}"
    proxy = start_fault_proxy(place, started, dies_with_us, endpoint, faults) if faults is not None else None
    # The emulator passes its AWS_ENDPOINT_URL on to the functions.
    settings = {**environment(proxy or endpoint), **ministack_settings(port, place)}
    if proxy:
        # The functions sign for the proxy's address.
        settings["IAM_TRUST_KEYS"] = "1"
    started["ministack"] = processes.start(
        [tools.MINISTACK / "bin" / "python", PROJECT / "local" / "emulator.py"],
        place.logs / "ministack.log",
        settings,
        dies_with_us,
    )
    return endpoint, proxy


def start_fault_proxy(place, started, dies_with_us, endpoint, seed):
    port = free_port(None)
    started["faults"] = processes.start(
        [tools.MINISTACK / "bin" / "python", PROJECT / "local" / "faults.py", str(seed),
         "--upstream", endpoint, "--host", "127.0.0.1", "--port", str(port)],
        place.logs / "faults.log",
        environment(),
        dies_with_us,
    )
    return f"http://127.0.0.1:{port}"


def environment(endpoint=None):
    """The environment of a tool, without the user's profile, proxy and region, so that it cannot reach a real account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_ENDPOINT_URL": endpoint} if endpoint else {}
    return {
        **kept,
        **nowhere,
        "PATH": tools.path(),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": aws.REGION,
        "AWS_DEFAULT_REGION": aws.REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "SAM_CLI_TELEMETRY": "0",
        # `sam deploy` takes seven seconds; five of them are waits between its polls.
        "SAM_CLI_POLL_DELAY": "0.1",
    }


def ministack_settings(port, place):
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        # It unpacks the functions there. After a kill, the rest is in our own folder.
        "TMPDIR": str(place.scratch),
        "S3_DATA_DIR": str(place.scratch / "s3"),
        # On a polite stop it saves its state, except the mails, and loads it at the next start. The storm uses this.
        "PERSIST_STATE": "1",
        "STATE_DIR": str(place.scratch / "state"),
        "IAM_TRACE": str(place.decisions),
        # Listeners on fixed ports would prevent a second stack.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def wait_until(what, process, log, ready):
    with say.step(what) as shown:
        deadline = time.monotonic() + 60
        while not ready():
            if not processes.alive(process) or time.monotonic() > deadline:
                raise say.Failure(f"it did not start; the end of {os.path.relpath(log)}:\n\n{say.tail(log)}")
            shown.tick()
            time.sleep(0.02)


def free_port(preferred):
    """The preferred port if it is free, else one that the system picks."""
    for port in (preferred or 0, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise say.Failure("no port is free on 127.0.0.1")


def local_webhook_url(endpoint, url):
    """The webhook's address at MiniStack, from the stack's address."""
    parts = urllib.parse.urlsplit(url)
    api_id = parts.hostname.split(".")[0]
    return f"{endpoint}/_aws/execute-api/{api_id}/$default{parts.path}"


def read(place):
    if not place.stack_file.exists():
        return None
    return json.loads(place.stack_file.read_text())


def write(place, stack):
    # It holds the webhook secret, which may be real.
    write_private(place.stack_file, json.dumps(stack, indent=2) + "\n")
    return stack


def healthy(stack):
    return all(map(processes.alive, stack["processes"].values())) and aws.healthy(stack["endpoint"])
