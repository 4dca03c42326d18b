#!/usr/bin/env python3
"""Campaigns among honest mail, over real SMTP: after how many copies each is caught, and that nobody else is.

    campaigns.py [--campaigns N | --all] [--copies N] [--seed S]

Texts of real spam, each mutated anew in every copy, come from as many networks as there are copies, by PROXY v2, in
between newsletters (one domain each, which SPF authenticates), other ham (everybody for himself, unauthenticated),
forwarded newsletters, bounces, login codes and receipts. Needs the mail corpus and the DNS fixture.
"""
import argparse
import base64
import collections
import email
import email.policy
import ipaddress
import json
import lzma
import random
import re
import statistics
import struct
import sys
import tarfile

import verdicts
from client import Client, crlf
from gate import ROOT, Directory, Gatepost, free_port, settings
from kit import SHARED, dns_fixture
from sink import Sink

CORPUS = SHARED / "corpus"
CAUGHT = {"CAMPAIGN", "CAMPAIGN_CONDEMNED"}
# Different words that a text has at least to be strong evidence, with some to lose by mutation; and a short one.
LONG, SHORT = 90, 30
NAMES = "Anna Bert Carla David Elena Frank Greta Hugo Irene Jonas Karin Lukas Maria Nils Olga Peter".split()
LOOKALIKES = str.maketrans("aceopxyi", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456")
LOGIN_CODE = """Hello {name},

your {service} verification code is {code}. It expires in 10 minutes.
If you did not ask for it, ignore this message.
"""
RECEIPT = """Thank you for your order, {name}!

Order number: {code}
Date: {day}.11.2026
Item: {item}
Quantity: {number}
Total: {price} EUR
Paid with card ending in {card}

Track it at https://{domain}/orders/{code}
"""
PASSWORD_RESET = """Someone has requested a password reset for the following account:

Site Name: {service}
Username: {name}

If this was a mistake, ignore this email and nothing will happen.
To reset your password, visit the following address:
https://{domain}/wp-login.php?action=rp&key={code}&login={name}

This password reset request originated from the IP address 192.0.2.{number}.
"""
BOUNCE = """This is the mail system at host {domain}.

I'm sorry to have to inform you that your message could not be delivered to one or more recipients. It's attached
below. For further assistance, please send mail to postmaster. If you do so, please include this problem report. You
can delete your own text from the attached returned message. The mail system

<{name}@{domain}>: host mx.{domain} said: 550 5.1.1 user unknown (in reply to RCPT TO command)
"""


class Mail:
    """One message: to which sort and series it belongs, and where it comes from."""

    def __init__(self, sort, series, client, sender, message):
        self.sort, self.series, self.client, self.sender, self.message = sort, series, client, sender, message


class Stage:
    def __init__(self, zone, fixture):
        self.dns = fixture(zone).start()
        self.place = Directory()
        self.directory = self.place.__enter__()
        rules = self.directory / "rules"
        rules.mkdir()
        shipped = (ROOT / "rules" / "weights.toml").read_text()
        weights = re.findall(r"^(?:BULK|CAMPAIGN|SPF)[A-Z_]* = .*$", shipped, re.M)
        (rules / "weights.toml").write_text("[weights]\n" + "\n".join(weights) + "\n")
        (rules / "lists.toml").write_text("")
        # Everything is forwarded: what would have become of it is not the question here.
        (rules / "policy.toml").write_text("tag = 5.0\n")
        (rules / "bulk.toml").write_text((ROOT / "rules" / "bulk.toml").read_text())
        self.sink = Sink().start()
        self.listen = free_port()
        config = settings(
            f"127.0.0.1:{self.listen}", self.sink.address, f"127.0.0.1:{self.dns.port}",
            listener={"proxy_protocol": True, "proxy_networks": ["127.0.0.0/8"]}, checks={"enabled": True},
            rules={"directory": "rules"}, store={"path": str(self.directory / "gatepost.redb")})
        self.gate = Gatepost(self.directory, config, self.listen).start()

    def stop(self):
        self.gate.kill()
        self.sink.stop()
        self.dns.stop()
        self.place.__exit__()

    def send(self, mail):
        """The symbols that were found."""
        source = ipaddress.ip_address(mail.client).packed
        with Client(self.gate.address, timeout=60) as session:
            session.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", 12) + source + b"\x7f\0\0\1"
                         + struct.pack(">HH", 4321, 25))
            session.expect(None, "220")
            session.hello("mail." + (mail.sender.split("@")[-1] or "client.test"))
            session.expect(f"MAIL FROM:<{mail.sender}>", "250")
            session.expect("RCPT TO:<bob@gate.test>", "250")
            reply = session.data(mail.message)
            assert reply.code == "250", f"{mail.series}: {reply!r}"
        head = self.sink.stored.pop().data.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace")
        status = re.search(r"(?ms)^X-Spam-Status:(.*?)^(?=\S)", head)
        return set(re.findall(r"[A-Z][A-Z0-9_]{3,}", status.group(1) if status else ""))


class Writer:
    """Makes mail, the same for the same seed."""

    def __init__(self, rng, vocabulary):
        self.rng, self.vocabulary, self.zone, self.serial = rng, vocabulary, {}, 0
        self.networks = set()

    def client(self):
        """An address in a network that nobody has."""
        while True:
            network = (self.rng.choice([5, 23, 46, 62, 77, 81, 91, 109, 146, 178, 185, 193, 212]),
                       self.rng.randrange(256), self.rng.randrange(256))
            if network not in self.networks:
                self.networks.add(network)
                return "%d.%d.%d.%d" % (*network, self.rng.randrange(1, 255))

    def domain(self, kind, clients=()):
        """A name that nobody has; SPF authenticates it for `clients`, if there are any."""
        self.serial += 1
        name = f"{kind}{self.serial}.test"
        if clients:
            allowed = " ".join(f"ip4:{client}" for client in clients)
            self.zone[name] = [{"TXT": f"v=spf1 {allowed} -all"}, {"A": clients[0]}]
        return name

    def code(self):
        return self.rng.randrange(100000, 999999)

    def head(self, sender, subject, more=()):
        self.serial += 1
        lines = [f"From: <{sender}>", "To: <bob@gate.test>", f"Subject: {subject}", "Date: Sat, 21 Nov 2026 10:00:00 +0000",
                 f"Message-ID: <{self.serial}@{sender.split('@')[-1]}>", "MIME-Version: 1.0", *more]
        return "\r\n".join(lines).encode() + b"\r\n"

    def text(self, sender, subject, text, html=False, more=()):
        """A message of a text."""
        if html:
            lines = "".join(f"<p>{escaped(line)}</p>\n" for line in text.splitlines() if line.strip())
            text = f"<html><body><div style='font-family:x{self.code()}'>{lines}</div></body></html>"
        kind = "html" if html else "plain"
        body = base64.encodebytes(text.encode("utf-8", "replace"))
        return crlf(self.head(sender, subject, more) + b"Content-Type: text/%s; charset=utf-8\r\n" % kind.encode()
                    + b"Content-Transfer-Encoding: base64\r\n\r\n" + body)

    def real(self, raw, sender, more=()):
        """A real message under another name: its content, and none of its trace."""
        raw = crlf(raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        fields = re.findall(rb"(?ims)^((?:content-[a-z-]+|subject):.*?\r\n)(?=\S|\Z)", head + b"\r\n")
        head = self.head(sender, "x", more).replace(b"Subject: x\r\n", b"")
        return crlf(head.replace(b"MIME-Version: 1.0\r\n", b"") + b"MIME-Version: 1.0\r\n" + b"".join(fields)
                    + b"\r\n" + body)

    def mutated(self, text):
        """Two kinds of mutation, and what is personal."""
        text = re.sub(r"(?:https?://|www\.)\S+", lambda _: f"http://{self.domain('link')}/{self.code()}", text)
        kinds = [self.swap, self.insert, self.typos, self.homoglyphs, self.zero_width, self.spacing, self.reorder,
                 self.poison, self.delete]
        for mutate in self.rng.sample(kinds, 2):
            text = mutate(text, self.rng.choice([0.05, 0.1, 0.2]))
        return f"Dear {self.rng.choice(NAMES)},\n\n{text}\n\n{self.code()}\n"

    def words(self, text, share, change):
        parts = re.split(r"(\s+)", text)
        return "".join(change(part) if part.strip() and self.rng.random() < share else part for part in parts)

    def word(self):
        return self.rng.choice(self.vocabulary)

    def swap(self, text, share):
        return self.words(text, share, lambda _: self.word())

    def insert(self, text, share):
        return self.words(text, share, lambda word: f"{word} {self.word()}")

    def delete(self, text, share):
        return self.words(text, share, lambda _: "")

    def typos(self, text, share):
        def typo(word):
            at = self.rng.randrange(len(word))
            return word[:at] + self.rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1:]
        return self.words(text, share, typo)

    def homoglyphs(self, text, share):
        return self.words(text, share, lambda word: word.translate(LOOKALIKES))

    def zero_width(self, text, share):
        return self.words(text, share, lambda word: "\u200b".join(word))

    def spacing(self, text, share):
        return self.words(text, share / 2, " ".join)

    def reorder(self, text, _share):
        sentences = re.split(r"(?<=[.!?])\s+", text)
        cut = self.rng.randrange(len(sentences))
        return " ".join(sentences[cut:] + sentences[:cut])

    def poison(self, text, share):
        more = " ".join(self.word() for _ in range(int(len(text.split()) * share * 2)))
        return f"{more}\n{text}" if self.rng.random() < 0.5 else f"{text}\n{more}"


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def archive(name):
    """Raw messages of a class, by name."""
    with tarfile.open(CORPUS / f"{name}.tar.xz") as tar:
        for member in tar:
            if member.isfile():
                yield tar.extractfile(member).read()


def texts():
    """Texts of spam by id, long and short; and words of ham."""
    spam, short, vocabulary = {}, {}, collections.Counter()
    with lzma.open(CORPUS / "near-duplicates" / "messages.jsonl.xz", "rt") as lines:
        for message in map(json.loads, lines):
            text = message["text"][:6000]
            different = len({word for word in re.findall(r"[^\W\d_]{2,}", text.lower())})
            if message["id"].startswith("ham"):
                vocabulary.update(re.findall(r"\b[a-z]{4,9}\b", text))
            elif message["id"].startswith("spam") and different >= LONG:
                spam[message["id"]] = text
            elif message["id"].startswith("spam") and SHORT <= different < 50:
                short[message["id"]] = text
    return spam, short, [word for word, _ in vocabulary.most_common(4000)]


def unlike(known, rng, number):
    """So many ids, no two of which belong to one real campaign."""
    leader = {}

    def find(name):
        while leader.get(name, name) != name:
            name = leader[name]
        return name

    for line in (CORPUS / "near-duplicates" / "pairs.jsonl").read_text().splitlines():
        pair = json.loads(line)
        if pair["same"] and not pair["b"].startswith("gen"):
            leader[find(pair["a"])] = find(pair["b"])
    names = sorted({find(name): name for name in sorted(known)}.values())
    rng.shuffle(names)
    return names[:number]


def campaigns(writer, options):
    spam, short, _ = options.texts
    for sort, known, number in [("campaign", spam, options.campaigns), ("short campaign", short, options.campaigns // 6)]:
        for name in unlike(known, writer.rng, number):
            for _ in range(options.copies):
                sender = f"{writer.rng.choice(NAMES).lower()}@{writer.domain('host')}"
                message = writer.text(sender, f"Re {writer.code()}", writer.mutated(known[name]), writer.rng.random() < 0.5)
                yield Mail(sort, name, writer.client(), sender, message)


def newsletters(writer, options):
    """Real newsletters and HTML mail, each from one authenticated domain; some of the copies through forwarders."""
    raw = list(archive("ham-newsletter")) + list(archive("ham-sa-hard"))
    number = max(8, options.campaigns // 2)
    for serial, message in enumerate(writer.rng.sample(raw, min(number, len(raw)))):
        clients = [writer.client() for _ in range(3)]
        domain = writer.domain("shop", clients)
        more = ["List-Unsubscribe: <https://%s/u>" % domain, "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
        for _ in range(options.copies + 4):
            sender = f"bounce-{writer.code()}@{domain}"
            mail = writer.real(message, f"news@{domain}", more)
            yield Mail("newsletter", serial, writer.rng.choice(clients), sender, mail)


def ham(writer, options):
    """Ham, everybody for himself."""
    number = options.campaigns * 8
    raw = [message for name in ("ham-list", "ham-sa-easy", "ham-csdmc") for message in archive(name)]
    for serial, message in enumerate(writer.rng.sample(raw, min(number, len(raw)))):
        sender = f"{writer.rng.choice(NAMES).lower()}@{writer.domain('person')}"
        yield Mail("ham", serial, writer.client(), sender, writer.real(message, sender))


def templates(writer, options):
    """Login codes and receipts, authenticated and not; what programs write that many sites use; bounces."""
    copies = options.copies * 3
    for sort, template, is_one_site, is_authenticated in [
        ("login code", LOGIN_CODE, True, True), ("login code", LOGIN_CODE, True, False),
        ("login code", LOGIN_CODE, False, False), ("receipt", RECEIPT, True, True), ("receipt", RECEIPT, False, False),
        ("password reset", PASSWORD_RESET, False, False), ("bounce", BOUNCE, False, False),
    ]:
        clients = [writer.client() for _ in range(4)]
        one = writer.domain("service", clients if is_authenticated else ())
        for _ in range(copies):
            domain = one if is_one_site else writer.domain("site")
            client = writer.rng.choice(clients) if is_one_site else writer.client()
            text = template.format(
                name=writer.rng.choice(NAMES), service=domain.split(".")[0] if not is_one_site else "Example",
                code=writer.code(), day=writer.rng.randrange(1, 29), item=writer.word(), domain=domain,
                number=writer.rng.randrange(1, 200), price=writer.rng.randrange(900), card=writer.code() % 10000)
            sender = f"noreply@{domain}"
            message = writer.text(sender, "Your code", text)
            series = f"{template.split()[0]} {'one site' if is_one_site else 'many sites'}, " \
                     f"{'authenticated' if is_authenticated else 'unauthenticated'}"
            yield Mail(sort, series, client, "" if sort == "bounce" else sender, message)


def interleaved(series, rng):
    """All mail in one order in which each series keeps its own."""
    order = [name for name, mail in series.items() for _ in mail]
    rng.shuffle(order)
    left = {name: iter(mail) for name, mail in series.items()}
    return [next(left[name]) for name in order]


def replay(options, fixture):
    rng = random.Random(options.seed)
    writer = Writer(rng, options.texts[2])
    series = collections.defaultdict(list)
    for make in (campaigns, newsletters, ham, templates):
        for mail in make(writer, options):
            series[mail.sort, mail.series].append(mail)
    stage = Stage(writer.zone, fixture)
    found = collections.defaultdict(list)
    try:
        for mail in interleaved(series, rng):
            found[mail.sort, mail.series].append(stage.send(mail))
        assert stage.gate.running() and "panic" not in stage.gate.log.read_text(errors="replace"), stage.gate.tail()
    finally:
        stage.stop()
    return found


def caught_at(copies):
    """The number of the first copy that is caught."""
    return next((number for number, symbols in enumerate(copies, 1) if symbols & CAUGHT), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=15)
    parser.add_argument("--all", action="store_true", help="every text of spam that is long enough")
    parser.add_argument("--copies", type=int, default=12, help="of each campaign")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    fixture = dns_fixture(CORPUS / "near-duplicates" / "messages.jsonl.xz")
    options.texts = texts()
    if options.all:
        options.campaigns = len(options.texts[0])
    found = {}

    def of(sort):
        return {series: copies for (kind, series), copies in found.items() if kind == sort}

    def a_campaign_is_caught_by_the_fifth_copy():
        """half of the campaigns are caught by the fifth mutated copy, nine in ten by the last"""
        found.update(replay(options, fixture))
        numbers = {name: caught_at(copies) for name, copies in of("campaign").items()}
        caught = sorted(number for number in numbers.values() if number)
        spread = collections.Counter(caught)
        told = ", ".join(f"{count} at copy {number}" for number, count in sorted(spread.items()))
        never = [name for name, number in numbers.items() if not number]
        after = sum(bool(symbols & CAUGHT) for copies in of("campaign").values() for symbols in copies[5:])
        behind = sum(len(copies[5:]) for copies in of("campaign").values())
        note = f"{len(numbers)} campaigns of {options.copies} copies: {told}; never: {len(never)} {never[:5]}\n" \
               f"of the copies behind the fifth {100 * after / max(behind, 1):.1f} % are caught"
        median = statistics.median([number or options.copies + 1 for number in numbers.values()])
        assert median <= 5 and len(caught) >= 0.9 * len(numbers), f"median {median}\n{note}"
        return note

    def nobody_else_is():
        """no newsletter, no other ham, no login code, no receipt and no bounce is called a campaign"""
        notes = []
        for sort in ("newsletter", "ham", "login code", "receipt", "password reset", "bounce"):
            copies = [(series, symbols) for series, all_of in of(sort).items() for symbols in all_of]
            accused = [series for series, symbols in copies if symbols & CAUGHT]
            assert copies and not accused, f"{sort}: {len(accused)} of {len(copies)}: {accused[:5]}"
            notes.append(f"{sort}: {len(copies)}")
        return ", ".join(notes)

    def newsletters_are_legitimate_bulk():
        """newsletters of one authenticated domain are found to be legitimate bulk mail"""
        last = [copies[-1] for copies in of("newsletter").values()]
        legitimate = sum("BULK_LEGITIMATE" in symbols for symbols in last)
        assert legitimate >= 0.8 * len(last), f"{legitimate} of {len(last)}"
        return f"{legitimate} of {len(last)}"

    def short_texts_are_said_to_be_so():
        """what becomes of short texts, which are weak evidence, is reported"""
        numbers = [caught_at(copies) for copies in of("short campaign").values()]
        return f"{sum(bool(number) for number in numbers)} of {len(numbers)} caught within {options.copies} copies"

    return verdicts.run("campaigns", [a_campaign_is_caught_by_the_fifth_copy, nobody_else_is,
                                      newsletters_are_legitimate_bulk, short_texts_are_said_to_be_so])


if __name__ == "__main__":
    sys.exit(main())
