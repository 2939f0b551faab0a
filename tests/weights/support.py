"""A file server with manners good and bad, and small helpers of the weights tests."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mmbench.weights import fetch as fetching
from mmbench.weights import locations
from mmbench.weights.weight import Weight

BODY = hashlib.shake_256(b"weights").digest(1_500_000)
SHA = hashlib.sha256(BODY).hexdigest()
Known = Callable[..., Weight]


class Server(ThreadingHTTPServer):
    """Serves `body` under any path; `mode` and `deaths` say how badly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.mode, self.deaths = BODY, "range", 0
        self.ranges: list[str | None] = []
        self.sent = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is not news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.ranges.append(asked)
        if server.mode == "missing":
            return self.send_error(404)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file.bin")
            return self.end_headers()
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.mode != "plain" else 0
        if start >= len(server.body) and asked:
            return self.send_error(416)
        data = server.body[0 if server.mode == "confused" else start :]
        self.send_response(206 if asked and server.mode != "plain" else 200)
        if asked and server.mode != "plain":
            first = len(server.body) - len(data)
            self.send_header("Content-Range", f"bytes {first}-{len(server.body) - 1}/{len(server.body)}")
        if server.mode != "no length":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if server.deaths:
            server.deaths -= 1
            data = data[: len(data) // 2]
        server.sent += len(data)
        self.wfile.write(data)
        return None


class HubServer(ThreadingHTTPServer):
    """As much of the hub's protocol as its client asks for, for one repository, owner/repo, at one commit."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.commit = "a" * 40
        self.files = {"unet/net.bin": b"tensors", "config.json": b"{}", "README.md": b"about", "net.ckpt": BODY}
        self.asked: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: HubServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        server = self.server
        server.asked.append(self.path)
        commit, files, path = server.commit, server.files, self.path.partition("?")[0]
        if "/resolve/" in path:
            revision, _, name = path.partition("/resolve/")[2].partition("/")
            data = files[name] if revision in ("main", commit) else b""
        elif "/tree/" in path:
            entries = [{"type": "file", "path": f, "size": len(d), "oid": "x"} for f, d in files.items()]
            data = json.dumps(entries).encode()
        else:
            siblings = [{"rfilename": f} for f in files]
            data = json.dumps({"id": "owner/repo", "sha": commit, "siblings": siblings}).encode()
        self.send_response(200 if data else 404)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        for key, value in (headers | ({} if data else {"X-Error-Code": "RevisionNotFound"})).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer requests in a thread."""
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield
        server.shutdown()


def fetch(name: str = "net", **options: Any) -> Path:
    return fetching.fetch(name, quiet=True, **options)


def folder() -> Path:
    path = locations.home() / "weights"
    path.mkdir(parents=True, exist_ok=True)
    return path


def put(path: Path, data: bytes = BODY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir() if p.suffix != ".lock"}
