#!/usr/bin/env python3
"""Users send mail: Gatepost's submission roles before a real Postfix, which asks a real Dovecot who they are.

    tests/system/submission.py
"""
import base64
import concurrent.futures
import contextlib
import re
import smtplib
import socket
import ssl
import subprocess
import time

import verdicts
from client import Client
from dovecot_sasl import USERS, Dovecot
from gate import Directory, Gatepost, binary, certificate, free_port, rules, settings
from names import Names
from postfix_server import Postfix
from sink import Sink
from tools import call, program

SASL = """\
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{port}
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_data_restrictions =
default_transport = lmtp:inet:127.0.0.1:{store}
"""
BOB = ("bob", USERS["bob"])


class Stage:
    """The mail server of some users with Gatepost before it: at 587's stand-in, at 465's, and at the edge."""

    def __init__(self, directory):
        self.directory = directory
        self.running = contextlib.ExitStack()

    def __enter__(self):
        self.store = Sink(lmtp=True).start()
        self.running.callback(self.store.stop)
        dovecot = self.running.enter_context(Dovecot(self.directory))
        extra = SASL.format(port=dovecot.port, store=self.store.port)
        self.postfix = self.running.enter_context(Postfix(self.directory, self.store.port, extra))
        self.chain, key = certificate(self.directory)
        edge, self.submission, self.submissions, admin = free_port(), free_port(), free_port(), free_port()
        member = [{"address": f"127.0.0.1:{self.postfix.port}", "connections": 40}]
        config = settings(f"127.0.0.1:{edge}", member[0]["address"], Names().address, identity="xclient",
                          checks={"enabled": True}, admin={"address": f"127.0.0.1:{admin}"}, rules=rules(self.directory), limits={"auth_delay_seconds": 0},
                          pool={"submission": {"identity": "xclient", "member": member}})
        tls = {"certificate": self.chain, "key": key}
        for role, port in (("submission", self.submission), ("submissions", self.submissions)):
            config["listen"].append({"name": role, "role": role, "address": f"127.0.0.1:{port}", "tls": tls,
                                     "backend": "submission", "xclient_networks": ["127.0.0.1/32"]})
        self.gate = self.running.enter_context(Gatepost(self.directory, config, edge))
        for port in (self.submission, self.submissions):
            wait_for(port)
        return self

    def __exit__(self, *_):
        self.running.close()

    def arrived(self, subject, wait=60):
        """The one message of that subject in the store."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            found = [message for message in list(self.store.stored) if f"Subject: {subject}\r\n".encode() in message.data]
            if found:
                assert len(found) == 1, f"{subject}: {len(found)} copies"
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"`{subject}` did not arrive:\n{self.postfix.log()[-3000:]}")

    def check(self, subject, user="bob"):
        """It arrived, unmarked, and Postfix knew whose it was."""
        message = self.arrived(subject)
        assert b"X-Spam" not in message.data and b"Authentication-Results" not in message.data, message.data
        assert re.search(rb"with ESMTPSA id", message.data), message.data
        assert f"sasl_username={user}" in self.postfix.log(), "Postfix knows nobody of that name"


def wait_for(port, wait=60):
    """Returns once somebody listens there; the ports of one Gatepost are opened one after another."""
    end = time.monotonic() + wait
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"nobody listens at port {port}")


def message(subject):
    return f"From: bob@gate.test\r\nTo: friend@elsewhere.test\r\nSubject: {subject}\r\n\r\nx\r\n"


def lenient():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def clients(stage):
    def python(mechanism, implicit):
        def test():
            subject = f"smtplib {mechanism} {implicit}"
            if implicit:
                server = smtplib.SMTP_SSL("127.0.0.1", stage.submissions, context=lenient())
            else:
                server = smtplib.SMTP("127.0.0.1", stage.submission)
                server.starttls(context=lenient())
            with server:
                server.ehlo()
                server.user, server.password = BOB
                method = getattr(server, "auth_" + mechanism.lower().replace("-", "_"))
                code, said = server.auth(mechanism, method)
                assert code == 235, (code, said)
                server.sendmail("bob@gate.test", ["friend@elsewhere.test"], message(subject))
            stage.check(subject)
        test.__doc__ = f"Python's smtplib: {mechanism}, {'TLS from the first octet' if implicit else 'STARTTLS'}"
        return test

    def swaks(mechanism, implicit):
        def test():
            if subprocess.run(["perl", "-MNet::SSLeay", "-e1"], capture_output=True).returncode:
                raise verdicts.Skip("Net::SSLeay (libnet-ssleay-perl) is not installed")
            if mechanism == "DIGEST-MD5" and subprocess.run(["perl", "-MAuthen::SASL", "-e1"],
                                                            capture_output=True).returncode:
                raise verdicts.Skip("Authen::SASL (libauthen-sasl-perl) is not installed")
            subject = f"swaks {mechanism} {implicit}"
            port, tls = (stage.submissions, "--tls-on-connect") if implicit else (stage.submission, "--tls")
            said = call([program("swaks"), "--server", f"127.0.0.1:{port}", tls, "--auth", mechanism, "--auth-user",
                         BOB[0], "--auth-password", BOB[1], "--from", "bob@gate.test", "--to", "friend@elsewhere.test",
                         "--helo", "c.test", "--header", f"Subject: {subject}"])
            assert "235 2.7.0 Authentication successful" in said, said
            stage.check(subject)
        test.__doc__ = f"swaks: {mechanism}, {'TLS from the first octet' if implicit else 'STARTTLS'}"
        return test

    def curl(mechanism, implicit):
        def test():
            subject = f"curl {mechanism} {implicit}"
            file = stage.directory / "curl.eml"
            file.write_text(message(subject).replace("\r\n", "\n"))
            scheme, port = ("smtps", stage.submissions) if implicit else ("smtp", stage.submission)
            call([program("curl"), "-sS", "--ssl-reqd", "--insecure", f"{scheme}://127.0.0.1:{port}/c.test", "--user",
                  ":".join(BOB), "--login-options", f"AUTH={mechanism}", "--mail-from", "bob@gate.test", "--mail-rcpt",
                  "friend@elsewhere.test", "--upload-file", str(file), "--crlf"])
            stage.check(subject)
        test.__doc__ = f"curl: {mechanism}, {'TLS from the first octet' if implicit else 'STARTTLS'}"
        return test

    def gsasl(mechanism):
        def test():
            said = call([program("gsasl"), "--smtp", "--connect", f"127.0.0.1:{stage.submission}", "--no-starttls",
                         "--no-cb", "--mechanism", mechanism, "--authentication-id",
                         BOB[0], "--password", BOB[1]], codes=(0, 1), input="\nquit\n")
            assert "235 2.7.0 Authentication successful" in said, said
        # It says STARTTLS before EHLO, which is refused; this machine may authenticate without.
        test.__doc__ = f"GNU SASL: {mechanism}"
        return test

    return ([python(mechanism, implicit) for implicit in (False, True) for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5")]
            + [swaks(mechanism, implicit) for implicit in (False, True)
               for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5")]
            # curl gives up on DIGEST-MD5 where the realm is empty, as Dovecot's is, also without Gatepost.
            + [curl(mechanism, implicit) for implicit in (False, True) for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5")]
            + [gsasl(mechanism) for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256")])


def b64(text):
    return base64.b64encode(text.encode()).decode()


def greeted(port):
    """A session past EHLO, within TLS."""
    client = Client(("127.0.0.1", port))
    client.expect(None, "220")
    client.hello()
    client.starttls()
    client.hello()
    return client


def say(client, *lines):
    """The last reply to `lines`."""
    for line in lines:
        client.send(line + "\r\n")
        reply = client.reply()
    return reply


def refusals(stage):
    def words():
        """wrong passwords are answered in Postfix's own words"""
        wrong = b64("\0bob\0wrong")
        shown = []
        for lines in (["AUTH PLAIN " + wrong], ["AUTH PLAIN", wrong], ["AUTH LOGIN", b64("bob"), b64("wrong")],
                      ["AUTH PLAIN " + b64("\0nobody\0secret")], ["AUTH LOGIN", "*"],
                      ["AUTH CRAM-MD5", b64("bob 0123456789abcdef0123456789abcdef")]):
            with Client(("127.0.0.1", stage.postfix.port)) as direct, greeted(stage.submission) as through:
                direct.expect(None, "220")
                direct.hello()
                expected, heard = say(direct, *lines), say(through, *lines)
                assert heard.lines == expected.lines, f"{lines}: Postfix says {expected!r}, Gatepost {heard!r}"
                shown.append(f"{lines[0].split()[1]}: {heard!r}")
        return "\n".join(shown)

    def spelling():
        """what Dovecot reads as bob's name in broken base64 reaches nobody"""
        with greeted(stage.submission) as client:
            good = b64("\0bob\0" + BOB[1])
            for broken in ("not*base64", good.rstrip("=") + "=" * 4):
                assert say(client, "AUTH PLAIN " + broken).code == "501", broken
            reply = say(client, "AUTH PLAIN", good[:4] + " " + good[4:])
            assert reply.lines == ["501 5.5.2 Cannot decode response"], reply
        return repr(reply)

    def order():
        """AUTH waits for TLS, MAIL for AUTH; the edge offers none"""
        with Client(("127.0.0.1", stage.submission)) as client:
            client.expect(None, "220")
            client.hello()
            # This machine itself may do without TLS.
            client.expect("XCLIENT ADDR=198.51.100.7", "220")
            client.hello()
            assert "AUTH" not in client.extensions, client.extensions
            assert say(client, "MAIL FROM:<bob@gate.test>").code == "530"
            assert say(client, "AUTH PLAIN " + b64("\0bob\0" + BOB[1])).code == "538"
        with greeted(stage.submission) as client:
            assert "AUTH" in client.extensions, client.extensions
            assert say(client, "MAIL FROM:<bob@gate.test>").lines == ["530 5.7.0 Authentication required"]
        with Client(stage.gate.address) as client:
            client.expect(None, "220")
            client.hello()
            assert "AUTH" not in client.extensions, client.extensions

    def enough():
        """the fourth attempt of a session hears 421, and no secret is in the log"""
        with greeted(stage.submission) as client:
            for _ in range(3):
                reply = say(client, "AUTH PLAIN " + b64("\0bob\0a wrong guess"))
                assert reply.code == "535", reply
            assert say(client, "AUTH PLAIN " + b64("\0bob\0a wrong guess")).code == "421"
        log = stage.gate.log.read_text()
        for secret in [BOB[1], b64("\0bob\0" + BOB[1]), "a wrong guess", b64("\0bob\0a wrong guess")]:
            assert secret not in log, secret
        failed = [line for line in log.splitlines() if "session.auth_failed" in line]
        assert any("bob" in line for line in failed), failed
        return failed[-1]

    return [words, spelling, order, enough]


def never_reused(stage):
    def test():
        """twenty sessions of two users at a time: nobody's mail goes out under the other's name"""
        def send(number):
            user = ("bob", "ann")[number % 2]
            with greeted(stage.submission) as client:
                reply = say(client, "AUTH PLAIN " + b64(f"\0{user}\0{USERS[user]}"))
                assert reply.code == "235", reply
                for part in range(3):
                    assert say(client, f"MAIL FROM:<{user}.{number}.{part}@gate.test>").code == "250"
                    assert say(client, "RCPT TO:<friend@elsewhere.test>").code == "250"
                    reply = client.data(message(f"reuse {number}.{part}").encode())
                    assert reply.code == "250", reply
                client.quit()
        before = stage.postfix.log().count("sasl_username=")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(send, range(20)))
        for number in range(20):
            for part in range(3):
                stage.arrived(f"reuse {number}.{part}")
        log = stage.postfix.log()
        names = dict(re.findall(r": ([0-9A-Za-z]+): client=\S+, .*sasl_username=(\w+)", log))
        senders = re.findall(r": ([0-9A-Za-z]+): from=<(bob|ann)\.\d+\.\d+@gate\.test>, size", log)
        assert len(senders) == 60, len(senders)
        assert all(names[queue] == user for queue, user in senders), "mail went out under another's name"
        return f"{log.count('sasl_username=') - before} messages"
    return test


def blocked(stage):
    def block(*arguments):
        return call([binary(), "block", *arguments, "--config", str(stage.gate.file)])

    def test():
        """a user with a stolen password is blocked: in a session that is open, at once; and let in again"""
        def sends(client, user, recipient="250"):
            assert say(client, f"MAIL FROM:<{user}@gate.test>").code == "250"
            reply = say(client, "RCPT TO:<friend@elsewhere.test>")
            assert reply.code == recipient, reply
            assert say(client, "RSET").code == "250"
            return reply
        with greeted(stage.submission) as bob, greeted(stage.submission) as ann:
            for client, user in ((bob, "bob"), (ann, "ann")):
                assert say(client, "AUTH PLAIN " + b64(f"\0{user}\0{USERS[user]}")).code == "235"
                sends(client, user)
            listed = block("add", "user:Bob", "--for", "2h", "--why", "password stolen")
            assert "user:bob" in listed and "password stolen" in listed, listed
            reply = sends(bob, "bob", "550")
            words = r"550 5\.7\.1 <friend@elsewhere\.test>: blocked by the postmaster; id \w+"
            assert re.fullmatch(words, reply.lines[0]), reply
            sends(ann, "ann")
            assert block("remove", "user:bob") == "Nobody is blocked.\n"
            sends(bob, "bob")
        return repr(reply)
    return test


def main():
    with Directory() as directory:
        stage = Stage(directory)
        try:
            try:
                stage.__enter__()
                missing = None
            except verdicts.Skip as reason:
                missing = str(reason)

            def behind(test):
                def guarded():
                    if missing:
                        raise verdicts.Skip(missing)
                    return test()
                guarded.__doc__ = test.__doc__
                return guarded

            verdicts.run("submission: users authenticate to a real Postfix through Gatepost",
                         [behind(test) for test in clients(stage) + refusals(stage) + [blocked(stage), never_reused(stage)]])
        finally:
            stage.__exit__()


if __name__ == "__main__":
    main()
