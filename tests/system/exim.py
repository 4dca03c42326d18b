#!/usr/bin/env python3
"""Gatepost before a real Exim, which learns who the client is by PROXY: what arrives, and what clients hear.

    tests/system/exim.py [--messages 200]
"""
import argparse
import concurrent.futures
import contextlib

import corpus
import verdicts
from client import Client
from exim_server import DOMAIN, Exim
from gate import Directory, Gatepost, certificate, free_port, settings
from names import Names
from postfix import ARRIVAL, WAYS, added, deliver, stripped
from sink import Sink


class Stage:
    """Exim, the store behind it, Gatepost before it."""

    def __init__(self, directory):
        self.directory, self.running = directory, contextlib.ExitStack()

    def __enter__(self):
        self.store = Sink(lmtp=True).start()
        self.running.callback(self.store.stop)
        self.exim = self.running.enter_context(Exim(self.directory, self.store.port))
        port = free_port()
        config = settings(f"127.0.0.1:{port}", f"127.0.0.1:{self.exim.port}", Names().address, identity="proxy-v2",
                          domains=(DOMAIN,), tls=certificate(self.directory))
        self.gate = self.running.enter_context(Gatepost(self.directory, config, port))
        return self

    def __exit__(self, *_):
        self.running.close()


def without_own_fields(stored):
    """What Exim delivered, less its own trace field, and less what it adds where a message lacks it."""
    fields, rest = corpus.fields(stored)
    assert fields and corpus.name_of(fields[0]) == b"received" and b"(Exim " in fields[0], stored[:300]
    return b"".join(fields[1:]) + rest


def byte_exact(stage, count):
    def test():
        """messages arrive exactly as by direct delivery, the fields in front aside: DATA and BDAT, clear and TLS"""
        messages, origin = corpus.sample(count)
        jobs, expected = [], {}
        for number, message in enumerate(messages):
            direct = f"m{number}.direct@{DOMAIN}"
            jobs.append((("127.0.0.1", stage.exim.port), direct, message, "data", False, "127.0.0.9"))
            verb, tls = WAYS[number % len(WAYS)]
            recipient = f"m{number}.{verb}@{DOMAIN}"
            jobs.append((stage.gate.address, recipient, message, verb, tls))
            expected[recipient] = direct
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda job: deliver(*job), jobs))
        held = stage.store.arrived([job[1] for job in jobs], ARRIVAL)
        for recipient, direct in expected.items():
            assert len(held[recipient]) == len(held[direct]) == 1, f"{recipient}: {len(held[recipient])} copies"
            through, plain = without_own_fields(held[recipient][0]), without_own_fields(held[direct][0])
            added(through, stripped(plain))
        return f"{len(messages)} messages ({origin}), all equal"
    return test


def identity(stage):
    def test():
        """Exim's log shows the client's own address, told by PROXY, and ours as the proxy's"""
        deliver(stage.gate.address, f"m.own@{DOMAIN}", b"Subject: own\r\n\r\n", source="127.0.0.7")
        stage.store.arrived([f"m.own@{DOMAIN}"], ARRIVAL)
        lines = [line for line in stage.exim.log().splitlines() if "<= sender@sender.test" in line and "[127.0.0.7]" in line]
        assert len(lines) == 1, stage.exim.log()[-2000:]
        assert "PRX=127.0.0.1" in lines[0], lines[0]
        return lines[0].split(" ", 3)[3][:150]
    return test


def words(stage):
    def test():
        """Exim's refusals reach the client as they are"""
        heard = []
        for address, source in ((stage.gate.address, None), (("127.0.0.1", stage.exim.port), "127.0.0.9")):
            with Client(address, source=source) as client:
                client.expect(None, "220")
                client.hello()
                client.expect("MAIL FROM:<sender@sender.test>", "250")
                replies = [client.command(f"RCPT TO:<{user}@{DOMAIN}>") for user in ("nobody", "later", "m1")]
                heard.append([f"{reply.code} {reply.text}" for reply in replies])
        assert heard[0] == heard[1], heard
        return " / ".join(heard[0])
    return test


def offered(stage):
    def test():
        """What Exim does not offer is not offered, and what it does is"""
        keywords = []
        for address, source in ((stage.gate.address, None), (("127.0.0.1", stage.exim.port), "127.0.0.9")):
            with Client(address, source=source) as client:
                client.expect(None, "220")
                client.hello()
                keywords.append(set(client.extensions))
        through, direct = keywords
        known = {"8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"}
        assert through & known == direct & known, (through, direct)
        return " ".join(sorted(through))
    return test


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=200, help="how many messages of the corpus are sent")
    options = parser.parse_args()
    with Directory() as directory:
        stage = Stage(directory)

        def start():
            """Exim, the store and Gatepost start"""
            stage.__enter__()

        def behind(test):
            def guarded():
                if not hasattr(stage, "gate"):
                    raise verdicts.Skip("Exim did not start")
                return test()
            guarded.__doc__ = test.__doc__
            return guarded

        try:
            verdicts.run("A real Exim behind", [start] + [behind(test) for test in (
                byte_exact(stage, options.messages), identity(stage), words(stage), offered(stage))])
        finally:
            stage.__exit__()
