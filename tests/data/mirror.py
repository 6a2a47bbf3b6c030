"""A mirror on the loopback interface that does whatever a mirror can do, right and wrong.

It has a small data set in place of MNIST. The first part of the path asked for is the behaviour.
"""

import gzip
import hashlib
import socket
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from scratchnet.data.folder import FILES

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10
LIMIT = 100_000  # what a test makes download.MAX_PACKED


def spelled_out(array):
    """The IDX file of a uint8 array, put together by hand."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


CONTENT = {f"{name}.gz": spelled_out(IMAGES if "images" in name else LABELS) for name in FILES}
SHA256 = {name: hashlib.sha256(CONTENT[f"{name}.gz"]).hexdigest() for name in FILES}


class Mirror(BaseHTTPRequestHandler):
    """A method for each behaviour; what it is given is the right answer."""

    def do_GET(self):
        _, behaviour, name = self.path.split("/", 2)
        self.server.asked.append((behaviour, name))
        getattr(self, behaviour)(gzip.compress(CONTENT[name.rpartition("/")[2]]))

    def answer(self, body, status=200, length=..., location=None, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length is ... else length))
        if location:
            self.send_header("Location", location)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    # right

    def good(self, body):
        self.answer(body)

    def packed_again(self, body):
        self.answer(gzip.compress(gzip.decompress(body), compresslevel=1, mtime=12345))

    def without_length(self, body):
        self.answer(body, length=None)

    def in_chunks(self, body):
        self.protocol_version = "HTTP/1.1"
        pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
        self.answer(chunks, length=None, Transfer_Encoding="chunked", Connection="close")

    def called_encoded(self, body):
        """As some servers say of every .gz: the browser, not the user, should unpack it."""
        self.answer(body, Content_Encoding="x-gzip", Content_Type="application/octet-stream")

    def moved(self, body):
        self.answer(b"", 302, location="/good/" + self.path.rpartition("/")[2])

    def slow(self, body):
        """In twenty pieces, 0.15 s in all."""
        self.send_response(200)
        self.end_headers()
        size = -(-len(body) // 20)
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            time.sleep(0.0075)

    # wrong

    def forbidden(self, body):
        self.answer(b"no", 403)

    def absent(self, body):
        self.answer(b"no such file", 404)

    def broken(self, body):
        self.answer(b"oops", 500)

    def busy(self, body):
        self.answer(b"later", 503)

    def empty(self, body):
        self.answer(b"", 204)

    def web_page(self, body):
        self.answer(b"<!DOCTYPE html><html>Please log in</html>")

    def other_content(self, body):
        self.answer(gzip.compress(spelled_out(255 - IMAGES)))

    def two_members(self, body):
        self.answer(body + body)

    def packed_twice(self, body):
        self.answer(gzip.compress(body))

    def damaged(self, body):
        self.answer(body[:100] + bytes([body[100] ^ 1]) + body[101:])

    def cut_off(self, body):
        self.answer(body[:-9], length=len(body))

    def cut_off_quietly(self, body):
        self.answer(body[:-9], length=None)

    def cut_off_in_a_chunk(self, body):
        self.protocol_version = "HTTP/1.1"
        self.answer(b"1000\r\n" + body[:30], length=None, Transfer_Encoding="chunked", Connection="close")

    def hangs_up(self, body):
        self.connection.close()

    def resets(self, body):
        self.answer(body[:20], length=len(body))
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def too_long(self, body):
        comment = b"x" * LIMIT + b"\0"  # allowed in gzip's header; flag 16 announces it
        self.answer(body[:3] + b"\x10" + body[4:10] + comment + body[10:])

    def bomb(self, body):
        self.answer(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(10**7)))

    def loop(self, body):
        self.answer(b"", 302, location=self.path)

    def to_a_file(self, body):
        self.answer(b"", 302, location="file:///etc/hostname")

    def to_nowhere(self, body):
        self.answer(b"", 302, location="http://:80/")

    def silent(self, body):
        time.sleep(2)

    def drip(self, body):
        self.send_response(200)
        self.end_headers()
        for place in range(len(body)):
            self.wfile.write(body[place : place + 1])
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *_):
        pass


GOOD = ["good", "packed_again", "without_length", "in_chunks", "called_encoded", "moved", "slow"]
REASONS = {  # of the bad ones, what the user is told
    "forbidden": "403 Forbidden",
    "absent": "404 Not Found",
    "broken": "500 Internal Server Error",
    "busy": "503 Service Unavailable",
    "empty": "204 No Content",
    "web_page": "a web page instead of the file",
    "other_content": "other content, SHA-256",
    "two_members": "found more bytes",
    "packed_twice": "expected IDX",
    "damaged": "found damage",
    "cut_off": "cut off",
    "cut_off_quietly": "expected 15680 bytes of entries, found",
    "cut_off_in_a_chunk": "cut off",
    "hangs_up": "connection lost",
    "resets": "connection lost",
    "too_long": "more than 100,000 bytes",
    "bomb": "expected the end of the data",
    "loop": "redirected more than 5 times",
    "to_a_file": "redirected from http to file",
    "to_nowhere": "not an address of the web",
    "silent": "no answer in time",
    "drip": "too slow",
    "nobody": "connection refused",
    "no_tls": "no secure connection",
}


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that gives up is what these tests are about."""


@contextmanager
def serving(tls=None):
    """A running server; `server.asked` lists (behaviour, file), `server.mirror(behaviour)` is an address."""
    server = QuietServer(("127.0.0.1", 0), Mirror)
    port, server.asked = server.server_address[1], []
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"

    def mirror(behaviour):
        if behaviour == "nobody":
            return "http://127.0.0.1:1/good/"
        if behaviour == "no_tls":
            return f"https://127.0.0.1:{port}/good/"
        return f"{scheme}://127.0.0.1:{port}/{behaviour}/"

    server.mirror = mirror
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
