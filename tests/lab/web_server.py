"""What guests reach on the host: a server of files made from a seed, with ranges (for `wget -c`) and a speed limit in the
path, and one for names."""

import dataclasses
import hashlib
import http.server
import random
import socketserver
import struct
import threading
import time

GATEWAY = "10.0.2.2"  # the host, as libslirp's guests see it
SIZES = {"small": 1 << 20, "large": 6 << 20}


@dataclasses.dataclass(eq=False)
class Transfer:
    size: int
    sent: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that http.server looks for
        name, _, speed = self.path.strip("/").partition("/")
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        first = 0
        if (wanted := self.headers.get("Range", "")).startswith("bytes="):
            first = min(int(wanted[6:].split("-")[0]), len(content))
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        step = int(speed) // 10 if speed else len(content)
        transfer = Transfer(len(content) - first)
        if speed:
            self.server.latest = transfer
        try:
            for offset in range(first, len(content), max(step, 1)):
                transfer.sent += self.wfile.write(content[offset:offset + step])
                if speed:
                    time.sleep(0.1)
        except OSError:
            pass  # the guest went away

    def log_message(self, *_) -> None:
        pass


class WebServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.latest: Transfer | None = None  # of those with a limit of speed
        self.files = {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self, name: str, speed: int | None = None) -> str:
        """What the guest fetches; speed in bytes per second."""
        return f"http://{GATEWAY}:{self.server_address[1]}/{name}" + (f"/{speed}" if speed else "")

    def checksum(self, name: str) -> str:
        return hashlib.sha256(self.files[name]).hexdigest()


class NameServer(socketserver.ThreadingUDPServer):
    """Knows one name (RFC 1035, 4 "Messages")."""

    NAME, ADDRESS = "lab.chronovisor.example", "192.0.2.7"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 53), self.Answer)
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, socket = self.request
            end = query.index(b"\0", 12)  # of the name asked for
            name = b"".join(bytes([len(label)]) + label.encode() for label in NameServer.NAME.split("."))
            of_type_a = query[end + 1:end + 5] == b"\0\1\0\1"
            known = query[12:end].lower() == name
            answers, no_such_name = int(known and of_type_a), 3
            header = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else no_such_name), 1, answers, 0, 0)
            address = bytes(int(part) for part in NameServer.ADDRESS.split("."))
            record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + address
            socket.sendto(header + query[12:end + 5] + record * answers, self.client_address)
