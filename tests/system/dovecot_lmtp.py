"""A Dovecot of the test's own that delivers by LMTP into Maildirs: users with room, without, and with a Maildir that
cannot be opened."""
import pathlib
import shutil
import socket
import subprocess
import time

from gate import free_port
from verdicts import Skip, need_root

DOMAIN = "gate.test"
NOBODY = 65534

CONF = """\
protocols = lmtp
base_dir = {work}/run
state_dir = {work}/state
log_path = {work}/log
ssl = no
disable_plaintext_auth = no
login_trusted_networks = 127.0.0.1
auth_username_format = %Ln
mail_location = maildir:~/Maildir
mail_plugins = quota
lmtp_save_to_detail_mailbox = no
quota_full_tempfail = no
passdb {{
  driver = passwd-file
  args = username_format=%Ln {work}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Ln {work}/users
}}
plugin {{
  quota = maildir:all
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {work}/lmtp {{
    mode = 0666
  }}
}}
"""


class DovecotLmtp:
    """Delivers to `users` at `port`, and at `socket`. Those in `full` have no room for anything."""

    def __init__(self, directory, users, full=()):
        need_root("Dovecot")
        if not pathlib.Path("/usr/lib/dovecot/lmtp").exists():
            raise Skip("dovecot-lmtpd is not installed")
        self.work = pathlib.Path(directory) / "dovecot-lmtp"
        for folder in ("run", "state", "homes"):
            (self.work / folder).mkdir(parents=True)
        self.port, self.socket = free_port(), self.work / "lmtp"
        lines = []
        for user in users:
            home = self.work / "homes" / user
            home.mkdir()
            shutil.chown(home, NOBODY, NOBODY)
            quota = "userdb_quota_rule=*:bytes=1" if user in full else ""
            lines.append(f"{user}:{{PLAIN}}x:{NOBODY}:{NOBODY}::{home}::{quota}\n")
        (self.work / "users").write_text("".join(lines))
        (self.work / "conf").write_text(CONF.format(work=self.work, port=self.port))

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
        raise AssertionError("Dovecot did not start:\n" + (self.work / "output").read_text() + self.log())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.output.close()

    def log(self):
        path = self.work / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def lock(self, user):
        """From now on mail for `user` can be delivered another time only."""
        shutil.chown(self.work / "homes" / user, "root", "root")

    def unlock(self, user):
        shutil.chown(self.work / "homes" / user, NOBODY, NOBODY)

    def inbox(self, user):
        """The messages that `user` has."""
        maildir = self.work / "homes" / user / "Maildir"
        return [path.read_bytes() for place in ("new", "cur") for path in sorted(maildir.glob(f"{place}/*"))]
