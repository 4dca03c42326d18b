#!/usr/bin/env python3
"""A backend that stores what it accepts, octet for octet, and can be stopped at any step.

In process: `Sink().start()`, then `stored`. As a program (`sink.py --port N --journal FILE`), so that it
can be killed: every message is in the journal before its 250 leaves, as a JSON line `stored`; a line
`told` follows just before the reply is written.

A hook sees every step before the reply to it is written: connect helo mail rcpt data body dot kept told.
`dot` is before the message is stored, `kept` after that and before the reply, `told` after the reply; `body`
comes with the number of octets so far, every few thousand.
"""
import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time

EXTENSIONS = ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN", "SIZE 52428800"]


class Stored:
    """One accepted message."""

    def __init__(self, session, data):
        self.reverse_path, self.recipients = session.reverse_path, list(session.recipients)
        self.helo, self.xclient, self.data = session.helo, list(session.xclient), data


class Session:
    """One connection from a client."""

    def __init__(self, sink, reader, writer):
        self.sink, self.reader, self.writer = sink, reader, writer
        self.buffer = b""
        self.helo, self.xclient = None, []
        self.reset()

    def reset(self):
        self.reverse_path, self.recipients, self.chunks = None, [], b""

    async def fill(self):
        got = await self.reader.read(self.sink.piece)
        if not got:
            raise ConnectionError("closed")
        self.buffer += got

    async def step(self, name, octets=0):
        if self.sink.hook:
            outcome = self.sink.hook(name, self, octets)
            if asyncio.iscoroutine(outcome):
                await outcome

    async def say(self, *lines):
        code = lines[0][:3]
        text = [code + "-" + line[4:] for line in lines[:-1]] + [code + " " + lines[-1][4:]]
        self.writer.write(("\r\n".join(text) + "\r\n").encode("utf-8", "surrogateescape"))
        await self.writer.drain()

    async def run(self):
        await self.step("connect")
        await self.say("220 sink.test ESMTP" if not self.sink.lmtp else "220 sink.test LMTP")
        while True:
            while b"\r\n" not in self.buffer:
                await self.fill()
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            self.sink.commands.append(line)
            text = line.decode("utf-8", "surrogateescape")
            verb = text.split(" ")[0].upper()
            if verb == "QUIT":
                await self.say("221 2.0.0 bye")
                return
            await getattr(self, "on_" + verb.lower(), self.on_unknown)(text[len(verb):].strip())

    async def on_unknown(self, _argument):
        await self.say("500 5.5.2 what?")

    async def on_ehlo(self, argument):
        self.helo = argument
        self.reset()
        await self.step("helo")
        await self.say(*["250 " + line for line in ["sink.test"] + self.sink.extensions])

    on_lhlo = on_helo = on_ehlo

    async def on_xclient(self, argument):
        self.xclient.append(argument)
        await self.say("220 sink.test ESMTP")

    async def on_noop(self, _argument):
        await self.say("250 2.0.0 ok")

    async def on_rset(self, _argument):
        self.reset()
        await self.say("250 2.0.0 ok")

    async def on_mail(self, argument):
        self.reset()
        self.reverse_path = path(argument)
        await self.step("mail")
        await self.say("250 2.1.0 ok")

    async def on_rcpt(self, argument):
        recipient = path(argument)
        await self.step("rcpt")
        refusal = self.sink.refusals.get(recipient.lower())
        if refusal:
            await self.say(refusal)
            return
        self.recipients.append(recipient)
        await self.say("250 2.1.5 ok")

    async def on_data(self, _argument):
        if not self.recipients:
            await self.say("503 5.5.1 no recipient")
            return
        await self.step("data")
        await self.say("354 go on")
        start, message = 0, None
        held = bytearray(b"\r\n")
        while message is None:
            held += self.buffer
            self.buffer = b""
            end = held.find(b"\r\n.\r\n", max(0, start - 5))
            start = len(held)
            if end >= 0:
                message = bytes(held[2:end + 2]) if end else b""
                self.buffer = bytes(held[end + 5:])
            else:
                await self.step("body", len(held) - 2)
                await self.fill()
        await self.accept(re.sub(rb"\r\n\.", b"\r\n", b"\r\n" + message)[2:])

    async def on_bdat(self, argument):
        words = argument.split()
        left = int(words[0])
        while left:
            if not self.buffer:
                await self.step("body", len(self.chunks))
                await self.fill()
            part, self.buffer = self.buffer[:left], self.buffer[left:]
            self.chunks += part
            left -= len(part)
        if not self.recipients:
            await self.say("503 5.5.1 no recipient")
        elif words[1:]:
            await self.accept(self.chunks)
        else:
            await self.say("250 2.0.0 more")

    async def accept(self, data):
        await self.step("dot")
        replies = len(self.recipients) if self.sink.lmtp else 1
        self.sink.keep(Stored(self, data))
        await self.step("kept")
        self.sink.note("told", self.reverse_path)
        for _ in range(replies):
            await self.say("250 2.0.0 stored")
        await self.step("told")
        self.reset()


def path(argument):
    """`FROM:<a@b> SIZE=1` -> `a@b`; everything up to the last `>` that stands before a parameter."""
    found = re.match(r'(?i)(?:from|to):\s*<((?:"(?:\\.|[^"\\])*"|[^>"])*)>', argument)
    return found.group(1) if found else argument


class Sink:
    """The server. `refusals` maps a recipient to the reply that it gets."""

    def __init__(self, port=0, lmtp=False, hook=None, journal=None, extensions=None, refusals=None):
        self.port, self.lmtp, self.hook = port, lmtp, hook
        self.extensions = EXTENSIONS if extensions is None else extensions
        self.refusals = refusals or {}
        self.piece = 4096 if hook else 262144
        self.stored, self.commands = [], []
        self.journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if journal else None
        self.writers = set()
        self.loop = None

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def keep(self, message):
        if self.journal is None:
            self.stored.append(message)
        else:
            self.note("stored", message.reverse_path, sent=fingerprint(message.data))

    def note(self, event, reverse_path, **more):
        if self.journal is not None:
            os.write(self.journal, json.dumps({"event": event, "from": reverse_path, **more}).encode() + b"\n")

    def arrived(self, recipients, wait):
        """What every recipient has, in lists, once each of `recipients` has something; waits at most so many seconds."""
        end = time.monotonic() + wait
        while True:
            held = {}
            for message in list(self.stored):
                for recipient in message.recipients:
                    held.setdefault(recipient, []).append(message.data)
            missing = [recipient for recipient in recipients if recipient not in held]
            if not missing:
                return held
            assert time.monotonic() < end, f"{len(missing)} messages did not arrive, {missing[:5]} among them"
            time.sleep(0.1)

    async def serve(self):
        async def session(reader, writer):
            self.writers.add(writer)
            try:
                await Session(self, reader, writer).run()
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                self.writers.discard(writer)
                writer.close()

        server = await asyncio.start_server(session, "127.0.0.1", self.port, limit=1 << 20, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def start(self):
        """Serves from a thread of its own."""
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = asyncio.run_coroutine_threadsafe(self.serve(), self.loop).result(10)
        return self

    def stop(self):
        """Closes the listener and cuts every session."""
        def close():
            self.server.close()
            for writer in list(self.writers):
                writer.transport.abort()
        self.loop.call_soon_threadsafe(close)


def fingerprint(message):
    """Hash of what the sender sent: its messages begin with Message-ID, what stands before it was put in front."""
    return hashlib.sha256(message[max(0, message.find(b"Message-ID:")):]).hexdigest()


def kill_at(place, victim):
    """A hook that kills process `victim` with SIGKILL the first time that `STEP[:OCTETS]` is reached."""
    step, _, octets = place.partition(":")
    armed = [True]

    def hook(name, _session, seen):
        if armed and name == step and seen >= int(octets or 0):
            armed.clear()
            os.kill(victim, signal.SIGKILL)
    return hook


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--journal", required=True)
    options.add_argument("--kill-at", help="STEP or body:OCTETS")
    options.add_argument("--kill", type=int, default=os.getpid(), help="the process to kill there (default: itself)")
    options.add_argument("--no-chunking", action="store_true", help="do not offer CHUNKING: messages come by DATA")
    given = options.parse_args()
    extensions = [name for name in EXTENSIONS if not (given.no_chunking and name == "CHUNKING")]

    async def forever():
        hook = kill_at(given.kill_at, given.kill) if given.kill_at else None
        sink = Sink(given.port, journal=given.journal, hook=hook, extensions=extensions)
        server = await sink.serve()
        print("ready", flush=True)
        # Whoever started it holds the other end: it must not outlive them.
        asyncio.get_running_loop().add_reader(sys.stdin, sys.exit)
        await server.serve_forever()
    asyncio.run(forever())


if __name__ == "__main__":
    main()
