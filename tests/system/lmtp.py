#!/usr/bin/env python3
"""Gatepost at the edge before a real Dovecot that delivers by LMTP: every recipient has a verdict of his own, and the
client hears each of them, though SMTP has one reply for all.

    tests/system/lmtp.py
"""
import contextlib
import re

import verdicts
from client import Client
from dovecot_lmtp import DOMAIN, DovecotLmtp
from gate import Directory, Gatepost, free_port, settings
from names import Names

GOOD = [f"good{number}" for number in range(160)]
FULL = [f"full{number}" for number in range(20)]
LOCKED = [f"locked{number}" for number in range(5)]
UNKNOWN = [f"unknown{number}" for number in range(15)]


def mixed():
    """All of them, in an order in which no kind comes together."""
    everybody = GOOD + FULL + LOCKED + UNKNOWN
    return [everybody[number * 83 % len(everybody)] for number in range(len(everybody))]


def message(subject, received="by relay.sender.test"):
    return (f"Received: {received}; Mon, 21 Sep 2026 10:00:00 +0000\r\nFrom: <a@sender.test>\r\nSubject: {subject}\r\n"
            "\r\nText.\r\n..\r\nEnd.\r\n").encode()


def attempt(gate, users, octets, size=True, sender="a@sender.test"):
    """One transaction: the reply to each RCPT, and the one to the message if there was one."""
    with Client(gate.address, timeout=120) as client:
        client.expect(None, "220")
        client.hello()
        commands = [f"MAIL FROM:<{sender}>" + (f" SIZE={len(octets)}" if size else "")]
        commands += [f"RCPT TO:<{user}@{DOMAIN}>" for user in users]
        client.send("".join(f"{command}\r\n" for command in commands))
        client.expect(None, "250")
        answers = {user: client.reply() for user in users}
        taken = [user for user in users if answers[user].code.startswith("2")]
        final = client.data(octets) if taken else None
        client.quit()
    return answers, final, taken


class Stage:
    def __init__(self, directory, users=tuple(GOOD + FULL + LOCKED), identity="none", unix=False, **tables):
        self.directory, self.running = directory, contextlib.ExitStack()
        self.dovecot = DovecotLmtp(directory, users, full=set(FULL))
        address = f"unix:{self.dovecot.socket}" if unix else f"127.0.0.1:{self.dovecot.port}"
        port = free_port()
        config = settings(f"127.0.0.1:{port}", address, Names().address, identity=identity, domains=(DOMAIN,),
                          store={"path": f"{directory}/store"}, **tables)
        config["backend"]["protocol"] = "lmtp"
        self.gate = Gatepost(directory, config, port)

    def __enter__(self):
        self.running.enter_context(self.dovecot)
        self.running.enter_context(self.gate)
        return self

    def __exit__(self, *_):
        self.running.close()

    def copies(self, subject, user):
        return sum(f"\nSubject: {subject}\n".encode() in mail.replace(b"\r\n", b"\n") for mail in self.dovecot.inbox(user))

    def check(self, subject, once):
        """Those in `once` have the message once; nobody else has it."""
        for user in GOOD + FULL + LOCKED:
            copies = self.copies(subject, user)
            assert copies == (1 if user in once else 0), f"{user} has {copies} copies\n{self.gate.tail()}"


def codes(answers, users):
    return {(answers[user].code, (re.match(r"[245]\.\d+\.\d+", answers[user].text) or [""])[0]) for user in users}


def two_attempts():
    """200 recipients, some over quota, some unknown: nothing lost, nothing doubled, every verdict told in two attempts"""
    with Directory() as directory, Stage(directory) as stage:
        for user in LOCKED:
            stage.dovecot.lock(user)
        answers, final, taken = attempt(stage.gate, mixed(), message("two"))
        assert codes(answers, UNKNOWN) == {("550", "5.1.1")}, codes(answers, UNKNOWN)
        assert set(taken) == set(GOOD + FULL + LOCKED)
        assert final.code == "451", final
        stage.check("two", GOOD)
        answers, final, told = attempt(stage.gate, taken, message("two", "by other.sender.test"))
        assert codes(answers, FULL) == {("552", "5.2.2")}, codes(answers, FULL)
        assert {code for code, _ in codes(answers, LOCKED)} == {"451"}, codes(answers, LOCKED)
        for user in FULL + LOCKED:
            assert f"<{user}@{DOMAIN}>" in answers[user].text, answers[user]
        assert set(told) == set(GOOD) and final.code == "250", final
        stage.check("two", GOOD)
        for user in LOCKED:
            stage.dovecot.unlock(user)
        answers, final, told = attempt(stage.gate, LOCKED, message("two"))
        assert set(told) == set(LOCKED) and final.code == "250", final
        stage.check("two", GOOD + LOCKED)
        return f"{len(GOOD)} delivered, {len(FULL)} over quota, {len(LOCKED)} deferred, {len(UNKNOWN)} unknown"


def killed_between():
    """A proxy that is killed between two attempts still knows who has the message"""
    with Directory() as directory, Stage(directory) as stage:
        users = GOOD[:10] + FULL[:3]
        _, final, taken = attempt(stage.gate, users, message("killed"))
        assert final.code == "451" and len(taken) == len(users), final
        stage.gate.kill()
        stage.gate.start()
        # What the others are to be told is forgotten: Dovecot is asked again, for them alone.
        _, final, taken = attempt(stage.gate, users, message("killed"))
        assert final.code == "451" and len(taken) == len(users), final
        stage.check("killed", GOOD[:10])
        answers, final, told = attempt(stage.gate, users, message("killed"))
        assert codes(answers, FULL[:3]) == {("552", "5.2.2")} and final.code == "250", final
        assert set(told) == set(GOOD[:10])
        stage.check("killed", GOOD[:10])


def one_by_one():
    """A client that comes again with one recipient at a time hears the same"""
    with Directory() as directory, Stage(directory) as stage:
        users = GOOD[:5] + FULL[:2]
        _, final, _ = attempt(stage.gate, users, message("single"))
        assert final.code == "451", final
        for user in users:
            answers, final, _ = attempt(stage.gate, [user], message("single"))
            if user in FULL:
                assert answers[user].code == "552", answers[user]
            else:
                assert final.code == "250", final
        stage.check("single", GOOD[:5])


def without_size():
    """Where no size is declared recipients are taken apart, and nothing is lost or doubled"""
    with Directory() as directory, Stage(directory) as stage:
        left = GOOD[:5] + FULL[:2]
        verdict = {}
        for _ in range(4):
            answers, final, taken = attempt(stage.gate, left, message("plain"), size=False)
            done = taken if final is not None and not final.code.startswith("4") else []
            verdict.update({user: final.code for user in done})
            verdict.update({user: answers[user].code for user in left if answers[user].code.startswith("5")})
            left = [user for user in left if user not in verdict]
            if not left:
                break
        assert verdict == {**dict.fromkeys(GOOD[:5], "250"), **dict.fromkeys(FULL[:2], "552")}, verdict
        stage.check("plain", GOOD[:5])


def byte_exact():
    """What is delivered is what was sent, over the socket in the file system; and who it was from is known by XCLIENT"""
    with Directory() as directory, Stage(directory, unix=True) as stage:
        _, final, _ = attempt(stage.gate, GOOD[:1], message("exact"))
        assert final.code == "250", final
        [mail] = stage.dovecot.inbox(GOOD[0])
        assert message("exact").replace(b"\r\n", b"\n") in mail.replace(b"\r\n", b"\n"), mail
    with Directory() as directory, Stage(directory, identity="xclient") as stage:
        _, final, _ = attempt(stage.gate, GOOD[:2], message("known"))
        assert final.code == "250", final
        stage.check("known", GOOD[:2])


if __name__ == "__main__":
    verdicts.run("LMTP, with a real Dovecot behind", [two_attempts, killed_between, one_by_one, without_size, byte_exact])
