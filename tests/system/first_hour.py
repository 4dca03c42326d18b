#!/usr/bin/env python3
"""The first hour of an administrator, as the documents tell it, on a clean Debian that boots systemd.

Every command of docs/install.md (from the package) and docs/postfix.md is taken from there and typed as it stands:
installation, configuration, a second port of a real Postfix, the doctor, the change of port 25, the first mail, an
upgrade, the way back, removal and purge. Ours are the things around it: a Postfix that was there before, the names that
the world's DNS would know, and who sends mail.
"""
import argparse
import email.utils
import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib

import debian
import verdicts
from client import Client, Gone
from gate import ROOT, Directory, binary
from told import Document

OURS, FRIEND, FORGER = "198.51.100.25", "203.0.113.9", "203.0.113.66"
# The mail server that was there before Gatepost, with one user.
POSTFIX = """\
postconf -e myhostname=mx.example.org mydestination=example.org,localhost
useradd --create-home --shell /bin/bash ann
"""
# What the world's DNS says, in the resolver that is installed later.
WORLD = f"""\
mkdir -p /etc/unbound/unbound.conf.d
cat >/etc/unbound/unbound.conf.d/world.conf <<'END'
server:
    local-zone: "." static
    local-data: "mx.example.org. A {OURS}"
    local-data-ptr: "{OURS} mx.example.org"
    local-data: "example.org. MX 10 mx.example.org."
    local-data: 'example.org. TXT "v=spf1 mx -all"'
    local-data: '_dmarc.example.org. TXT "v=DMARC1; p=reject"'
    local-data: "mail.example.net. A {FRIEND}"
    local-data-ptr: "{FRIEND} mail.example.net"
    local-data: "example.net. MX 10 mail.example.net."
    local-data: 'example.net. TXT "v=spf1 mx -all"'
@LISTS@END
"""
# On a machine of its own Gatepost finds port 25 free; afterwards all is as it was.
EXCHANGE = """\
postconf -M# smtp/inet
postconf -M '127.0.0.1:2526/inet=127.0.0.1:2526 inet n - y - - smtpd'
postconf -P '127.0.0.1:2526/inet/smtpd_relay_restrictions=reject_unauth_destination'
postfix reload
"""
NO_EXCHANGE = """\
systemctl disable --now gatepost
rm -r /etc/gatepost/gatepost.toml /var/lib/gatepost/*
postconf -MX 127.0.0.1:2526/inet
postconf -M 'smtp/inet=smtp inet n - y - - smtpd'
postfix reload
"""
# A key that the service may read by a group of its unit alone, in a configuration that its unit alone names.
DROP_IN = """\
sed 's|^# tls = .*|tls = { certificate = "/etc/ssl/certs/ssl-cert-snakeoil.pem", key = "/etc/ssl/private/ssl-cert-snakeoil.key" }|' \
    /etc/gatepost/gatepost.toml >/etc/gatepost/mx.toml
sed -i '/^GATEPOST_CONFIG=/d' /etc/default/gatepost
mkdir /etc/systemd/system/gatepost.service.d
cat >/etc/systemd/system/gatepost.service.d/override.conf <<'END'
[Service]
SupplementaryGroups=ssl-cert
Environment=GATEPOST_CONFIG=/etc/gatepost/mx.toml
END
systemctl daemon-reload
systemctl restart gatepost
"""
# A configuration that leaves port 25 to Postfix, and the service.
START = """\
gatepost init --domain example.org --backend 127.0.0.1:2525 --for postfix --hostname mx.example.org
sed -i 's/0.0.0.0:25/127.0.0.1:42525/' /etc/gatepost/gatepost.toml
systemctl enable --now gatepost
"""


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def system():
    """A clean Debian with the mail server that was there before."""
    return debian.base(["systemd-sysv", "dbus", "iproute2", "postfix"], ["unbound"], POSTFIX)


def newer(package, place):
    """The same package, of a later version."""
    with Directory() as directory:
        subprocess.run(["dpkg-deb", "--raw-extract", package, directory / "inside"], check=True)
        control = directory / "inside/DEBIAN/control"
        control.write_text(control.read_text().replace(f"\nVersion: {version()}\n", f"\nVersion: {version()}+newer\n"))
        name = os.path.basename(package).replace(version(), version() + "+newer")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", directory / "inside", place / name], check=True,
                       stdout=subprocess.DEVNULL)


def lists():
    """The lists that are asked as shipped, each with its test point."""
    known = tomllib.loads((ROOT / "rules/lists.toml").read_text())["dnsbl"]
    return "".join(f'    local-data: "2.0.0.127.{each["zone"]}. A 127.0.0.2"\n' for each in known if each.get("enabled", True))


class FirstHour:
    """The tests, in the order of the hour; each goes on where the one before has ended."""

    def __init__(self, directory, package=None):
        self.directory, self.given = directory, package
        self.packages = directory / "packages"
        self.install, self.postfix = Document("docs/install.md"), Document("docs/postfix.md")
        self.machine = None

    def pack(self, script, *words):
        """The path of what the script makes."""
        done = subprocess.run([sys.executable, ROOT / "scripts" / script, *words, "--out", self.packages], capture_output=True, text=True,
                              timeout=300, env={**os.environ, "CARGO_TARGET_DIR": str(self.directory / "target")})
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    def boot(self):
        """A clean Debian with a Postfix boots"""
        debian.need_namespaces()
        debian.need("cargo-deb", "dpkg-shlibdeps")
        began = time.monotonic()
        place = system()
        made = time.monotonic() - began
        self.packages.mkdir()
        first = shutil.copy(self.given, self.packages) if self.given else self.pack("deb", "--binary", binary(), "--fast")
        self.pack("tarball", first)
        newer(first, self.packages)
        self.machine = debian.Machine(place, self.directory / "console", {
            "/packages": self.packages, "/clone/packaging": ROOT / "packaging", "/clone/target/release/gatepost": binary()}).__enter__()
        self.machine.run(WORLD.replace("@LISTS@", lists()) + "cp /packages/* /root/\n"
                         + "".join(f"ip address add {address}/32 dev lo\n" for address in (OURS, FRIEND, FORGER)))
        self.wait_for_postfix()
        return f"{debian.suite()}, made in {made:.0f} s"

    def wait_for_postfix(self):
        """Until it is what answers at port 25: a reload goes on behind our back."""
        def answers():
            try:
                with self.session(FRIEND) as client:
                    return "ESMTP Postfix" in client.reply().text
            except Gone:
                return False
        verdicts.eventually("Postfix answers at port 25", answers)

    def session(self, source):
        return self.machine.within_its_network(lambda: Client((OURS, 25), source=source))

    def installs(self):
        """The package installs with apt, and starts nothing that is not configured"""
        self.before = self.files()
        self.install_command = self.install.take("From the package")
        said = self.machine.run(self.install_command)
        assert "Gatepost is not configured yet" in said, said[-2000:]
        assert self.machine.try_run("systemctl is-active gatepost").stdout.strip() == "inactive"

    def exchange(self):
        """Before an Exchange, played by a server that hears no XCLIENT, the first hour has no more words than these"""
        page = Document("docs/exchange.md")
        self.machine.run(EXCHANGE)
        commands = page.take("A configuration").replace("exchange.example.org:25", "127.0.0.1:2526")
        said = self.machine.run(commands)
        assert "New-ReceiveConnector" in said and "X-Spam-Flag" in said, said
        said = self.machine.run(page.take("The doctor, then mail"))
        assert "identity    none" in said and re.search(r"BROKEN +0\n", said), said
        assert self.send(FRIEND, "mail.example.net", "eve@example.net", "to Exchange").code == "250"
        assert page.left == []
        self.machine.run(NO_EXCHANGE)
        self.wait_for_postfix()

    def configures(self):
        """A resolver, a configuration and a second port of Postfix are a few commands"""
        self.machine.run(self.postfix.take("A resolver of your own"))
        said = self.machine.run(self.postfix.take("A configuration"))
        # What init prints for Postfix is what the document says.
        commands = self.postfix.take("A second port of Postfix")
        assert all(line in said for line in commands.splitlines()), (commands, said)
        self.machine.run(commands)

    def doctor(self):
        """The doctor finds nothing broken but that port 25 is taken; Postfix gives it up, and nothing is"""
        told = self.machine.try_run(self.postfix.take("What the doctor says"))
        assert told.returncode == 1 and "\n1 thing is broken" in told.stdout, told.stdout
        assert re.search(r"BROKEN +listener edge \(0\.0\.0\.0:25\): Address already in use", told.stdout), told.stdout
        told = self.machine.run(self.postfix.take("Gatepost takes port 25"))
        assert re.search(r"BROKEN +0\n", told), told

    def unit(self):
        """The service is ready when systemctl says so, and has one privilege"""
        self.pid = self.service_pid()
        status = self.machine.run(f"cat /proc/{self.pid}/status")
        values = dict(line.split(":\t") for line in status.splitlines())
        assert values["CapEff"] == values["CapBnd"] == "0000000000000400", "CAP_NET_BIND_SERVICE alone"
        assert values["NoNewPrivs"] == "1" and values["Seccomp"] == "2" and values["Uid"].split()[0] != "0", status
        places = self.machine.run("stat -c '%U:%G %a %n' /etc/gatepost /var/lib/gatepost /var/lib/gatepost/*")
        for line in ("root:gatepost 2750 /etc/gatepost", "gatepost:gatepost 700 /var/lib/gatepost",
                     "gatepost:gatepost 600 /var/lib/gatepost/gatepost.redb", "gatepost:gatepost 700 /var/lib/gatepost/records"):
            assert f"{line}\n" in places, (line, places)
        assert self.machine.run("stat -c %U:%G /etc/gatepost/gatepost.toml") == "root:gatepost\n"

    def first_mail(self):
        """A friend's mail arrives with what was found, and Postfix has seen the friend"""
        assert self.send(FRIEND, "mail.example.net", "eve@example.net", "first").code == "250"
        mail = self.wait_for("cat /var/mail/ann", "Subject: first")
        received = rf"^Received: from mail\.example\.net \(mail\.example\.net \[{re.escape(FRIEND)}\]\)\n\tby mx\.example\.org"
        for expected in (f"{received} \\(Postfix\\)", f"{received} with ESMTP id ", r"^Authentication-Results: mx\.example\.org;",
                         r"^\tspf=pass ", r"^X-Spam-Score: ", r"^X-Spam-Status: No"):
            assert re.search(expected, mail, re.M), f"{expected} is not in:\n{mail}"
        self.machine.run(f"journalctl --no-pager -t postfix/smtpd | grep -F 'client=mail.example.net[{FRIEND}]'")

    def first_refusal(self):
        """Who says to be us is refused; the log has both mails, and `explain` says why from the reply alone"""
        reply = self.send(FORGER, "forger.example.com", "boss@example.org", "forged")
        assert reply.code == "554" and "id " in reply.text, reply
        said = self.machine.run(self.postfix.take("Mail"))
        assert re.search(r"forward.*eve@example\.net", said) and re.search(r"reject.*boss@example\.org", said), said
        why = self.machine.run(f"gatepost explain {shlex.quote(reply.text)}")
        assert "boss@example.org" in why and "SPF_FAIL" in why, why
        return reply.text

    def upgrade(self):
        """An upgrade drains the old process, starts the new one, and keeps what was written by hand and remembered"""
        self.machine.run("echo '# by hand' >>/etc/default/gatepost && echo '# by hand' >>/etc/gatepost/gatepost.toml")
        self.machine.run(DROP_IN)
        before = self.service_pid()
        command = self.install_command.replace(version(), version() + "+newer")
        self.machine.run(command)
        assert self.service_pid() != before
        assert self.machine.run("dpkg-query -W -f '${Version}' gatepost") == version() + "+newer"
        assert self.machine.run("tail -qn1 /etc/default/gatepost /etc/gatepost/gatepost.toml") == "# by hand\n" * 2
        drained = self.machine.run("journalctl --no-pager -u gatepost")
        assert "drain" in drained and "Failed" not in drained, drained[-3000:]
        with self.session(FRIEND) as client:
            client.reply()
            client.hello()
            assert "STARTTLS" in client.extensions, "with the key that its group may read"
        assert self.send(FRIEND, "mail.example.net", "eve@example.net", "second").code == "250"
        self.wait_for("cat /var/mail/ann", "Subject: second")
        assert self.machine.run("gatepost log --from example.net").count("eve@example.net") == 2

    def refused(self):
        """Where the new version refuses the configuration of the unit, the old process goes on"""
        upgrade = "dpkg --install ./gatepost_*+newer_*.deb 2>&1"
        before = self.service_pid()
        self.machine.run("echo 'no such key' >>/etc/gatepost/mx.toml")
        said = self.machine.run(upgrade)
        assert "/etc/gatepost/mx.toml:" in said and "The old gatepost goes on" in said, said
        assert self.service_pid() == before
        # A file of environment goes before a drop-in.
        self.machine.run("echo 'GATEPOST_CONFIG=\"/etc/gatepost/gatepost.toml\"' >>/etc/default/gatepost")
        said = self.machine.run(upgrade)
        assert "goes on" not in said, said
        assert self.service_pid() != before

    def back(self):
        """The way back leaves Postfix as it was"""
        self.machine.run(self.postfix.take("Back again"))
        self.wait_for_postfix()

    def away(self):
        """A removal leaves what the administrator has written; a purge leaves nothing of ours, not even a user"""
        remove, purge = self.install.take("Away with it").splitlines()
        self.machine.run(remove)
        assert {"/etc/gatepost/gatepost.toml", "/etc/default/gatepost", "/var/lib/gatepost/gatepost.redb"} <= self.files()
        self.machine.run(purge)
        left = [name for name in self.files() - self.before if "gatepost" in name]
        assert left == [], left
        assert self.machine.run("find / -xdev -nouser -o -xdev -nogroup") == ""
        assert self.machine.try_run("getent passwd gatepost || getent group gatepost").stdout == ""
        assert self.machine.run("systemctl list-unit-files 'gatepost*' --no-legend || true") == ""

    def tarball(self):
        """The tarball puts the same in place, for systemd to run, and takes it out again"""
        # Whatever is kept from others, the service can execute the program.
        said = self.machine.run("umask 077\n" + self.install.take("As a tarball"))
        assert "gatepost init" in said, said
        self.machine.run(START + "echo '# by hand' >>/etc/default/gatepost")
        before = self.service_pid()
        self.machine.run("*/install.sh")
        after = self.service_pid()
        assert after != before, "an upgrade starts it anew"
        self.machine.run("echo 'no such key' >>/etc/gatepost/gatepost.toml")
        said = self.machine.run("*/install.sh 2>&1")
        assert "The old gatepost goes on" in said, said
        assert self.service_pid() == after
        self.machine.run("*/install.sh --remove")
        left = [name for name in self.files() - self.before if "gatepost" in name]
        assert all(name.startswith(("/etc/gatepost", "/etc/default/gatepost", "/var/lib/gatepost")) for name in left), left
        assert self.machine.run("tail -n1 /etc/default/gatepost") == "# by hand\n"

    def by_hand(self):
        """What is built in a clone runs when it is put in place by hand"""
        self.machine.run("userdel gatepost && rm -r /etc/gatepost /var/lib/gatepost")
        build, *commands = self.install.take("By hand").splitlines()
        assert build.startswith("cargo build --release "), build
        self.machine.run("cd /clone\n" + "\n".join(commands))
        assert self.machine.run("stat -c '%U:%G %a' /etc/gatepost") == "root:gatepost 2750\n"
        self.machine.run(START)
        assert self.service_pid() != "0"

    def nothing_left(self):
        """Every command of the documents was typed"""
        self.install.drop("From a clone")
        assert (self.install.left, self.postfix.left) == ([], [])

    def service_pid(self):
        return self.machine.run("systemctl is-active --quiet gatepost && systemctl show --property MainPID --value gatepost").strip()

    def send(self, source, name, sender, subject):
        """The reply that decided about a message to ann."""
        with self.session(source) as client:
            client.reply()
            for line in (f"EHLO {name}", f"MAIL FROM:<{sender}>", "RCPT TO:<ann@example.org>", "DATA"):
                reply = client.command(line)
                if reply.code[0] in "45":
                    return reply
            date = email.utils.formatdate()
            client.send(f"From: <{sender}>\r\nTo: <ann@example.org>\r\nSubject: {subject}\r\nDate: {date}\r\n"
                        f"Message-ID: <{subject}@{name}>\r\n\r\nHello Ann.\r\n.\r\n")
            return client.reply()

    def wait_for(self, command, text):
        """What `command` says once `text` is in it."""
        def says():
            said = self.machine.try_run(command).stdout
            return said if text in said else None
        try:
            return verdicts.eventually(f"{command} says {text!r}", says)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.machine.try_run('journalctl --no-pager -n 30').stdout}") from None

    def files(self):
        """Every file but those of the package manager's own books."""
        books = ("/var/lib/dpkg", "/var/log", "/var/cache", "/root")
        listed = self.machine.run("find / -xdev").splitlines()
        return {name for name in listed if not name.startswith(books)}


def chain(tests):
    """The same tests; once one did not pass, those behind it are skipped, for a reason as good as its own."""
    ended = []

    def link(test):
        @functools.wraps(test)
        def linked():
            if ended:
                raise ended[0]("it needs what comes before it")
            try:
                return test()
            except BaseException as error:
                ended.append(type(error) if isinstance(error, verdicts.Skip) else verdicts.Skip)
                raise
        return linked
    return [link(test) for test in tests]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--package", type=pathlib.Path, help="this one, instead of one that is made of the program under test")
    given = options.parse_args()
    with Directory() as directory:
        hour = FirstHour(directory, given.package)
        try:
            verdicts.run("first hour: from the package to the first mail, and back", chain([
                hour.boot, hour.installs, hour.exchange, hour.configures, hour.doctor, hour.unit, hour.first_mail, hour.first_refusal,
                hour.upgrade, hour.refused, hour.back, hour.away, hour.tarball, hour.by_hand, hour.nothing_left]))
        finally:
            if hour.machine:
                hour.machine.__exit__()


if __name__ == "__main__":
    main()
