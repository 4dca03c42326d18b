"""Messages to send: a fixed sample of the mail corpus where it lies beside the repository, made-up ones elsewhere."""
import random
import re
import tarfile

from client import crlf
from kit import SHARED


def sample(count, seed=7):
    """`count` messages with CRLF line ends, and where they are from.

    NUL or a line of more than 998 octets in the header section is left out: what becomes of those is not
    transparency (RFC 5322 2.1.1, 4.1)."""
    archives = sorted((SHARED / "corpus").glob("*.tar.xz"))
    if not archives:
        return [made_up(random.Random(f"{seed}/{n}")) for n in range(count)], "made-up messages"
    rng = random.Random(seed)
    messages = []
    share = count // len(archives) + 1
    for archive in archives:
        with tarfile.open(archive) as tar:
            all_of_it = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        names = sorted(all_of_it)
        rng.shuffle(names)
        fit = (crlf(all_of_it[name]) for name in names)
        messages += [message for message in fit if plain_header(message)][:2 * share]
    rng.shuffle(messages)
    return messages[:count], f"corpus, {len(archives)} classes"


def plain_header(message):
    head = message.split(b"\r\n\r\n", 1)[0]
    return b"\0" not in head and max(map(len, head.split(b"\r\n"))) <= 998


def made_up(rng):
    """A message with what tends to be damaged: dots, 8-bit octets, long lines, blanks at line ends."""
    lines = [b"Received: from a.example by b.example; Mon, 06 Jan 2025 10:00:00 +0000",
             b"From: A <a@sender.test>", b"To: b@gate.test", b"Subject: number %d" % rng.randrange(10**9),
             b"X-Folded: one\r\n\ttwo\r\n  three", b"MIME-Version: 1.0", b"Content-Type: text/plain", b""]
    kinds = [b".", b"..", b".x", b"", b" ", b"blank at the end ", b"\xc3\xa4\xff\xfe", b"x" * 990, b"From here", b"\t"]
    lines += [rng.choice(kinds) + b" %d" % rng.randrange(100) if rng.random() < 0.6 else rng.choice(kinds)
              for _ in range(rng.randrange(1, 400))]
    return b"\r\n".join(lines) + b"\r\n"


FIELD = re.compile(rb"[!-9;-~]+[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


def fields(message):
    """The header fields at the start of `message`, each with its continuation lines, and what follows them."""
    found, at = [], 0
    while match := FIELD.match(message, at):
        found.append(match.group())
        at = match.end()
    return found, message[at:]


def name_of(field):
    return field.split(b":", 1)[0].strip().lower()
