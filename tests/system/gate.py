"""Gatepost as a process under test: its configuration, its start, its signals, its end."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOSTNAME = "mx.gate.test"


def binary():
    """The program under test: GATEPOST_BIN, or the release build of this tree."""
    given = os.environ.get("GATEPOST_BIN")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = pathlib.Path(given) if given else target / "release" / "gatepost"
    if not found.exists():
        raise SystemExit(f"{found} does not exist: cargo build --release, or set GATEPOST_BIN")
    return str(found.resolve())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Directory:
    """A directory that is gone at the end; readable for daemons that drop their rights."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="gatepost-test-")
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return pathlib.Path(self.path)

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def certificate(directory, name="gate", subject=HOSTNAME):
    """A self-signed certificate; returns the paths of chain and key."""
    chain, key = f"{directory}/{name}.pem", f"{directory}/{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", f"/CN={subject}", "-addext", f"subjectAltName=DNS:{subject}",
                    "-keyout", key, "-out", chain], check=True, capture_output=True)
    os.chmod(key, 0o644)
    return chain, key


def toml(tables):
    """TOML of nested dictionaries; a list of dictionaries is an array of tables."""
    lines, later = [], []

    def inline(value):
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
        if isinstance(value, list):
            return "[" + ", ".join(inline(item) for item in value) + "]"
        return json.dumps(value)

    def table(name, content):
        for key, value in content.items():
            full = f"{name}.{key}" if name else key
            if isinstance(value, dict) and key != "tls":
                later.append((f"[{full}]", full, value))
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                later.extend((f"[[{full}]]", full, item) for item in value)
            else:
                lines.append(f"{key} = {inline(value)}")

    table("", tables)
    while later:
        head, name, content = later.pop(0)
        lines += ["", head]
        outer, later = later, []
        table(name, content)
        later += outer
    return "\n".join(lines) + "\n"


def settings(listen, backend, dns, identity="none", domains=("gate.test",), tls=None, **tables):
    """A configuration with every check off; `tables` replace or extend whole tables."""
    listener = {"name": "edge", "address": listen}
    if tls:
        listener["tls"] = {"certificate": tls[0], "key": tls[1]}
    listener.update(tables.pop("listener", {}))
    base = {
        "hostname": HOSTNAME,
        "listen": [listener],
        "relay": {"domains": list(domains)},
        "backend": {"identity": identity, "probe_interval_seconds": 1,
                    "member": [{"address": backend, "connections": 64}], **tables.pop("backend", {})},
        "dns": {"servers": [dns], "timeout_ms": 500, "attempts": 1},
        "limits": {"sessions": 4096, "sessions_per_client": 4096, "sessions_per_network": 4096, "errors": 100, "transactions": 100000},
        "checks": {"enabled": False},
        "log": {"format": "text", "level": "info"},
    }
    for name, content in tables.items():
        base[name] = {**base.get(name, {}), **content}
    return base


def rules(directory, **files):
    """The table for the rules of this tree, where `files` (by name, without .toml) replace or add some."""
    place = pathlib.Path(directory) / "rules"
    shutil.copytree(ROOT / "rules", place, dirs_exist_ok=True)
    for name, content in files.items():
        (place / f"{name}.toml").write_text(content if isinstance(content, str) else toml(content))
    return {"directory": str(place)}


def never_greylisting(directory):
    """The same, where nobody has to come again: for tests of what is found, not of what is done about it."""
    return rules(directory, greylist={"exempt": {"networks": ["0.0.0.0/0", "::/0"]}})


class Gatepost:
    """One running Gatepost. `config` is a dictionary (see `settings`) or the text of the file."""

    def __init__(self, directory, config, port, environment=None, command=None):
        self.directory, self.port = pathlib.Path(directory), port
        self.file = self.directory / "gatepost.toml"
        self.log = self.directory / "gatepost.log"
        self.environment = {**os.environ, **(environment or {})}
        self.command = command or [binary(), "run", "--config", str(self.file)]
        self.process = None
        self.write(config)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def write(self, config):
        """Replaces the configuration file in one step."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(config if isinstance(config, str) else toml(config))
        fresh.replace(self.file)

    def start(self, wait=60.0, **options):
        """Starts it and returns once it accepts connections."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, **options)
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(self.address) == 0:
                    return self
            time.sleep(0.002)
        raise AssertionError(f"it did not open port {self.port}:\n{self.tail()}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, wait=60.0):
        """SIGTERM; returns its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {wait} s of SIGTERM:\n{self.tail()}") from None

    def tail(self, octets=3000):
        return self.log.read_bytes()[-octets:].decode("utf-8", "replace") if self.log.exists() else ""
