"""A client of TLS 1.3 that shakes hands for one name after the other, each with one small request.

    python shake.py PORT BASE COUNT SECONDS full|resumed

Prints how many there were. With `resumed`, each name is shaken hands with in full once, before the time begins to count, and
then resumed from its last ticket; a handshake that is not what it should be ends the program.
"""

import socket
import ssl
import sys
import time

LOOPBACK = "127.0.0.1"
REQUEST = "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
# Of names that are resumed: their sessions are kept here.
MOST_SESSIONS = 2_000


def context():
    """No certificate is looked at: that would be the client's work."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def shake(client, port, host, session):
    """One connection; its session, and whether it was resumed."""
    with socket.create_connection((LOOPBACK, port)) as raw, client.wrap_socket(raw, server_hostname=host, session=session) as secure:
        secure.sendall(REQUEST.format(host).encode())
        head = secure.recv(4096)
        if not head.startswith(b"HTTP/1.1 404"):
            raise SystemExit(f"{host} answered {head[:60]!r}")
        while secure.recv(4096):
            pass
        return secure.session, secure.session_reused


def main(port, base, count, seconds, mode):
    """Until the time is over."""
    client, sessions = context(), {}
    hosts = [f"n{at}.{base}" for at in range(count if mode == "full" else min(count, MOST_SESSIONS))]
    if mode == "resumed":
        sessions = {host: shake(client, port, host, None)[0] for host in hosts}
    print("ready", flush=True)
    sys.stdin.readline()
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        host = hosts[done % len(hosts)]
        session, was_resumed = shake(client, port, host, sessions.get(host))
        if was_resumed != (mode == "resumed"):
            raise SystemExit(f"{host} was {'' if was_resumed else 'not '}resumed")
        if mode == "resumed":
            sessions[host] = session
        done += 1
    print(done)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
