"""A Debian of the test's own: made by debootstrap, booted with systemd in namespaces, thrown away at the end.

The system is made once and kept beside what cargo builds, without a change by any test: what a test does to it is in
memory. It runs in a network of its own, without a way out: what apt is to install later is fetched when it is made.

It needs root, and a machine that lets root mount and make namespaces: an unprivileged container does not.
"""
import ctypes
import functools
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading

from gate import ROOT, Directory
from verdicts import Impossible, Skip, eventually, need_root

MIRROR = os.environ.get("GATEPOST_DEBIAN_MIRROR", "http://deb.debian.org/debian")
CLONE_NEWNET = 0x40000000
# No service manager has to run outside.
INSIDE = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe"]
# What is changed is thrown away.
IN_MEMORY = ["--volatile=overlay"]
# No service starts while the system is made: there is nothing that it could run in.
NO_START = "#!/bin/sh\nexit 101\n"
# How this machine reaches the world.
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# Somebody who is asked whether to go on says yes.
YES = 'APT::Get::Assume-Yes "true";\n'


def suite():
    """The release of this machine: what is built here runs there."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    if release.get("ID") != "debian":
        raise Impossible("this is not Debian, and what is built here may not run there")
    return release["VERSION_CODENAME"]


def need(*tools):
    need_root("debootstrap")
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"{tool} is not installed")


def need_namespaces():
    """Ends the test unless this machine lets us run a system in namespaces, over a file system in memory."""
    need("systemd-nspawn")
    if why := forbidden():
        raise Impossible(f"this machine lets nobody run a system in namespaces, as a container does not without privileges: {why}")


@functools.cache
def forbidden():
    """What is said against it where a program of this machine cannot be run as a system is run here; else None."""
    with Directory() as directory:
        (directory / "etc").mkdir()
        (directory / "usr").mkdir()
        shutil.copy("/etc/os-release", directory / "etc")
        for link in filter(os.path.islink, ("/bin", "/sbin", "/lib", "/lib64")):
            os.symlink(os.readlink(link), directory / link[1:])
        argv = [*INSIDE, f"--directory={directory}", *IN_MEMORY, "--private-network", "--bind-ro=/usr", "/usr/bin/true"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        return None if done.returncode == 0 else done.stdout.strip() or f"systemd-nspawn ended with {done.returncode}"


def base(include, fetched, setup=""):
    """The directory of a system with the packages `include`, with those of `fetched` at hand for apt, where the script
    `setup` has run."""
    need("debootstrap", "systemd-nspawn")
    need_namespaces()
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
    run([*INSIDE, f"--directory={place}", *setenv(), "/bin/sh", "-euc", script])
    (place / "usr/sbin/policy-rc.d").unlink()
    (place / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")


def environment():
    return {"PATH": "/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive"}


def setenv():
    """For systemd-nspawn, where what runs uses this machine's network."""
    proxies = {name: os.environ[name] for name in PROXIES if name in os.environ}
    return [f"--setenv={name}={value}" for name, value in {**environment(), **proxies}.items()]


def run(argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=900, **options)
    assert done.returncode == 0, f"{argv[0]}: {done.stdout[-3000:]}"


def shell(place, commands, *words, wait=None):
    """What a shell of root's prints that runs `commands` in a copy of the system in `place`, with this machine's network;
    `words` are for systemd-nspawn."""
    argv = [*INSIDE, f"--directory={place}", *IN_MEMORY, "--resolv-conf=replace-host", *words, *setenv(), "/bin/bash", "-euc", commands]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=wait)
    assert done.returncode == 0, f"{commands}\n--- ended with {done.returncode}:\n{done.stdout[-3000:]}"
    return done.stdout


class Machine:
    """A running copy of the system in `place`, with the directories of `shown` (inside: outside) to be read there."""

    def __init__(self, place, log, shown=()):
        need("nsenter")
        need_namespaces()
        self.log = log
        binds = [f"--bind-ro={outside}:{inside}" for inside, outside in dict(shown).items()]
        self.argv = [*INSIDE, f"--directory={place}", *IN_MEMORY, "--private-network", *binds, "--boot"]

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            self.wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_up(self):
        def up():
            if self.process.poll() is not None:
                raise Skip(f"no system can be booted here: {pathlib.Path(self.log).read_text()[-300:]}")
            self.leader = self.find_leader()
            return self.leader and self.try_run("systemctl is-system-running").stdout.strip() in ("running", "degraded")
        try:
            eventually("it boots", up, 180)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{pathlib.Path(self.log).read_text()[-2000:]}") from None

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
