"""A Dovecot of the test's own that does nothing but authenticate, for a Postfix to ask."""
import pathlib
import shutil
import socket
import subprocess
import time

from gate import free_port
from verdicts import Skip, need_root

USERS = {"bob": "bob's secret", "ann": "Ann=Secret"}
MECHANISMS = "plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256"

CONF = """\
protocols =
base_dir = {work}/run
state_dir = {work}/state
log_path = {work}/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = username_format=%u {work}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
# Nobody is made to wait for the failures of a test.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class Dovecot:
    """Knows `USERS`, by every mechanism that it has; asked at `port` in Dovecot's protocol for SASL."""

    def __init__(self, directory):
        need_root("Dovecot")
        if not shutil.which("dovecot", path="/usr/sbin:/usr/bin:/sbin"):
            raise Skip("dovecot is not installed")
        self.work = pathlib.Path(directory) / "dovecot"
        for folder in ("run", "state"):
            (self.work / folder).mkdir(parents=True)
        self.port = free_port()
        (self.work / "users").write_text("".join(f"{name}:{{PLAIN}}{word}\n" for name, word in USERS.items()))
        (self.work / "conf").write_text(CONF.format(work=self.work, mechanisms=MECHANISMS, port=self.port))

    def __enter__(self):
        self.output = open(self.work / "output", "ab")
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.work / "conf")],
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        log = self.work / "log"
        raise AssertionError("Dovecot did not start:\n" + (self.work / "output").read_text()
                             + (log.read_text() if log.exists() else ""))

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.output.close()
