"""The page of an engine, with WebSockets. Nobody on the way looks into them: what goes through is not framed.

`/echo` says what it was asked with and repeats what comes, `/flood` never ends, `/bye` ends by itself; `/open` is how many
of them are open.
"""

import base64
import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    open = 0

    def do_GET(self):
        sockets = {"/echo": self.echo, "/flood": self.flood, "/bye": self.bye}
        if self.headers.get("Upgrade") != "websocket":
            self.answer(200, str(Page.open))
        elif self.path in sockets:
            self.socket(sockets[self.path])
        else:
            self.answer(404, "no socket")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def socket(self, talk):
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + MAGIC).encode()).digest()
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.send_header("Set-Cookie", "a=b")
        self.end_headers()
        self.close_connection = True
        self.count(1)
        try:
            talk()
        except OSError:
            pass
        self.count(-1)

    def count(self, more):
        with Page.lock:
            Page.open += more

    def echo(self):
        said = [self.headers.get(name, "none") for name in ("Host", "Origin", "Cookie", "Authorization")]
        self.wfile.write((" ".join(said) + "\n").encode())
        while piece := self.connection.recv(65536):
            self.wfile.write(piece)

    def flood(self):
        while True:
            self.wfile.write(b"x" * 65536)

    def bye(self):
        self.wfile.write(b"bye")


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Page).serve_forever()
