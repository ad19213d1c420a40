#!/usr/bin/env python3
"""marrow serve beside FastAPI with ONNX Runtime: requests a second and latency for one picture, in turns.

    bench/serve/compare.py --setup --venv ~/.cache/marrow-serve-peer      # once: pip installs the peer there
    bench/serve/compare.py --model yolov8n.pt --picture street.jpg --clients 1 4

Both servers get the same network (the peer as `marrow export` writes it), input size, threads and picture; both decode,
fit, run and suppress. A server is stopped unless it is its turn. In a round each is asked for --seconds by wrk (Debian's
package) after a second unmeasured; a figure is the median over the rounds. Both must find as many objects.
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["fastapi", "uvicorn[standard]", "onnxruntime", "opencv-python-headless", "numpy"]
POST = """
wrk.method = "POST"
local file = io.open("{picture}", "rb")
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "image/jpeg"
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %f %f %f %d\\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors.status + errors.connect + errors.read + errors.timeout))
end
"""


def setup(folder):
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--upgrade", *PACKAGES], check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, name, command, port, **environment):
        self.name, self.url = name, f"http://127.0.0.1:{port}/v1/detect"
        self.process = subprocess.Popen(command, cwd=HERE, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)

    def ask(self, picture, seconds=60):
        """The number of objects in the picture, once the server is there."""
        end = time.monotonic() + seconds
        while True:
            try:
                request = urllib.request.Request(self.url, picture.read_bytes(), {"Content-Type": "image/jpeg"})
                with urllib.request.urlopen(request, timeout=seconds) as answer:
                    return len(json.load(answer)["detections"])
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise SystemExit(f"{self.name} does not answer")
                time.sleep(0.2)

    def measure(self, script, clients, seconds):
        """Requests a second, then the median and 99th percentile of the latency in milliseconds."""
        self.process.send_signal(signal.SIGCONT)
        said = ""
        for duration in (1, seconds):
            said = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{duration}s", "--timeout", "30s", "-s", script, self.url],
                                  check=True, capture_output=True, text=True).stdout
        self.process.send_signal(signal.SIGSTOP)
        requests, took, half, most, errors = map(float, re.search(r"RESULT (.*)", said)[1].split())
        if errors:
            raise SystemExit(f"{self.name}: {errors:.0f} of {requests:.0f} requests failed")
        return requests / took, half, most

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache" / "marrow-serve-peer")
    parser.add_argument("--marrow", type=Path, default=ROOT / "build" / "release" / "bin" / "marrow")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("options", nargs="*", help="of marrow serve, behind --")
    args = parser.parse_args()
    if args.setup:
        return setup(args.venv)
    if not args.model or not args.picture:
        parser.error("--model and --picture are needed")
    with tempfile.TemporaryDirectory() as folder:
        compare(args, Path(folder))


def compare(args, folder):
    onnx, script, model, picture = folder / "model.onnx", folder / "post.lua", args.model.resolve(), args.picture.resolve()
    subprocess.run([args.marrow, "export", model, "--imgsz", str(args.imgsz), "-o", onnx], check=True, stdout=subprocess.DEVNULL)
    script.write_text(POST.format(picture=picture))
    ours, theirs = free_port(), free_port()
    threads = str(args.threads)
    servers = [
        Server("marrow serve", [args.marrow, "serve", model, "--imgsz", str(args.imgsz), "--no-rect", "--threads", threads,
                                "--port", str(ours), "--no-access-log", *args.options], ours),
        Server("FastAPI, ONNX Runtime", [args.venv / "bin" / "python", "-m", "uvicorn", "peer:app", "--port", str(theirs),
                                         "--log-level", "warning"], theirs, MODEL=str(onnx), THREADS=threads),
    ]
    try:
        found = [server.ask(picture) for server in servers]
        if len(set(found)) > 1:
            raise SystemExit(f"the servers find {found} objects")
        for server in servers:
            server.process.send_signal(signal.SIGSTOP)
        report(args, servers, script)
    finally:
        for server in servers:
            server.stop()


def report(args, servers, script):
    print(f"{args.model.name} at {args.imgsz}, {args.threads} threads, {args.rounds} rounds of {args.seconds} s")
    print(f"{'clients':>7}  {'server':<22}  {'requests/s':>10}  {'p50 ms':>8}  {'p99 ms':>8}")
    for clients in args.clients:
        results = {server: [] for server in servers}
        for round_ in range(args.rounds):
            for server in servers if round_ % 2 == 0 else servers[::-1]:
                results[server].append(server.measure(script, clients, args.seconds))
        medians = {}
        for server in servers:
            medians[server] = [statistics.median(column) for column in zip(*results[server])]
            rate, half, most = medians[server]
            print(f"{clients:>7}  {server.name:<22}  {rate:>10.2f}  {half:>8.1f}  {most:>8.1f}", flush=True)
        ratios = [a[0] / b[0] for a, b in zip(results[servers[0]], results[servers[1]])]
        print(f"{'':>7}  ratio of requests/s {statistics.median(ratios):.2f}, rounds from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    sys.exit(main())
