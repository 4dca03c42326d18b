#!/usr/bin/env python3
"""What is shipped: the unit, the Debian package from installation to purge, the container's files, the licences.

The package is installed in a copy of this system that nobody else sees (an overlay in a mount namespace of its own).
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import verdicts
import yaml
from gate import ROOT, Directory, binary

PACKAGING = ROOT / "packaging"
# The highest that `systemd-analyze security` may find.
EXPOSURE = 1.5
# Runs its arguments in a copy of this system, whose changes are kept in memory and are gone at the end.
IN_A_COPY = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
cp "$2" "$3" "$4" "$1/root/root/"
exec chroot "$1/root" /bin/sh -eu /root/life.sh
"""
# The life of a package. What it prints is what the test looks at.
LIFE = """\
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Other packages of this machine are none of ours.
install="dpkg --force-confold --force-depends -i"
$install /root/first.deb
getent passwd gatepost | cut -d: -f6,7
stat -c '%U:%G %a %n' /etc/gatepost /var/lib/gatepost
test ! -e /etc/gatepost/gatepost.toml
gatepost init --domain example.org --backend 127.0.0.1:2525 --for postfix --hostname mx.example.org >/dev/null
setpriv --reuid gatepost --regid gatepost --clear-groups gatepost check-config --config /etc/gatepost/gatepost.toml | head -1
cp -r /usr/share/gatepost/rules /etc/gatepost/rules
printf '\\n[rules]\\ndirectory = "rules"\\n' >> /etc/gatepost/gatepost.toml
printf '# by hand\\n' >> /etc/default/gatepost
sed -i 's/0.0.0.0:25"/127.0.0.1:42525"/' /etc/gatepost/gatepost.toml
setpriv --reuid gatepost --regid gatepost --clear-groups gatepost run --config /etc/gatepost/gatepost.toml 2>/tmp/log &
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    sleep 1
    gatepost store info --config /etc/gatepost/gatepost.toml >/tmp/info 2>&1 && break
done
head -1 /tmp/info
sleep 2
ls -A /var/lib/gatepost
kill $!
wait $! && echo drained
$install /root/second.deb
dpkg-query -W -f '${Version}\\n' gatepost
tail -1 /etc/default/gatepost
head -3 /etc/gatepost/gatepost.toml | tail -1
man -w gatepost 2>/dev/null || ls /usr/share/man/man1/gatepost.1.gz
dpkg -r gatepost
test -e /etc/gatepost/gatepost.toml && test -e /etc/default/gatepost && test -e /var/lib/gatepost/gatepost.redb && echo kept
dpkg -P gatepost
left=$(ls -d /etc/gatepost /etc/default/gatepost /var/lib/gatepost /usr/bin/gatepost /usr/share/gatepost /usr/share/doc/gatepost 2>/dev/null || true)
echo "left: $left"
getent passwd gatepost || echo "no user"
"""


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
    assert '["target/dist/gatepost", "usr/bin/", "755"]' in assets


def scripts():
    """The maintainer scripts are shell, and do nothing at a call that they do not know"""
    for script in (PACKAGING / "debian").iterdir():
        subprocess.run(["sh", "-n", script], check=True)
        subprocess.run(["sh", script, "abort-upgrade", "1"], check=True, env={**os.environ, "PATH": "/nonexistent:/usr/bin:/bin"})


def package(directory, version):
    tool = [sys.executable, str(ROOT / "scripts" / "deb"), "--binary", binary(), "--version", version, "--out", str(directory)]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "CARGO_TARGET_DIR": str(directory / "target")})
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.split()[-1])


def debian():
    """The Debian package installs, runs as its own user, upgrades with what was written by hand, and purges cleanly"""
    verdicts.need_root("dpkg")
    for needed in ("dpkg-deb", "unshare", "adduser", "setpriv"):
        if not shutil.which(needed):
            raise verdicts.Skip(f"{needed} is not installed")
    with Directory() as directory:
        first, second = package(directory, "0.1.0"), package(directory, "0.1.1")
        listed = subprocess.run(["dpkg-deb", "-c", first], capture_output=True, text=True, check=True).stdout
        for name in ("./usr/bin/gatepost", "./lib/systemd/system/gatepost.service", "./usr/share/man/man1/gatepost-doctor.1.gz",
                     "./usr/share/doc/gatepost/sbom.json", "./usr/share/gatepost/rules/policy.toml", "./etc/default/gatepost"):
            assert f" {name}\n" in listed, (name, listed)
        assert not re.search(r" (?!root/root)\w+/\w+ ", re.sub(r"(?m)^(\S+ \S+).*$", r" \1 ", listed)), "everything is root's"
        shutil.move(first, directory / "first.deb")
        shutil.move(second, directory / "second.deb")
        (directory / "life.sh").write_text(LIFE)
        (directory / "copy").mkdir()
        argv = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", IN_A_COPY, "sh", directory / "copy",
                directory / "first.deb", directory / "second.deb", directory / "life.sh"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        said = done.stdout + done.stderr
        if "mount" in done.stderr and done.returncode == 32:
            raise verdicts.Skip(f"no overlay can be mounted here: {done.stderr.strip()[:200]}")
        assert done.returncode == 0, said[-4000:]
        for line in ("/var/lib/gatepost:/usr/sbin/nologin", "root:gatepost 750 /etc/gatepost", "gatepost:gatepost 700 /var/lib/gatepost",
                     "hostname    mx.example.org", "file /var/lib/gatepost/gatepost.redb", "rules.last-good", "drained", "0.1.1",
                     "# by hand", "kept", "left: ", "no user"):
            assert re.search(rf"^{re.escape(line)}", said, re.M), f"{line!r} is not in:\n{said[-4000:]}"
        assert "left: \n" in said, said[-1000:]
        assert "Gatepost is not configured yet" in said
        return f"{(directory / 'first.deb').stat().st_size >> 20} MiB, with the profile of the tests"


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
    assert len({component["bom-ref"] for component in bill["components"]}) == len(bill["components"])
    return note.strip()


if __name__ == "__main__":
    verdicts.run("packages: unit, Debian, container, licences", [
        unit, unit_names_what_is_shipped, scripts, debian, container, fleet, licences])
