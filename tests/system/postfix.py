#!/usr/bin/env python3
"""Gatepost before a real Postfix: what arrives, what Postfix is told, and what its refusals become.

    tests/system/postfix.py [--messages 500]
"""
import argparse
import concurrent.futures
import contextlib
import re

import corpus
import verdicts
from client import Client
from differential import SCRIPTS, compare
from gate import HOSTNAME, Directory, Gatepost, certificate, free_port, settings
from names import Names
from postfix_server import DOMAIN, Postfix
from sink import Sink

WAYS = [(verb, tls) for tls in (False, True) for verb in ("data", "bdat")]
# So many seconds a message may take through the queue.
ARRIVAL = 120
OURS = re.compile(rb"received|x-spam-.*|authentication-results|received-spf", re.I)


class Stage:
    """Postfix, the store behind it, and two Gateposts before it: at its usual port and at its small one."""

    def __init__(self, directory):
        self.directory = directory
        self.postfix = None
        self.running = contextlib.ExitStack()

    def __enter__(self):
        self.store = Sink(lmtp=True).start()
        self.running.callback(self.store.stop)
        self.names = Names()
        postfix = self.running.enter_context(Postfix(self.directory, self.store.port))
        tls = certificate(self.directory)
        self.gate = self.before(postfix.port, "usual", tls)
        self.small = self.before(postfix.small, "small", tls)
        self.postfix = postfix

    def before(self, port, name, tls):
        listen = free_port()
        place = self.directory / name
        place.mkdir()
        config = settings(f"127.0.0.1:{listen}", f"127.0.0.1:{port}", self.names.address, identity="xclient",
                          domains=[DOMAIN], tls=tls, listener={"xclient_networks": ["127.0.0.1/32"]})
        return self.running.enter_context(Gatepost(place, config, listen))

    def __exit__(self, *_):
        self.running.close()


def deliver(address, recipient, message, verb="data", tls=False, source=None):
    """One session, one message; returns the reply to the dot."""
    with Client(address, source=source, timeout=60) as client:
        client.expect(None, "220")
        client.hello()
        if tls:
            client.starttls()
            client.hello()
        client.expect("MAIL FROM:<sender@sender.test>" + (" BODY=8BITMIME" if not message.isascii() else ""), "250")
        client.expect(f"RCPT TO:<{recipient}>", "250")
        reply = getattr(client, verb)(message)
        assert reply.code == "250", f"{recipient}: {reply!r}"
        client.quit()
        return reply


def without_own_fields(stored):
    """What Postfix delivered, less the trace fields that it put in front (Return-Path is LMTP's business)."""
    fields, rest = corpus.fields(stored)
    assert fields and corpus.name_of(fields[0]) == b"received" and b"(Postfix)" in fields[0], stored[:300]
    return b"".join(fields[1:]) + rest


def stripped(message):
    """`message` less the fields that a sender must not preset: X-Spam-* and results under our own name."""
    fields, rest = corpus.fields(message)
    forged = re.compile(rb"x-spam-", re.I)
    own = re.compile(rb"authentication-results:\s*" + HOSTNAME.encode() + rb"[;\s]", re.I)
    return b"".join(field for field in fields if not forged.match(field) and not own.match(field)) + rest


def added(through, expected):
    """The fields that Gatepost put in front of `expected`; fails if `through` is anything else."""
    assert through.endswith(expected), f"changed; sent {expected[:400]!r} arrived {through[:900]!r}"
    fields, rest = corpus.fields(through[:len(through) - len(expected)])
    assert rest in (b"", b"\r\n"), f"what was put in front is no header field: {rest[:200]!r}"
    assert all(OURS.fullmatch(corpus.name_of(field)) for field in fields), fields
    traces = [field for field in fields if corpus.name_of(field) == b"received"]
    assert len(traces) == 1 and HOSTNAME.encode() in traces[0], f"not one trace field of ours: {fields}"
    return fields


def transparency(stage, count):
    def test():
        """messages arrive exactly as by direct delivery, the fields in front aside: DATA and BDAT, clear and TLS"""
        messages, origin = corpus.sample(count)
        jobs, expected = [], {}
        for number, message in enumerate(messages):
            jobs.append((("127.0.0.1", stage.postfix.port), f"m{number}.direct@{DOMAIN}", message))
            for verb, tls in WAYS:
                recipient = f"m{number}.{verb}{'.tls' if tls else ''}@{DOMAIN}"
                jobs.append((stage.gate.address, recipient, message, verb, tls))
                expected[recipient] = f"m{number}.direct@{DOMAIN}"
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda job: deliver(*job), jobs))
        held = stage.store.arrived([job[1] for job in jobs], ARRIVAL)
        cleaned = 0
        for recipient, direct in expected.items():
            assert len(held[recipient]) == len(held[direct]) == 1, f"{recipient}: {len(held[recipient])} copies"
            plain = without_own_fields(held[direct][0])
            added(without_own_fields(held[recipient][0]), stripped(plain))
            cleaned += stripped(plain) != plain
        ways = {f"{verb}{' tls' if tls else ''}": sum(job[3:] == (verb, tls) for job in jobs) for verb, tls in WAYS}
        return (f"{len(messages)} messages ({origin}), {len(expected)} through Gatepost {ways}, all equal; "
                f"X-Spam-* fields of the sender taken out of {cleaned}")
    return test


def identity(stage):
    def test():
        """Postfix's log shows the client's own address, IPv4 and IPv6, sent on by XCLIENT"""
        deliver(stage.gate.address, f"m.own@{DOMAIN}", b"Subject: own\r\n\r\n", source="127.0.0.7")
        shown = ["127.0.0.7"]
        for attribute, address in (("198.51.100.7", "198.51.100.7"), ("IPV6:2001:db8::77", "2001:db8::77")):
            with Client(stage.gate.address) as client:
                client.expect(None, "220")
                client.hello()
                client.expect(f"XCLIENT ADDR={attribute} NAME=mail.sender.test", "220")
                client.hello("mail.sender.test")
                client.expect("MAIL FROM:<sender@sender.test>", "250")
                client.expect(f"RCPT TO:<m.{len(shown)}@{DOMAIN}>", "250")
                assert client.data(b"Subject: xclient\r\n\r\n").code == "250"
                client.quit()
            shown.append(address)
        stage.store.arrived([f"m.own@{DOMAIN}", f"m.1@{DOMAIN}", f"m.2@{DOMAIN}"], ARRIVAL)
        log = stage.postfix.log()
        lines = []
        for address in shown:
            line = re.search(rf".*smtpd\[\d+\]: [0-9A-F]+: client=\S*\[{re.escape(address)}\]", log)
            assert line, f"no client={address} in Postfix's log:\n{log[-2000:]}"
            lines.append(line.group().split("postfix/")[-1])
        return "\n".join(lines)
    return test


def refusals(stage):
    def test():
        """Postfix's own refusals reach the client word for word: unknown user, size, policy, content, try later"""
        cases = [
            ("unknown user", "usual", ["MAIL FROM:<a@sender.test>", f"RCPT TO:<unknown@{DOMAIN}>"], None),
            ("policy, recipient", "usual", ["MAIL FROM:<a@sender.test>", f"RCPT TO:<policy@{DOMAIN}>"], None),
            ("policy, sender", "usual", ["MAIL FROM:<banned@sender.test>", f"RCPT TO:<m@{DOMAIN}>"], None),
            ("try later", "usual", ["MAIL FROM:<a@sender.test>", f"RCPT TO:<later@{DOMAIN}>"], None),
            ("at DATA", "usual", ["MAIL FROM:<a@sender.test>", f"RCPT TO:<nodata@{DOMAIN}>"],
             b"Subject: x\r\n\r\nx\r\n"),
            ("content", "usual", ["MAIL FROM:<a@sender.test>", f"RCPT TO:<m@{DOMAIN}>"],
             b"Subject: forbidden fruit\r\n\r\nx\r\n"),
            ("size", "small", ["MAIL FROM:<a@sender.test>", f"RCPT TO:<m@{DOMAIN}>"],
             b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 30000),
        ]
        shown = []
        for claim, service, commands, message in cases:
            ports = {"usual": (stage.postfix.port, stage.gate.port), "small": (stage.postfix.small, stage.small.port)}
            # Gatepost hands messages over by BDAT, for which Postfix has words of its own.
            direct = [last_refusal(ports[service][0], commands, message, verb) for verb in ("data", "bdat")]
            through = last_refusal(ports[service][1], commands, message)
            assert through in direct, f"{claim}: Postfix says {direct}, Gatepost {through!r}"
            shown.append(f"{claim}: {through}")
        declared = ["MAIL FROM:<a@sender.test> SIZE=99999999", f"RCPT TO:<m@{DOMAIN}>"]
        direct, through = (last_refusal(port, declared, None) for port in (stage.postfix.port, stage.gate.port))
        assert direct[:9] == through[:9], f"declared size: Postfix says {direct!r}, Gatepost {through!r}"
        shown.append(f"declared size, in Gatepost's words (it knows the limit): {through}")
        return "\n".join(shown)
    return test


def last_refusal(port, commands, message, verb="data"):
    """The first reply of a session that is neither 2xx nor 3xx."""
    with Client(("127.0.0.1", port)) as client:
        client.expect(None, "220")
        client.hello()
        for command in commands:
            reply = client.command(command)
            if reply.code[0] in "45":
                return str(reply)
        reply = getattr(client, verb)(message) if message is not None else None
        assert reply and reply.code[0] in "45", f"not refused: {commands} {reply!r}"
        return str(reply)


def differential(stage):
    def test():
        """the same client scripts straight to Postfix and through Gatepost: same replies, same stored message"""
        notes, differences = [], []
        for name, script in SCRIPTS.items():
            try:
                notes.append(compare(name, script, stage, added, without_own_fields))
            except AssertionError as error:
                differences.append(str(error))
        assert not differences, "\n".join(differences)
        return "\n".join(notes)
    return test


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--messages", type=int, default=500)
    given = options.parse_args()
    with Directory() as directory:
        stage = Stage(directory)

        def started():
            """Postfix and Gatepost start"""
            stage.__enter__()

        def behind(test):
            def guarded():
                if stage.postfix is None:
                    raise verdicts.Skip("Postfix did not start")
                return test()
            guarded.__doc__ = test.__doc__
            return guarded

        try:
            verdicts.run("postfix: a real Postfix behind Gatepost", [started] + [behind(test) for test in (
                transparency(stage, given.messages), identity(stage), refusals(stage),
                differential(stage))])
        finally:
            stage.__exit__()


if __name__ == "__main__":
    main()
