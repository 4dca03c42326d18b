#!/usr/bin/env python3
"""Every query of the dashboards and of the alerts is asked of a real Prometheus that scrapes a loaded Gatepost.

Two proxies are loaded: one remembers in a file, the other in Redis. Needs Debian's prometheus, which brings promtool,
and redis-server.
"""
import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import verdicts
import yaml
from client import Client, Gone
from gate import ROOT, Directory, Gatepost, certificate, free_port, rules, settings
from names import Names
from sink import Sink

DASHBOARDS = ROOT / "dashboards"
RULES = DASHBOARDS / "alerts.yml"
# Prometheus asks that often; rates over a minute then have enough to go by.
SCRAPE_SECONDS = 1
# How long Gatepost is loaded before queries are asked: rates need two scrapes at the least, and recording rules
# two evaluations.
WARM_UP = 12.0
LISTED, CLEAN = "203.0.113.66", "198.51.100.7"
MESSAGE = (b"From: Ann <ann@sender.test>\r\nTo: bob@gate.test\r\nSubject: %s\r\n"
           b"Date: Mon, 3 Nov 2025 09:00:00 +0000\r\nMessage-ID: <%d@sender.test>\r\n\r\n%s\r\n")
# One of the lists that are shipped is asked on the network, another is answered from a file.
NAMES = {"2.0.0.127.bl.spamcop.net": "127.0.0.2", "66.113.0.203.bl.spamcop.net": "127.0.0.2",
         "sender.test": "192.0.2.25", "mail.sender.test": CLEAN}


def tool(name):
    found = shutil.which(name)
    if not found:
        raise verdicts.Skip(f"{name} is not installed")
    return found


def ended(process):
    process.terminate()
    process.wait(60)


class Stage:
    """Gatepost between a sink and clients that never stop, and a Prometheus that looks on."""

    def __enter__(self):
        with contextlib.ExitStack() as ending:
            self.start(ending)
            self.ending = ending.pop_all()
        return self

    def __exit__(self, *_):
        self.ending.close()

    def start(self, ending):
        """Starts all of it; `ending` ends what was started, however far that came."""
        prometheus, redis = tool("prometheus"), tool("redis-server")
        directory = ending.enter_context(Directory())
        self.sink = Sink(refusals={"nobody@gate.test": "550 5.1.1 no such user here"}).start()
        ending.callback(self.sink.stop)
        self.names = Names(NAMES)
        self.web, memory = free_port(), free_port()
        self.redis = subprocess.Popen([redis, "--port", str(memory), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        ending.callback(ended, self.redis)
        (directory / "local.zone").write_text("127.0.0.2\n203.0.113.0/24\n")
        self.gates, targets = [], []
        for name, store in (("file", {"path": str(directory / "store.redb")}),
                            ("redis", {"redis": {"urls": [f"redis://127.0.0.1:{memory}"]}})):
            place, listen, admin = directory / name, free_port(), free_port()
            place.mkdir()
            config = settings(
                f"127.0.0.1:{listen}", self.sink.address, self.names.address, tls=certificate(place),
                listener={"xclient_networks": ["127.0.0.0/8"]}, admin={"address": f"127.0.0.1:{admin}"},
                checks={"enabled": True}, store=store, log={"level": "warn"},
                records={"directory": str(place / "records")}, rules=rules(place), reload={"watch": False})
            config["dns"]["zone"] = [{"name": "psbl.surriel.com", "file": str(directory / "local.zone"), "format": "ip4set"}]
            self.gates.append(Gatepost(place, config, listen).start())
            ending.callback(self.gates[-1].stop)
            targets.append(f"127.0.0.1:{admin}")
        self.over, self.sent, self.broken = threading.Event(), 0, []
        self.load = [threading.Thread(target=self.client, args=(number,)) for number in range(3)]
        for thread in self.load:
            thread.start()
        ending.callback(self.calm)
        scrape = {"global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
                  "rule_files": [str(RULES)],
                  "scrape_configs": [{"job_name": "gatepost", "static_configs": [{"targets": targets}]}]}
        (directory / "prometheus.yml").write_text(yaml.safe_dump(scrape))
        log = open(directory / "prometheus.log", "wb")
        self.prometheus = subprocess.Popen(
            [prometheus, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
             f"--web.listen-address=127.0.0.1:{self.web}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ending.callback(ended, self.prometheus)
        log.close()
        time.sleep(WARM_UP)
        for gate in self.gates:
            gate.signal(signal.SIGHUP)
        time.sleep(3 * SCRAPE_SECONDS)
        for gate, admin in zip(self.gates, targets):
            self.try_rules(gate, admin)
        time.sleep(3 * SCRAPE_SECONDS)

    def calm(self):
        self.over.set()
        for thread in self.load:
            thread.join()

    def try_rules(self, gate, admin):
        """Has the same rules under another name judge half of the clients."""
        with open(gate.directory / "rules" / "weights.toml", "a") as weights:
            weights.write("# on trial\n")
        body = json.dumps({"canary": {"share_percent": 50, "seconds": 3600}}).encode()
        # A reload that was asked for before may still be under way: then it is refused, and asked again.
        told = verdicts.eventually("the rules are on trial", lambda: self.outcome(admin, body))
        assert told["outcome"] == "on_trial", told

    def outcome(self, admin, body):
        """Of one attempt; none if it is to be made again."""
        request = urllib.request.Request(f"http://{admin}/reload", body, {"Content-Type": "application/json"})
        told = {}
        # Whoever asks for what takes longer gets a number to ask for the outcome with.
        while "outcome" not in told:
            with urllib.request.urlopen(request, timeout=60) as answer:
                told = json.load(answer)
            request = f"http://{admin}/reload/attempt?number={told['number']}"
        return None if "ask again" in told.get("reason", "") else told

    def client(self, number):
        """One session after another: good mail, listed clients, strange recipients, manners of all kinds."""
        while not self.over.is_set():
            try:
                self.session(number)
            except (Gone, AssertionError) as error:
                self.broken.append(str(error))
                time.sleep(0.1)

    def session(self, number):
        addr = LISTED if number == 2 else CLEAN
        with Client(self.gates[self.sent % 2].address) as client:
            client.expect(None, "220")
            client.hello()
            client.expect(f"XCLIENT ADDR={addr} NAME=[UNAVAILABLE]", "220")
            client.hello("mail.sender.test")
            if number == 1:
                client.starttls()
                client.hello("mail.sender.test")
            for _ in range(5):
                client.command("MAIL FROM:<ann@sender.test>")
                client.command("RCPT TO:<nobody@gate.test>")
                client.command("RCPT TO:<bob@elsewhere.test>")
                if client.command("RCPT TO:<bob@gate.test>").code == "250":
                    words = b"cheap pills, act now" if number else b"see you at the station"
                    client.data(MESSAGE % (words, self.sent, words * 40))
                self.sent += 1
                client.command("RSET")
                time.sleep(0.05)
            client.quit()

    def ask(self, query):
        """What Prometheus answers to a query now: its samples, as numbers."""
        words = urllib.parse.urlencode({"query": query})
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/api/v1/query?{words}", timeout=20) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        assert found["status"] == "success", (query, found)
        data = found["data"]
        return [float(data["result"][1])] if data["resultType"] == "scalar" else \
            [float(sample["value"][1]) for sample in data["result"]]

    def web_page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}", timeout=20) as answer:
            return json.load(answer)["data"]


def substituted(expression):
    """A panel's query as Grafana asks it with every variable at All."""
    for name, value in {"$__rate_interval": "30s", "$__interval": "15s", "$__range": "5m", "$instance": ".+"}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that nobody substitutes: {expression}"
    return expression


def queries(panels):
    for panel in panels:
        yield from queries(panel.get("panels", []))
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def inputs(expression):
    """The selectors of an expression: metrics with what is asked of their labels."""
    return re.findall(r'\b(?:\w+:gatepost_|gatepost_|process_|up\b)[\w:]*(?:\{[^}]*\})?', expression)


def tests(stage):
    def load():
        """Gatepost is loaded, and Prometheus sees it"""
        assert stage.ask("up{job=\"gatepost\"}") == [1.0, 1.0]
        assert stage.ask("sum(gatepost_store_redis_up)") == [1.0]
        assert stage.ask("sum(gatepost_transactions_total{end=\"forwarded\"})")[0] > 10, stage.broken[:3]
        assert stage.ask("sum(gatepost_findings_total{symbol=\"DNSBL_PSBL\"})")[0] > 0
        return f"{stage.sent} transactions"

    def panels():
        """Every panel's query returns data, numbers among them"""
        count, empty = 0, []
        for path in sorted(DASHBOARDS.glob("*.json")):
            for title, expression in queries(json.loads(path.read_text())["panels"]):
                found = stage.ask(substituted(expression))
                count += 1
                if not found or all(math.isnan(number) for number in found):
                    empty.append(f"{path.name}: {title}: {expression}")
        assert not empty, "\n".join(empty)
        return f"{count} queries of {len(list(DASHBOARDS.glob('*.json')))} dashboards"

    def variables():
        """What the dashboards let choose from is there"""
        for path in DASHBOARDS.glob("*.json"):
            for variable in json.loads(path.read_text())["templating"]["list"]:
                found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]) \
                    if variable["type"] == "query" else None
                if found:
                    metric, label = found.groups()
                    assert stage.ask(f"count by ({label}) ({metric})"), (path.name, variable["name"])

    def alerts():
        """Prometheus takes the rules; every record has data, every alert could see what it is about"""
        groups = stage.web_page("/api/v1/rules")["groups"]
        loaded = [rule for group in groups for rule in group["rules"]]
        written = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
        assert len(loaded) == len(written) > 0
        broken = [(rule["name"], rule.get("lastError")) for rule in loaded if rule["health"] != "ok"]
        assert not broken, broken
        blind = []
        for rule in written:
            if "record" in rule:
                blind += [] if stage.ask(rule["record"]) else [rule["record"]]
                continue
            for selector in inputs(rule["expr"]):
                if not stage.ask(selector):
                    blind.append(f"{rule['alert']}: {selector}")
        assert not blind, "\n".join(blind)
        firing = {alert["labels"]["alertname"] for alert in stage.web_page("/api/v1/alerts")["alerts"]}
        return f"{len(written)} rules; pending or firing under this load: {', '.join(sorted(firing)) or 'none'}"

    def promtool_check():
        """promtool finds nothing wrong with the rules"""
        done = subprocess.run([tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", str(RULES)],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def promtool_test():
        """The alerts fire when they must, and only then"""
        done = subprocess.run([tool("promtool"), "test", "rules", str(DASHBOARDS / "alerts_test.yml")],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        text = yaml.safe_load((DASHBOARDS / "alerts_test.yml").read_text())
        tested = {case["alertname"] for test in text["tests"] for case in test.get("alert_rule_test", [])}
        written = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
                   if "alert" in rule}
        assert tested == written, f"without a test, or without an alert: {sorted(tested ^ written)}"
        return f"{len(written)} alerts"

    def generated():
        """The dashboards are those that scripts/dashboards writes"""
        done = subprocess.run([sys.executable, str(ROOT / "scripts" / "dashboards"), "--check"], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    return [load, panels, variables, alerts, promtool_check, promtool_test, generated]


def main():
    if not shutil.which("prometheus") and os.environ.get("CI") != "true":
        print("skipped: there is no prometheus here")
        print("0 passed, 0 failed, 1 skipped")
        return
    with Stage() as stage:
        verdicts.run("dashboards: a real Prometheus answers every query", tests(stage))


if __name__ == "__main__":
    main()
