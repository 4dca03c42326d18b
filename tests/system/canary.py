#!/usr/bin/env python3
"""New rules: tested on recorded mail, tried on some clients, loaded for everybody; and reloads without end under load.

    tests/system/canary.py [--reloads 100]
"""
import argparse
import json
import pathlib
import re
import signal
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import recording
import verdicts
from client import Client
from gate import settings
from load import Load
from verdicts import eventually

HAM = recording.HAM % "one"
BARE = HAM.replace("Subject: lunch\r\n", "").replace("To: bob@gate.test\r\n", "")
# Score refuses, and nothing keeps a single symbol from doing so.
POLICY = '[[clause]]\nname = "score"\nat_least = 15.0\nverdict = "reject"\n'
# Clients that new rules have not judged yet, and may.
CLIENTS = [f"203.{number // 250}.113.{number % 250 + 1}" for number in range(1200)]


# What plain mail has in these tests: one is known at once, the other once there is a message; and what bare mail has.
AT_ONCE, WITH_MESSAGE, BARE_HAS = "RDNS_NONE", "DKIM_NONE", "MISSING_SUBJECT"


def uncapped(weights):
    """The text without bounds on the groups of those symbols: a planted weight counts in full."""
    head, *groups = weights.split("[[group]]")
    planted = (AT_ONCE, WITH_MESSAGE, BARE_HAS)
    groups = [re.sub(r"(?m)^cap = .*$", "cap = 1000.0", group) if any(f'"{symbol}"' in group for symbol in planted) else group
              for group in groups]
    return "[[group]]".join([head, *groups])


class Stage(recording.Stage):
    """A sink and a proxy that records and does not load what changes by itself."""

    def prepare(self):
        self.table = self.rules
        self.rules = pathlib.Path(self.table["directory"])
        (self.rules / "policy.toml").write_text(POLICY)
        self.weights = uncapped((self.rules / "weights.toml").read_text())
        (self.rules / "weights.toml").write_text(self.weights)

    def config(self, domains=("gate.test",)):
        return settings(f"127.0.0.1:{self.listen}", self.sink.address, self.names.address, domains=domains,
                        listener={"xclient_networks": ["127.0.0.0/8"]}, checks={"enabled": True}, rules=self.table,
                        records={"directory": str(self.directory / "records")}, reload={"watch": False},
                        admin={"address": f"127.0.0.1:{self.admin}"})

    def weigh(self, symbol, weight):
        """Writes a weight for a symbol that has one."""
        text, count = re.subn(rf"(?m)^{symbol} = .*$", f"{symbol} = {weight}", self.weights)
        assert count == 1, f"{symbol}: {count}"
        (self.rules / "weights.toml").write_text(text)

    def reload(self, *words, code=0):
        """What `reload` says to programs."""
        return json.loads(self.run("reload", "--json", *words, code=code).stdout)

    def status(self):
        return self.reload("--status")

    def load_again(self, said):
        """What the proxy itself answers, as soon as there is an outcome."""
        page = f"http://127.0.0.1:{self.admin}/reload"
        request = urllib.request.Request(page, json.dumps(said).encode(), {"Content-Type": "application/json"})
        while True:
            with urllib.request.urlopen(request, timeout=60) as answer:
                told = json.loads(answer.read())
            if "outcome" in told:
                return told
            request = f"{page}/attempt?number={told['number']}"

    def records(self, count, *words):
        """Records as JSON, once there are so many."""
        def enough():
            found = [json.loads(line) for line in self.run("log", "--json", "--limit", "0", *words).stdout.splitlines()]
            return found if len(found) >= count else None
        return eventually(f"{count} records", enough)

    def send(self, client, message=HAM, sender="ann@sender.test"):
        """The code of the reply to the message, or of the refusal before it."""
        with self.session(client) as session:
            session.expect(f"MAIL FROM:<{sender}>", "250")
            reply = session.command("RCPT TO:<bob@gate.test>")
            return session.data(message.encode()).code if reply.code == "250" else reply.code

    def send_all(self, clients, until=lambda: False):
        """The codes by client, of as many as sent before `until`."""
        def one(client):
            return None if until() else (client, self.send(client))
        with ThreadPoolExecutor(8) as pool:
            return dict(filter(None, pool.map(one, clients)))


def rolled_back_with_message():
    """planted rules that reject plain mail are rolled back by themselves, and only the share's clients met them"""
    return rolled_back(WITH_MESSAGE)


def rolled_back_at_rcpt():
    """the same where they refuse at RCPT, so that nobody knows what the message would have come to"""
    return rolled_back(AT_ONCE)


def rolled_back(symbol):
    with Stage() as stage:
        old = stage.status()["rules"]
        stage.weigh(symbol, 40)
        begun = stage.reload("--canary", "20%,for=10m,min-transactions=40")
        assert begun["outcome"] == "on_trial" and begun["against"] == old, begun
        new = begun["rules"]
        assert stage.metric("gatepost_canary_share_ratio") == 0.2
        second = stage.reload("--canary", "5%", code=1)
        assert "on trial already" in second["reason"], second
        codes = stage.send_all(CLIENTS, until=lambda: "canary.rolled_back" in stage.gate.tail(4000))
        ended = eventually("rolled back", lambda: stage.status()["last"])
        assert ended["ending"] == "rolled_back" and ended["rules"] == new, ended
        assert "more transactions are rejected" in ended["why"], ended
        rejected = {client for client, code in codes.items() if code.startswith("5")}
        # Some clients came after the end of the trial: of those before it a fifth met the new rules.
        assert 40 <= len(rejected) < 0.3 * len(codes), (len(rejected), len(codes))
        judged = {record["client"]["addr"]: record["judgement"]["rules"] for record in stage.records(len(codes))}
        assert {client for client, rules in judged.items() if rules == new} >= rejected
        assert all(judged[client] == new for client in rejected) and set(judged.values()) == {old, new}
        figures = ended["figures"]
        seen = figures["pairs"]["newly_rejected" if symbol == WITH_MESSAGE else "unsure"]
        assert figures["control"]["rejects"] == 0 and seen == figures["canary"]["rejects"] >= 40, figures
        # Everybody is judged by the old rules again.
        again = stage.send_all(sorted(rejected))
        assert set(again.values()) == {"250"}, again
        assert stage.status()["rules"] == old and stage.metric("gatepost_canary_share_ratio") == 0
        assert stage.metric('gatepost_canaries_total{outcome="rolled_back"}') == 1
        # What did not pass does not come in by another door.
        refused = stage.reload(code=1)
        assert "did not pass" in refused["reason"], refused
        before = stage.metric('gatepost_reloads_total{outcome="refused"}')
        stage.gate.signal(signal.SIGHUP)
        eventually("SIGHUP is refused", lambda: stage.metric('gatepost_reloads_total{outcome="refused"}') > before)
        assert stage.send(sorted(rejected)[0]) == "250"
        anyway = stage.reload("--anyway")
        assert (anyway["outcome"], anyway["rules"]) == ("applied", new), anyway
        assert stage.send("198.51.100.7").startswith("5")
        return f"{len(rejected)} of {len(codes)} clients met {symbol} at 40 points; then: {ended['why']}"


def few_clients():
    """rules that refuse a few clients at RCPT, and nobody else comes: nothing could be compared, so nothing is promoted"""
    with Stage() as stage:
        old = stage.status()["rules"]
        stage.weigh(AT_ONCE, 40)
        stage.reload("--canary", "20%,for=20s,min-transactions=20")
        refused = []
        for client in CLIENTS:
            if len(refused) == 5:
                break
            if stage.send(client).startswith("5"):
                refused.append(client)
        for client in refused * 4:
            assert stage.send(client).startswith("5")
        ended = eventually("the time is over", lambda: stage.status()["last"])
        assert ended["ending"] == "undecided" and "25 of " in ended["why"], ended
        assert "could not be compared, and only" in ended["why"] and stage.status()["rules"] == old, ended
        return ended["why"]


def promoted():
    """harmless rules are promoted by themselves; by hand, aborted, undecided, and replaced, as the operator says"""
    with Stage() as stage:
        symbol = WITH_MESSAGE
        old = stage.status()["rules"]
        stage.weigh(symbol, 0.01)
        new = stage.reload("--canary", "40%,for=20s,min-transactions=20")["rules"]
        codes = stage.send_all(CLIENTS, until=lambda: stage.metric("gatepost_canary_share_ratio") == 0)
        assert set(codes.values()) == {"250"}, codes
        eventually("the time is over", lambda: stage.status()["last"])
        status = stage.status()
        assert (status["rules"], status["last"]["ending"]) == (new, "promoted"), status
        figures = status["last"]["figures"]
        assert figures["canary"]["transactions"] >= 20 and figures["control"]["transactions"] >= 20, figures
        assert figures["pairs"]["compared"] == figures["canary"]["transactions"], figures
        stage.send("198.51.100.9")
        last = stage.records(1, "--client", "198.51.100.9")[-1]["judgement"]["rules"]
        assert last == new != old, (last, new, old)
        already = stage.reload("--canary", "5%", code=1)
        assert "judge everybody already" in already["reason"], already

        stage.weigh(symbol, 0.02)
        stage.reload("--canary", "30%,for=1s,then=wait")
        time.sleep(2.5)
        assert stage.status()["canary"]["promote"] is False
        told = stage.reload("--abort")
        assert (told["outcome"], told["ending"]) == ("ended", "aborted"), told
        assert stage.status()["rules"] == new
        assert "no rules are on trial" in stage.reload("--abort", code=1)["reason"]

        stage.weigh(symbol, 0.03)
        by_hand = stage.reload("--canary", "1%,for=1h")["rules"]
        assert stage.reload("--promote")["ending"] == "promoted" and stage.status()["rules"] == by_hand

        stage.weigh(symbol, 0.04)
        stage.reload("--canary", "1%,for=1s")
        assert eventually("undecided", lambda: stage.status()["last"]["ending"] == "undecided")
        assert stage.status()["rules"] == by_hand

        stage.weigh(symbol, 0.05)
        for terms, said in [({"seconds": 0}, "1 second to 7 days"), ({"seconds": 2**64 - 1}, "1 second to 7 days"),
                            ({"min_transactions": 0}, "20 to 1000000")]:
            refused = stage.load_again({"canary": terms})
            assert refused["outcome"] == "refused" and said in refused["reason"], refused
        refused = stage.reload("--canary", "1%,for=8d", code=1)
        assert "7 days" in refused["reason"] and stage.status()["canary"] is None, refused

        # What is on trial does not come in by another door; other rules do, and so does whoever means it.
        tried = stage.reload("--canary", "1%,for=1h")["rules"]
        refused = stage.reload(code=1)
        assert "are on trial" in refused["reason"] and "--anyway" in refused["reason"], refused
        before = stage.metric('gatepost_reloads_total{outcome="refused"}')
        stage.gate.signal(signal.SIGHUP)
        eventually("SIGHUP is refused", lambda: stage.metric('gatepost_reloads_total{outcome="refused"}') > before)
        status = stage.status()
        assert (status["rules"], status["canary"]["rules"]) == (by_hand, tried), status
        stage.weigh(symbol, 0.06)
        other = stage.reload()
        assert stage.status()["last"]["ending"] == "replaced" and stage.status()["rules"] == other["rules"] != tried
        stage.weigh(symbol, 0.07)
        stage.reload("--canary", "1%,for=1h")
        whole = stage.reload("--anyway")
        assert stage.status()["last"]["ending"] == "replaced" and stage.status()["rules"] == whole["rules"]
        text = stage.run("reload", "--status").stdout
        assert f"rules {whole['rules']} judge everybody" in text and "replaced" in text, text
        return f"promoted after {figures['canary']['transactions']} transactions of the share's clients"


def gated():
    """`--require-backtest` refuses a planted weight with exactly the planted flips, and loads what it has tested"""
    with Stage() as stage:
        for number in range(20):
            message = HAM if number % 2 else BARE
            assert stage.send("198.51.100.7", message, f"ann@honest{number % 4}.test") == "250"
        records = stage.records(20)
        found = {record["id"]: {symbol for symbol, _ in record["judgement"]["symbols"]} for record in records}
        symbol, old = BARE_HAS, stage.status()["rules"]
        expected = {name for name, symbols in found.items() if symbol in symbols}
        assert len(expected) == 10, found
        stage.weigh(symbol, 60)
        refused = stage.reload("--require-backtest", "max-new-rejects=9", code=1)
        flips = {flip["name"] for flip in refused["backtest"]["flips"]}
        assert refused["outcome"] == "refused" and "10 mails would be rejected" in refused["reason"], refused
        assert flips == expected and len(flips) == 10, flips ^ expected
        assert stage.status()["rules"] == old
        for name in expected:
            assert name in stage.run("reload", "--require-backtest", "max-new-rejects=9", code=1).stderr
        few = stage.reload("--require-backtest", "max-new-rejects=10,min-decisions=21", code=1)
        assert "20 recorded mails" in few["reason"] and stage.status()["rules"] == old, few
        # What was tested is not what would be loaded.
        changed = stage.load_again({"wanted": {"expected": "0123456789abcdef"}})
        assert changed["outcome"] == "refused" and "has changed since" in changed["reason"], changed
        assert stage.status()["rules"] == old
        loaded = stage.reload("--require-backtest", "max-new-rejects=10,max-new-defers=0,last=1h")
        assert loaded["outcome"] == "applied" and loaded["rules_changed"], loaded
        assert loaded["backtest"]["new_rejects"] == 10 and stage.status()["rules"] == loaded["rules"] != old
        codes = [stage.send("198.51.100.7", message) for message in (BARE, HAM)]
        assert codes == ["554", "250"] or codes == ["550", "250"], (codes, stage.gate.tail())
        # Tested, and then tried.
        stage.weigh(symbol, 0.5)
        both = stage.reload("--require-backtest", "max-new-rejects=0", "--canary", "5%")
        assert (both["outcome"], both["backtest"]["new_rejects"]) == ("on_trial", 0), both
        return f"{symbol} at 60 points: 10 of 20 flip"


def told_what_is_wrong():
    """a configuration that does not load is refused with file, line and column, and changes nothing"""
    with Stage() as stage:
        old = stage.status()["rules"]
        good = stage.gate.file.read_text()
        (stage.rules / "weights.toml").write_text(stage.weights + '\nNO_SUCH_SYMBOL = "much"\n')
        refused = stage.reload(code=1)
        problem = refused["problems"][0]
        assert problem["file"].endswith("weights.toml") and problem["line"] and problem["column"], refused
        said = stage.run("reload", code=1).stderr
        assert f"weights.toml:{problem['line']}:{problem['column']}: error:" in said, said
        assert "nothing has changed" in said and stage.status()["rules"] == old
        (stage.rules / "weights.toml").write_text(stage.weights)
        stage.gate.write(good + "\n[limits]\nsesions = 1\n")
        assert "gatepost.toml" in stage.run("reload", code=1).stderr
        stage.gate.write(stage.config(domains=["gate.test", "new.test"]))
        applied = stage.reload()
        assert applied["outcome"] == "applied" and "relay.domains" in applied["changed"], applied
        assert not applied["rules_changed"], applied


def reloads_without_end(reloads):
    """reloads under load, of the wiring and of the rules: no session is dropped, no mail is lost or doubled"""
    with Stage() as stage:
        symbol = WITH_MESSAGE
        # One transaction stays open across all of them.
        with Client(stage.gate.address) as patient:
            patient.expect(None, "220")
            patient.hello()
            patient.expect("MAIL FROM:<patient@sender.test>", "250")
            patient.expect("RCPT TO:<bob@gate.test>", "250")
            opened = lambda number: stage.session(f"198.51.100.{number + 1}")
            load, began, versions = Load(opened, HAM.encode(), pause=0.02), time.monotonic(), set()
            for number in range(reloads):
                stage.weigh(symbol, 0.01 * (number % 7))
                stage.gate.write(stage.config(domains=["gate.test", f"new{number % 5}.test"]))
                told = stage.load_again({})
                assert told["outcome"] == "applied", told
                versions.add(told["rules"])
                if number % 20 == 0:
                    patient.expect("NOOP", "250")
            seconds = time.monotonic() - began
            load.stop()
            assert patient.data(HAM.encode()).code == "250"
            patient.quit()
        accepted = load.accepted + 1
        assert len(versions) == min(7, reloads), versions
        assert len(stage.sink.stored) == accepted, f"{len(stage.sink.stored)} stored, {accepted} accepted"
        assert stage.metric('gatepost_reloads_total{outcome="applied"}') == reloads
        assert stage.metric("gatepost_session_panics_total") == 0
        memory = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{stage.gate.process.pid}/status").read_text())
        return (f"{reloads} reloads in {seconds:.0f} s, 9 sessions kept, {accepted} messages accepted and stored; "
                f"{int(memory.group(1)) // 1024} MiB at the end")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reloads", type=int, default=100)
    reloads = parser.parse_args().reloads

    def under_load():
        return reloads_without_end(reloads)

    under_load.__doc__ = reloads_without_end.__doc__
    return verdicts.run("new rules", [told_what_is_wrong, gated, rolled_back_with_message, rolled_back_at_rcpt, few_clients, promoted,
                                      under_load])


if __name__ == "__main__":
    sys.exit(main())
