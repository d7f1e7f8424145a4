"""Runs commands of the master on this worker, where others use ssh: `serve ADDRESS PORT` on workers, and on the master
`call ADDRESSES PORT HOST COMMAND…`, whose words reach a shell there as they do with ssh. ADDRESSES is a file of lines
`HOST ADDRESS`. Both sides know REMOTE_SECRET; it never travels: a command is taken with a digest of it and of a number that is
used once."""

import hashlib
import hmac
import json
import os
import secrets
import socket
import subprocess
import sys
import threading

SECRET = os.environ.get("REMOTE_SECRET", "").encode()
LINE_MAX = 1 << 20


def digest(nonce, command):
    return hmac.new(SECRET, json.dumps([nonce, command]).encode(), hashlib.sha256).hexdigest()


def read(file):
    line = file.readline(LINE_MAX)
    if not line.endswith(b"\n"):
        raise ConnectionError("the other side has gone")
    return json.loads(line)


def write(file, value):
    file.write(json.dumps(value).encode() + b"\n")
    file.flush()


def attend(connection):
    with connection, connection.makefile("rwb") as file:
        connection.settimeout(30)
        nonce = secrets.token_hex(16)
        write(file, {"nonce": nonce})
        asked = read(file)
        command = asked.get("command")
        if not isinstance(command, str) or not hmac.compare_digest(digest(nonce, command), str(asked.get("digest"))):
            return write(file, {"exit": 77})
        connection.settimeout(None)
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for line in process.stdout:
            write(file, {"out": line.decode(errors="replace")})
        write(file, {"exit": process.wait()})


def serve(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, int(port)), family=family) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=quietly, args=(connection,), daemon=True).start()


def quietly(connection):
    try:
        attend(connection)
    except (OSError, ValueError):
        pass


def call(addresses, port, host, *words):
    with open(addresses) as lines:
        known = dict(line.split() for line in lines)
    if host not in known:
        sys.exit(f"there is no worker {host} among {', '.join(known)}")
    command = " ".join(words)
    with socket.create_connection((known[host], int(port)), timeout=30) as connection, connection.makefile("rwb") as file:
        nonce = read(file)["nonce"]
        write(file, {"command": command, "digest": digest(nonce, command)})
        connection.settimeout(None)
        while True:
            told = read(file)
            if "exit" in told:
                return told["exit"]
            print(told["out"], end="", flush=True)


if __name__ == "__main__":
    if not SECRET:
        sys.exit("REMOTE_SECRET is not set")
    sys.exit({"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:]))
