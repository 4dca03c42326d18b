"""A DNS server on loopback: A records from a table, others beside it, NXDOMAIN for every other name."""
import socket
import struct
import threading

KINDS = {"A": 1, "MX": 15, "TXT": 16, "TLSA": 52}


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def data(kind, value):
    """The data of one record: an address; (preference, name); text; (usage, selector, matching type, octets)."""
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "MX":
        return struct.pack(">H", value[0]) + wire(value[1])
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return bytes(value[:3]) + value[3]


class Names:
    """Answers on `address` until `stop`. `table` maps lower-case names to IPv4 addresses, `more` to lists of (type, value).
    Types in `failing` are answered with SERVFAIL. `vouches`: DNSSEC was validated, it says."""

    def __init__(self, table=None, more=None, failing=(), vouches=False):
        self.table, self.more, self.failing, self.vouches = table or {}, more or {}, failing, vouches
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "%s:%d" % self.sock.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self):
        self.sock.close()

    def _serve(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(4096)
                self.sock.sendto(self._answer(query), peer)
            except OSError:
                return
            except (IndexError, struct.error):
                continue

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        question, name = query[12:at + 5], ".".join(labels)
        known = self.more.get(name, [])
        found = self.table.get(name)
        if found:
            known = [("A", found), *known]
        records = [data(of, value) for of, value in known if KINDS[of] == kind]
        code = 2 if kind in {KINDS[of] for of in self.failing} else 0 if known else 3
        flags = 0x8580 | (0x20 if self.vouches else 0) | code
        answers = [] if code else [b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(each)) + each for each in records]
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 0, 0) + question + b"".join(answers)
