"""A Postfix of the test's own on loopback: its configuration, queue and log are in one directory."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

from client import Client, Gone
from gate import certificate, free_port
from verdicts import Skip, need_root

DOMAIN = "postfix.test"
HOSTNAME = "mx.postfix.test"
SIZE_LIMIT = 4_000_000
SMALL_LIMIT = 200_000

MAIN = """\
compatibility_level = 3.6
queue_directory = {work}/queue
data_directory = {work}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = {hostname}
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.1/32
inet_interfaces = 127.0.0.1
inet_protocols = all
disable_dns_lookups = yes
smtpd_peername_lookup = no
notify_classes =
maillog_file = {work}/mail.log
maillog_file_prefixes = {work}
message_size_limit = {size}
smtputf8_enable = yes
smtputf8_autodetect_classes = all
smtpd_tls_security_level = may
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_helo_required = yes
smtpd_error_sleep_time = 0
in_flow_delay = 0
always_add_missing_headers = no
local_header_rewrite_clients =
lmtp_line_length_limit = 0
lmtp_destination_concurrency_limit = 20
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = regexp:{work}/conf/users
virtual_transport = lmtp:inet:127.0.0.1:{store}
header_checks = regexp:{work}/conf/header_checks
smtpd_recipient_restrictions = check_sender_access inline:{{ {{banned@sender.test=REJECT this sender is not wanted}} }},
    check_recipient_access inline:{{ {{policy@{domain}=REJECT the policy says no}},
        {{later@{domain}=450 4.2.1 come back later}} }},
    reject_unauth_destination
smtpd_data_restrictions = check_recipient_access inline:{{ {{nodata@{domain}=REJECT not even DATA}} }}
"""

MASTER = """\
{port}    inet  n - n - 200 smtpd
{small}   inet  n - n - 200 smtpd -o message_size_limit={small_limit} -o smtpd_discard_ehlo_keywords=size
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Takes mail for `m<anything>@postfix.test`, delivers it by LMTP to `store` (a port), refuses other users.

    `extra` is more of its main.cf, where the last word counts. `port` is the usual service. `small` has a lower size limit that it does not announce."""

    def __init__(self, directory, store, extra=""):
        need_root("Postfix")
        if not shutil.which("postfix", path="/usr/sbin:/usr/bin:/sbin"):
            raise Skip("postfix is not installed")
        self.work = pathlib.Path(directory) / "postfix"
        self.conf = self.work / "conf"
        for folder in (self.conf, self.work / "queue", self.work / "data"):
            folder.mkdir(parents=True)
        shutil.chown(self.work / "data", "postfix")
        self.port, self.small = free_port(), free_port()
        chain, key = certificate(self.work, "postfix", HOSTNAME)
        (self.conf / "main.cf").write_text(MAIN.format(
            work=self.work, hostname=HOSTNAME, domain=DOMAIN, store=store, size=SIZE_LIMIT, chain=chain, key=key) + extra)
        (self.conf / "master.cf").write_text(MASTER.format(port=f"127.0.0.1:{self.port}",
                                                           small=f"127.0.0.1:{self.small}", small_limit=SMALL_LIMIT))
        (self.conf / "users").write_text("/^m[^@]*@/ x\n/^(policy|later|nodata|postmaster)@/ x\n")
        (self.conf / "header_checks").write_text("/^Subject: forbidden/ REJECT 5.7.1 no such subjects here\n")

    def __enter__(self):
        return self.start()

    def start(self):
        self.output = open(self.work / "output", "ab")
        self.process = subprocess.Popen(["/usr/sbin/postfix", "-c", str(self.conf), "start-fg"],
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with Client(("127.0.0.1", self.port)) as client:
                    client.expect(None, "220")
                    client.quit()
                return self
            except Gone:
                time.sleep(0.1)
        raise AssertionError("Postfix did not start:\n" + (self.work / "output").read_text() + self.log())

    def __exit__(self, *_):
        subprocess.run(["/usr/sbin/postfix", "-c", str(self.conf), "stop"], stdin=subprocess.DEVNULL,
                       stdout=self.output, stderr=self.output, check=False)
        self.process.terminate()
        self.process.wait(20)
        self.output.close()

    def kill(self):
        """SIGKILL for all of it; its queue stays as it is."""
        master = int((self.work / "queue/pid/master.pid").read_text())
        processes = pathlib.Path("/proc").glob("[0-9]*/stat")
        children = []
        for stat in processes:
            try:
                if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == master:
                    children.append(int(stat.parent.name))
            except OSError:
                continue  # it has ended meanwhile
        for process in [master, *children]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(20)
        self.output.close()

    def log(self):
        path = self.work / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""
