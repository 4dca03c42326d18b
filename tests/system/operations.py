#!/usr/bin/env python3
"""What an operator does to a running Gatepost: reload, new certificate, stop, metrics, systemd."""
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import verdicts
from client import Client, Gone
from gate import Directory, Gatepost, certificate, free_port, rules, settings
from load import Load
from names import Names
from sink import Sink
from verdicts import eventually


# Becomes the program in its arguments, with one inherited socket as systemd passes it.
AS_SYSTEMD = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
MESSAGE = b"Subject: operations\r\n\r\n" + b"line\r\n" * 200


class Stage:
    """A sink and one Gatepost, made by `Stage(**tables)` for one test."""

    def __init__(self, **tables):
        self.tables = tables

    def __enter__(self):
        self.place = Directory()
        self.directory = self.place.__enter__()
        self.sink = Sink().start()
        self.names = Names()
        self.tls = certificate(self.directory)
        self.listen, self.admin = free_port(), free_port()
        self.gate = Gatepost(self.directory, self.config(), self.listen)
        if self.tables.pop("start", True):
            self.gate.start()
        return self

    def __exit__(self, *_):
        try:
            self.gate.kill() if self.gate.running() else None
        finally:
            self.sink.stop()
            self.place.__exit__()

    def config(self, domains=("gate.test",)):
        tables = {key: value for key, value in self.tables.items() if key != "start"}
        return settings(f"127.0.0.1:{self.listen}", self.sink.address, self.names.address, domains=domains,
                        tls=self.tls, admin={"address": f"127.0.0.1:{self.admin}"}, **tables)

    def ask(self, *words):
        """The exit code of the program's own command about the running proxy, and all that it said."""
        command = [*self.gate.command[:1], *words, "--config", str(self.gate.file)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return said.returncode, said.stdout + said.stderr

    def session(self, _number=0):
        client = Client(self.gate.address)
        client.expect(None, "220")
        client.hello()
        return client

    def takes_mail_for(self, domain):
        with self.session() as client:
            client.expect("MAIL FROM:<a@sender.test>", "250")
            return client.command(f"RCPT TO:<bob@{domain}>").code == "250"

    def http(self, path):
        def is_open():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.admin)) == 0
        # A moment after the port for mail.
        eventually("the admin pages are open", is_open)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def certificate_seen(self):
        with self.session() as client:
            client.starttls()
            return client.peer_certificate()


def reload_under_load():
    """SIGHUP under load: each new configuration is in force, no session is interrupted"""
    with Stage() as stage:
        load = Load(stage.session, MESSAGE)
        for number in range(10):
            assert not stage.takes_mail_for(f"new{number}.test")
            stage.gate.write(stage.config(domains=["gate.test", f"new{number}.test"]))
            stage.gate.signal(signal.SIGHUP)
            eventually("the new domain is taken", lambda: stage.takes_mail_for(f"new{number}.test"))
        load.stop()
        assert len(stage.sink.stored) == load.accepted, f"{len(stage.sink.stored)} stored, {load.accepted} accepted"
        return f"10 reloads, 8 sessions kept, {load.accepted} messages accepted and stored"


def bad_reload():
    """a bad or half-written configuration is refused with a word in the log, and the old one stays"""
    with Stage() as stage:
        load = Load(stage.session, MESSAGE, clients=4)
        good = stage.gate.file.read_text()
        bad = {"unknown key": good + "\n[relay]\ndomain = 1\n",
               "value out of range": good.replace('identity = "none"', 'identity = "nobody"'),
               "half written": good[:len(good) // 2] + "\n[[lis",
               "empty": "",
               "certificate missing": good.replace("gate.pem", "nowhere.pem")}
        for claim, text in bad.items():
            assert text != good, claim
            before = len(stage.gate.tail(10**7))
            stage.gate.write(text)
            stage.gate.signal(signal.SIGHUP)
            eventually(f"a word in the log about: {claim}",
                       lambda: any(word in stage.gate.tail(10**7)[before:].lower() for word in ("error", "refused")))
            assert stage.takes_mail_for("gate.test"), claim
        stage.gate.write(stage.config(domains=["gate.test", "after.test"]))
        stage.gate.signal(signal.SIGHUP)
        eventually("a good configuration is taken again", lambda: stage.takes_mail_for("after.test"))
        load.stop()
        return f"{', '.join(bad)}: refused each time; {load.accepted} messages meanwhile"


def new_certificate():
    """a certificate replaced on disk is used by new sessions; a broken one is not"""
    with Stage() as stage:
        first = stage.certificate_seen()
        with stage.session() as old:
            chain, key = certificate(stage.directory, "fresh")
            for fresh, used in ((chain, stage.tls[0]), (key, stage.tls[1])):
                shutil.move(fresh, used)
            stage.gate.signal(signal.SIGHUP)
            wanted = ssl.PEM_cert_to_DER_cert(pathlib.Path(stage.tls[0]).read_text())
            eventually("the new certificate is shown", lambda: stage.certificate_seen() == wanted)
            assert first != wanted
            pathlib.Path(stage.tls[0]).write_text("nonsense")
            stage.gate.signal(signal.SIGHUP)
            time.sleep(0.5)
            assert stage.certificate_seen() == wanted, "a broken file replaced the certificate"
            old.expect("NOOP", "250")


def drain():
    """SIGTERM: the running transaction ends with 250, an idle session gets 421, nobody new is let in, exit code 0"""
    with Stage(shutdown={"drain_seconds": 15}) as stage:
        with stage.session() as busy, stage.session() as idle:
            busy.expect("MAIL FROM:<a@sender.test>", "250")
            busy.expect("RCPT TO:<bob@gate.test>", "250")
            busy.expect("DATA", "354")
            busy.send(MESSAGE[:100])
            time.sleep(0.2)
            stage.gate.signal(signal.SIGTERM)
            farewell = idle.reply()
            assert farewell.code == "421", repr(farewell)

            def nobody_new():
                try:
                    with Client(stage.gate.address, timeout=2) as client:
                        return client.reply().code == "421"
                except Gone:
                    return True
            eventually("new connections are refused", nobody_new)
            assert stage.gate.running(), "it ended before the running transaction did"
            busy.send(MESSAGE[100:] + b".\r\n")
            reply = busy.reply()
            assert reply.code == "250", repr(reply)
            began = time.monotonic()
            code = stage.gate.process.wait(10)
            assert code == 0, f"exit code {code}"
        assert len(stage.sink.stored) == 1 and stage.sink.stored[0].data.endswith(MESSAGE)
        return f"idle session: {farewell!r}; ended {time.monotonic() - began:.1f} s after the transaction"


def drain_deadline():
    """SIGTERM: a transaction that does not end is cut at the deadline, without a 250"""
    with Stage(shutdown={"drain_seconds": 1}) as stage:
        with stage.session() as busy:
            busy.expect("MAIL FROM:<a@sender.test>", "250")
            busy.expect("RCPT TO:<bob@gate.test>", "250")
            busy.expect("DATA", "354")
            busy.send(MESSAGE[:100])
            began = time.monotonic()
            stage.gate.signal(signal.SIGTERM)
            stage.gate.process.wait(10)
            took = time.monotonic() - began
            try:
                assert busy.reply().code == "421"
            except Gone:
                pass
        assert not stage.sink.stored
        return f"ended {took:.1f} s after SIGTERM"


def admin():
    """/metrics, /healthz and /readyz answer; /readyz follows the backend"""
    with Stage() as stage:
        with stage.session() as client:
            client.expect("MAIL FROM:<a@sender.test>", "250")
            client.expect("RCPT TO:<bob@gate.test>", "250")
            assert client.data(MESSAGE).code == "250"
            client.quit()
        status, metrics = stage.http("/metrics")
        assert status == 200
        names = {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE ")}
        assert names and all(name.startswith("gatepost_") or name.startswith("process_") for name in names), names
        assert stage.http("/healthz")[0] == 200
        eventually("ready", lambda: stage.http("/readyz")[0] == 200)
        stage.sink.stop()
        eventually("not ready without a backend", lambda: stage.http("/readyz")[0] == 503)
        assert stage.http("/healthz")[0] == 200
        assert stage.http("/nothing")[0] == 404
        return f"{len(names)} metrics; /readyz 503 once the backend is gone"


def activation():
    """systemd: the socket is taken from LISTEN_FDS, READY=1 is said once it serves, STOPPING=1 at the end"""
    with Stage(start=False) as stage:
        place = str(stage.directory / "notify")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(place)
        notify.settimeout(10)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", stage.listen))
        listener.listen(64)
        # A connection made before the program runs waits in the socket and is served: nobody is turned away.
        early = Client(stage.gate.address)
        stage.gate.environment["NOTIFY_SOCKET"] = place
        stage.gate.command = [sys.executable, "-c", AS_SYSTEMD, str(listener.fileno()), *stage.gate.command]
        stage.gate.start(pass_fds=[listener.fileno()])
        listener.close()
        said = b""
        while b"READY=1" not in said:
            said = notify.recv(4096)
        early.expect(None, "220")
        early.hello()
        early.quit()
        fds = os.listdir(f"/proc/{stage.gate.process.pid}/fd")
        assert "3" in fds, fds
        stage.gate.signal(signal.SIGTERM)
        while b"STOPPING=1" not in said:
            said = notify.recv(4096)
        assert stage.gate.process.wait(20) == 0
        notify.close()


def store():
    """The store: damaged, taken or missing it costs memory, never mail; SIGKILL leaves it whole"""
    def durable(stage):
        page = stage.http("/metrics")[1]
        return next(line.split()[1] for line in page.splitlines() if line.startswith("gatepost_store_durable "))

    def deliver(stage):
        with stage.session() as client:
            client.expect("MAIL FROM:<a@sender.test>", "250")
            client.expect("RCPT TO:<bob@gate.test>", "250")
            assert client.data(MESSAGE).code == "250"
            client.quit()

    for path in ("damaged.redb", "no/such/place.redb", "."):
        with Stage(start=False, store={"path": path}, checks={"enabled": True}) as stage:
            (stage.directory / "damaged.redb").write_bytes(b"this is no database, " * 1000)
            stage.gate.start()
            deliver(stage)
            assert durable(stage) == "0", path
            assert "no store" in stage.gate.log.read_text(), path
    with Stage(store={"path": "store.redb"}, checks={"enabled": True}) as stage:
        for _ in range(3):
            deliver(stage)
            assert durable(stage) == "1"
            assert stage.http("/forwarders") == (200, "[]"), "clients of local scope are no hops"
            stage.gate.kill()
            stage.gate.start()
        # A second proxy of the same file remembers in memory.
        second = free_port()
        config = settings(f"127.0.0.1:{second}", stage.sink.address, stage.names.address,
                          store={"path": str(stage.directory / "store.redb")})
        with Directory() as other, Gatepost(other, config, second) as gate:
            assert "open in another process" in gate.log.read_text()
        asked = [*stage.gate.command[:1], "forwarders", "--config", str(stage.gate.file)]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=120)
        assert (said.returncode, said.stdout) == (0, "No hop is known to forward mail.\n"), said
        stage.gate.stop()
        said = subprocess.run(asked, capture_output=True, text=True, timeout=120)
        assert (said.returncode, said.stdout) == (0, "No hop is known to forward mail.\n"), said


def greylist():
    """Who was let pass by hand passes after a restart, until it is forgotten; the command line says so"""
    with Stage(store={"path": "store.redb"}, checks={"enabled": True}) as stage:
        def ask(*words):
            return stage.ask("greylist", *words)

        triplet = ("192.0.2.7", "Ann+news@sender.test", "bob@gate.test")
        assert ask("show", *triplet) == (0, "Nothing is remembered.\n")
        for who in (("sender.test",), triplet):
            code, text = ask("pass", *who)
            assert code == 0 and "by hand" in text, text
        stage.gate.stop()
        code, text = ask("list")
        assert code == 1 and "no proxy answers" in text, text
        stage.gate.start()
        code, text = ask("list")
        assert code == 0 and text.count("by hand") == 2 and "192.0.2.0" in text and "a domain (all)" in text, text
        code, text = ask("show", "192.0.2.99", "ann@sender.test", "Bob@gate.test")
        assert code == 0 and "by hand" in text, text
        key = text.split()[-1]
        assert ask("drop", key) == (0, "Nothing is remembered.\n")
        assert ask("show", key) == (0, "Nothing is remembered.\n")
        code, text = ask("pass", "nobody")
        assert code == 1 and "neither an address nor a domain" in text, text


def upkeep():
    """The store is looked at, compacted, exported and imported; what it held passes on to another file"""
    with Stage(store={"path": "store.redb"}, checks={"enabled": True}) as stage:
        text = stage.directory / "export.jsonl"
        assert stage.ask("greylist", "pass", "sender.test")[0] == 0
        eventually("the entry is in the file", lambda: re.search(r"greylist\.v1 +1 ", stage.ask("store", "info")[1]))
        for words in (["compact"], ["export", str(text)], ["import", "/dev/null"]):
            code, said = stage.ask("store", *words)
            assert code == 1 and "open in another process" in said, said
        stage.gate.stop()
        code, said = stage.ask("store", "compact")
        assert code == 0 and re.fullmatch(r"\d+ octets before, \d+ now\n", said), said
        assert stage.ask("store", "export", str(text)) == (0, "3 entries exported\n")
        assert text.stat().st_mode & 0o777 == 0o600
        code, said = stage.ask("store", "import", str(text))
        assert code == 1 and "the store holds 1 entries already" in said, said
        (stage.directory / "store.redb").unlink()
        code, said = stage.ask("store", "compact")
        assert code == 1 and "No such file" in said, said
        assert stage.ask("store", "import", str(text)) == (0, "3 entries imported\n")
        code, said = stage.ask("store", "info")
        assert code == 0 and said.startswith("file ") and re.search(r"greylist\.v1 +1 ", said), said
        stage.gate.start()
        code, said = stage.ask("greylist", "show", "sender.test")
        assert code == 0 and "by hand" in said, said


def last_good_rules():
    """rules that do not load: at a reload the old ones stay, at the start the last good ones judge, with an alarm"""
    def gauge(stage):
        page = stage.http("/metrics")[1]
        return next(line.split()[1] for line in page.splitlines() if line.startswith("gatepost_rules_from_snapshot "))

    with Stage(start=False, store={"path": "store.redb"}, checks={"enabled": True}) as stage:
        stage.tables["rules"] = rules(stage.directory)
        stage.gate.write(stage.config())
        policy = stage.directory / "rules" / "policy.toml"
        good = policy.read_text()
        broken = {
            "a typo": good + "[[clause]]\nnam = 1\n",
            "an invariant": good + '[[invariant]]\nname = "too-much"\nfindings = 5\nby_score = true\n',
        }
        # Nothing was kept yet.
        policy.write_text(broken["a typo"])
        said = subprocess.run(stage.gate.command, capture_output=True, text=True, timeout=120)
        assert said.returncode != 0 and "nam" in said.stderr, said
        policy.write_text(good)
        stage.gate.start()
        assert gauge(stage) == "0" and "rules_from_snapshot" not in stage.http("/readyz")[1]
        eventually("the rules are kept", lambda: (stage.directory / "rules.last-good" / "policy.toml").exists())
        for claim, text in broken.items():
            policy.write_text(text)
            stage.gate.signal(signal.SIGHUP)
            eventually(f"refused: {claim}", lambda: "configuration refused" in stage.gate.tail(10**7))
            assert stage.takes_mail_for("gate.test"), claim
            stage.gate.kill()
            stage.gate.log.unlink()
            stage.gate.start()
            assert "the rules do not load" in stage.gate.tail(10**7), claim
            assert gauge(stage) == "1", claim
            code, page = stage.http("/readyz")
            assert code == 200 and '"rules_from_snapshot":true' in page, page
            assert stage.takes_mail_for("gate.test"), claim
            asked = [*stage.gate.command[:1], "check-config", "--config", str(stage.gate.file)]
            assert subprocess.run(asked, capture_output=True, timeout=120).returncode != 0, claim
        policy.write_text(good + "\n# mended\n")
        eventually("mended, they judge again", lambda: gauge(stage) == "0")
        kept = stage.directory / "rules.last-good" / "policy.toml"
        eventually("they are kept", lambda: kept.exists() and "# mended" in kept.read_text())
        return f"{', '.join(broken)}: the last good rules judge"


def learned():
    """The running proxy is told what is spam, and says what it knows of campaigns and reputations"""
    with Stage(store={"path": "store.redb"}, checks={"enabled": True}) as stage:
        text = "every order ships without delay in plain packaging and satisfaction is guaranteed or your money comes back"
        message = stage.directory / "spam.eml"
        message.write_text(f"From: a@sender.test\nSubject: x\n\n{text} {' '.join(reversed(text.split()))} pharmacy\n")
        code, said = stage.ask("bulk", "top")
        assert code == 0 and "CAMPAIGN" not in said, said
        code, said = stage.ask("learn", "spam", str(message))
        campaign = re.search(r"\b[0-9a-f]{12,16}\b", said)
        assert code == 0 and campaign, said
        for words in (["bulk", "top"], ["bulk", "show", campaign.group()]):
            code, said = stage.ask(*words)
            assert code == 0 and campaign.group() in said, said
        code, said = stage.ask("learn", "ham", str(message))
        assert code == 0 and campaign.group() in said, said
        code, said = stage.ask("bulk", "show", "nothing")
        assert code == 1 and "names no campaign" in said, said
        assert stage.ask("reputation", "show") == (0, "Nothing is remembered.\n")
        assert stage.ask("reputation", "reset", "sender.test") == (0, "0 forgotten\n")
        stage.gate.kill()
        stage.gate.start()
        code, said = stage.ask("bulk", "show", campaign.group())
        assert code == 0 and campaign.group() in said, said


def main():
    verdicts.run("operations: reload, certificates, stop, metrics, systemd", [
        reload_under_load, bad_reload, new_certificate, drain, drain_deadline, admin, activation, store, greylist,
        upkeep, last_good_rules, learned])


if __name__ == "__main__":
    main()
