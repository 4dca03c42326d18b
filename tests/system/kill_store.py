#!/usr/bin/env python3
"""Kills Gatepost (SIGKILL) at random moments while it remembers; what is older than the flush interval must be known.

    tests/system/kill_store.py [--kills 20] [--seed 7]

Clients from many networks are put off by greylisting, each with a triplet of its own. After the kill, when Gatepost
runs again, it is asked for every triplet that a client was told of. One that is missing must have been told of within
the flush interval before the kill (docs/store.md): 50 ms, and what the disk takes for the commit under way and the next."""
import argparse
import json
import random
import threading
import time
import urllib.parse
import urllib.request

import verdicts
from client import Client, Gone
from gate import Directory, Gatepost, free_port, rules, settings
from names import Names
from sink import Sink

CLIENTS = 8
# 50 ms, and what the disk of a busy machine takes for two commits.
FLUSH_INTERVAL = 0.050 + 2 * 0.250
POLICY = {"tag": 5.0, "clause": [{"name": "everyone", "stage": "rcpt", "verdict": "defer",
                                  "any_of": ["GREYLIST_RCPT_NEW", "GREYLIST_RCPT_EARLY"]}]}


def letters(number):
    """A number that greylisting does not take for one, of letters other than x."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


class Stage:
    def __init__(self, directory, seed):
        self.rng = random.Random(seed)
        self.names, self.sink = Names(), Sink().start()
        self.listen, self.admin = free_port(), free_port()
        config = settings(f"127.0.0.1:{self.listen}", self.sink.address, self.names.address,
                          listener={"xclient_networks": ["127.0.0.0/8"]}, checks={"enabled": True},
                          rules=rules(directory, policy=POLICY, weights=""), store={"path": str(directory / "store.redb")},
                          admin={"address": f"127.0.0.1:{self.admin}"})
        self.gate = Gatepost(directory, config, self.listen)
        self.told, self.wrong, self.serial = [], [], 0
        self.starts, self.losses, self.asked = [], [], 0

    def stop(self):
        self.gate.kill()
        self.sink.stop()

    def start(self):
        began = time.monotonic()
        self.gate.start()
        self.starts.append(time.monotonic() - began)

    def client(self, number, until):
        """Is put off again and again; notes when it was told so."""
        serial = 0
        while not until.is_set():
            try:
                with Client(self.gate.address, timeout=30) as client:
                    client.expect(None, "220")
                    client.hello()
                    while not until.is_set():
                        serial += 1
                        address = f"198.{18 + number % 2}.{serial % 250}.{number + 1}"
                        client.expect(f"XCLIENT ADDR={address} NAME=[UNAVAILABLE]", "220")
                        client.hello()
                        sender = f"{letters(self.serial)}x{letters(number)}x{letters(serial)}@sender.test"
                        client.expect(f"MAIL FROM:<{sender}>", "250")
                        reply = client.command("RCPT TO:<bob@gate.test>")
                        assert reply.code == "450", reply
                        # What became of a transaction is remembered at its end.
                        client.expect("RSET", "250")
                        self.told.append((time.monotonic(), address, sender))
            except Gone:
                time.sleep(0.005)
            except AssertionError as why:
                self.wrong.append(str(why))
                return

    def known(self, address, sender):
        query = urllib.parse.urlencode({"client": address, "sender": sender, "recipient": "bob@gate.test"})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/greylist/show?{query}", timeout=30) as page:
            return bool(json.load(page))

    def wait_for_pages(self):
        """The admin pages may come a moment after the listeners."""
        end = time.monotonic() + 60
        while True:
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/healthz", timeout=30).close()
            except OSError:
                assert time.monotonic() < end, self.gate.tail()
                time.sleep(0.01)

    def round(self):
        self.serial += 1
        self.told = []
        until = threading.Event()
        threads = [threading.Thread(target=self.client, args=(number, until)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(0.1, 1.5))
        killed = time.monotonic()
        self.gate.kill()
        until.set()
        for thread in threads:
            thread.join()
        self.start()
        self.wait_for_pages()
        told = [entry for entry in self.told if entry[0] <= killed]
        for at, address, sender in told:
            self.asked += 1
            if not self.known(address, sender):
                self.losses.append(killed - at)
        return len(told)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    with Directory() as directory:
        stage = Stage(directory, given.seed)

        def kills():
            """SIGKILL while it remembers: the store opens, and nothing older than the flush interval is lost"""
            stage.start()
            for _ in range(given.kills):
                assert stage.round() > 0, stage.gate.tail()
                assert not stage.wrong, stage.wrong
                assert "no store" not in stage.gate.log.read_text(), stage.gate.tail()
            losses = sorted(stage.losses) or [0]
            usual, oldest = losses[len(losses) // 2], losses[-1]
            assert oldest <= FLUSH_INTERVAL, f"one was lost that was told {oldest * 1000:.0f} ms before the kill"
            return (f"{given.kills} kills; asked for {stage.asked} triplets, {len(stage.losses)} lost, the oldest told "
                    f"{oldest * 1000:.0f} ms before the kill, half of them less than {usual * 1000:.0f} ms\n"
                    f"slowest start: {max(stage.starts) * 1000:.0f} ms")

        try:
            verdicts.run("kill: SIGKILL while the store is written", [kills])
        finally:
            stage.stop()


if __name__ == "__main__":
    main()
