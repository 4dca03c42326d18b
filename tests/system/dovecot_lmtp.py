"""A Dovecot of the test's own that delivers by LMTP into Maildirs: users with room, without, and with a Maildir that
cannot be opened."""
import pathlib
import shutil

import dovecot
from verdicts import Skip

DOMAIN = "gate.test"
NOBODY = 65534

CONF = """\
protocols = lmtp
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


class DovecotLmtp(dovecot.Server):
    """Delivers to `users` at `port`, and at `socket`. Those in `full` have no room for anything."""

    def __init__(self, directory, users, full=()):
        if not pathlib.Path("/usr/lib/dovecot/lmtp").exists():
            raise Skip("dovecot-lmtpd is not installed")
        homes = pathlib.Path(directory) / "dovecot-lmtp" / "homes"
        lines = []
        for user in users:
            (homes / user).mkdir(parents=True)
            shutil.chown(homes / user, NOBODY, NOBODY)
            quota = "userdb_quota_rule=*:bytes=1" if user in full else ""
            lines.append(f"{user}:{{PLAIN}}x:{NOBODY}:{NOBODY}::{homes / user}::{quota}\n")
        super().__init__(directory, "dovecot-lmtp", CONF, lines)
        self.socket = self.work / "lmtp"

    def lock(self, user):
        """From now on mail for `user` can be delivered another time only."""
        shutil.chown(self.work / "homes" / user, "root", "root")

    def unlock(self, user):
        shutil.chown(self.work / "homes" / user, NOBODY, NOBODY)

    def inbox(self, user):
        """The messages that `user` has."""
        maildir = self.work / "homes" / user / "Maildir"
        return [path.read_bytes() for place in ("new", "cur") for path in sorted(maildir.glob(f"{place}/*"))]
