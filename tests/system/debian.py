"""A Debian of the test's own: made by debootstrap, booted with systemd in namespaces, thrown away at the end.

The system is made once and kept beside what cargo builds, without a change by any test: what a test does to it is in
memory. It runs in a network of its own, without a way out: what apt is to install later is fetched when it is made.
"""
import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

from gate import ROOT
from verdicts import Skip, need_root

MIRROR = os.environ.get("GATEPOST_DEBIAN_MIRROR", "http://deb.debian.org/debian")
CLONE_NEWNET = 0x40000000
# No service manager has to run outside.
INSIDE = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe"]
# No service starts while the system is made: there is nothing that it could run in.
NO_START = "#!/bin/sh\nexit 101\n"
# Somebody who is asked whether to go on says yes.
YES = 'APT::Get::Assume-Yes "true";\n'


def suite():
    """The release of this machine: what is built here runs there."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID") != "debian":
        raise Skip("this is not Debian, and what is built here may not run there")
    return release["VERSION_CODENAME"]


def need(*tools):
    need_root("debootstrap")
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"{tool} is not installed")


def base(include, fetched, setup=""):
    """The directory of a system with the packages `include`, with those of `fetched` at hand for apt, where the script
    `setup` has run."""
    need("debootstrap", "systemd-nspawn")
    made_of = [suite(), MIRROR, *include, "|", *fetched, setup]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
    place = target / "machines" / hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:12]
    if place.exists():
        return place
    fresh = place.with_suffix(f".{os.getpid()}")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    try:
        make(fresh, include, fetched, setup)
        fresh.rename(place)
    finally:
        if fresh.exists():
            shutil.rmtree(fresh)
    return place


def make(place, include, fetched, setup):
    run(["debootstrap", "--variant=minbase", suite(), place, MIRROR])
    (place / "usr/sbin/policy-rc.d").write_text(NO_START)
    (place / "usr/sbin/policy-rc.d").chmod(0o755)
    (place / "etc/apt/apt.conf.d/yes").write_text(YES)
    script = f"apt-get update\napt-get install --no-install-recommends {' '.join(include)}\n{setup}\n" \
        f"apt-get clean\napt-get install --download-only {' '.join(fetched)}\n"
    # Not chroot alone: what asks for the protocols of the network while it is installed must find /proc.
    run([*INSIDE, f"--directory={place}", *(f"--setenv={name}={value}" for name, value in environment().items()),
         "/bin/sh", "-euc", script])
    (place / "usr/sbin/policy-rc.d").unlink()
    (place / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")


def environment():
    return {"PATH": "/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive"}


def run(argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=900, **options)
    assert done.returncode == 0, f"{argv[0]}: {done.stdout[-3000:]}"


def shell(place, commands, *words, wait=None):
    """What a shell of root's prints that runs `commands` in a copy of the system in `place`, with this machine's network;
    `words` are for systemd-nspawn."""
    argv = [*INSIDE, f"--directory={place}", "--volatile=overlay", "--resolv-conf=replace-host", *words,
            *(f"--setenv={name}={value}" for name, value in environment().items()), "/bin/bash", "-euc", commands]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=wait)
    assert done.returncode == 0, f"{commands}\n--- ended with {done.returncode}:\n{done.stdout[-3000:]}"
    return done.stdout


class Machine:
    """A running copy of the system in `place`, with the directories of `shown` (inside: outside) to be read there."""

    def __init__(self, place, log, shown=()):
        need("systemd-nspawn", "nsenter")
        self.log = log
        binds = [f"--bind-ro={outside}:{inside}" for inside, outside in dict(shown).items()]
        self.argv = [*INSIDE, f"--directory={place}", "--volatile=overlay", "--private-network", *binds, "--boot"]

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            self.wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_up(self, wait=60):
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Skip(f"no system can be booted here: {pathlib.Path(self.log).read_text()[-300:]}")
            self.leader = self.find_leader()
            if self.leader and self.try_run("systemctl is-system-running").stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.3)
        raise AssertionError(f"it did not boot:\n{pathlib.Path(self.log).read_text()[-2000:]}")

    def find_leader(self):
        """The process that is number 1 in there, as it is numbered here."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        numbers = children.read_text().split() if children.exists() else []
        return int(numbers[0]) if numbers else None

    def __exit__(self, *_):
        if self.process.poll() is None:
            # It asks the system inside to go down.
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def try_run(self, commands, wait=300):
        """What a shell of root's makes of `commands`; it ends with the first that fails."""
        argv = ["nsenter", f"--target={self.leader}", "--all", "--wdns=/root", "/bin/bash", "-euc", commands]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=wait, env=environment())

    def run(self, commands, wait=300):
        done = self.try_run(commands, wait)
        assert done.returncode == 0, f"{commands}\n--- ended with {done.returncode}:\n{done.stdout[-3000:]}"
        return done.stdout

    def within_its_network(self, act):
        """What `act` returns in the network of the machine: a thread of ours goes there."""
        libc, result = ctypes.CDLL(None, use_errno=True), []

        def go():
            with open(f"/proc/{self.leader}/ns/net") as network:
                if libc.setns(network.fileno(), CLONE_NEWNET) != 0:
                    result.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                result.append(act())
            except BaseException as error:
                result.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]
