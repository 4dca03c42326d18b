#!/usr/bin/env python3
"""Never an open relay, with the configuration as it is shipped (only addresses, ports and paths replaced)."""
import concurrent.futures
import pathlib
import re
import tomllib

import verdicts
from client import Client, Gone
from gate import ROOT, Directory, Gatepost, certificate, free_port
from names import Names
from sink import EXTENSIONS, Sink

SHIPPED = ROOT / "config" / "gatepost.toml"
STRANGER = "127.0.0.66"


def shipped(directory, listen, backend, dns):
    """The shipped file with the addresses, ports and paths of this test, and the domain that it relays for."""
    text = SHIPPED.read_text()
    config = tomllib.loads(text)
    chain, key = certificate(directory)
    swaps = []
    for number, listener in enumerate(config["listen"]):
        swaps.append((listener["address"], f"127.0.0.1:{listen if number == 0 else free_port()}"))
        if "tls" in listener:
            swaps += [(listener["tls"]["certificate"], chain), (listener["tls"]["key"], key)]
    swaps += [(member["address"], backend) for member in config["backend"]["member"]]
    swaps += [(server, dns) for server in config.get("dns", {}).get("servers", [])]
    if "directory" in config.get("spool", {}):
        swaps.append((config["spool"]["directory"], str(directory)))
    if "directory" in config.get("rules", {}):
        swaps.append((config["rules"]["directory"], str((SHIPPED.parent / config["rules"]["directory"]).resolve())))
    if "address" in config.get("admin", {}):
        swaps.append((config["admin"]["address"], f"127.0.0.1:{free_port()}"))
    for old, new in swaps:
        assert f'"{old}"' in text, f"{old} not found as written"
        text = text.replace(f'"{old}"', f'"{new}"')
    if "servers" not in config.get("dns", {}):
        text = with_servers(text, dns)
    files = [config["relay"][key] for key in ("domains_file",) if key in config["relay"]]
    for name in files:
        pathlib.Path(directory, name).write_text((SHIPPED.parent / name).read_text())
    domains = [name for name in config["relay"].get("domains", []) if not name.startswith((".", "*"))]
    assert domains, "the shipped configuration names no domain of its own"
    return text, domains[0]


def with_servers(text, dns):
    """No DNS server is named in the shipped file: this machine's own is not asked."""
    line = f'servers = ["{dns}"]\n'
    if re.search(r"^\[dns\]", text, re.M):
        return re.sub(r"^\[dns\]\n", lambda found: found.group() + line, text, count=1, flags=re.M)
    return text + "\n[dns]\n" + line


def elsewhere(ours):
    """What follows `RCPT TO:` in attempts to have mail relayed to another domain."""
    other = "victim.test"
    return [
        # plainly
        f"<u@{other}>", f"<u@{other.upper()}>", f"<u@{other}.>", f"<u@sub.{other}>", f"<postmaster@{other}>",
        # domains that only look like ours
        f"<u@x{ours}>", f"<u@{ours}.{other}>", f"<u@{other}.{ours}.test>", f"<u@{ours}x>", f"<u@-{ours}>",
        f"<u@{ours}\u3002{other}>", f"<u@{ours}%{other}>", f"<u@{ours}\0.{other}>", f"<u@{ours} .{other}>",
        # source routes
        f"<@{ours}:u@{other}>", f"<@{ours},@relay.test:u@{other}>", f"<@{other}:u@{other}>",
        f"<@{ours}:@{ours}:u@{other}>", f"<@{ours}:u@{ours}@{other}>",
        # percent, bang, two @
        f"<u%{other}@{ours}>", f"<u%{other}%x.test@{ours}>", f"<{other}!u@{ours}>", f"<{ours}!{other}!u@{ours}>",
        f"<u@{other}@{ours}>", f"<u@{ours}@{other}>", f"<u%{other}>", f"<{other}!u>", f"<u%{ours}@{other}>",
        f"<{ours}!u@{other}>", f"<u::{other}@{ours}>",
        # the same, quoted
        f'<"u@{other}"@{ours}>', f'<"u@{other}">', f'<"u%{other}"@{ours}>', f'<"{other}!u"@{ours}>',
        f'<"u@{ours}"@{other}>', f'<"u\\@{other}"@{ours}>', f'<"u"@{other}>', f'<@{ours}:"u@{other}"@{ours}>',
        f'<"u@{other}"%{ours}@{ours}>', f'<"u@{other},u"@{ours}>', f'<"<u@{other}>"@{ours}>',
        # literals, nothing, several
        "<u@[127.0.0.1]>", "<u@[192.0.2.25]>", "<u@[IPv6:::1]>", f"<u@[{ours}]>", "<u@127.0.0.1>", "<u@>", "<@>", "<u>",
        f"<u@{other}>,<u@{ours}>", f"<u@{ours}>,<u@{other}>", f"<u@{ours},u@{other}>", f"<u@{ours}> <u@{other}>",
        f"<u@{ours};u@{other}>", f"<u@{ours}><u@{other}>", f"<u@{other}> ORCPT=rfc822;u@{ours}",
        f"u@{other}", f" <u@{other}>", f"<u@{other}", f"u@{ours} <u@{other}>", f'"u@{ours}" <u@{other}>',
        f"<u@{ours}\r\nRCPT TO:<u@{other}>", f"<u@{ours}\rRCPT TO:<u@{other}>", f"<u@{ours}\nRCPT TO:<u@{other}>",
    ]


def leads_elsewhere(recipient, ours):
    """True if any mail server could take what the backend was given for an address that is not ours."""
    local, _, domain = recipient.rpartition("@")
    return domain.lower() != ours or bool(re.search(r"[@%!:<>,;]", local)) or "victim" in recipient


class Stage:
    """The shipped configuration before a sink that takes any recipient."""

    def __enter__(self):
        self.place = Directory()
        directory = self.place.__enter__()
        self.sink = Sink(extensions=EXTENSIONS + ["XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT", "XFORWARD"])
        self.sink.start()
        listen = free_port()
        text, self.ours = shipped(directory, listen, self.sink.address, Names().address)
        self.gate = Gatepost(directory, text, listen).start()
        return self

    def __exit__(self, *_):
        self.gate.stop()
        self.sink.stop()
        self.place.__exit__()


def session(stage, source, esmtp=True):
    client = Client(stage.gate.address, source=source)
    client.expect(None, "220")
    client.expect("EHLO mail.stranger.test" if esmtp else "HELO mail.stranger.test", "250")
    return client


def tests(stage):
    def own_domain():
        """mail to our own domain passes (or nothing below would mean anything)"""
        with session(stage, STRANGER) as client:
            client.expect("MAIL FROM:<a@stranger.test>", "250")
            client.expect(f"RCPT TO:<bob@{stage.ours}>", "250")
            client.expect("RCPT TO:<postmaster>", "250")
            assert client.data(b"Subject: own\r\n\r\n").code == "250"
        assert len(stage.sink.stored) == 1
        stage.sink.commands.clear()
        stage.sink.stored.clear()

    def tricks(source, sender, claim):
        def one(attempt, parameters):
            with session(stage, source) as client:
                client.expect(f"MAIL FROM:<{sender}>{parameters}", "250")
                try:
                    client.send(f"RCPT TO:{attempt}\r\n")
                    reply = client.reply()
                    if reply.code[0] == "2":
                        client.data(b"Subject: relayed?\r\n\r\n")
                    return reply.code
                except Gone:
                    return "closed"

        def test():
            jobs = [(attempt, parameters) for attempt in elsewhere(stage.ours) for parameters in ("", " SMTPUTF8")]
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                refused = list(pool.map(lambda job: one(*job), jobs))
            seen = [line.decode("utf-8", "replace") for line in stage.sink.commands if line.upper().startswith(b"RCPT")]
            stage.sink.commands.clear()
            bad = [line for line in seen
                   if leads_elsewhere(re.sub(r"(?i)^rcpt to:\s*<(.*?)>( [A-Z]+=.*)?$", r"\1", line), stage.ours)]
            assert not bad, f"handed to the backend: {bad}"
            codes = {code: refused.count(code) for code in sorted(set(refused))}
            return f"{len(refused)} attempts {codes}; {len(seen)} recipients of our own reached the backend"
        test.__doc__ = f"no other recipient for {claim}"
        return test

    def plainly():
        """a recipient elsewhere is refused with 550 5.7.1"""
        with session(stage, STRANGER) as client:
            client.expect("MAIL FROM:<a@stranger.test>", "250")
            return repr(client.expect("RCPT TO:<u@victim.test>", "550 5.7.1"[:3]))

    def pretenders():
        """nobody becomes somebody else by XCLIENT, XFORWARD, PROXY or AUTH"""
        offers = ["XCLIENT ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1", "AUTH PLAIN AHUAcA==", "PROXY TCP4 127.0.0.1 "
                  "127.0.0.1 1 25"]
        for offer in offers:
            with session(stage, STRANGER) as client:
                assert client.command(offer).code[0] == "5", offer
                client.expect("MAIL FROM:<a@stranger.test>", "250")
                client.expect("RCPT TO:<u@victim.test>", "5")

    return [own_domain, plainly,
            tricks(STRANGER, "a@stranger.test", "a stranger"),
            tricks(STRANGER, f"boss@{stage.ours}", "a stranger who says to be one of us"),
            tricks(STRANGER, "", "a stranger with the null reverse-path"),
            tricks("127.0.0.1", "a@stranger.test", "a client on this machine"),
            pretenders]


def main():
    if not SHIPPED.exists():
        raise SystemExit(f"{SHIPPED} does not exist")
    with Stage() as stage:
        verdicts.run("relay: the shipped configuration is no open relay", tests(stage))


if __name__ == "__main__":
    main()
