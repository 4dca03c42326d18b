#!/usr/bin/env python3
"""Starts unbound before a DNS server, and Gatepost behind unbound; ends when Gatepost does.

    behind_unbound.py WORK DNS_HOST DNS_PORT CONFIG PROGRAM

CONFIG asks DNS_HOST:DNS_PORT; it is rewritten to ask unbound, which forwards there.
"""
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

CONFIG = """\
server:
    directory: "{work}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    interface: 127.0.0.1@{port}
    access-control: 127.0.0.0/8 allow
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "iterator"
    num-threads: 1
    qname-minimisation: no
    unblock-lan-zones: yes
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
    local-zone: "127.in-addr.arpa." nodefault
    outbound-msg-retry: 2
    cache-min-ttl: 0
forward-zone:
    name: "."
    forward-addr: {host}@{upstream}
remote-control:
    control-enable: no
"""


def free_port():
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as streams:
            datagrams.bind(("127.0.0.1", 0))
            try:
                streams.bind(datagrams.getsockname())
            except OSError:
                continue
            return datagrams.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def main():
    work, host, upstream, config, program = sys.argv[1:]
    unbound = shutil.which("unbound") or "/usr/sbin/unbound"
    port = free_port()
    text = CONFIG.format(work=work, port=port, host=host, upstream=upstream)
    pathlib.Path(work, "unbound.conf").write_text(text)
    resolver = subprocess.Popen([unbound, "-d", "-c", f"{work}/unbound.conf"])
    try:
        end = time.monotonic() + 10
        while not listens(port):
            assert resolver.poll() is None and time.monotonic() < end, "unbound does not start"
            time.sleep(0.02)
        path = pathlib.Path(config)
        asked = f'"{host}:{upstream}"'
        assert asked in path.read_text(), f"{config} does not ask {asked}"
        path.write_text(path.read_text().replace(asked, f'"127.0.0.1:{port}"'))
        gatepost = subprocess.Popen([program, "run", "--config", config])
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, lambda number, _frame: gatepost.send_signal(number))
        return gatepost.wait()
    finally:
        resolver.kill()
        resolver.wait()


if __name__ == "__main__":
    sys.exit(main())
