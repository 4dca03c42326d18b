"""Client scripts that are played twice, straight to Postfix and through Gatepost, and what must be equal.

A script is a list of steps: a command line, octets (sent as they are), or a tuple of several of these, sent in
one packet; each step is followed by its expected number of replies. Of each reply is compared:

    whole    every word (queue ids aside): where the backend speaks - RCPT and the end of data
    code     code and enhanced status code: where both speak for themselves, with words of their own
    class    the first digit: errors of the client, for which the two have different codes
"""
import re
import time

from client import Client, Gone, stuffed
from postfix_server import DOMAIN

WHOLE, CODE, CLASS = "whole", "code", "class"
FROM = "MAIL FROM:<alice@sender.test>"
TEXT = b"From: alice@sender.test\r\nSubject: differential\r\n\r\n.dot\r\n..\r\nlast\r\n"


def message(text=TEXT):
    return stuffed(text) + b".\r\n"


def to(user, parameters=""):
    return f"RCPT TO:<{user}@{DOMAIN}>{parameters}"


def bdat(text, last=True):
    return b"BDAT %d%s\r\n" % (len(text), b" LAST" if last else b"") + text


DELIVERY = [(FROM, CODE), (to("m.{run}"), WHOLE), ("DATA", CODE), (message(), WHOLE)]

# name: steps of (what is sent, how its replies are compared). `{run}` tells the recipients of the two runs apart.
SCRIPTS = {
    "one message": [("EHLO c.test", None), *DELIVERY, ("QUIT", CODE)],
    # Enhanced codes are for those who saw them offered (RFC 2034 4): Postfix gives them to all, Gatepost does not.
    "HELO": [("HELO c.test", CODE), (FROM, CLASS), (to("m.{run}"), WHOLE), ("DATA", CODE), (message(), WHOLE),
             ("QUIT", CLASS)],
    "three messages, RSET between": [("EHLO c.test", None), *DELIVERY, ("RSET", CODE), *DELIVERY, *DELIVERY],
    "pipelined": [("EHLO c.test", None), ((FROM, to("m.{run}"), to("unknown"), "DATA"), [CODE, WHOLE, WHOLE, CODE]),
                  (message(), WHOLE), ("QUIT", CODE)],
    "some recipients refused": [("EHLO c.test", None), (FROM, CODE), (to("unknown"), WHOLE), (to("m.{run}"), WHOLE),
                                (to("policy"), WHOLE), (to("later"), WHOLE), ("DATA", CODE), (message(), WHOLE)],
    "all recipients refused": [("EHLO c.test", None), (FROM, CODE), (to("unknown"), WHOLE), (to("policy"), WHOLE),
                               ("DATA", CLASS), ("RSET", CODE), *DELIVERY],
    "null reverse-path": [("EHLO c.test", None), ("MAIL FROM:<>", CODE), (to("m.{run}"), WHOLE), ("DATA", CODE),
                          (message(), WHOLE)],
    "postmaster": [("EHLO c.test", None), (FROM, CODE), (to("postmaster"), WHOLE), ("RSET", CODE)],
    "foreign domain": [("EHLO c.test", None), (FROM, CODE), ("RCPT TO:<x@elsewhere.test>", CLASS), ("RSET", CODE)],
    "RSET inside": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), ("RSET", CODE), *DELIVERY],
    "EHLO inside": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), ("EHLO c.test", None), *DELIVERY],
    "out of order": [(FROM, CLASS), ("EHLO c.test", None), (to("m"), CODE), ("DATA", CODE), (FROM, CODE),
                     (FROM, CODE), ("DATA", CLASS), ("RSET", CODE), *DELIVERY],
    "syntax": [("EHLO c.test", None), ("MAIL alice", CLASS), ("MAIL FROM:<a@sender.test> NONSENSE=1", CLASS),
               ("BLURB", CLASS), ("NOOP", CODE), (f"VRFY postmaster@{DOMAIN}", CLASS), ("EHLO", CLASS), *DELIVERY],
    "BDAT in chunks": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), (bdat(TEXT[:9], last=False), CODE),
                       (bdat(TEXT[9:20], last=False), CODE), (bdat(TEXT[20:]), WHOLE)],
    "BDAT, end by an empty chunk": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE),
                                    (bdat(TEXT, last=False), CODE), (bdat(b""), WHOLE)],
    "BDAT without recipient": [("EHLO c.test", None), (FROM, CODE), (bdat(TEXT), CLASS), ("RSET", CODE), *DELIVERY],
    "SMTPUTF8": [("EHLO c.test", None), ("MAIL FROM:<älice@sender.test> SMTPUTF8 BODY=8BITMIME", CODE),
                 (to("mü.{run}"), WHOLE), ("DATA", CODE), (message("Subject: größe\r\n\r\nü\r\n".encode()), WHOLE)],
    "8-bit": [("EHLO c.test", None), (FROM + " BODY=8BITMIME", CODE), (to("m.{run}"), WHOLE), ("DATA", CODE),
              (message(b"Subject: 8\r\n\r\n" + bytes(b for b in range(1, 256) if b not in (10, 13)) + b"\r\n"), WHOLE)],
    "DSN": [("EHLO c.test", None), (FROM + " RET=HDRS ENVID=QQ314159", CODE),
            (to("m.{run}", " NOTIFY=NEVER ORCPT=rfc822;m@sender.test"), WHOLE), ("DATA", CODE), (message(), WHOLE)],
    "empty message": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), ("DATA", CODE), (b".\r\n", WHOLE)],
    "no header section": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), ("DATA", CODE),
                          (message(b"\r\nonly a body\r\n"), WHOLE)],
    "line of 998 octets": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), ("DATA", CODE),
                           (message(b"Subject: long\r\n\r\n" + b"y" * 998 + b"\r\n"), WHOLE)],
    "message refused for its content": [("EHLO c.test", None), (FROM, CODE), (to("m.{run}"), WHOLE), ("DATA", CODE),
                                        (message(b"Subject: forbidden\r\n\r\n"), WHOLE), *DELIVERY],
    "STARTTLS": [("EHLO c.test", None), ("STARTTLS", "tls"), ("EHLO c.test", None), *DELIVERY, ("QUIT", CODE)],
}


def play(address, script, run):
    """The replies of one run, each with how it is to be compared."""
    replies = []
    with Client(address) as client:
        client.expect(None, "220")
        for sent, how in script:
            if how == "tls":
                client.starttls()
                continue
            parts = sent if isinstance(sent, tuple) else (sent,)
            ways = how if isinstance(how, list) else [how]
            client.send(b"".join(part if isinstance(part, bytes) else part.replace("{run}", run).encode() + b"\r\n"
                                 for part in parts))
            for part, way in zip(parts, ways):
                replies.append((part if isinstance(part, str) else "(message)", way, client.reply()))
    return replies


def essence(reply, how, run):
    """What of a reply is compared."""
    if how == WHOLE:
        text = "\n".join(reply.lines).replace(run, "RUN")
        # Postfix words its 250 differently for DATA and BDAT; Gatepost takes BDAT where the backend has it.
        return re.sub(r"(\d+ bytes )?queued as \w+", "queued as ID", text)
    if how == CODE:
        enhanced = re.match(r"[245]\.\d+\.\d+(?= |$)", reply.text)
        return (reply.code, enhanced.group() if enhanced else None)
    return reply.code[0]


def compare(name, script, stage, added, without_own_fields):
    """Plays `script` both ways; fails unless replies and stored messages are equal."""
    runs = [re.sub(r"\W+", "-", name).lower() + end for end in (".direct", ".through")]
    addresses = [("127.0.0.1", stage.postfix.port), stage.gate.address]
    try:
        direct, through = (play(address, script, run) for address, run in zip(addresses, runs))
    except (Gone, AssertionError) as error:
        raise AssertionError(f"{name}: {error}") from error
    equal_words = 0
    for (sent, how, theirs), (_, _, ours) in zip(direct, through):
        wanted, got = essence(theirs, how, runs[0]), essence(ours, how, runs[1])
        if how is not None:
            assert wanted == got, f"{name}: {sent}: Postfix says {theirs!r}, Gatepost {ours!r} (compared: {how})"
        else:
            assert theirs.code == ours.code, f"{name}: {sent}: {ours!r}"
        equal_words += how == WHOLE
    wanted = sum("queued as" in reply.text for _, _, reply in direct)
    for _ in range(200):
        held = [[m for m in list(stage.store.stored) if any(run in r for r in m.recipients)] for run in runs]
        if all(len(messages) >= wanted for messages in held):
            break
        time.sleep(0.05)
    assert len(held[0]) == len(held[1]) == wanted, f"{name}: {len(held[1])} messages arrived, not {len(held[0])}"
    for theirs, ours in zip(*held):
        added(without_own_fields(ours.data), without_own_fields(theirs.data))
        assert (theirs.reverse_path, len(theirs.recipients)) == (ours.reverse_path, len(ours.recipients)), name
    return f"{name}: {len(direct)} replies equal ({equal_words} word for word), {wanted} messages"
