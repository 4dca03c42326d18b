#!/usr/bin/env python3
"""DNS dies in every way that it can: no mail is refused because of it, none waits long, and it heals by itself.

Lists refuse alone here and a sum of three points refuses, so that any false finding would be seen. Needs the DNS
fixture of the conformance kit.
"""
import concurrent.futures
import re
import sys
import time
import urllib.request

import verdicts
from client import Client
from gate import ROOT, Directory, Gatepost, free_port, settings
from kit import dns_fixture
from sink import Sink

MESSAGE = (b"From: Ann <ann@%s>\r\nTo: bob@gate.test\r\nSubject: weather\r\nDate: Mon, 3 Nov 2025 09:00:00 +0000\r\n"
           b"Message-ID: <%s@%s>\r\n\r\nhello\r\n")
LISTED = "203.0.113.66"
LISTS = """\
[[dnsbl]]
name = "one"
zone = "one.bl.test"
test_interval_seconds = 60
[dnsbl.codes]
"127.0.0.2" = "LIST_ONE"

[[dnsbl]]
name = "two"
zone = "two.bl.test"
test_interval_seconds = 60
[dnsbl.codes]
"127.0.0.2" = "LIST_TWO"
"""
POLICY = """\
[[clause]]
name = "list"
stage = "rcpt"
any_of = ["LIST_ONE", "LIST_TWO"]
verdict = "reject"

[[clause]]
name = "score"
at_least = 3.0
verdict = "reject"
"""
# The longest that a session may take: the budgets of RCPT and of the message, and room for a slow machine.
PATIENCE = 20.0


def healthy():
    """Names in order: list test points, a listed client, senders that exist."""
    zone = {"gate.test": [{"MX": [10, "mx.gate.test"]}]}
    for name in ("one", "two"):
        zone[f"2.0.0.127.{name}.bl.test"] = [{"A": "127.0.0.2"}]
        zone[f"66.113.0.203.{name}.bl.test"] = [{"A": "127.0.0.2"}]
    zone["*.sender.test"] = [{"MX": [10, "mx.sender.test"]}, {"A": "192.0.2.25"}, {"TXT": "v=spf1 ip4:198.51.100.0/24 -all"}]
    zone["*.100.51.198.in-addr.arpa"] = [{"PTR": "mail.sender.test"}]
    return zone


def everywhere(*records):
    """Whatever is asked, the answer is the same."""
    return {name: list(records) for name in ("*.test", "*.arpa")}


def under_lists(*records):
    zone = healthy()
    for name in ("one", "two"):
        for known in [known for known in zone if known.endswith(f".{name}.bl.test")]:
            del zone[known]
        zone[f"*.{name}.bl.test"] = list(records)
    return zone


# How DNS is broken: what the fixture serves, and its mode.
WEATHERS = {
    "silent": (healthy, "silent"),
    "failing (SERVFAIL)": (healthy, "servfail"),
    "3 s late": (lambda: everywhere({"DELAY": 3.0}, {"A": "192.0.2.1"}), "normal"),
    "truncated, also by TCP unanswered": (lambda: everywhere("TRUNCATE", "TIMEOUT"), "normal"),
    "answers with a wrong id": (lambda: everywhere({"LIE": "id"}, {"A": "127.0.0.2"}), "normal"),
    "answers another question": (lambda: everywhere({"LIE": "question"}, {"A": "127.0.0.2"}), "normal"),
    "answers with noise": (lambda: everywhere({"LIE": "garbage"}), "normal"),
    "lists are parked: every name there has an address": (lambda: under_lists({"A": "203.0.113.10"}), "normal"),
    "lists list everybody": (lambda: under_lists({"A": "127.0.0.2"}), "normal"),
    "lists refuse our questions": (lambda: under_lists({"A": "127.255.255.254"}), "normal"),
    "lists are gone (NXDOMAIN)": (lambda: {name: records for name, records in healthy().items() if "bl.test" not in name}, "normal"),
    "closed port": (healthy, "closed"),
}


class Stage:
    def __init__(self, fixture):
        self.dns = fixture(healthy()).start()
        self.place = Directory()
        self.directory = self.place.__enter__()
        rules = self.directory / "rules"
        rules.mkdir()
        (rules / "lists.toml").write_text(LISTS)
        (rules / "policy.toml").write_text(POLICY)
        shipped = (ROOT / "rules" / "weights.toml").read_text()
        kept = [line for line in re.findall(r"^[A-Z0-9_]+ = .*$", shipped, re.M) if not re.match("DNS|UR|RHS|NS", line)]
        weights = [line for line in kept if re.match(r"(SPF|DKIM|DMARC|ARC|RDNS|HELO|SENDER|OWN)_", line)]
        (rules / "weights.toml").write_text("[weights]\n" + "\n".join(weights) + "\nLIST_ONE = 6.0\nLIST_TWO = 6.0\n")
        self.sink = Sink().start()
        self.listen, self.admin = free_port(), free_port()
        config = settings(
            f"127.0.0.1:{self.listen}", self.sink.address, f"127.0.0.1:{self.dns.port}",
            listener={"xclient_networks": ["127.0.0.0/8"]}, checks={"enabled": True}, rules={"directory": "rules"},
            admin={"address": f"127.0.0.1:{self.admin}"})
        config["dns"].update(timeout_ms=400, attempts=2)
        self.gate = Gatepost(self.directory, config, self.listen)
        self.gate.start()
        self.serial = 0

    def stop(self):
        self.gate.kill()
        self.sink.stop()
        self.dns.stop()
        self.place.__exit__()

    def weather(self, zone, mode):
        if mode == "closed":
            self.dns.stop()
            return
        if self.dns._udp is None:
            self.dns.start()
        self.dns.set_zone(zone)
        self.dns.mode = mode

    def send(self, client, serial):
        """The code that ends an attempt to deliver, and how long it took."""
        domain = f"s{serial}.sender.test"
        began = time.monotonic()
        with Client(self.gate.address, timeout=60) as session:
            session.expect(None, "220")
            session.hello()
            session.expect(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]", "220")
            session.hello(f"mail.{domain}")
            session.expect(f"MAIL FROM:<ann@{domain}>", "250")
            reply = session.command("RCPT TO:<bob@gate.test>")
            if reply.code == "250":
                name = domain.encode()
                reply = session.data(MESSAGE % (name, b"%d" % serial, name))
        return reply, time.monotonic() - began

    def next(self):
        self.serial += 1
        return self.serial

    def metric(self, pattern):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(pattern, line))

    def until(self, claim, condition, wait):
        end = time.monotonic() + wait
        while not condition():
            assert time.monotonic() < end, f"not within {wait} s: {claim}\n{self.gate.tail()}"
            time.sleep(0.3)

    def refuses_the_listed(self):
        reply, _ = self.send(LISTED, self.next())
        # By a list, and not by what SPF has to say.
        return reply.code == "550" and "LIST_" in reply.text


def survives(fixture, zone, mode):
    stage = Stage(fixture)
    try:
        stage.until("a listed client is refused while DNS is well", stage.refuses_the_listed, 20)
        stage.weather(zone(), mode)
        # A list is believed for ten seconds after its test points were well.
        time.sleep(11)
        failed = r'gatepost_check_outcomes_total\{.*outcome="(failed|timed_out|skipped)'
        before = stage.metric(failed)
        jobs = [(f"198.51.100.{number + 1}", stage.next()) for number in range(12)]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            results = list(pool.map(lambda job: stage.send(*job), jobs))
        for (client, _), (reply, took) in zip(jobs, results):
            assert reply.code == "250", f"mail of {client}: {reply!r}"
            assert took < PATIENCE, f"mail of {client} took {took:.1f} s"
        assert stage.metric(failed) > before, "no metric tells of it"
        stage.weather(healthy(), "normal")
        stage.until("it heals by itself", stage.refuses_the_listed, 100)
        return f"slowest {max(took for _, took in results):.1f} s"
    finally:
        stage.stop()


def main():
    fixture = dns_fixture()

    # Side by side: most of the time is spent waiting for lists to be trusted again.
    pool = concurrent.futures.ThreadPoolExecutor(len(WEATHERS))

    def test(name, zone, mode):
        outcome = pool.submit(survives, fixture, zone, mode)

        def run():
            return outcome.result()
        run.__doc__ = f"{name}: mail flows, and is judged again once DNS is well"
        return run

    return verdicts.run("dead DNS", [test(name, zone, mode) for name, (zone, mode) in WEATHERS.items()])


if __name__ == "__main__":
    sys.exit(main())
