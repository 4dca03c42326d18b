#!/usr/bin/env python3
"""Decision records: kept of every transaction, found again, explained, decided again; whole after SIGKILL under load.

    tests/system/records.py [--kills 3]
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib

import recording
import verdicts
from client import Client, Gone
from gate import ROOT, Directory, binary, rules, settings
from recording import HAM

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
SPAM = HAM.replace("See you at noon.", GTUBE)
ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{13}\b")


class Stage(recording.Stage):
    """A sink, a proxy that records, and what its own commands say."""

    def prepare(self):
        self.records = self.directory / "records"

    def config(self, checks=None, **records):
        return settings(f"127.0.0.1:{self.listen}", self.sink.address, self.names.address,
                        listener={"xclient_networks": ["127.0.0.0/8"]}, checks={"enabled": True, **(checks or {})}, rules=self.rules,
                        records={"directory": str(self.records), **records},
                        store={"path": str(self.directory / "gatepost.redb")},
                        admin={"address": f"127.0.0.1:{self.admin}"})

    def ask(self, *words, code=0):
        said = self.run(*words, code=code)
        return said.stdout + said.stderr

    def log(self, *words):
        """Records as JSON, once the recorder has written them."""
        return [json.loads(line) for line in self.ask("log", "--json", *words).splitlines()]

    def eventually(self, count, *words):
        def found():
            records = self.log(*words)
            return records if len(records) >= count else None
        return verdicts.eventually(f"{count} records: {words}", found)

    def send(self, message, sender="ann@sender.test", client="198.51.100.7", recipients=("bob@gate.test",)):
        """The reply to the message."""
        with self.session(client) as session:
            session.expect(f"MAIL FROM:<{sender}>", "250")
            for recipient in recipients:
                session.expect(f"RCPT TO:<{recipient}>", "250")
            return session.data((message % "one").encode())


def recorded_and_found():
    """every transaction leaves a record that `log` finds by who, to whom, verdict, symbol and time"""
    with Stage() as stage:
        assert stage.send(HAM).code == "250"
        refused = stage.send(SPAM, sender="spam@bulk.test", client="203.0.113.9")
        assert refused.code == "554", repr(refused)
        with Client(stage.gate.address) as session:
            session.expect(None, "220")
            session.hello("left.test")
            session.expect("MAIL FROM:<left@sender.test>", "250")
            session.quit()
        everything = stage.eventually(3)
        ends = [record["fate"]["end"] for record in everything]
        assert ends == ["forwarded", "rejected", "abandoned"], ends
        for words, expected in [
            (["--verdict", "reject"], ["rejected"]), (["--client", "203.0.113.0/24"], ["rejected"]),
            (["--from", "bulk.test"], ["rejected"]), (["--from", "ann@sender.test"], ["forwarded"]),
            (["--from", "sender.test"], ["forwarded", "abandoned"]), (["--to", "bob@gate.test"], ["forwarded", "rejected"]),
            (["--symbol", "GTUBE"], ["rejected"]), (["--until", "1h"], []), (["--since", "1h", "--limit", "1"], ["abandoned"]),
            (["--author", "sender.test", "--end", "forwarded"], ["forwarded"]), (["--score", "9999"], []),
        ]:
            found = [record["fate"]["end"] for record in stage.log(*words)]
            assert found == expected, f"{words}: {found}"
        forwarded = everything[0]
        assert forwarded["envelope"]["reverse_path"] == "ann@sender.test"
        assert forwarded["fate"]["reply"].startswith("250"), forwarded["fate"]
        assert "subject" not in forwarded["message"], "subjects are off unless wanted"
        lines = forwarded["judgement"]["lines"]
        assert len(lines) > 20 and all(line["check"] and line["outcome"] for line in lines), lines[:3]
        assert "noon" not in json.dumps(everything), "no body"
        text = stage.ask("log")
        assert len(text.splitlines()) == 3 and "clause=gtube" in text, text
        assert stage.metric('gatepost_records_total{result="written"}') == 3
        assert stage.metric('gatepost_records_total{result="dropped"}') == 0
        sizes = [path.stat() for path in stage.records.iterdir()]
        assert all(size.st_mode & 0o077 == 0 for size in sizes), "for their owner alone"
        return f"{len(lines)} checks in a record of {len(json.dumps(forwarded))} octets of JSON"


def explained():
    """`explain` takes the pasted reply, adds up, names what made the difference, and its exception holds"""
    with Stage() as stage:
        reply = stage.send(SPAM, sender="boss@partner.test", client="203.0.113.9")
        stage.send(SPAM, sender="other@partner.test", client="203.0.113.9")
        stage.send(HAM)
        stage.eventually(3)
        text = stage.ask("explain", repr(reply))
        assert ID.search(repr(reply)).group() in text, text
        assert "clause gtube" in text and "what made the difference" in text and "without GTUBE" in text, text
        told = json.loads(stage.ask("explain", "--json", repr(reply)))
        assert told["reproduced"] and told["flips"]["without"][0]["symbol"] == "GTUBE", told["flips"]
        # By hand: the parts of the score are its sum.
        sums = re.findall(r"^score(?: of recipient 0)? (-?[0-9.]+)\n((?:  +-?[0-9.]+ .*\n)*)", text, re.M)
        assert sums, text
        for total, parts in sums:
            added = sum(float(part) for part in re.findall(r"^ +(-?[0-9.]+) ", parts, re.M))
            assert abs(added - float(total)) < 0.005, (total, parts)
        silent = stage.ask("explain", stage.log("--verdict", "forward")[0]["id"])
        assert "to let such mail pass" not in silent, silent
        assert "no record of" in stage.ask("explain", "0123456789abc", code=1)
        assert "no id in that" in stage.ask("explain", "550 no", code=1)

        exception = told["exception"]
        if exception:
            # GTUBE is refused whoever sends it, unless the sender is allowed: then nothing else may pass.
            assert exception["would_pass"] == 1 and exception["matched"] == 1, exception
            trust = pathlib.Path(stage.rules["directory"]) / "trust.toml"
            trust.write_text(trust.read_text() + "\n" + exception["line"] + "\n")
            stage.gate.stop()
            stage.gate.start()
            assert stage.send(SPAM, sender="boss@partner.test", client="203.0.113.9").code == "250"
            assert stage.send(SPAM, sender="other@partner.test", client="203.0.113.9").code == "554"
        return exception and exception["line"].replace("\n", " ")


def explained_stage_by_stage():
    """limits at RCPT are held against the score at RCPT; findings that weigh nothing are named where they refuse together"""
    with Stage() as stage:
        stage.send(HAM.replace("Subject: lunch\r\n", "").replace("To: bob@gate.test\r\n", ""))
        [passed] = stage.eventually(1)
        distance = dict(reversed(found) for found in re.findall(
            r"limit 15\.00: (.*) for clause (score|score-rcpt) ", stage.ask("explain", passed["id"])))
        assert set(distance) == {"score", "score-rcpt"} and distance["score"] != distance["score-rcpt"], distance

        trust = pathlib.Path(stage.rules["directory"]) / "trust.toml"
        trust.write_text(trust.read_text() + '\n[[deny]]\nsenders = ["denied.test"]\n')
        stage.gate.stop()
        stage.gate.start()
        stage.ask("block", "add", "sender:eve@denied.test")
        with Client(stage.gate.address) as session:
            session.expect(None, "220")
            session.hello()
            session.expect("MAIL FROM:<eve@denied.test>", "250")
            session.expect("RCPT TO:<bob@gate.test>", "5")
            session.quit()
        stage.eventually(2)
        flips = json.loads(stage.ask("explain", "--json", stage.log("--verdict", "reject")[0]["id"]))["flips"]
        assert flips["without"] == [] and set(flips["together"]) == {"DENIED_SENDER", "BLOCKED"}, flips


def through_a_hop():
    """mail through a hop of ours is recorded under whoever handed it to the hop, and the exception is about him"""
    with Stage() as stage:
        stage.gate.stop()
        stage.gate.write(stage.config(checks={"trusted_hops": ["10.0.0.0/8"]}))
        stage.gate.start()
        names = "Received: from mail.sender.test (unknown [203.0.113.9]) by backup.gate.test (Postfix) with ESMTP; now\r\n"
        assert stage.send(names + SPAM, client="10.0.0.2").code == "554"
        [record] = stage.eventually(1)
        client = record["client"]
        assert (client["addr"], client["hop"], client["helo"]) == ("203.0.113.9", "10.0.0.2", "mail.sender.test"), client
        assert len(stage.log("--client", "203.0.113.9")) == 1 and stage.log("--client", "10.0.0.2") == []
        assert "through=10.0.0.2" in stage.ask("log")
        told = json.loads(stage.ask("explain", "--json", record["id"]))
        line = told["exception"]["line"]
        assert "203.0.113.9" in line and "10.0.0.2" not in line, line
        trust = pathlib.Path(stage.rules["directory"]) / "trust.toml"
        trust.write_text(trust.read_text() + "\n" + line + "\n")
        stage.gate.stop()
        stage.gate.start()
        assert stage.send(names + SPAM, client="10.0.0.2").code == "250"


def planted(directory, change):
    """The rules of this tree with `change` applied to the texts of weights.toml and policy.toml. Its promises forbid
    what is planted, and its limits are in shadow: both are taken out."""
    place = pathlib.Path(rules(directory)["directory"])
    texts = {name: (place / f"{name}.toml").read_text() for name in ("weights", "policy")}
    policy = re.sub(r"(?ms)^\[\[invariant\]\].*?(?=^\[|\Z)", "", texts["policy"])
    texts["policy"] = re.sub(r"(?m)^shadow = true$", "", policy)
    for name, text in change(texts).items():
        (place / f"{name}.toml").write_text(text)
    return str(place)


def backtested():
    """unchanged rules flip nothing; a planted limit and a planted weight flip exactly the planted mails; the gate holds"""
    with Stage() as stage:
        for number in range(20):
            message = HAM if number % 2 else HAM.replace("Subject: lunch\r\n", "").replace("To: bob@gate.test\r\n", "")
            assert stage.send(message, sender=f"ann@honest{number % 4}.test").code == "250"
        records = stage.eventually(20)
        same = json.loads(stage.ask("backtest", "--json"))
        assert (same["decided"], same["flips"], same["unreproducible"]) == (20, [], 0), same
        assert stage.ask("backtest", "--max-new-rejects", "0")

        def flips(change):
            with Directory() as directory:
                told = json.loads(stage.ask("backtest", "--json", "--rules", planted(directory, change)))
                refused = {flip["name"] for flip in told["flips"] if flip["now"] == "reject"}
                assert told["unreproducible"] == 0 and told["new_rejects"] == len(refused), told
                stage.ask("backtest", "--rules", planted(directory, change), "--max-new-rejects", str(len(refused)))
                if refused:
                    gate = stage.ask("backtest", "--rules", planted(directory, change), "--max-new-rejects",
                                     str(len(refused) - 1), code=1)
                    assert "would be rejected that were not" in gate, gate
                return refused

        # A limit in the middle of the scores that there are.
        score = {record["id"]: record["judgement"]["score"] for record in records}
        limit = sorted(score.values())[10]
        by_limit = flips(lambda texts: {**texts, "policy": texts["policy"].replace("at_least = 15.0", f"at_least = {limit / 100}")})
        expected = {name for name, points in score.items() if points >= limit}
        assert by_limit == expected and 0 < len(expected) < 20, (limit, by_limit ^ expected)

        # A weight that some of the mail has, of a symbol in no group: by how much each score grows is known.
        written = tomllib.loads((ROOT / "rules" / "weights.toml").read_text())
        grouped = {symbol for group in written.get("group", []) for symbol in group["symbols"]}
        strengths = {record["id"]: {finding["symbol"]: finding["strength"] for line in record["judgement"]["lines"]
                                    for finding in line.get("findings", [])} for record in records}
        some = {symbol for found in strengths.values() for symbol in found if symbol in written["weights"]} - grouped
        assert some, "nothing is found in honest mail that has a weight of its own"
        symbol = min(some, key=lambda symbol: (sum(symbol in found for found in strengths.values()), symbol))
        before = round(written["weights"][symbol] * 100)
        grown = {name: points + sum(int((weight) * strengths[name].get(symbol, 0) / 100) for weight in (5000, -before))
                 for name, points in score.items()}
        expected = {name for name, points in grown.items() if points >= 1500}
        by_weight = flips(lambda texts: {**texts, "weights": re.sub(rf"(?m)^{symbol} = .*$", f"{symbol} = 50.0", texts["weights"])})
        assert by_weight == expected and expected, (symbol, by_weight ^ expected)
        return f"limit {limit / 100}: {len(by_limit)} of 20 flip; {symbol} at 50: {len(by_weight)}"


def rescanned():
    """`--on` judges mail itself by both rule sets, never by one against itself"""
    with Stage() as stage, Directory() as directory:
        mail = directory / "mail"
        mail.mkdir()
        for number in range(3):
            (mail / f"{number}.eml").write_text(HAM % number)
        (mail / "spam.eml").write_text(SPAM % "spam")
        other = pathlib.Path(rules(directory)["directory"])
        policy = other / "policy.toml"
        text = policy.read_text()
        policy.write_text(re.sub(r'(name = "gtube"\n.*?verdict = )"reject"', r'\1"defer"', text, flags=re.S))
        told = json.loads(stage.ask("backtest", "--json", "--rules", str(other), "--on", str(mail)))
        kinds = told["kinds"]
        assert (told["decided"], kinds) == (4, {"reject -> defer": [1, 0]}), told

        # Edited where they lie, they are held against the copy of those that were loaded; without one, against nothing.
        kept = stage.directory / "rules.last-good"
        verdicts.eventually(f"{kept} is there", kept.exists)
        stage.gate.stop()
        (pathlib.Path(stage.rules["directory"]) / "policy.toml").write_text(policy.read_text())
        assert json.loads(stage.ask("backtest", "--json", "--on", str(mail)))["kinds"] == kinds
        shutil.rmtree(kept)
        assert "nothing to compare" in stage.ask("backtest", "--on", str(mail), code=1)


def killed_under_load(kills):
    """SIGKILL under load: what was recorded before is readable, and records go on after the next start"""
    with Stage() as stage:
        counts = []
        for _ in range(kills):
            over, sent = threading.Event(), []

            def load(number):
                while not over.is_set():
                    try:
                        stage.send(HAM, sender=f"ann@load{number}.test")
                        sent.append(time.monotonic())
                    except (Gone, AssertionError):
                        time.sleep(0.05)

            threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(2)
            stage.gate.kill()
            killed = time.monotonic()
            over.set()
            for thread in threads:
                thread.join()
            before = len(stage.log("--limit", "0"))
            # What a client was told of a while before must be there; the queue is written as soon as it has something.
            told = sum(1 for at in sent if at < killed - 0.5)
            assert before - sum(counts) >= told, f"{before - sum(counts)} records, {told} replies"
            counts.append(before - sum(counts))
            stage.gate.start()
            stage.send(HAM)
            stage.eventually(before + 1, "--limit", "0")
            counts[-1] += 1
        last = stage.log("-n", "1")[0]["id"]
        assert last in stage.ask("explain", last)
        assert "records.lost" not in stage.gate.tail(1 << 20), stage.gate.tail()
        return f"{kills} kills, {sum(counts)} records, all readable"


def redacted():
    """with `redact = ["subjects", "local_parts"]` no local part is on the disk, and JSON lines follow a renamed file"""
    with Stage() as stage:
        lines = stage.directory / "records.json"
        stage.gate.stop()
        stage.records = stage.directory / "other"
        stage.gate.write(stage.config(redact=["subjects", "local_parts"], json=str(lines)))
        stage.gate.start()
        stage.send(HAM, sender="secretann@sender.test")
        stage.eventually(1)
        kept = b"".join(path.read_bytes() for path in stage.records.iterdir())
        assert b"secretann" not in kept and b"bob@" not in kept and b"*@sender.test" in kept
        lines.rename(stage.directory / "records.json.1")
        time.sleep(1.2)
        stage.send(HAM, sender="secretann@sender.test")
        stage.eventually(2)
        told = [json.loads(line) for path in (stage.directory / "records.json.1", lines) for line in path.read_text().splitlines()]
        assert [record["envelope"]["reverse_path"] for record in told] == ["*@sender.test"] * 2, told


def followed():
    """`log --follow` prints what comes as it comes"""
    with Stage() as stage:
        command = [binary(), "log", "--follow", "--json", "--config", str(stage.gate.file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            try:
                time.sleep(0.5)
                for number in range(3):
                    stage.send(HAM, sender=f"ann@follow{number}.test")
                    told = json.loads(follower.stdout.readline())
                    assert told["envelope"]["reverse_path"] == f"ann@follow{number}.test", told
            finally:
                follower.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=3)
    kills = parser.parse_args().kills

    def killed():
        return killed_under_load(kills)

    killed.__doc__ = killed_under_load.__doc__
    return verdicts.run("decision records", [recorded_and_found, explained, explained_stage_by_stage, through_a_hop, backtested, rescanned, killed, redacted, followed])


if __name__ == "__main__":
    sys.exit(main())
