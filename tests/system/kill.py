#!/usr/bin/env python3
"""Kills the backend and Gatepost (SIGKILL) at every step and at random octets of messages; nothing may be lost.

    tests/system/kill.py [--kills 20] [--transactions N] [--seed 7]

Each round a few clients send at the same time; one of the two is killed when a given step is reached, and started
again; clients that were not told 250 send again, as mail servers do. Every attempt has a reverse-path of its own,
so that the backend's journal tells what it stored for each. It must hold that

    accepted   an attempt that was told 250 is stored, exactly once, with the octets that were sent
    doubled    an attempt that was not told 250 but is stored had its 250 under way when the kill came: after the
               backend had stored it and before the client had read our reply. These are counted.

With --transactions the rounds go on until so many transactions (with a recipient accepted) are done."""
import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time

import verdicts
from client import Client, Gone, stuffed
from gate import Directory, Gatepost, free_port, settings
from names import Names
from sink import fingerprint

CLIENTS = 5
BACKEND_STEPS = ["connect", "helo", "mail", "rcpt", "data", "body", "dot", "kept", "told"]
CLIENT_STEPS = ["greeting", "hello", "mail", "rcpt", "data", "body", "dot", "after dot", "accepted"]


class Backend:
    """The sink as a program, so that it can be killed; its journal is read between the rounds."""

    def __init__(self, directory):
        self.journal = directory / "journal"
        self.journal.touch()
        self.port = free_port()
        self.place = None
        self.process = None
        self.read_so_far = 0
        self.stored, self.told = {}, set()

    def start(self, kill_at=None, victim=None, chunking=True):
        sink = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sink.py")
        command = [sys.executable, "-S", sink, "--port", str(self.port), "--journal", str(self.journal)]
        command += ["--kill-at", kill_at] if kill_at else []
        command += ["--kill", str(victim)] if victim else []
        command += [] if chunking else ["--no-chunking"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "the backend did not start"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def read(self):
        """Takes in what the journal has since the last call."""
        with open(self.journal, "rb") as journal:
            journal.seek(self.read_so_far)
            for line in journal:
                entry = json.loads(line)
                if entry["event"] == "stored":
                    self.stored.setdefault(entry["from"], []).append(entry)
                else:
                    self.told.add(entry["from"])
                self.read_so_far += len(line)


class Attempt:
    """One transaction of one client. `outcome` is accepted, refused or unknown."""

    def __init__(self, message, number):
        self.message, self.name = message, f"{message.name}.{number}@sender.test"
        self.outcome, self.why, self.has_recipient, self.dot_sent = "unknown", "", False, False


class Message:
    """What one client wants to deliver."""

    def __init__(self, name, rng, least):
        self.name = name
        size = rng.choice([size for size in (200, 3000, 20_000, 200_000) if size >= least])
        body = b"".join(b"%d %s\r\n" % (n, rng.choice([b".", b"..", b"x" * 60, b""])) for n in range(size // 20))
        self.octets = b"Message-ID: <%s@sender.test>\r\nSubject: kill\r\n\r\n%s" % (name.encode(), body)
        self.chunked = rng.random() < 0.4
        self.attempts = []


class Round:
    """One kill of `victim` when `seer` (backend or client) reaches `step`."""

    def __init__(self, harness, victim, seer, step):
        self.harness, self.victim, self.seer, self.step = harness, victim, seer, step
        self.rng = random.Random(f"{harness.seed}/{victim}/{seer}/{step}/{harness.rounds}")
        least = 20_000 if step == "body" else 0
        self.messages = [Message(f"r{harness.rounds}.m{n}", self.rng, least) for n in range(CLIENTS)]
        # The message goes to the backend by BDAT where that has it, else by DATA: both, in turn.
        self.chunking = step != "data" and harness.rounds % 2 == 0
        self.fuse = threading.Lock()
        self.killed = False

    def kill_gate(self):
        with self.fuse:
            if not self.killed:
                self.killed = True
                self.harness.gate.kill()

    def attempt(self, message, trigger=None, at=0):
        """One transaction; `trigger` is the step at which this client's own progress kills Gatepost."""
        attempt = Attempt(message, len(message.attempts))
        message.attempts.append(attempt)

        def reached(step):
            if step == trigger:
                self.kill_gate()

        try:
            with Client(self.harness.gate.address, timeout=20) as client:
                client.expect(None, "220")
                reached("greeting")
                client.hello()
                reached("hello")
                client.expect(f"MAIL FROM:<{attempt.name}>", "250")
                reached("mail")
                client.expect("RCPT TO:<bob@gate.test>", "250")
                attempt.has_recipient = True
                reached("rcpt")
                reply = self.send(client, message, attempt, reached, trigger, at)
                attempt.outcome = "accepted" if reply.code == "250" else "refused"
                attempt.why = repr(reply)
                if attempt.outcome == "accepted":
                    reached("accepted")
        except (Gone, AssertionError) as error:
            attempt.outcome = "unknown" if attempt.dot_sent else "refused"
            attempt.why = str(error)
        return attempt

    def send(self, client, message, attempt, reached, trigger, at):
        if message.chunked:
            reached("data")
            wire = b"BDAT %d LAST\r\n" % len(message.octets) + message.octets
        else:
            reply = client.command("DATA")
            if reply.code != "354":
                return reply
            reached("data")
            wire = stuffed(message.octets) + b".\r\n"
        if trigger == "body":
            cut = int(at * (len(wire) - 1))
            client.send(wire[:cut])
            reached("body")
            client.send(wire[cut:])
        else:
            attempt.dot_sent = True
            client.send(wire)
        attempt.dot_sent = True
        reached("dot")
        if trigger == "after dot":
            time.sleep(at * 0.01)
            reached("after dot")
        return client.reply()

    def run(self):
        """Clients, kill, restart, retries; returns nothing, the harness judges afterwards."""
        harness = self.harness
        at = self.rng.random()
        triggers = [None] * CLIENTS
        if self.seer == "backend":
            octets = int(at * (min(len(message.octets) for message in self.messages) - harness.piece))
            harness.backend.kill()
            harness.backend.start(f"body:{octets}" if self.step == "body" else self.step,
                                  harness.gate.process.pid if self.victim == "Gatepost" else None, self.chunking)
        else:
            triggers[0] = self.step
        threads = [threading.Thread(target=self.until_the_kill, args=(message, trigger, at))
                   for message, trigger in zip(self.messages, triggers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.check_victim()
        self.restart()
        for message in self.messages:
            self.retry(message)

    def process(self):
        return self.harness.backend.process if self.victim == "backend" else self.harness.gate.process

    def until_the_kill(self, message, trigger, at):
        """Attempts until one is accepted or the victim is dead (a backend just started may count as down at first)."""
        end = time.monotonic() + 60
        while self.attempt(message, trigger, at).outcome != "accepted":
            if self.process().poll() is not None or time.monotonic() > end:
                return
            time.sleep(0.02)

    def check_victim(self):
        try:
            self.process().wait(60)
        except subprocess.TimeoutExpired:
            outcomes = [message.attempts[0].why for message in self.messages]
            raise AssertionError(f"{self.victim} was not killed at {self.step}: {outcomes}") from None

    def restart(self):
        if self.victim == "backend":
            assert self.harness.gate.running(), "Gatepost died with the backend:\n" + self.harness.gate.tail()
            self.harness.backend.kill()
            self.harness.backend.start(chunking=self.chunking)
        else:
            began = time.monotonic()
            self.harness.gate.start()
            self.harness.restarts.append(time.monotonic() - began)

    def retry(self, message):
        """As a mail server does: again until 250."""
        end = time.monotonic() + 60
        while message.attempts[-1].outcome != "accepted":
            why = message.attempts[-1].why
            assert time.monotonic() < end, f"{message.name} is not accepted after the restart: {why}"
            if self.attempt(message).outcome != "accepted":
                time.sleep(0.05)


class Harness:
    """Backend, Gatepost, and the books."""

    piece = 2 * 4096

    def __init__(self, directory, seed):
        self.seed, self.rounds, self.restarts = seed, 0, []
        self.transactions = self.accepted = self.refused = 0
        self.window = {"Gatepost killed": 0, "backend killed": 0}
        self.names = Names()
        self.backend = Backend(directory)
        self.backend.start()
        listen = free_port()
        config = settings(f"127.0.0.1:{listen}", f"127.0.0.1:{self.backend.port}", self.names.address,
                          spool={"directory": str(directory), "message_memory": "64 KiB"},
                          timeouts={"hold_backend_seconds": 3})
        self.gate = Gatepost(directory, config, listen).start()

    def stop(self):
        self.gate.kill()
        self.backend.kill()

    def round(self, victim, seer, step):
        self.rounds += 1
        if not self.gate.running():
            self.gate.start()
        one = Round(self, victim, seer, step)
        one.run()
        time.sleep(0.02)
        self.backend.read()
        for message in one.messages:
            for attempt in message.attempts:
                self.judge(attempt, victim, step)

    def judge(self, attempt, victim, step):
        stored = self.backend.stored.pop(attempt.name, [])
        where = f"{victim} killed at {step}, {attempt.name} ({attempt.outcome}: {attempt.why})"
        self.transactions += attempt.has_recipient
        assert len(stored) <= 1, f"{where}: stored {len(stored)} times"
        for entry in stored:
            assert entry["sent"] == fingerprint(attempt.message.octets), f"{where}: stored with other octets"
        if attempt.outcome == "accepted":
            self.accepted += 1
            assert stored, f"LOST: {where}"
        else:
            self.refused += attempt.has_recipient
            if stored:
                self.doubled(attempt, victim, where)

    def doubled(self, attempt, victim, where):
        assert attempt.dot_sent, f"stored before the client ended its message: {where}"
        if victim == "backend":
            # Its process ended with the kill: whatever it had written may not have reached Gatepost.
            assert attempt.outcome == "unknown" or attempt.why[0] == "4", f"stored but refused for good: {where}"
            self.window["backend killed"] += 1
        else:
            assert attempt.outcome == "unknown", f"stored, yet Gatepost said otherwise: {where}"
            assert attempt.name in self.backend.told, f"stored, but the backend never answered: {where}"
            self.window["Gatepost killed"] += 1


def places():
    """(victim, seer, step): everything that is killed, and when."""
    return ([("backend", "backend", step) for step in BACKEND_STEPS] +
            [("Gatepost", "client", step) for step in CLIENT_STEPS] +
            [("Gatepost", "backend", step) for step in BACKEND_STEPS])


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--transactions", type=int, default=0)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    with Directory() as directory:
        harness = Harness(directory, given.seed)

        def claim(victim, seer, step):
            def test():
                before = sum(harness.window.values())
                for _ in range(given.kills):
                    harness.round(victim, seer, step)
                grown = sum(harness.window.values()) - before
                return f"{grown} delivered twice after the sender's retry" if grown else None
            test.__doc__ = f"{given.kills} kills of {victim} when the {seer} is at `{step}`: nothing lost"
            return test

        def books():
            """what clients were told was accepted is a subset of what the backend stored"""
            while harness.transactions < given.transactions:
                harness.round(*places()[harness.rounds % len(places())])
            slowest = max(harness.restarts, default=0) * 1000
            return (f"{harness.rounds} kills, {harness.transactions} transactions with a recipient: "
                    f"{harness.accepted} told 250, all stored once; {harness.refused} not told 250\n"
                    f"stored, but our 250 never read, so doubled by the sender's retry, by who was killed: "
                    f"{harness.window}\n"
                    f"slowest start of Gatepost: {slowest:.0f} ms")

        try:
            verdicts.run("kill: SIGKILL at every step", [claim(*place) for place in places()] + [books])
        finally:
            harness.stop()


if __name__ == "__main__":
    main()
