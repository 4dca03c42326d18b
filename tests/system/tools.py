#!/usr/bin/env python3
"""Programs of others talk to Gatepost: swaks, curl, openssl s_client, Postfix's smtp-source."""
import os
import shutil
import subprocess
import threading

import verdicts
from client import crlf
from gate import Directory, Gatepost, certificate, free_port, settings
from names import Names
from sink import Sink

MESSAGE = b"From: a@sender.test\nTo: bob@gate.test\nSubject: from %s\n\n.dot first\nlast line\n"


class Stage:
    """A sink, Gatepost with a certificate before it, and a file with a message."""

    def __enter__(self):
        self.place = Directory()
        directory = self.place.__enter__()
        self.sink = Sink(refusals={"nobody@gate.test": "550 5.1.1 no such user here"}).start()
        self.file = directory / "message.eml"
        listen = free_port()
        config = settings(f"127.0.0.1:{listen}", self.sink.address, Names().address, tls=certificate(directory))
        self.gate = Gatepost(directory, config, listen).start()
        return self

    def __exit__(self, *_):
        self.gate.stop()
        self.sink.stop()
        self.place.__exit__()

    def message(self, name):
        self.file.write_bytes(MESSAGE % name.encode())
        return str(self.file)

    def one(self, name):
        """The one message that arrived since the last call, which must end as it was sent."""
        arrived, self.sink.stored[:] = list(self.sink.stored), []
        assert len(arrived) == 1, f"{len(arrived)} messages arrived"
        sent = crlf(MESSAGE % name.encode())
        assert arrived[0].data.rstrip(b"\r\n").endswith(sent.rstrip(b"\r\n")), arrived[0].data
        return arrived[0]


def program(name):
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if not found:
        raise verdicts.Skip(f"{name} is not installed")
    return found


def call(argv, codes=(0,), **options):
    done = subprocess.run(argv, capture_output=True, timeout=60, text=True, errors="replace", **options)
    said = done.stdout + done.stderr
    assert done.returncode in codes, f"{argv[0]} ended with {done.returncode}:\n{said[-3000:]}"
    return said


def dialogue(argv, lines):
    """Types each of `lines` into the program once the reply to the one before is there; all must be 2xx or 354."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          bufsize=1) as process:
        stop = threading.Timer(30, process.kill)
        stop.start()
        for line in lines:
            process.stdin.write(line + "\n")
            reply = process.stdout.readline()
            while reply[3:4] == "-":
                reply = process.stdout.readline()
            assert reply[:1] in ("2", "3"), f"{line.splitlines()[0]}: {reply!r}"
        stop.cancel()
        process.stdin.close()
        process.kill()


def tests(stage):
    port = str(stage.gate.port)
    there = f"127.0.0.1:{port}"

    def swaks():
        """swaks delivers in clear"""
        call([program("swaks"), "--server", there, "--from", "a@sender.test", "--to", "bob@gate.test", "--helo",
              "c.test", "--data", "@" + stage.message("swaks"), "--suppress-data"])
        stage.one("swaks")

    def swaks_tls():
        """swaks delivers by STARTTLS"""
        if subprocess.run(["perl", "-MNet::SSLeay", "-e1"], capture_output=True).returncode:
            raise verdicts.Skip("Net::SSLeay (libnet-ssleay-perl) is not installed")
        said = call([program("swaks"), "--server", there, "--from", "a@sender.test", "--to", "bob@gate.test", "--helo",
                     "c.test", "--tls", "--data", "@" + stage.message("swaks tls"), "--suppress-data"])
        stage.one("swaks tls")
        return next(line for line in said.splitlines() if "TLS started" in line)

    def swaks_refused():
        """swaks shows the backend's refusal of a recipient"""
        said = call([program("swaks"), "--server", there, "--from", "a@sender.test", "--to", "nobody@gate.test",
                     "--helo", "c.test", "--suppress-data"], codes=(24,))
        assert "550 5.1.1 no such user here" in said, said

    def curl():
        """curl delivers in clear"""
        call([program("curl"), "-sS", f"smtp://{there}/c.test", "--mail-from", "a@sender.test", "--mail-rcpt",
              "bob@gate.test", "--upload-file", stage.message("curl"), "--crlf"])
        stage.one("curl")

    def curl_tls():
        """curl delivers by STARTTLS, the certificate checked"""
        call([program("curl"), "-sS", f"smtp://mx.gate.test:{port}/c.test", "--resolve",
              f"mx.gate.test:{port}:127.0.0.1", "--ssl-reqd", "--cacert", str(stage.gate.directory / "gate.pem"),
              "--mail-from", "a@sender.test", "--mail-rcpt", "bob@gate.test", "--upload-file", stage.message("curl tls"), "--crlf"])
        stage.one("curl tls")

    def openssl():
        """openssl s_client delivers by STARTTLS, in every protocol version that is offered"""
        versions = []
        for version in ("-tls1_2", "-tls1_3"):
            dialogue([program("openssl"), "s_client", "-starttls", "smtp", "-connect", there, "-crlf", "-quiet",
                      version],
                     ["EHLO c.test", "MAIL FROM:<a@sender.test>", "RCPT TO:<bob@gate.test>", "DATA",
                      (MESSAGE % b"openssl").decode().replace("\n.", "\n..") + ".", "QUIT"])
            stage.one("openssl")
            versions.append(version.lstrip("-"))
        return ", ".join(versions)

    def smtp_source(claim, messages, *flags):
        def test():
            program("smtp-source")
            call([program("smtp-source"), "-m", str(messages), "-f", "a@sender.test", "-t", "bob@gate.test", *flags,
                  f"inet:{there}"])
            arrived, stage.sink.stored[:] = list(stage.sink.stored), []
            assert len(arrived) == messages, f"{len(arrived)} of {messages} arrived"
        test.__doc__ = f"Postfix's smtp-source: {claim}, all arrive"
        return test

    return [swaks, swaks_tls, swaks_refused, curl, curl_tls, openssl,
            smtp_source("200 messages in 10 sessions at a time", 200, "-s", "10", "-l", "10240"),
            smtp_source("200 messages, sessions kept", 200, "-s", "5", "-d", "-l", "2000"),
            smtp_source("20 messages of 1 MB to 5 recipients", 20, "-s", "4", "-r", "5", "-l", "1000000")]


def main():
    with Stage() as stage:
        verdicts.run("tools: programs of others talk to Gatepost", tests(stage))


if __name__ == "__main__":
    main()
