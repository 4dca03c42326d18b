"""A Dovecot of the test's own that does nothing but authenticate, for a Postfix to ask."""
import dovecot

USERS = {"bob": "bob's secret", "ann": "Ann=Secret"}
MECHANISMS = "plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256"

CONF = """\
protocols =
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
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class Dovecot(dovecot.Server):
    """Knows `USERS`, by every mechanism that it has; asked at `port` in Dovecot's protocol for SASL."""

    def __init__(self, directory):
        users = [f"{name}:{{PLAIN}}{word}\n" for name, word in USERS.items()]
        super().__init__(directory, "dovecot", CONF, users, mechanisms=MECHANISMS)
