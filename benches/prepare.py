"""Builds the functions of the benchmark into .local/bench: one folder and one zip for each.

Ours and the bare one are built with the profile, the features and the processor's flag that `sam build` gives them by
cargo-lambda. The peers' packages are pinned by package-lock.json and by the hashes of requirements.txt.
"""

import hashlib
import os
import pathlib
import platform
import shutil
import sys
import zipfile

BENCHES = pathlib.Path(__file__).resolve().parent
PROJECT = BENCHES.parent
sys.path.insert(0, str(PROJECT / "local"))

import say  # noqa: E402 (its folder is known only now)

BUILT = PROJECT / ".local" / "bench"
LOGS = PROJECT / ".local" / "logs"
TARGET = PROJECT / os.environ.get("CARGO_TARGET_DIR", "target")

# As cargo-lambda sets it for the two architectures of Lambda.
PROCESSORS = {"x86_64": "haswell", "aarch64": "neoverse-n1"}


def main():
    BUILT.mkdir(parents=True, exist_ok=True)
    # Without --package, the default members' features count, as in `sam build`.
    native("intake", ["--bin", "intake"])
    for name in ("fulfillment", "receipts", "sweep", "reconcile"):
        native(name, ["--bin", name])
    native("bare", ["--package", "bare"])
    cargo("the harness", ["--package", "harness"])
    cargo("the micro-benchmarks", ["--package", "micro"])
    node()
    python()


def cargo(what, selection):
    flags = f"-C target-cpu={PROCESSORS[platform.machine()]}"
    say.run(
        f"building {what}",
        [os.environ.get("CARGO", "cargo"), "build", "--locked", "--release", *selection],
        LOGS / "bench-cargo.log",
        env={**os.environ, "RUSTFLAGS": flags},
        cwd=PROJECT,
    )


def native(name, selection):
    cargo(name, selection)
    folder = emptied(BUILT / name)
    shutil.copy2(TARGET / "release" / name, folder / "bootstrap")
    pack(name)


def node():
    """Bundles and minifies the Node.js peer with esbuild, its packages included."""
    source = BENCHES / "node"
    packages = BUILT / "packages"
    if changed(packages, source / "package.json", source / "package-lock.json"):
        emptied(packages)
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(source / name, packages / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        say.run("installing the packages of the Node.js peer", command, LOGS / "bench-npm.log", cwd=packages)
        stamp(packages, source / "package.json", source / "package-lock.json")
    folder = emptied(BUILT / "node")
    shutil.copy2(source / "handler.mjs", packages / "handler.mjs")
    say.run(
        "bundling the Node.js peer",
        [packages / "node_modules" / ".bin" / "esbuild", "handler.mjs", "--bundle", "--minify", "--platform=node",
         "--target=node20", f"--outfile={folder / 'handler.js'}"],
        LOGS / "bench-esbuild.log",
        cwd=packages,
    )
    # Lambda has the runtime loop outside the zip.
    pack("node")
    shutil.copy2(source / "runtime.cjs", folder / "runtime.cjs")


def python():
    """Installs the Python peer's packages beside its handler, as a zip for Lambda has them."""
    source = BENCHES / "python"
    folder, environment = BUILT / "python", BUILT / "environment"
    if changed(folder, source / "requirements.txt"):
        emptied(folder)
        log = LOGS / "bench-pip.log"
        say.run("making the Python peer's environment", [sys.executable, "-m", "venv", environment], log)
        say.run(
            "installing the packages of the Python peer",
            [environment / "bin" / "python3", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
             "--only-binary", ":all:", "--no-deps", "--require-hashes", "--no-compile", "--target", folder,
             "--requirement", source / "requirements.txt"],
            log,
        )
        shutil.copy2(source / "handler.py", folder / "handler.py")
        pack("python")
        stamp(folder, source / "requirements.txt")
    shutil.copy2(source / "handler.py", folder / "handler.py")


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def fingerprint(sources):
    return hashlib.sha256(sys.version.encode() + b"".join(source.read_bytes() for source in sources)).hexdigest()


def changed(folder, *sources):
    mark = folder / ".installed"
    return not mark.exists() or mark.read_text() != fingerprint(sources)


def stamp(folder, *sources):
    (folder / ".installed").write_text(fingerprint(sources))


def pack(name):
    """Zips a folder as it would be uploaded."""
    folder = BUILT / name
    with zipfile.ZipFile(BUILT / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            archive.write(file, file.relative_to(folder))


if __name__ == "__main__":
    try:
        main()
    except say.Failure as failure:
        say.failure(failure)
        sys.exit(1)
