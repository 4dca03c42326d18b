"""A raw SMTP client: sends the octets that it is told to send, reads replies strictly."""
import re
import socket
import ssl


class Gone(Exception):
    """The server closed the connection, reset it, or said nothing in time."""


class Reply:
    """One reply, possibly of several lines."""

    def __init__(self, lines):
        self.lines = lines
        self.code = lines[0][:3]

    @property
    def text(self):
        return "\n".join(line[4:] for line in self.lines)

    def __repr__(self):
        return " / ".join(self.lines)[:400]


class Client:
    """One session. `source` is the loopback address to connect from."""

    def __init__(self, address, source=None, timeout=60.0):
        self.sock = socket.socket()
        self.buffer = b""
        self.extensions = {}
        self.sock.settimeout(timeout)
        if source:
            self.sock.bind((source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock.connect(address)
        except OSError as error:
            self.sock.close()
            raise Gone(f"connect: {error}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, octets):
        if isinstance(octets, str):
            octets = octets.encode()
        try:
            self.sock.sendall(octets)
        except OSError as error:
            raise Gone(f"send: {error}") from error

    def reply(self):
        lines = []
        while True:
            while b"\n" not in self.buffer:
                try:
                    got = self.sock.recv(65536)
                except OSError as error:
                    raise Gone(f"receive: {error}") from error
                if not got:
                    raise Gone("closed")
                self.buffer += got
            line, self.buffer = self.buffer.split(b"\n", 1)
            if not re.fullmatch(rb"[2-5][0-9][0-9]([ -][^\r]*)?\r", line):
                raise AssertionError(f"not a reply line: {line[:200]!r}")
            lines.append(line[:-1].decode("utf-8", "surrogateescape"))
            if line[3:4] != b"-":
                return Reply(lines)

    def command(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def expect(self, line, code):
        """Sends `line` (None: only reads) and insists on a reply that begins with `code`."""
        reply = self.reply() if line is None else self.command(line)
        assert reply.code.startswith(code), f"{line or 'greeting'}: {reply!r}, not {code}"
        return reply

    def hello(self, name="client.example.net"):
        reply = self.expect(f"EHLO {name}", "250")
        self.extensions = {words[0].upper(): words[1:] for words in (line[4:].split() for line in reply.lines[1:])}
        return reply

    def starttls(self):
        """STARTTLS and the handshake, without looking at the certificate; EHLO is the caller's."""
        self.expect("STARTTLS", "220")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            self.sock = context.wrap_socket(self.sock)
        except OSError as error:
            raise Gone(f"TLS: {error}") from error

    def peer_certificate(self):
        """The server's certificate, DER."""
        return self.sock.getpeercert(binary_form=True)

    def data(self, message):
        """DATA, the message, the final dot; returns the reply to the dot, or to a refused DATA."""
        reply = self.command("DATA")
        if not reply.code.startswith("3"):
            return reply
        self.send(stuffed(message) + b".\r\n")
        return self.reply()

    def bdat(self, message, chunk=30000):
        """The message in chunks of `chunk` octets; returns the reply to the last one."""
        while True:
            part, message = message[:chunk], message[chunk:]
            last = b" LAST" if not message else b""
            self.send(b"BDAT %d%s\r\n" % (len(part), last) + part)
            reply = self.reply()
            if last or not reply.code.startswith("2"):
                return reply

    def quit(self):
        self.expect("QUIT", "221")
        self.close()


def stuffed(message):
    """`message` with transparency applied (RFC 5321 4.5.2)."""
    return re.sub(rb"\r\n\.", b"\r\n..", b"\r\n" + message)[2:]


def crlf(message):
    """`message` with every line end made CRLF, one at the end included."""
    message = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return message if message.endswith(b"\r\n") else message + b"\r\n"
