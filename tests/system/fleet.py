#!/usr/bin/env python3
"""Two Gateposts on one Redis act as one, and mail flows whatever becomes of Redis."""
import random
import shutil
import socket
import subprocess
import time
import urllib.request

import verdicts
from client import Client
from gate import Directory, Gatepost, free_port, settings
from names import Names
from sink import Sink
from verdicts import eventually

MESSAGE = b"From: Ann <ann@sender.test>\r\nSubject: fleet\r\n\r\nhello\r\n"
# Everybody who is new must come again, after two seconds.
POLICY = """\
tag = 5.0
[[clause]]
name = "greylist"
any_of = ["GREYLIST_NEW", "GREYLIST_EARLY"]
verdict = "defer"
"""
# A verdict that nothing can change waits for no check: what is looked for has to matter.
NO_CAMPAIGNS = """\
[[clause]]
name = "campaign"
any_of = ["CAMPAIGN"]
verdict = "reject"
"""
DELAY = 2
# The same in every run, so that both runs of a campaign see the same likeness.
KEY = 20261121
# What everybody sends, with a few words of its own in each copy.
SPAM = """\
Dear customer, our pharmacy offers a large discount on all popular medicines this week only. Every order ships\r
without delay in plain packaging, no prescription needed, and satisfaction is guaranteed or your money comes back.\r
Thousands of happy buyers recommend our quality products to their friends and neighbours. Visit the shop today,\r
choose what fits your wishes, pay comfortably with any card, and enjoy life again like never before while supplies\r
last. Do not wait until prices rise, because next month everything becomes expensive. {words}\r
"""
WORDS = "apple river stone candle mirror window garden hammer silver thunder velvet walnut zebra lantern".split()


class Redis:
    """A redis-server that keeps nothing, on a port of its own."""

    def __init__(self, directory):
        if not shutil.which("redis-server"):
            raise verdicts.Skip("there is no redis-server")
        self.directory, self.port, self.process = directory, free_port(), None
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("redis-server answers", self.answers)

    def give_key(self, key):
        """What campaigns are found by is random, and agreed on by whoever comes first: this was agreed on before."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link:
            link.sendall(f"SET gatepost:{{secret}}:campaigns {key}\r\n".encode())
            assert link.recv(64) == b"+OK\r\n"

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Fleet:
    """A sink, a Redis, and two Gateposts that share it."""

    def __init__(self, policy=POLICY, weights=""):
        self.policy, self.weights = policy, weights

    def __enter__(self):
        self.places, self.gates, self.admins = [Directory() for _ in range(3)], [], []
        self.sink, self.names = Sink().start(), Names()
        try:
            return self.begin()
        except BaseException:
            self.__exit__()
            raise

    def begin(self):
        shared, *own = [place.__enter__() for place in self.places]
        self.redis = Redis(shared)
        self.redis.start()
        self.redis.give_key(KEY)
        rules = shared / "rules"
        rules.mkdir()
        (rules / "policy.toml").write_text(self.policy)
        (rules / "greylist.toml").write_text(f"delay_seconds = {DELAY}\n")
        (rules / "weights.toml").write_text(self.weights)
        (rules / "lists.toml").write_text("")
        for directory in own:
            listen, admin = free_port(), free_port()
            config = settings(
                f"127.0.0.1:{listen}", self.sink.address, self.names.address,
                listener={"proxy_protocol": True, "proxy_networks": ["127.0.0.0/8"]},
                checks={"enabled": True}, rules={"directory": str(rules)}, admin={"address": f"127.0.0.1:{admin}"},
                store={"redis": {"urls": [self.redis.url]}})
            self.gates.append(Gatepost(directory, config, listen).start())
            self.admins.append(admin)
        return self

    def __exit__(self, *_):
        for gate in self.gates:
            gate.kill() if gate.running() else None
        if hasattr(self, "redis"):
            self.redis.kill()
        self.sink.stop()
        self.names.stop()
        for place in self.places:
            place.__exit__()

    def send(self, gate, sender, client="192.0.2.1", message=MESSAGE):
        """One message through one of both, from a client behind a balancer; the reply to the dot."""
        with Client(self.gates[gate].address) as session:
            session.send(f"PROXY TCP4 {client} 127.0.0.1 40000 25\r\n")
            session.expect(None, "220")
            session.hello()
            session.expect(f"MAIL FROM:<{sender if '@' in sender else sender + '@sender.test'}>", "250")
            session.expect("RCPT TO:<bob@gate.test>", "250")
            reply = session.data(message)
            session.quit()
            return reply

    def metric(self, gate, name):
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.admins[gate]}/metrics", timeout=30).read().decode()
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name + " "))

    def are_up(self):
        return all(self.metric(gate, "gatepost_store_redis_up") == 1 for gate in (0, 1))


def one_fleet():
    """What one Gatepost deferred passes at the other"""
    with Fleet() as fleet:
        eventually("Redis is used", fleet.are_up)
        first = fleet.send(0, "ann")
        assert first.code == "450" and "GREYLIST_NEW" in first.text, first
        early = fleet.send(1, "ann")
        assert early.code == "450" and "GREYLIST_EARLY" in early.text, early
        time.sleep(DELAY + 1)
        assert fleet.send(1, "ann").code == "250"
        assert fleet.send(0, "ann").code == "250"
        other = fleet.send(1, "eve", "198.51.100.1")
        assert other.code == "450" and "GREYLIST_NEW" in other.text, other
        assert len(fleet.sink.stored) == 2


def restart():
    """Mail flows while Redis is gone, and both share again when it is back, without a restart of theirs"""
    with Fleet() as fleet:
        assert fleet.send(0, "before").code == "450"
        fleet.redis.kill()
        began = time.monotonic()
        assert fleet.send(0, "meanwhile").code == "450"
        assert time.monotonic() - began < 5, "nobody waits for Redis"
        time.sleep(DELAY + 1)
        assert fleet.send(0, "meanwhile").code == "250", "memory has done it"
        assert fleet.metric(0, "gatepost_store_redis_fallbacks_total") > 0
        eventually("it is seen that Redis is gone", lambda: fleet.metric(1, "gatepost_store_redis_up") == 0)
        fleet.redis.start()
        eventually("Redis is used again", fleet.are_up)
        assert fleet.send(0, "meanwhile").code == "250", "what memory has learnt still counts"
        assert fleet.send(0, "after").code == "450"
        time.sleep(DELAY + 1)
        assert fleet.send(1, "after").code == "250"
        text = fleet.gates[0].log.read_text()
        assert text.count("store.redis_lost") == 1 and text.count("store.redis_up") == 2, text


def late():
    """A Redis that is not there stops no start"""
    with Fleet() as fleet:
        fleet.redis.kill()
        fleet.gates[0].stop()
        began = time.monotonic()
        fleet.gates[0].start()
        assert time.monotonic() - began < 5
        assert fleet.send(0, "ann").code == "450"
        fleet.redis.start()
        eventually("Redis is used", fleet.are_up)
        assert fleet.send(0, "bob").code == "450"
        time.sleep(DELAY + 1)
        assert fleet.send(1, "bob").code == "250"


def campaign():
    """A campaign that is split over both is caught as if it came to one"""
    caught = []
    for gates in ([0], [0, 1]):
        with Fleet(NO_CAMPAIGNS) as fleet:
            eventually("Redis is used", fleet.are_up)
            rng = random.Random(7)
            for copy in range(1, 9):
                sender = f"x@sender{copy}.test"
                text = SPAM.format(words=" ".join(rng.sample(WORDS, 4)))
                message = f"From: <{sender}>\r\nSubject: {copy}\r\n\r\n{text}".encode()
                reply = fleet.send(gates[copy % len(gates)], sender, f"192.0.{copy}.1", message)
                if "(CAMPAIGN:" in reply.text:
                    break
                assert reply.code == "250", reply
                # The other one follows what is noted ten times a second.
                time.sleep(0.5)
            caught.append(copy)
    assert caught[0] == caught[1] <= 6, f"caught at copy {caught}"
    return f"caught at copy {caught[0]} by one, at copy {caught[1]} by two"


def main():
    verdicts.run("fleet: two Gateposts, one Redis", [one_fleet, campaign, restart, late])


if __name__ == "__main__":
    main()
