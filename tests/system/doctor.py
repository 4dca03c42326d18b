#!/usr/bin/env python3
"""`gatepost doctor` looks at set-ups of which one thing is broken each: it finds it, and says what to do.

The mail server behind is a script that can be loose, credulous or incapable; a real Postfix comes last. Nothing may
be delivered by any of it.
"""
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import verdicts
from gate import HOSTNAME, Directory, Gatepost, binary, certificate, free_port, settings, toml
from names import Names

EXTENSIONS = ["PIPELINING", "8BITMIME", "SIZE 104857600", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES",
              "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT"]
KNOWN = {"postmaster@gate.test", "probe@gate.test"}
LISTS = ("bl.spamcop.net", "psbl.surriel.com")
NAMES = {HOSTNAME: "127.0.0.1", **{f"2.0.0.127.{zone}": "127.0.0.2" for zone in LISTS}}
# A server of 1970 to 2036 says the time since 1900.
SINCE_1900 = 2208988800


class Backend:
    """A mail server that takes everything word for word: what it trusts and what it takes for an end is said here."""

    def __init__(self, extensions=EXTENSIONS, ends=(b"\r\n.\r\n",), relays=False, takes_anybody=False, rcpt=None,
                 greeting="220 sink.test ESMTP", xclient="220 sink.test ESMTP"):
        self.extensions, self.ends, self.relays, self.takes_anybody = extensions, ends, relays, takes_anybody
        self.rcpt, self.greeting, self.xclient = rcpt, greeting, xclient
        self.delivered, self.commands = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def stop(self):
        self.listener.close()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.session, args=(client,), daemon=True).start()

    def session(self, client):
        try:
            with client:
                self.converse(client)
        except OSError:
            pass

    def converse(self, client):
        def say(text):
            client.sendall(text.encode() + b"\r\n")

        buffer = b""
        say(self.greeting)
        while True:
            while b"\r\n" not in buffer:
                got = client.recv(65536)
                if not got:
                    return
                buffer += got
            line, buffer = buffer.split(b"\r\n", 1)
            self.commands.append(line.decode("latin-1"))
            verb = line.split(b" ")[0].upper()
            if verb == b"EHLO":
                lines = ["sink.test", *self.extensions]
                say("\r\n".join(["250-" + each for each in lines[:-1]] + ["250 " + lines[-1]]))
            elif verb == b"XCLIENT":
                say(self.xclient)
            elif verb == b"RCPT":
                say(self.recipient(re.search(rb"<(.*)>", line).group(1).decode().lower()))
            elif verb == b"DATA":
                say("354 go on")
                message, buffer = self.message(client, buffer)
                if message is None:
                    return
                if message.count(b"Received:") > 50:
                    say("554 5.4.6 too many hops")
                else:
                    self.delivered.append(message)
                    say("250 2.0.0 stored")
            elif verb == b"QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")

    def recipient(self, address):
        if self.rcpt:
            return self.rcpt
        if address.endswith("@gate.test"):
            return "250 2.1.5 ok" if address in KNOWN or self.takes_anybody else "550 5.1.1 no such user here"
        return "250 2.1.5 ok" if self.relays else "554 5.7.1 Relay access denied"

    def message(self, client, buffer):
        """What comes before the first end, and what behind it."""
        while True:
            found = [(at, end) for end in self.ends if (at := buffer.find(end)) >= 0]
            if found:
                at, end = min(found)
                return buffer[:at], buffer[at + len(end):]
            got = client.recv(65536)
            if not got:
                return None, b""
            buffer += got


class TimeServer:
    """SNTP on loopback, so many seconds ahead of the machine."""

    def __init__(self, ahead):
        self.ahead, self.sock = ahead, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            packet, peer = self.sock.recvfrom(512)
            stamp = struct.pack(">Q", int((time.time() + self.ahead + SINCE_1900) * 2**32))
            self.sock.sendto(b"\x24\x01" + bytes(22) + packet[40:48] + stamp + stamp, peer)


class Liar(Names):
    """Says of every name that does not exist that it is here."""

    def _answer(self, query):
        self.table = type("Everything", (dict,), {"get": lambda _self, _name: "192.0.2.80"})()
        return super()._answer(query)


class Setup:
    """A configuration in which all is well, but for what is changed in it before `examine`."""

    def __enter__(self):
        self.place = Directory()
        self.directory = self.place.__enter__()
        self.backend, self.names = Backend(), Names(NAMES)
        self.listen, self.admin = free_port(), free_port()
        self.tls = certificate(self.directory)
        os.chmod(self.tls[1], 0o600)
        self.identity, self.tables, self.file = "xclient", {}, self.directory / "gatepost.toml"
        self.age = -60
        return self

    def __exit__(self, *_):
        self.backend.stop()
        self.place.__exit__()

    def use(self, backend):
        self.backend.stop()
        self.backend = backend

    def config(self):
        config = settings(f"127.0.0.1:{self.listen}", self.backend.address, self.names.address, tls=self.tls,
                          identity=self.identity, admin={"address": f"127.0.0.1:{self.admin}"},
                          checks={"enabled": True}, store={"path": str(self.directory / "store.redb")})
        # So few that any machine has files enough for them.
        config["limits"].update(sessions=50, sessions_per_client=50, sessions_per_network=50)
        for name, content in self.tables.items():
            config[name] = content
        return config

    def examine(self, *words, broken, text=None, wrapper=()):
        """Runs the doctor; returns its findings, having insisted on its exit code."""
        self.file.write_text(text or toml(self.config()))
        os.utime(self.file, (time.time() + self.age,) * 2)
        argv = [*wrapper, binary(), "doctor", "--config", str(self.file), "--json", *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        found = json.loads(done.stdout)
        bad = [finding for finding in found["findings"] if finding["level"] == "broken"]
        assert done.returncode == (1 if broken else 0), (done.returncode, bad, done.stderr)
        assert len(bad) == found["broken"] and bool(bad) == broken, bad
        assert all(finding["advice"] for finding in found["findings"] if finding["level"] != "well"), found
        assert not self.backend.delivered, "the doctor delivered mail"
        return found["findings"]

    def finds(self, area, words, *arguments, level="broken", **options):
        """Insists on one finding of that level, about that area, with those words; says what it advises."""
        findings = self.examine(*arguments, broken=level == "broken", **options)
        match = [each for each in findings if each["area"] == area and words in each["found"] and each["level"] == level]
        assert match, (area, words, [each for each in findings if each["level"] != "well"])
        return f"{match[0]['subject']}: {match[0]['found']}\n-> {match[0]['advice']}"


def all_is_well():
    """A set-up in which nothing is broken is not complained about"""
    with Setup() as setup:
        findings = setup.examine("--probe-recipient", "probe@gate.test", "--ntp", TimeServer(0).address, broken=False)
        well = {(each["area"], each["found"].split(" (")[0]) for each in findings if each["level"] == "well"}
        for expected in [("backend", "it hears who clients are by XCLIENT"), ("backend", "it does not relay for strangers"),
                         ("backend", "it does not relay for our own address"), ("backend", "it refuses unknown recipients"),
                         ("backend", "nothing but CRLF.CRLF ends a message there"), ("clock", "ours differs by 0.0 s"),
                         ("list", "2 test points are as they must be")]:
            assert expected in well, (expected, sorted(well))
        argv = [binary(), "doctor", "--config", str(setup.file)]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0 and re.search(r"^ok +backend ", said.stdout, re.M) and "\x1b" not in said.stdout, said
        quiet = subprocess.run([*argv, "--quiet"], capture_output=True, text=True, timeout=60).stdout
        assert not re.search(r"^ok +\w+ .*:", quiet, re.M), quiet
        return f"{len(findings)} findings, {len(well)} kinds of them well"


def while_it_runs():
    """The running proxy is known by its admin page: its ports and its store are its own"""
    with Setup() as setup, Gatepost(setup.directory, toml(setup.config()), setup.listen):
        findings = setup.examine(broken=False)
        found = [each["found"] for each in findings]
        for expected in ("in use, by the proxy that runs", "open, by the proxy that runs", "the proxy answers there"):
            assert expected in found, (expected, found)


def broken(number, claim, area, words, change, *arguments, level="broken", **options):
    """One test: `change` breaks a set-up."""
    def test():
        with Setup() as setup:
            kept = change(setup)
            extra = [argument(setup) if callable(argument) else argument for argument in arguments]
            note = setup.finds(area, words, *extra, level=level, **options)
            del kept
            return note
    test.__doc__ = f"{number}. {claim}"
    return test


def typo(setup):
    setup.tables["limits"] = {"sesions": 5}


def taken_port(setup):
    taken = socket.create_server(("127.0.0.1", 0))
    setup.listen = taken.getsockname()[1]
    return taken


def strange_address(setup):
    setup.tables["listen"] = [{"name": "edge", "address": "192.0.2.200:2599"}]


def circle(setup):
    setup.tables["backend"] = {"identity": "none", "member": [{"address": f"127.0.0.1:{setup.listen}"}]}


def silent_dns(setup):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    setup.tables["dns"] = {"servers": ["127.0.0.1:%d" % silent.getsockname()[1]], "timeout_ms": 300, "attempts": 1}
    return silent


def public_dns(setup):
    setup.tables["dns"] = {"servers": [setup.names.address, "8.8.8.8:53"], "timeout_ms": 300, "attempts": 1}


def lying_dns(setup):
    setup.names = Liar(NAMES)


def refusing_list(setup):
    setup.names.table = {**NAMES, "2.0.0.127.psbl.surriel.com": "127.255.255.254"}


def dead_list(setup):
    setup.names.table = {name: address for name, address in NAMES.items() if "psbl" not in name}


def listing_everything(setup):
    setup.names.table = {**NAMES, "1.0.0.127.psbl.surriel.com": "127.0.0.2"}


def no_backend(setup):
    setup.backend.stop()
    # Shut, not only closed: the thread that accepts holds the socket a moment longer.
    setup.tables["backend"] = {"identity": "xclient", "member": [{"address": f"127.0.0.1:{free_port()}"}]}


def mail_store(setup):
    setup.tables["store"] = {"path": str(setup.directory / "nowhere" / "store.redb")}


def damaged_store(setup):
    (setup.directory / "store.redb").write_bytes(b"this is no database, " * 1000)


def no_redis(setup):
    setup.tables["store"] = {"redis": {"urls": [f"redis://127.0.0.1:{free_port()}"]}}


def old_certificate(setup):
    faketime = shutil.which("faketime")
    if not faketime:
        raise verdicts.Skip("faketime is not installed")
    chain, key = f"{setup.directory}/old.pem", f"{setup.directory}/old.key"
    subprocess.run([faketime, "-f", "-90d", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={HOSTNAME}", "-addext",
                    f"subjectAltName=DNS:{HOSTNAME}", "-keyout", key, "-out", chain], check=True, capture_output=True)
    setup.tls = (chain, key)


def anothers_certificate(setup):
    setup.tls = certificate(setup.directory, "other", "mail.elsewhere.test")
    os.chmod(setup.tls[1], 0o600)


def anothers_key(setup):
    setup.tls = (setup.tls[0], certificate(setup.directory, "other")[1])


def future(setup):
    setup.age = 86400


def small_backend(setup):
    setup.use(Backend([name if "SIZE" not in name else "SIZE 1048576" for name in EXTENSIONS]))


def no_tls(setup):
    setup.tables["backend"] = {"identity": "xclient", "member": [{"address": setup.backend.address, "tls": "required"}]}


def open_admin(setup):
    setup.tables["admin"] = {"address": f"0.0.0.0:{setup.admin}"}


def unidentified(setup):
    setup.identity = "none"
    setup.use(Backend(relays=True))


def use(**options):
    return lambda setup: setup.use(Backend(**options))


SETUPS = [
    ("a typo in the configuration", "configuration", "sesions", typo),
    ("a port that another program has", "listener", "in use", taken_port),
    ("an address that this machine has not", "listener", "assign", strange_address),
    ("a backend that is Gatepost itself", "configuration", "one of our own listeners", circle),
    ("a name server that says nothing", "dns", "no answer", silent_dns),
    ("a resolver that serves anybody", "dns", "8.8.8.8 (Google)", public_dns),
    ("a resolver that invents answers", "dns", "does not exist", lying_dns),
    ("a list that refuses the resolver", "list", "127.255.255.254", refusing_list),
    ("a list that is closed", "list", "does not list its own test point", dead_list),
    ("a list that lists everything", "list", "no list may list", listing_everything),
    ("no mail server there", "backend", "refused", no_backend),
    ("a mail server that turns us away", "backend", "not ready", use(greeting="554 5.7.1 not you")),
    ("a mail server without XCLIENT", "backend", "not offered", use(extensions=EXTENSIONS[:-1])),
    ("a mail server that refuses XCLIENT", "backend", "XCLIENT", use(xclient="550 5.7.0 insufficient authorization")),
    ("a mail server that relays for everybody", "backend", "relays for strangers", use(relays=True)),
    ("a mail server that relays for Gatepost's address, which is everybody's", "backend", "everybody's mail", unidentified),
    ("a mail server that takes mail for nobody", "backend", "nobody has", use(takes_anybody=True)),
    ("a mail server that must speak TLS and does not", "backend", "STARTTLS is not offered", no_tls),
    ("a certificate that has ended", "certificate", "it ended at", old_certificate),
    ("a key of another certificate", "configuration", "do not fit", anothers_key),
    ("a store without a directory", "store", "No such file", mail_store),
    ("a store that is damaged", "store", "cannot be used", damaged_store),
    ("a Redis that is not there", "store", "does not answer", no_redis),
    ("a clock that is behind its own configuration", "clock", "behind", future),
]
DOUBTFUL = [
    ("a certificate for another name", "certificate", f"not for {HOSTNAME}", anothers_certificate),
    ("a mail server that takes less than Gatepost", "backend", "takes 1048576 octets", small_backend),
    ("a mail server that defers recipients", "backend", "defers unknown recipients", use(rcpt="450 4.2.0 greylisted")),
    ("admin pages that everybody reaches", "admin", "everybody", open_admin),
]


def tests():
    yield all_is_well
    yield while_it_runs
    number = 0
    for number, (claim, area, words, change) in enumerate(SETUPS, 1):
        yield broken(number, claim, area, words, change)
    for number, (claim, area, words, change) in enumerate(DOUBTFUL, number + 1):
        yield broken(number, claim, area, words, change, level="doubtful")
    yield broken(number + 1, "a clock that differs from a time server's", "clock", "600 s behind", lambda _: None,
                 "--ntp", lambda _: TimeServer(600).address)
    yield broken(number + 2, "too few file descriptors", "limits", "may open 100 files", lambda _: None,
                 wrapper=["sh", "-c", "ulimit -n 100; exec \"$@\"", "sh"])
    yield loose_ends
    yield harmless
    yield postfix


def loose_ends():
    """Each false end of data that a mail server takes is named, and nothing is delivered by the test"""
    ends = {"LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r", "CR.CRLF": b"\r.\r\n",
            "CRLF.CR": b"\r\n.\r"}
    for name, end in ends.items():
        with Setup() as setup:
            setup.use(Backend(ends=(b"\r\n.\r\n", end)))
            note = setup.finds("backend", f"{name}", "--probe-recipient", "probe@gate.test")
            assert "smuggled" in note, note
    return note


def harmless():
    """Without a recipient to probe nothing gets further than RCPT; with one that is refused nothing does, either"""
    with Setup() as setup:
        setup.examine(broken=False)
        assert not any(line.upper().startswith(("DATA", "BDAT")) for line in setup.backend.commands)
        findings = setup.examine("--probe-recipient", "nobody@gate.test", broken=False)
        assert any("was not tried: it says 550" in each["found"] for each in findings), findings
        assert not any(line.upper().startswith(("DATA", "BDAT")) for line in setup.backend.commands)
        assert setup.backend.commands.count("RSET") >= 3


def postfix():
    """A real Postfix is read as it is set: loose with bare newlines, strict without"""
    from postfix_server import DOMAIN, Postfix
    from sink import Sink
    verdicts.need_root("Postfix")
    if not pathlib.Path("/usr/sbin/postfix").exists():
        raise verdicts.Skip("Postfix is not installed")
    known = subprocess.run(["/usr/sbin/postconf", "-d", "smtpd_forbid_bare_newline"], capture_output=True, text=True)
    if known.returncode or "=" not in known.stdout:
        raise verdicts.Skip("this Postfix is too old to be strict")
    verdict = {}
    for setting in ("no", "yes"):
        with Setup() as setup, Directory() as work:
            store = Sink(lmtp=True).start()
            extra = f"smtpd_forbid_bare_newline = {setting}\nsmtpd_forbid_bare_newline_exclusions =\n"
            with Postfix(work, store.port, extra) as server:
                setup.tables["relay"] = {"domains": [DOMAIN]}
                setup.tables["backend"] = {"identity": "xclient", "member": [{"address": f"127.0.0.1:{server.port}"}]}
                findings = setup.examine("--probe-recipient", f"mprobe@{DOMAIN}", broken=setting == "no")
                verdict[setting] = [each for each in findings if "end" in each["found"] and each["area"] == "backend"]
            assert not store.stored, "the probe was delivered"
            store.stop()
    assert "LF.LF" in verdict["no"][0]["found"], verdict
    assert verdict["yes"][0]["level"] == "well", verdict
    return verdict["no"][0]["found"]


if __name__ == "__main__":
    verdicts.run("doctor: what is broken is found, and nothing is delivered", list(tests()))
