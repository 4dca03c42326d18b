#!/usr/bin/env python3
"""What is shipped: the unit, what is in the Debian package and in the tarball, the container's files, the licences.

first_hour.py installs the package on a Debian of its own.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

import verdicts
import yaml
from gate import ROOT, Directory, binary

PACKAGING = ROOT / "packaging"
# The highest that `systemd-analyze security` may find.
EXPOSURE = 1.5


def unit():
    """The unit exposes little"""
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        raise verdicts.Skip("there is no systemd-analyze here")
    done = subprocess.run([analyze, "security", "--offline=true", "--no-pager", PACKAGING / "gatepost.service"],
                          capture_output=True, text=True, timeout=60)
    found = re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found.group(1)) <= EXPOSURE, done.stdout
    return f"exposure {found.group(1)}"


def unit_names_what_is_shipped():
    """The unit's files are those of the package"""
    text = (PACKAGING / "gatepost.service").read_text()
    assets = (ROOT / "Cargo.toml").read_text()
    for line in re.findall(r"^Exec\w+=(\S+)", text, re.M):
        assert line in ("/usr/bin/gatepost", "/bin/kill"), line
    assert "EnvironmentFile=-/etc/default/gatepost" in text and '"etc/default/gatepost"' in assets
    assert '["target/release/gatepost", "usr/bin/", "755"]' in assets


def scripts():
    """The maintainer scripts are shell, and do nothing at a call that they do not know"""
    written = [*(PACKAGING / "debian").iterdir(), PACKAGING / "tarball/install.sh", PACKAGING / "after-upgrade"]
    for script in written:
        subprocess.run(["sh", "-n", script], check=True)
    for script in (PACKAGING / "debian").iterdir():
        assert "\n#DEBHELPER#\n" in script.read_text(), f"{script.name}: what cargo-deb knows of units goes there"
        subprocess.run(["sh", script, "abort-upgrade", "1"], check=True, env={**os.environ, "PATH": "/nonexistent:/usr/bin:/bin"})
    if not shutil.which("shellcheck"):
        return "not looked at by shellcheck, which is not here"
    done = subprocess.run(["shellcheck", *written], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    return "shellcheck finds nothing"


def debian():
    """The Debian package has everything in its place, all of it root's, and is the same each time"""
    for needed in ("dpkg-deb", "dpkg-shlibdeps", "cargo-deb"):
        if not shutil.which(needed):
            raise verdicts.Skip(f"{needed} is not installed")
    with Directory() as directory:
        def run(script, *words):
            done = subprocess.run([sys.executable, ROOT / "scripts" / script, *words, "--out", directory], capture_output=True, text=True,
                                  timeout=300, env={**os.environ, "CARGO_TARGET_DIR": str(directory / "target")})
            assert done.returncode == 0, done.stderr
            return pathlib.Path(done.stdout.split()[-1])

        def make():
            built = run("deb", "--binary", binary(), "--fast")
            return built, hashlib.sha256(built.read_bytes()).hexdigest()
        built, digest = make()
        assert make() == (built, digest), "the same program makes the same package"
        files = subprocess.run(["dpkg-deb", "--fsys-tarfile", built], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(files)) as package:
            entries = {entry.name.removeprefix("./"): entry for entry in package.getmembers()}
            texts = gzip.decompress(package.extractfile(entries["usr/share/doc/gatepost/THIRD-PARTY.gz"]).read()).decode()
        for name in ("usr/bin/gatepost", "usr/lib/systemd/system/gatepost.service", "usr/lib/systemd/system/gatepost.socket",
                     "usr/share/man/man1/gatepost-doctor.1.gz", "usr/share/doc/gatepost/sbom.json.gz", "etc/default/gatepost",
                     "usr/share/gatepost/rules/policy.toml", "usr/share/doc/gatepost/changelog.gz"):
            assert entries[name].isfile(), name
        assert all(entry.uid == entry.gid == 0 for entry in entries.values())
        # What install.sh knows.
        assert {entry.mode for entry in entries.values() if entry.isfile()} == {0o644, 0o755}
        assert entries["usr/share/gatepost/after-upgrade"].mode == 0o755
        # Each with its own copyright, as the licences ask for.
        assert "Permission is hereby granted" in texts and "jemalloc" in texts and texts.count("Copyright") > 100
        control = subprocess.run(["dpkg-deb", "--field", built], capture_output=True, text=True, check=True).stdout
        depends = re.search(r"^Depends: (.*)$", control, re.M).group(1)
        assert "libc6 (>= " in depends and "adduser" in depends and "libgcc-s1" in depends, control
        return f"{built.stat().st_size >> 20} MiB; {tarball(run('tarball', built), entries)}"


def tarball(packed, entries):
    """Holds the tarball against the package that it was made of."""
    with tarfile.open(packed) as inside:
        found = {entry.name.split("/", 1)[1]: entry for entry in inside.getmembers()}
    files = {name.removeprefix("files/"): entry for name, entry in found.items() if name.startswith("files/")}
    assert {name: entry.mode for name, entry in files.items()} == \
        {name: entry.mode for name, entry in entries.items() if entry.isfile()}
    assert found["install.sh"].mode == 0o755
    return f"{packed.name} has the same {len(files)} files"


def container():
    """The container's files are plain: pinned bases, no root, nothing fetched by hand"""
    text = (PACKAGING / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.M)
    assert len(bases) == 2 and all(":" in base and not base.endswith(":latest") for base in bases), bases
    instructions = re.findall(r"^([A-Z]+) ", text, re.M)
    assert set(instructions) <= {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
                                 "ENTRYPOINT", "CMD"}, instructions
    user = re.findall(r"^USER (\d+)", text, re.M)
    assert user and user[-1] != "0" and text.index("\nUSER ") < text.index("\nENTRYPOINT "), user
    assert not re.search(r"curl|wget|sudo|ADD ", text)
    if not shutil.which("hadolint"):
        return "not looked at by hadolint, which is not here"
    done = subprocess.run(["hadolint", PACKAGING / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    return "hadolint finds nothing"


def fleet():
    """The fleet's files fit together, and its configuration loads"""
    place = PACKAGING / "fleet"
    compose = yaml.safe_load((place / "compose.yaml").read_text())
    services = compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (place / source).exists() if source.startswith(".") else source in compose["volumes"], (name, volume)
        assert set(service.get("depends_on", [])) <= set(services), name
    config = (place / "gatepost.toml").read_text()
    assert "redis://valkey:6379" in config and "valkey" in services
    balancer = (place / "haproxy.cfg").read_text()
    servers = re.findall(r"^ +server (\w+) (\w+):25$", balancer, re.M)
    assert servers and all(name == host and host in services for name, host in servers), servers
    assert "send-proxy-v2" in balancer and "proxy_protocol = true" in config
    done = subprocess.run([binary(), "check-config", "--config", place / "gatepost.toml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    tool = next((words for words in (["docker-compose"], ["docker", "compose"])
                 if shutil.which(words[0]) and subprocess.run([*words, "version"], capture_output=True).returncode == 0), None)
    if not tool:
        return "not read by docker compose, which is not here"
    done = subprocess.run([*tool, "-f", place / "compose.yaml", "config", "--quiet"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return f"{' '.join(tool)} reads it"


def licences():
    """Everything in the binary has a licence that goes with ours, and is in the bill of materials"""
    tool = ROOT / "scripts" / "licences"
    if not shutil.which("cargo"):
        raise verdicts.Skip("there is no cargo here")

    def run(*words):
        done = subprocess.run([tool, *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    note, listing, bill = run("--check"), run(), json.loads(run("--sbom"))
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["name"] == "gatepost"
    names = {component["name"] for component in bill["components"]}
    assert {"tokio", "rustls", "hickory-resolver"} <= names and not {"proptest", "divan", "gatepost"} & names
    assert all(f"\n{component['name']} {component['version']}: " in listing for component in bill["components"])
    references = {component["bom-ref"] for component in bill["components"]}
    assert len(references) == len(bill["components"])
    assert all(set(each["dependsOn"]) <= references for each in bill["dependencies"])
    assert all(component["hashes"] for component in bill["components"]), "each is held to a digest"
    return note.strip()


if __name__ == "__main__":
    verdicts.run("packages: unit, Debian, tarball, container, licences", [
        unit, unit_names_what_is_shipped, scripts, debian, container, fleet, licences])
