#!/usr/bin/env python3
"""`gatepost doctor` looks at set-ups of which one thing is broken each: it finds it, and says what to do.

The mail server behind is a script that can be loose, credulous or incapable; a real Postfix comes last. Nothing may
be delivered by any of it.
"""
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
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
DOMAIN = "gate.test"
TLSA = f"_25._tcp.{HOSTNAME}"
POLICY = "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 1209600\r\n"
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


def authority(directory):
    """A certificate authority that nobody knows but who is told; returns its certificate and its key."""
    chain, key = f"{directory}/ca.pem", f"{directory}/ca.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=test authority", "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain, key


def signed(directory, by, name):
    """A certificate for that name, signed by an authority, with the chain; returns the paths of chain and key."""
    chain, key, request = (f"{directory}/{name}.{end}" for end in ("pem", "key", "csr"))
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", key, "-out", request], check=True, capture_output=True)
    extensions = pathlib.Path(f"{directory}/{name}.ext")
    extensions.write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n")
    leaf = subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", by[0], "-CAkey", by[1], "-CAcreateserial", "-days", "30",
                           "-extfile", str(extensions)], check=True, capture_output=True).stdout
    pathlib.Path(chain).write_bytes(leaf + pathlib.Path(by[0]).read_bytes())
    os.chmod(key, 0o600)
    return chain, key


def key_digest(certificate):
    """What `3 1 1` says of it: SHA-256 of its public key."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, check=True, capture_output=True).stdout
    return hashlib.sha256(der).digest()


class PolicyHost:
    """Serves a policy of MTA-STS where its name leads, on an address of loopback that nobody else has."""

    def __init__(self, directory, by, policy, status=200):
        chain, key = signed(directory, by, f"mta-sts.{DOMAIN}")

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = policy.encode() if self.path == "/.well-known/mta-sts.txt" else b"elsewhere"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 301:
                    self.send_header("Location", "/.well-known/mta-sts.txt")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.address = "127." + ".".join(str(random.randint(1, 250)) for _ in range(3))
        try:
            self.server = http.server.HTTPServer((self.address, 443), Answer)
        except PermissionError:
            raise verdicts.Skip("port 443 needs root") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Setup:
    """A configuration in which all is well, but for what is changed in it before `examine`."""

    def __enter__(self):
        self.place, self.policies = Directory(), None
        self.directory = self.place.__enter__()
        self.backend, self.names = Backend(), Names(NAMES)
        self.listen, self.admin = free_port(), free_port()
        self.tls = certificate(self.directory)
        os.chmod(self.tls[1], 0o600)
        self.identity, self.tables, self.file = "xclient", {}, self.directory / "gatepost.toml"
        self.age, self.environment = -60, dict(os.environ)
        return self

    def publish(self, *records, **options):
        """Beside addresses; the name server vouches for them."""
        self.names.stop()
        more = {DOMAIN: [("MX", (10, HOSTNAME))]}
        for name, kind, value in records:
            more.setdefault(name, []).append((kind, value))
        self.names = Names(self.names.table, more, **{"vouches": True, **options})

    def promise(self, mode="enforce", mx=HOSTNAME, trusted=False, status=200, host=None):
        """Publishes a policy of MTA-STS. `trusted`: our own certificate is signed by the authority that all know here."""
        by = authority(self.directory)
        self.environment["SSL_CERT_FILE"] = by[0]
        if trusted:
            self.tls = signed(self.directory, by, HOSTNAME)
        self.policies = PolicyHost(self.directory, by, POLICY % (mode, mx), status)
        self.publish((f"mta-sts.{DOMAIN}", "A", host or self.policies.address), (f"_mta-sts.{DOMAIN}", "TXT", "v=STSv1; id=1;"))

    def __exit__(self, *_):
        self.backend.stop()
        if self.policies:
            self.policies.stop()
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
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=self.environment)
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


def promises_are_kept():
    """TLSA records for this key and the next, and a policy of MTA-STS in force that holds, are found to be well"""
    with Setup() as setup:
        setup.promise(trusted=True)
        digests = [hashlib.sha256(b"the next key").digest(), key_digest(setup.tls[0])]
        setup.publish((f"mta-sts.{DOMAIN}", "A", setup.policies.address), (f"_mta-sts.{DOMAIN}", "TXT", "v=STSv1; id=1;"),
                      *[(TLSA, "TLSA", (3, 1, 1, digest)) for digest in digests])
        findings = setup.examine(broken=False)
        told = [each for each in findings if each["area"] in ("dane", "mta-sts")]
        assert [each["level"] for each in told] == ["well"] * 2, told
        assert "3 1 1 " + digests[1].hex()[:12] in told[0]["found"] and "1 more" in told[0]["found"], told
        # The authority's own record, for who has certificates signed by it.
        ca = subprocess.run(["openssl", "x509", "-in", f"{setup.directory}/ca.pem", "-outform", "DER"], capture_output=True, check=True)
        setup.publish((TLSA, "TLSA", (2, 0, 1, hashlib.sha256(ca.stdout).digest())))
        note = setup.finds("dane", "2 0 1", level="well")
        return "\n".join([*(f"{each['subject']}: {each['found']}" for each in told), note.splitlines()[0]])


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


def key_of_yesterday(setup):
    setup.publish((TLSA, "TLSA", (3, 1, 1, hashlib.sha256(b"the key of yesterday").digest())))


def dane_without_tls(setup):
    setup.publish((TLSA, "TLSA", (3, 1, 1, key_digest(setup.tls[0]))))
    setup.tls = None


def dane_for_the_web(setup):
    setup.publish((TLSA, "TLSA", (1, 1, 1, key_digest(setup.tls[0]))))


def dane_unsigned(setup):
    setup.publish((TLSA, "TLSA", (3, 1, 1, key_digest(setup.tls[0]))), vouches=False)


def dane_unanswered(setup):
    setup.publish(failing=["TLSA"])


def promise(**options):
    return lambda setup: setup.promise(**options)


def promise_nowhere(setup):
    setup.publish((f"_mta-sts.{DOMAIN}", "TXT", "v=STSv1; id=1;"))


def promise_twice(setup):
    setup.publish(*[(f"_mta-sts.{DOMAIN}", "TXT", f"v=STSv1; id={number};") for number in (1, 2)])


def small_disk(setup):
    setup.tables["records"] = {"directory": str(setup.directory / "records"), "max_size": "1000000 GiB"}


def tiny_disk(setup):
    verdicts.need_root("a file system of its own")
    place = setup.directory / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        raise verdicts.Impossible(f"no file system can be mounted: {mounted.stderr.strip()}")
    setup.tables["spool"] = {"directory": str(place)}
    # Unmounted as soon as nobody has it any more; that is when the setup is gone.
    return Mounted(place)


class Mounted:
    def __init__(self, place):
        self.place = place

    def __del__(self):
        subprocess.run(["umount", "-l", str(self.place)], capture_output=True)


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
    ("a TLSA record for the key of yesterday", "dane", "none of them fits", key_of_yesterday),
    ("a TLSA record, and no TLS", "dane", "has no certificate", dane_without_tls),
    ("an MTA-STS policy that does not name the MX", "mta-sts", "does not name mx.gate.test", promise(mx="mail.gate.test", trusted=True)),
    ("an MTA-STS policy, and a certificate that nobody trusts", "mta-sts", "asks for a trusted certificate", promise()),
    ("a disk without room for one message", "disk", "free, for", tiny_disk),
]
DOUBTFUL = [
    ("a certificate for another name", "certificate", f"not for {HOSTNAME}", anothers_certificate),
    ("a mail server that takes less than Gatepost", "backend", "takes 1048576 octets", small_backend),
    ("a mail server that defers recipients", "backend", "defers unknown recipients", use(rcpt="450 4.2.0 greylisted")),
    ("admin pages that everybody reaches", "admin", "everybody", open_admin),
    ("a TLSA record of a usage that mail has not", "dane", "usage 0 and 1", dane_for_the_web),
    ("a TLSA record without DNSSEC", "dane", "does not vouch", dane_unsigned),
    ("a name server that fails at TLSA", "dane", "server failure", dane_unanswered),
    ("an MTA-STS policy that is only tested, and not kept", "mta-sts", "mode: testing", promise(mode="testing", mx="*.elsewhere.test")),
    ("an MTA-STS policy behind a redirection", "mta-sts", "follow no redirection", promise(status=301)),
    ("an MTA-STS record without a policy", "mta-sts", "has no address", promise_nowhere),
    ("two MTA-STS records", "mta-sts", "2 records", promise_twice),
    ("a disk that is smaller than what may be recorded", "disk", "of decision records", small_disk),
]


def tests():
    yield all_is_well
    yield promises_are_kept
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
