#!/usr/bin/env python3
"""Real mail through every check: nothing panics, nothing is lost, and `temperror` is said of DNS trouble alone.

    mail_corpus.py [--messages N | --all] [--seed S]

Clients, HELO names and reverse-paths are those that the corpus tells, by XCLIENT. Twice: every name is answered (with
"no such name"), then all names below some top-level domains fail. Needs the mail corpus and the DNS fixture.
"""
import argparse
import concurrent.futures
import json
import re
import subprocess
import sys
import threading
import urllib.request

import verdicts
from client import Client, Gone, crlf
from gate import Directory, Gatepost, free_port, never_greylisting, settings
from kit import SHARED, dns_fixture
from sink import Sink

FAILING = ("com", "edu")
RESULT = re.compile(r"\b(iprev|spf|dkim|dmarc|arc)=temperror\b([^;]*)")
IN_WORDS = re.compile(r"[\w.-]+\.(?:com|edu)\b")
DOMAIN = re.compile(r"(?:smtp\.mailfrom|smtp\.helo|header\.d|header\.from)=\"?(?:[^\s;\"@]*@)?([^\s;\"@]+)")


class Stage:
    def __init__(self, fixture, zone):
        self.dns = fixture(zone).start()
        self.place = Directory()
        self.directory = self.place.__enter__()
        self.sink = Sink().start()
        self.listen, self.admin = free_port(), free_port()
        config = settings(
            f"127.0.0.1:{self.listen}", self.sink.address, f"127.0.0.1:{self.dns.port}",
            listener={"xclient_networks": ["127.0.0.0/8"]}, checks={"enabled": True},
            rules=never_greylisting(self.directory), admin={"address": f"127.0.0.1:{self.admin}"})
        config["dns"].update(timeout_ms=2000, attempts=2)
        self.gate = Gatepost(self.directory, config, self.listen).start()

    def stop(self):
        self.gate.kill()
        self.sink.stop()
        self.dns.stop()
        self.place.__exit__()

    def counted(self, pattern):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(pattern, line))

    def send(self, message, envelope):
        """The code of the last reply."""
        helo = envelope["helo"] if re.fullmatch(r"[A-Za-z0-9.-]{1,200}|\[[0-9.]+\]", envelope["helo"]) else "client.test"
        address = envelope["ip"] or "203.0.113.5"
        with Client(self.gate.address, timeout=90) as session:
            session.expect(None, "220")
            session.hello()
            ipv6 = "IPV6:" if ":" in address else ""
            session.expect(f"XCLIENT ADDR={ipv6}{address} NAME=[UNAVAILABLE]", "220")
            session.hello(helo)
            reply = session.command(f"MAIL FROM:<{envelope['mail_from']}>")
            if reply.code != "250":
                session.expect("MAIL FROM:<>", "250")
            reply = session.command("RCPT TO:<bob@gate.test>")
            return session.data(message).code if reply.code == "250" else reply.code


def corpus(directory, options):
    command = [sys.executable, SHARED / "corpus" / "evaluate", "--prepare", directory, "--view", "proxy",
               "--seed", str(options.seed)]
    if not options.all:
        command += ["--ham", str(options.messages // 2), "--spam", str(options.messages // 2)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for line in (directory / "envelopes.jsonl").read_text().splitlines():
        envelope = json.loads(line)
        yield crlf((directory / envelope["path"]).read_bytes()), envelope


def whole(fixture, mail, failing):
    """Sends all; returns the codes, and what is said to be a temporary error."""
    stage = Stage(fixture, {f"*.{name}": ["SERVFAIL"] for name in failing})
    try:
        codes, lock = {}, threading.Lock()

        def one(item):
            try:
                code = stage.send(*item)
            except Gone as why:
                code = f"gone ({why})"
            with lock:
                codes[code] = codes.get(code, 0) + 1
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            list(pool.map(one, mail))
        log = stage.gate.log.read_text(errors="replace")
        assert stage.gate.running() and "panic" not in log, stage.gate.tail()
        assert stage.counted(r'gatepost_check_outcomes_total\{.*outcome="failed"') == 0 or failing, "a check failed"
        assert len(stage.sink.stored) == codes.get("250", 0), f"{len(stage.sink.stored)} stored, {codes}"
        assert sum(codes.values()) == len(mail) and set(codes) <= {"250", "550", "554"}, codes
        troubles = []
        for stored in stage.sink.stored:
            head = stored.data.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace")
            field = re.match(r"(?s).*?^Authentication-Results:(.*?)(?=^\S|\Z)", head, re.M)
            text = re.sub(r"\r\n[ \t]+", " ", re.split(r"\r\n(?![ \t])", field.group(1))[0])
            for method, rest in RESULT.findall(text):
                # Of a From field with several domains only the words in brackets say which one it was.
                troubles.append((method, DOMAIN.findall(rest) or IN_WORDS.findall(rest), rest.strip()))
        return codes, troubles
    finally:
        stage.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--all", action="store_true", help="every message of the corpus")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    fixture = dns_fixture(SHARED / "corpus" / "evaluate")

    with Directory() as directory:
        mail = list(corpus(directory, options))

        def while_dns_answers():
            """While every name is answered, real mail gets through all checks and nothing is a temporary error."""
            codes, troubles = whole(fixture, mail, ())
            assert not troubles, troubles[:5]
            return f"{len(mail)} messages: {codes}"

        def while_some_names_fail():
            """While some names fail, real mail gets through, and temporary errors are told of those names only."""
            codes, troubles = whole(fixture, mail, FAILING)
            assert troubles, "no temporary error, although names fail"
            strange = [trouble for trouble in troubles
                       if trouble[0] == "iprev" or not any(name.lower().endswith(FAILING) for name in trouble[1])]
            assert not strange, strange[:5]
            return f"{len(mail)} messages: {codes}; {len(troubles)} temporary errors"

        return verdicts.run("real mail", [while_dns_answers, while_some_names_fail])


if __name__ == "__main__":
    sys.exit(main())
