"""Audits the template, its permissions, the dependencies and the workflows with pinned tools.

A finding without an exception fails, and so does an exception without a finding. The end of the report names each
vulnerability database that cannot be fetched. With `online`, this fails too.
"""

import concurrent.futures
import fnmatch
import json
import os
import subprocess

import say
from paths import LOCAL, PROJECT
from tools import AUDIT

# Tool, rule, place, reason. A place may have wildcards.
EXCEPTIONS = [
    ("cfn-lint", "WS1000", "*Function", "no X-Ray: one log line per event has every fact, and traces cost extra"),
    ("cfn-lint", "WS1004", "*Function", "LoggingConfig names a group with a retention; the rule looks at names only"),
    ("cfn-lint", "ES6000", "*DeadLetterQueue", "a dead-letter queue has none of its own"),
    ("cfn-lint", "ES7000", "AlarmSubscription", "a mail that SNS cannot deliver is lost; the alarm stays in CloudWatch"),
    ("cfn-lint", "ES1001", "AnnouncementsFunction", "a stream only wakes the function; the rows keep what is to do"),
    ("policies", "RESOURCE_MISMATCH", "template.yaml AnnouncementsRole ListStreams", "as in SAM's own policy for streams"),
    ("checkov", "CKV_AWS_115", "*Function", "a reservation takes from the account's few; event sources bound the pollers"),
    ("checkov", "CKV_AWS_116", "*Function", "failed records go to the queues' dead-letter queues; schedules run again"),
    ("checkov", "CKV_AWS_117", "*Function", "everything is called over public endpoints with TLS; a VPC adds a NAT gateway"),
    ("checkov", "CKV_AWS_173", "*Function", "no variable is secret: names, addresses and limits; encrypted by AWS's key"),
    (
        "policies",
        "RESOURCE_MISMATCH",
        "docs/deployer-policy.json UseTransforms",
        "parliament does not know transforms, on which CreateChangeSet is allowed as well",
    ),
]


class NotChecked(Exception):
    """A database cannot be reached from here."""


def run(online=False):
    checks = [cfn_lint, checkov, policies, zizmor, licenses, advisories, python_packages]
    findings, skipped = [], []
    with say.step("auditing template, permissions, dependencies and workflows") as shown:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            running = {pool.submit(check): check.__name__ for check in checks}
            waiting = set(running)
            while waiting:
                done, waiting = concurrent.futures.wait(waiting, timeout=0.5)
                shown.tick()
                for one in done:
                    try:
                        findings += one.result()
                    except NotChecked as why:
                        skipped.append(f"{running[one]}: {why}")
    open_findings = unexcused(findings)
    for tool, rule, place, text in open_findings:
        say.line(f"  {tool} {rule} {place}: {text}")
    say.line(f"  {len(findings)} findings, {len(open_findings)} without a reason in local/audit.py")
    if skipped:
        say.line("\n  NOT CHECKED, since a database cannot be fetched from here:")
        for text in sorted(skipped):
            say.line(f"    {text}")
        say.line("  Run `make audit ONLINE=1` where the network allows it: there, this fails.\n")
    if open_findings:
        raise say.Failure(f"the audit has {len(open_findings)} findings; fix each or give a reason in local/audit.py")
    if skipped and online:
        raise say.Failure("the audit is incomplete, and ONLINE=1 asks for all of it")


def unexcused(findings):
    """The findings without an exception, and the exceptions without a finding."""
    used = set()
    left = []
    for tool, rule, place, text in findings:
        fitting = [one for one in EXCEPTIONS if one[:2] == (tool, rule) and fnmatch.fnmatchcase(place, one[2])]
        used.update(fitting)
        if not fitting:
            left.append((tool, rule, place, text))
    for one in EXCEPTIONS:
        if one not in used:
            left.append((one[0], one[1], one[2], "an exception that no finding needs; remove it from local/audit.py"))
    return left


def cfn_lint():
    command = ["cfn-lint", "--append-rules", "cfn_lint_serverless.rules", "--format", "json", "template.yaml"]
    return [
        ("cfn-lint", one["Rule"]["Id"], one["Location"]["Path"][1], one["Message"])
        if one["Location"]["Path"]
        else ("cfn-lint", one["Rule"]["Id"], "template.yaml", one["Message"])
        for one in output_of(command)
    ]


def checkov():
    command = ["checkov", "--framework", "cloudformation", "--file", "template.yaml", "--skip-download", "--quiet"]
    report = output_of([*command, "--output", "json"])
    if report["summary"]["parsing_errors"] or not report["summary"]["resource_count"]:
        raise say.Failure("checkov could not read template.yaml")
    return [
        ("checkov", one["check_id"], one["resource"].rsplit(".", 1)[-1], one["check_name"])
        for one in report["results"]["failed_checks"]
    ]


def policies():
    return [("policies", *one) for one in output_of(["python", PROJECT / "local" / "policies.py"])]


def zizmor():
    # An exception stands in the workflow, as a comment that zizmor reads.
    done = tool(["zizmor", "--offline", "--no-progress", "--format", "plain", ".github/workflows"])
    return [] if done.returncode == 0 else [("zizmor", "check", ".github/workflows", done.stdout + done.stderr)]


def licenses():
    done = tool(["cargo-deny", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
    return [] if done.returncode == 0 else [("cargo-deny", "check", "Cargo.lock", done.stderr)]


def advisories():
    done = tool(["cargo-deny", "--locked", "check", "--hide-inclusion-graph", "advisories"])
    if done.returncode and "failed to fetch advisory database" in done.stderr:
        raise NotChecked("cargo-deny cannot fetch the RustSec advisory database")
    return [] if done.returncode == 0 else [("cargo-deny", "advisories", "Cargo.lock", done.stderr)]


def python_packages():
    findings, unknown, total = [], 0, 0
    for requirements in sorted((PROJECT / "local").glob("requirements-*.txt")):
        command = ["pip-audit", "--requirement", requirements, "--no-deps", "--disable-pip", "--format", "json"]
        done = tool([*command, "--progress-spinner", "off"])
        if not done.stdout and any(sign in done.stderr for sign in ("ConnectionError", "Max retries", "timed out")):
            raise NotChecked("pip-audit cannot reach PyPI's vulnerability database")
        for package in parsed(command, done)["dependencies"]:
            total += 1
            if "skip_reason" in package:
                unknown += 1
            for flaw in package.get("vulns", []):
                text = f"{package['name']} {package['version']}, fixed in {', '.join(flaw['fix_versions']) or 'none'}"
                findings.append(("pip-audit", flaw["id"], requirements.name, text))
    if findings:
        return findings
    if unknown:
        raise NotChecked(f"pip-audit finds {unknown} of {total} packages missing in PyPI's vulnerability database")
    return findings


def output_of(command):
    return parsed(command, tool(command))


def parsed(command, done):
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise say.Failure(f"{command[0]} gave no report:\n\n{done.stderr[-4000:]}") from None


def tool(command):
    """Runs one of the audit tools. Their exit codes mean findings; the reports say which."""
    path = f"{AUDIT / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    log = LOCAL / "logs" / f"audit-{command[0]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(AUDIT / "bin" / command[0]), *map(str, command[1:])],
        cwd=PROJECT,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    log.write_text(done.stdout + done.stderr)
    return done
