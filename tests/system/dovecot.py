"""What every Dovecot of a test's own has in common: a place for it, its start, its end and its log."""
import pathlib
import shutil
import socket
import subprocess
import time

from gate import free_port
from verdicts import Skip, need_root

COMMON = """\
base_dir = {work}/run
state_dir = {work}/state
log_path = {work}/log
ssl = no
disable_plaintext_auth = no
# Nobody is made to wait for the failures of a test.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


class Server:
    """Listens at `port`. A kind of it says what is written to its place before it starts."""

    def __init__(self, directory, name, conf, users, **values):
        need_root("Dovecot")
        if not shutil.which("dovecot", path="/usr/sbin:/usr/bin:/sbin"):
            raise Skip("dovecot is not installed")
        self.work, self.port = pathlib.Path(directory) / name, free_port()
        for folder in ("run", "state"):
            (self.work / folder).mkdir(parents=True)
        (self.work / "users").write_text("".join(users))
        (self.work / "conf").write_text((COMMON + conf).format(work=self.work, port=self.port, **values))

    def __enter__(self):
        self.output = open(self.work / "output", "ab")
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.work / "conf")],
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise AssertionError("Dovecot did not start:\n" + (self.work / "output").read_text() + self.log())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.output.close()

    def log(self):
        path = self.work / "log"
        return path.read_text(errors="replace") if path.exists() else ""
