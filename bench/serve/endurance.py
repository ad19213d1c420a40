#!/usr/bin/env python3
"""A long run of marrow serve: good requests, broken ones, slow clients, clients that leave, models read again meanwhile.

    bench/serve/endurance.py --model yolov8n.pt --requests 50000

Passes, with exit code 0, where every good request was answered as the first of its kind was, every bad one with a status of its own (never
5xx), memory and descriptors are at the end where they were after a fifth of the run, and the server ends by itself on SIGTERM.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SIDE = 64
GROWTH = 16 << 20  # bytes of memory
RELOADS = 40


def png(width, height, seed):
    """A picture with some structure."""
    chance = random.Random(seed)
    tones = bytes(chance.randrange(256) for _ in range(64))
    rows = b"".join(b"\0" + bytes(tones[(x // 7 + y // 5 * 3 + c) % 64] for x in range(width) for c in range(3)) for y in range(height))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def request(method, path, body=b"", *fields):
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def chunked(path, body):
    pieces = b"".join(f"{len(body[i:i + 700]):x}\r\n".encode() + body[i:i + 700] + b"\r\n" for i in range(0, len(body), 700))
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + pieces + b"0\r\n\r\n"


def kinds(name):
    """(name, bytes, status) of requests that are sent whole."""
    picture = png(150, 90, 1)
    form = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + picture + b"\r\n--B--\r\n"
    batch = b"".join(b'--B\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + png(80 + 9 * i, 70, i) + b"\r\n" for i in range(3)) + b"--B--\r\n"
    form_type = "Content-Type: multipart/form-data; boundary=B"
    shape = [1, 3, SIDE, SIDE]
    tensor = struct.pack(f"<{3 * SIDE * SIDE}f", *[(i * 37 % 256) / 255 for i in range(3 * SIDE * SIDE)])
    asked = {"inputs": [{"name": "images", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": len(tensor)}}],
             "parameters": {"binary_data_output": True}}
    text = json.dumps(asked).encode()
    numbers = json.dumps({"inputs": [{"name": "images", "datatype": "FP32", "shape": shape, "data": [0.5] * (3 * SIDE * SIDE)}]}).encode()
    infer, detect = f"/v2/models/{name}/infer", "/v1/detect"
    packed = zlib.compress(picture)
    return [
        ("picture", request("POST", detect, picture), 200),
        ("picture in a form", request("POST", detect, form, form_type), 200),
        ("pictures", request("POST", detect + "/batch", batch, form_type), 200),
        ("picture in chunks", chunked(detect, picture), 200),
        ("packed picture", request("POST", detect, packed, "Content-Encoding: deflate"), 200),
        ("drawn picture", request("POST", detect, picture, "Accept: image/jpeg"), 200),
        ("tensor", request("POST", infer, text + tensor, f"Inference-Header-Content-Length: {len(text)}"), 200),
        ("tensor as numbers", request("POST", infer, numbers), 200),
        ("metadata", request("GET", f"/v2/models/{name}"), 200),
        ("metrics", request("GET", "/metrics"), 200),
        ("health", request("GET", "/v2/health/ready"), 200),
        ("cut picture", request("POST", detect, picture[:300]), 400),
        ("no picture", request("POST", detect, os.urandom(500)), 400),
        ("an empty picture", request("POST", detect), 400),
        ("a bomb of pixels", request("POST", detect, picture[:16] + struct.pack(">II", 60000, 60000) + picture[24:]), 413),
        ("broken JSON", request("POST", infer, b'{"inputs": ['), 400),
        ("deep JSON", request("POST", infer, b"[" * 5000), 400),
        ("a wrong shape", request("POST", infer, text.replace(b"[1, 3,", b"[1, 4,") + tensor, f"Inference-Header-Content-Length: {len(text)}"), 400),
        ("broken packing", request("POST", detect, packed[:40], "Content-Encoding: deflate"), 400),
        ("a wrong query", request("POST", detect + "?conf=2", picture), 400),
        ("another model", request("POST", detect + "?model=nobody", picture), 404),
        ("another path", request("GET", "/nothing"), 404),
        ("another method", request("DELETE", detect), 405),
        ("no HTTP", b"\x16\x03\x01 hello\r\n\r\n", 400),
        ("two lengths", b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        ("a long body", b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nabc", 413),
    ]


class Client:
    """One connection at a time, which is kept as long as the server keeps it."""

    def __init__(self, port):
        self.port, self.socket, self.kept = port, None, b""

    def connect(self):
        if self.socket is None:
            self.socket, self.kept = socket.create_connection(("127.0.0.1", self.port), timeout=60), b""
        return self.socket

    def close(self, reset=False):
        if self.socket is not None:
            if reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
        self.socket = None

    def answer(self):
        """The status and the body."""
        while b"\r\n\r\n" not in self.kept:
            self.take()
        head, _, rest = self.kept.partition(b"\r\n\r\n")
        length = int(re.search(rb"\r\nContent-Length: (\d+)", head)[1])
        self.kept = rest
        while len(self.kept) < length:
            self.take()
        body, self.kept = self.kept[:length], self.kept[length:]
        if b"\r\nConnection: close" in head:
            self.close()
        return int(head.split()[1]), body

    def take(self):
        more = self.socket.recv(1 << 16)
        if not more:
            raise ConnectionError("the server closed the connection")
        self.kept += more


class Run:
    def __init__(self, args, server, port):
        self.args, self.server, self.port = args, server, port
        self.kinds = kinds(args.name)
        self.lock = threading.Lock()
        self.total, self.left, self.done, self.reloads = args.requests, args.requests // 5, 0, 0
        self.first, self.counts, self.faults = {}, {}, []

    def next(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def count(self, kind, fault=None):
        with self.lock:
            self.done += 1
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if fault:
                self.faults.append(f"{kind}: {fault}")

    def whole(self, client, chance):
        kind, content, status = chance.choice(self.kinds)
        client.connect().sendall(content)
        found, body = client.answer()
        fault = None
        if found != status:
            fault = f"status {found} for {status}: {body[:200]!r}"
        elif status == 200 and kind not in ("metrics",):
            with self.lock:
                if self.first.setdefault(kind, body) != body:
                    fault = "another answer than the first time"
        self.count(kind, fault)

    def slow(self, client, chance):
        """Sends in pieces, with pauses; is answered all the same."""
        client.close()
        content = self.kinds[0][1]
        for i in range(0, len(content), len(content) // 5 + 1):
            client.connect().sendall(content[i:i + len(content) // 5 + 1])
            time.sleep(0.02 + 0.1 * chance.random())
        status, _ = client.answer()
        self.count("slow", None if status == 200 else f"status {status}")

    def leave(self, client, chance):
        """Leaves in the middle of the request, or before the answer."""
        content = self.kinds[chance.choice([0, 2, 5, 6])][1]
        client.connect().sendall(content[:int(len(content) * chance.choice([0.1, 0.6, 1]))])
        client.close(reset=chance.random() < 0.5)
        self.count("left")

    def work(self, seed):
        chance, client = random.Random(seed), Client(self.port)
        while self.next():
            try:
                one = chance.random()
                (self.slow if one < 0.01 else self.leave if one < 0.06 else self.whole)(client, chance)
            except (OSError, TypeError) as error:
                self.count("connection", f"{error!r}")
                client.close()
        client.close()

    def sample(self):
        """Bytes of memory, and open descriptors."""
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10, len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def settled(self):
        """The same once nobody is connected."""
        time.sleep(2)
        return self.sample()

    def go(self):
        threads = [threading.Thread(target=self.work, args=(i,)) for i in range(self.args.clients)]
        for thread in threads:
            thread.start()
        said = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if self.done > (self.reloads + 1) * self.total / (RELOADS + 1):
                self.server.send_signal(signal.SIGHUP)
                self.reloads += 1
            if time.monotonic() - said > 10:
                memory, descriptors = self.sample()
                print(f"{self.done} requests, {len(self.faults)} faults, {memory >> 20} MiB, {descriptors} descriptors", flush=True)
                said = time.monotonic()


def start(args, folder):
    # One kernel for all sizes of a batch: the same request gets the same bytes, whoever else asks.
    errors = open(folder / "errors.txt", "w+")
    server = subprocess.Popen([args.marrow, "serve", f"{args.name}={args.model.resolve()}", "--imgsz", str(SIDE), "--port", "0", "--no-access-log",
                               "--queue", "1000", "--no-autotune"], stdout=subprocess.DEVNULL, stderr=errors)
    for _ in range(600):
        if found := re.search(r"ready, on port (\d+)", Path(errors.name).read_text()):
            return server, int(found[1]), Path(errors.name)
        time.sleep(0.1)
    raise SystemExit("the server is not ready: " + Path(errors.name).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marrow", type=Path, default=ROOT / "build" / "release" / "bin" / "marrow")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=50000)
    parser.add_argument("--clients", type=int, default=16)
    args = parser.parse_args()
    args.name = "served"
    with tempfile.TemporaryDirectory() as folder:
        server, port, errors = start(args, Path(folder))
        try:
            # The same kinds of requests throughout: what the first part needs is what all need.
            run = Run(args, server, port)
            run.go()
            before = run.settled()
            run.left = args.requests - args.requests // 5
            run.go()
            after = run.settled()
        finally:
            server.terminate()
            code = server.wait(timeout=60)
        said = errors.read_text()
    report(run, before, after, code, said)


def report(run, before, after, code, said):
    faults = run.faults + [f"the log: {line}" for line in said.splitlines() if " error " in line or "could not be read again" in line]
    if after[0] > before[0] + GROWTH:
        faults.append(f"memory grew from {before[0] >> 20} to {after[0] >> 20} MiB")
    if after[1] > before[1]:
        faults.append(f"descriptors grew from {before[1]} to {after[1]}")
    if code != 0:
        faults.append(f"the server ended with {code}")
    print(", ".join(f"{count} {kind}" for kind, count in sorted(run.counts.items())))
    print(f"{run.done} requests, {run.reloads} reloads; memory {before[0] >> 20} MiB after a fifth, {after[0] >> 20} MiB at the end; "
          f"descriptors {before[1]}, {after[1]}")
    for fault in faults[:20]:
        print(f"fault: {fault}")
    print(f"{'FAILED' if faults else 'PASSED'}: {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
