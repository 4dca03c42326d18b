#!/usr/bin/env python3
"""A DMARC aggregate report, from the mail that it tells of to the mail server that sends it on.

Days pass by libfaketime: the program is stopped, and started again on another day with the same store. Needs the
DNS fixture of the conformance kit.
"""
import email
import email.policy
import gzip
import pathlib
import sys
import time
import xml.etree.ElementTree as ET

import verdicts
from client import Client
from gate import Directory, Gatepost, free_port, never_greylisting, settings
from kit import dns_fixture
from sink import Sink

MESSAGE = b"From: Ann <ann@author.test>\r\nTo: bob@gate.test\r\nSubject: report me\r\nMessage-ID: <%d@author.test>\r\n\r\nhello\r\n"
ZONE = {
    "author.test": [{"TXT": "v=spf1 ip4:198.51.100.0/24 -all"}, {"MX": [10, "mx.author.test"]}, {"A": "192.0.2.25"}],
    "_dmarc.author.test": [{"TXT": "v=DMARC1; p=none; rua=mailto:rua@author.test,mailto:a@watch.test,mailto:b@victim.test"}],
    "author.test._report._dmarc.watch.test": [{"TXT": "v=DMARC1; rua=mailto:better@watch.test"}],
}
DAY = 86400
# A day is reported once it is over by so much.
GRACE = 30 * 60


def next_day():
    """Soon after today is due, and twenty times as fast: the first look comes a minute after the start."""
    return {"FAKETIME": f"+{DAY - int(time.time()) % DAY + GRACE + 60} x20"}


def library():
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise verdicts.Skip("libfaketime is not installed (Debian: faketime)")
    return str(found[0])


def send(gate, client, serial):
    with Client(gate.address) as session:
        session.expect(None, "220")
        session.hello()
        session.expect(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]", "220")
        session.hello("mail.author.test")
        session.expect("MAIL FROM:<ann@author.test>", "250")
        session.expect("RCPT TO:<bob@gate.test>", "250")
        assert session.data(MESSAGE % serial).code == "250"


def document(message):
    """The XML of a report's only attachment."""
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    attached = [part for part in parsed.walk() if part.get_content_type() == "application/gzip"]
    assert len(attached) == 1, parsed.as_string()
    return parsed, ET.fromstring(gzip.decompress(attached[0].get_content()))


def plain(tag):
    return tag.rsplit("}", 1)[-1]


def texts(node, name):
    return [found.text for found in node.iter() if plain(found.tag) == name]


class Stage:
    def __init__(self, fixture):
        self.dns = fixture(ZONE).start()
        self.place = Directory()
        self.directory = self.place.__enter__()
        self.sink = Sink().start()
        self.listen = free_port()

    def gate(self, **environment):
        config = settings(
            f"127.0.0.1:{self.listen}", self.sink.address, f"127.0.0.1:{self.dns.port}",
            listener={"xclient_networks": ["127.0.0.0/8"]}, checks={"enabled": True},
            store={"path": str(self.directory / "gatepost.redb")}, rules=never_greylisting(self.directory),
            reports={"enabled": True, "org_name": "Gate Test", "email": "dmarc@gate.test"})
        return Gatepost(self.directory, config, self.listen, environment=environment)

    def stop(self):
        self.sink.stop()
        self.dns.stop()
        self.place.__exit__()


def whole_way(fixture):
    preload = library()
    stage = Stage(fixture)
    try:
        with stage.gate() as gate:
            for serial, client in enumerate(["198.51.100.7", "198.51.100.7", "203.0.113.9"]):
                send(gate, client, serial)
        assert len(stage.sink.stored) == 3, gate.tail()
        stage.sink.stored.clear()

        later = next_day()
        with stage.gate(LD_PRELOAD=preload, **later) as gate:
            end = time.monotonic() + 60
            while len(stage.sink.stored) < 2 and time.monotonic() < end:
                time.sleep(0.1)
            reports = {report.recipients[0]: report for report in stage.sink.stored}
            assert set(reports) == {"rua@author.test", "better@watch.test"}, f"{set(reports)}\n{gate.tail()}"
        stage.sink.stored.clear()

        for report in reports.values():
            assert report.reverse_path == "dmarc@gate.test", report.reverse_path
            parsed, root = document(report.data)
            assert parsed["Subject"].startswith("Report Domain: author.test Submitter: gate.test"), parsed["Subject"]
            assert texts(root, "org_name") == ["Gate Test"] and texts(root, "domain")[0] == "author.test"
            rows = {row: node for node in root.iter() if plain(node.tag) == "record" for row in texts(node, "source_ip")}
            told = {client: (texts(node, "count"), texts(node, "disposition")) for client, node in rows.items()}
            assert told == {"198.51.100.7": (["2"], ["pass"]), "203.0.113.9": (["1"], ["none"])}, told

        with stage.gate(LD_PRELOAD=preload, **later) as gate:
            time.sleep(6)
            assert not stage.sink.stored, f"reported again\n{gate.tail()}"
        return "3 messages, 2 reports"
    finally:
        stage.stop()


def main():
    fixture = dns_fixture()

    def the_whole_way():
        """Mail of a day is reported on the next, once, to those who want it, through the backend."""
        return whole_way(fixture)

    return verdicts.run("DMARC reports", [the_whole_way])


if __name__ == "__main__":
    sys.exit(main())
