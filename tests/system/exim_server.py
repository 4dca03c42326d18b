"""An Exim of the test's own on loopback. Debian has no Exim beside a Postfix, so one that was only unpacked serves, too."""
import os
import pathlib
import pwd
import shutil
import subprocess
import time

from client import Client, Gone
from gate import ROOT, certificate, free_port
from verdicts import Skip, need_root

DOMAIN = "exim.test"
HOSTNAME = "mx.exim.test"
USER = "Debian-exim"

CONF = """\
primary_hostname = {hostname}
spool_directory = {work}/spool
log_file_path = {work}/log/%slog
pid_file_path = {work}/exim.pid
log_selector = +proxy +incoming_interface
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
hosts_proxy = 127.0.0.1
host_lookup =
helo_try_verify_hosts =
rfc1413_hosts =
queue_run_max = 5
remote_max_parallel = 5
smtp_accept_max = 100
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
deliver_drop_privilege = true
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_connect_advertise_hosts =
message_size_limit = 4M
tls_advertise_hosts = *
tls_certificate = {chain}
tls_privatekey = {key}
acl_smtp_rcpt = rcpt
never_users =
keep_environment =
begin acl
rcpt:
  defer local_parts = later
        message = come back later
  accept domains = {domain}
         local_parts = ^m
  deny message = no such user here
begin routers
everything:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = store
begin transports
store:
  driver = smtp
  protocol = lmtp
  port = {store}
  allow_localhost
  hosts_try_chunking =
  message_linelength_limit = 10000000
begin retry
* * F,1h,1s
"""


def binary():
    """The Exim of the system, or the one that scripts/test has unpacked."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for place in (pathlib.Path("/usr/sbin/exim4"), target / "exim" / "usr" / "sbin" / "exim4"):
        if place.exists():
            return str(place)
    raise Skip("exim4 is neither installed nor unpacked (scripts/test install)")


class Exim:
    """Takes mail for `m<anything>@exim.test` and delivers it by LMTP to `store` (a port). Who connects from 127.0.0.1
    must begin with a PROXY header."""

    def __init__(self, directory, store):
        need_root("Exim")
        self.exim = binary()
        try:
            pwd.getpwnam(USER)
        except KeyError:
            raise Skip(f"there is no user {USER}") from None
        self.work = pathlib.Path(directory) / "exim"
        for folder in (self.work, self.work / "spool", self.work / "log"):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, USER, USER)
        self.port = free_port()
        chain, key = certificate(self.work, "exim", HOSTNAME)
        (self.work / "conf").write_text(CONF.format(work=self.work, hostname=HOSTNAME, domain=DOMAIN, port=self.port,
                                                    store=store, chain=chain, key=key))

    def __enter__(self):
        self.output = open(self.work / "output", "ab")
        user = pwd.getpwnam(USER)
        self.process = subprocess.Popen([self.exim, "-C", str(self.work / "conf"), "-bdf", "-q5s"],
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
                                        user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with Client(("127.0.0.1", self.port), source="127.0.0.9") as client:
                    client.expect(None, "220")
                    client.quit()
                return self
            except Gone:
                time.sleep(0.1)
        raise AssertionError("Exim did not start:\n" + (self.work / "output").read_text() + self.log())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.output.close()

    def log(self):
        return "".join(path.read_text(errors="replace") for path in sorted((self.work / "log").glob("*log")))
