"""A sink and a proxy that records, asked by its own commands: what tests of records and of new rules begin with."""
import re
import subprocess
import urllib.request

from client import Client
from gate import Directory, Gatepost, binary, free_port, never_greylisting
from names import Names
from sink import Sink

HAM = ("From: Ann <ann@sender.test>\r\nTo: bob@gate.test\r\nSubject: lunch\r\nMessage-ID: <%s@sender.test>\r\n"
       "Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n\r\nSee you at noon.\r\n")


class Stage:
    """A kind of it has `config`, and `prepare` for what must lie there before the proxy starts."""

    def __enter__(self):
        self.place = Directory()
        self.directory = self.place.__enter__()
        self.names, self.sink = Names(), Sink().start()
        self.listen, self.admin = free_port(), free_port()
        self.rules = never_greylisting(self.directory)
        self.prepare()
        self.gate = Gatepost(self.directory, self.config(), self.listen)
        self.gate.start()
        return self

    def __exit__(self, *_):
        self.gate.kill()
        self.sink.stop()
        self.names.stop()
        self.place.__exit__()

    def prepare(self):
        pass

    def run(self, *words, code=0):
        """The program's own command with this configuration, which ends with that exit code."""
        command = [binary(), *words, "--config", str(self.gate.file)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert said.returncode == code, f"{words}: {said.returncode}\n{said.stdout}{said.stderr}\n{self.gate.tail()}"
        return said

    def session(self, client):
        """A session that is greeted, from that address."""
        session = Client(self.gate.address)
        session.expect(None, "220")
        session.hello()
        session.expect(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]", "220")
        session.hello("mail.sender.test")
        return session

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.M)
        assert found, name
        return float(found.group(1))
