#!/usr/bin/env python3
"""`gatepost top` in a terminal of 80 by 24: shows what was sent, quits when told, and leaves the terminal as it was."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import verdicts
from client import Client
from gate import Directory, Gatepost, binary, free_port, never_greylisting, settings
from names import Names
from sink import Sink

COLUMNS, ROWS = 80, 24
HAM = b"From: Ann <ann@sender.test>\r\nTo: bob@gate.test\r\nSubject: lunch\r\nMessage-ID: <1@sender.test>\r\n" \
      b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\nSee you at noon.\r\n"
SPAM = HAM.replace(b"See you at noon.", b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X")
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[78=>]")


class Terminal:
    """A terminal with a program in it: what it shows, and how it is set."""

    def __init__(self, *argv):
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.said, self.lock = "", threading.Lock()
        self.process = subprocess.Popen(argv, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True,
                                        env={**os.environ, "TERM": "xterm"})
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                got = os.read(self.ours, 65536)
            except OSError:
                return
            with self.lock:
                self.said += got.decode("utf-8", "replace")

    def screen(self):
        """The lines as somebody before it sees them."""
        with self.lock:
            said = self.said
        cells, row, column, at = [[" "] * COLUMNS for _ in range(ROWS)], 0, 0, 0
        while at < len(said):
            escape = ESCAPE.match(said, at)
            if escape:
                at = escape.end()
                parameters, final = escape.group(1) or "", escape.group(2)
                if final == "H":
                    row, column = ([int(number) - 1 for number in parameters.split(";")] if parameters else [0, 0])
                elif final == "K":
                    cells[row][column:] = [" "] * (COLUMNS - column)
                elif final == "J":
                    # From the cursor down, or everything.
                    first = 0 if parameters == "2" else row + 1
                    cells[first:] = [[" "] * COLUMNS for _ in range(ROWS - first)]
                continue
            letter, at = said[at], at + 1
            if letter == "\r":
                column = 0
            elif letter == "\n":
                row = min(row + 1, ROWS - 1)
            elif column < COLUMNS and row < ROWS:
                cells[row][column] = letter
                column += 1
            else:
                raise AssertionError(f"it writes outside of the terminal: {row}, {column}, {letter!r}")
        return ["".join(line).rstrip() for line in cells]

    def shows(self, pattern, wait=60.0):
        """The match, once it can be seen."""
        end = time.monotonic() + wait
        while not (found := re.search(pattern, "\n".join(self.screen()), re.M)):
            assert time.monotonic() < end, f"{pattern} is not there:\n" + "\n".join(self.screen())
            assert self.process.poll() is None, f"it has ended with {self.process.returncode}: {self.said[-2000:]!r}"
            time.sleep(0.05)
        return found

    def press(self, key):
        os.write(self.ours, key.encode())

    def ended(self):
        """Its exit code, having insisted that the terminal is as it was."""
        code = self.process.wait(20)
        time.sleep(0.2)
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal is set otherwise than before"
        for on, off in (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h"), ("\x1b[?7l", "\x1b[?7h")):
            assert on in self.said and self.said.rfind(off) > self.said.rfind(on), (on, off, self.said[-200:])
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.theirs)
        os.close(self.ours)


class Stage:
    """A sink, a proxy that judges and records, and how it is looked at."""

    def __enter__(self):
        self.place = Directory()
        directory = self.place.__enter__()
        self.names, self.sink = Names(), Sink().start()
        self.listen, self.admin = free_port(), free_port()
        config = settings(f"127.0.0.1:{self.listen}", self.sink.address, self.names.address, checks={"enabled": True},
                          rules=never_greylisting(directory), records={"directory": str(directory / "records")},
                          admin={"address": f"127.0.0.1:{self.admin}"})
        self.gate = Gatepost(directory, config, self.listen).start()
        return self

    def __exit__(self, *_):
        self.gate.kill()
        self.sink.stop()
        self.names.stop()
        self.place.__exit__()

    def send(self, message, code):
        with Client(self.gate.address) as session:
            session.expect(None, "220")
            session.hello()
            session.expect("MAIL FROM:<ann@sender.test>", "250")
            session.expect("RCPT TO:<bob@gate.test>", "250")
            reply = session.data(message)
            assert reply.code == code, repr(reply)
            session.quit()

    def load(self):
        """Seven good messages, three bad ones, and two for somebody else: from several clients at a time."""
        work = [lambda: self.send(HAM, "250")] * 7 + [lambda: self.send(SPAM, "554")] * 3 + [self.knock] * 2
        threads = [threading.Thread(target=each) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def knock(self):
        with Client(self.gate.address) as session:
            session.expect(None, "220")
            session.hello()
            session.expect("MAIL FROM:<ann@sender.test>", "250")
            session.expect("RCPT TO:<bob@elsewhere.test>", "55")
            session.quit()

    def argv(self, *words):
        return [binary(), "top", "--config", str(self.gate.file), *words]

    def page(self, *words):
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self, enough=lambda view: True):
        """As JSON, once the last sessions have ended and the last records are written."""
        end = time.monotonic() + 60
        while True:
            view = json.loads(self.page("--json"))
            if view["traffic"]["sessions_open"] == 0 and enough(view):
                return view
            assert time.monotonic() < end, view
            time.sleep(0.1)


def numbers_are_what_was_sent():
    """--json and --once count what was sent: verdicts, replies, symbols, messages, sessions, records"""
    with Stage() as stage:
        # Whoever started it has knocked, too.
        before = stage.told()["traffic"]["sessions"]
        stage.load()
        view = stage.told(lambda view: view["records"]["written"] == 12)
        assert {each["verdict"]: each["count"] for each in view["verdicts"]} == {"forward": 7, "defer": 0, "reject": 3}, view["verdicts"]
        assert [each["at_message"] for each in view["verdicts"]] == [7, 0, 3] and view["verdicts"][0]["share"] == 0.7
        replies = {each["name"]: each["count"] for each in view["replies"]}
        assert replies.pop("554") == 3 and sum(replies.values()) == 2, view["replies"]
        assert (view["traffic"]["messages"], view["traffic"]["sessions"] - before) == (10, 12), view["traffic"]
        symbols = {each["symbol"]: each["count"] for each in view["symbols"]}
        assert symbols["GTUBE"] == 3, symbols
        latencies = {each["of"]: each["quantiles"] and each["quantiles"]["count"] for each in view["latencies"]}
        assert (latencies["verdict"], latencies["backend"]) == (10, 7), latencies
        assert view["backends"]["members"][0]["up"] and view["obstacle"] is None and view["since_start"], view
        assert view["records"]["lost"] == 0 and view["spool"][0]["octets"] == 0, view

        page = stage.page("--once")
        lines = page.splitlines()
        assert len(lines) <= ROWS and all(len(line) <= COLUMNS for line in lines) and "\x1b" not in page, page
        for pattern in (r"^gatepost \d\S* +mx\.gate\.test +up 0:00:\d\d +ready .*since the start +\d\d:\d\d:\d\d$",
                        r"^forward +7 +70\.0 % ", r"^reject +3 +30\.0 % ", r"^REPLIES .*554: 3", r"^GTUBE +3 ", r"messages 10 at",
                        r"backends 1 up", r"records .* 0 lost"):
            assert re.search(pattern, page, re.M), f"{pattern}:\n{page}"
        return page


def live():
    """In a terminal the page follows what happens; `s` shows the sums since the start; `q` gives the terminal back"""
    with Stage() as stage:
        stage.load()
        stage.told(lambda view: view["records"]["written"] == 12)
        with Terminal(*stage.argv("--interval", "1")) as terminal:
            terminal.shows(r"^forward +7 ")
            assert terminal.screen()[-1].startswith("q quit"), terminal.screen()
            # Of late nothing has happened.
            terminal.shows(r"last \d+ s ")
            terminal.shows(r"^forward +0 ")
            for _ in range(4):
                stage.send(HAM, "250")
            terminal.shows(r"^forward +4 +100\.0 %")
            terminal.press("s")
            terminal.shows(r"since the start")
            terminal.shows(r"^forward +11 +78\.6 %")
            terminal.press("x")
            terminal.press("q")
            assert terminal.ended() == 0
            assert terminal.said.count("\x1b[?1049h") == 1


def without_the_proxy():
    """A proxy that goes away is told, with the last that was known of it; one that is there again is shown"""
    with Stage() as stage:
        stage.send(HAM, "250")
        with Terminal(*stage.argv("--interval", "1")) as terminal:
            terminal.shows(r"^forward +1 ")
            stage.gate.kill()
            terminal.shows(r"NO ANSWER: no proxy answers")
            terminal.shows(r"^backends 1 up|backends 1 up")
            stage.gate.start()
            terminal.shows(r"  ready ")
            terminal.press("\x03")
            assert terminal.ended() == 0
        stage.gate.kill()
        done = subprocess.run(stage.argv("--once"), capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "no proxy answers" in done.stderr and not done.stdout, done


def mistaken_file():
    """What runs is shown, whatever was written into its configuration file since"""
    with Stage() as stage:
        written, changed = re.subn(r"enabled = true", 'enabled = true\ntrusted_networks = ["everywhere"]',
                                   stage.gate.file.read_text(), count=1)
        assert changed
        stage.gate.file.write_text(written)
        check = subprocess.run([binary(), "check-config", "--config", str(stage.gate.file)], capture_output=True, timeout=60)
        assert check.returncode != 0, "it is no mistake"
        assert json.loads(stage.page("--json")), "nothing is told"


def signals():
    """SIGTERM, SIGHUP and SIGINT end it, and the terminal is as it was"""
    with Stage() as stage:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with Terminal(*stage.argv()) as terminal:
                terminal.shows(r"STATE")
                terminal.process.send_signal(number)
                assert terminal.ended() == 0, number


def no_terminal():
    """Where there is no terminal it says what to do instead, and writes no escapes into pipes"""
    with Stage() as stage:
        done = subprocess.run(stage.argv(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "--once" in done.stderr and not done.stdout, done


if __name__ == "__main__":
    sys.exit(verdicts.run("top: what a running proxy is doing, on one page",
                          [numbers_are_what_was_sent, live, without_the_proxy, mistaken_file, signals, no_terminal]))
