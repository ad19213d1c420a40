#!/usr/bin/env python3
"""marrow serve beside its own engine and beside FastAPI with ONNX Runtime, for one picture over and over.

    bench/serve/compare.py --setup --venv ~/.cache/marrow-serve-peer      # once: pip installs the peer there
    bench/serve/compare.py --model yolov8n.pt --picture street.jpg

Both servers get the same network (the peer as `marrow export` writes it), input size, threads and picture; both decode, fit, run and
suppress, and must find as many objects. Marrow's is there a second time as it comes, which pads pictures only as far as needed. In a
round each is asked for --seconds by wrk (Debian's package) after a second unmeasured, and the engine runs alone for as long (`marrow
benchmark`): with one client a picture at a time, with more also in batches and side by side, and the way with the highest median counts. The others
are stopped meanwhile. A figure is the median over the rounds. Then Marrow's alone: the latency of requests that come evenly and at random, 70 % as many as it
can answer, beside what the mathematics of queues has at random arrivals; the processor time of a server that nobody asks; the time from its
start until it is ready. The tables are Markdown, as docs/serve.md has them.
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
import urllib.error
import urllib.request
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import load  # noqa: E402
from tables import processor_name, publish  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["fastapi", "uvicorn[standard]", "onnxruntime", "opencv-python-headless", "numpy"]
LOAD = 0.7  # of what the server can answer
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
        self.name, self.port, self.url = name, port, f"http://127.0.0.1:{port}/v1/detect"
        self.process = subprocess.Popen(command, cwd=HERE, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

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
        said = ""
        for duration in (1, seconds):
            said = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{duration}s", "--timeout", "30s", "-s", script, self.url],
                                  check=True, capture_output=True, text=True).stdout
        requests, took, half, most, errors = map(float, re.search(r"RESULT (.*)", said)[1].split())
        if errors:
            raise SystemExit(f"{self.name}: {errors:.0f} of {requests:.0f} requests failed")
        return requests / took, half, most

    def processor_seconds(self):
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.resume()
        self.process.terminate()
        self.process.wait()


def marrow_server(args, rect=False):
    port = free_port()
    name = "marrow serve, as it comes" if rect else "marrow serve, square input"
    return Server(name, [args.marrow, "serve", args.model, "--imgsz", str(args.imgsz), "--rect" if rect else "--no-rect", "--threads", str(args.threads),
                         "--port", str(port), "--no-access-log", *args.options], port)


def engine_rate(args, batch=1, side_by_side=1):
    """Pictures a second of the network alone; of several side by side, each on its part of the threads, together."""
    command = [args.marrow, "benchmark", args.model, "--imgsz", str(args.imgsz), "--threads", str(args.threads // side_by_side), "--batch", str(batch),
               "--seconds", str(args.seconds), "--layers", "0", "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(side_by_side)]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit("marrow benchmark failed")
    return sum(json.loads(each)["network"]["images_per_second"] for each in said)


def engine_ways(args, clients):
    """As the server may run it: one picture at a time, several in a batch, or several side by side."""
    if clients == 1:
        return [{}]
    return [{}, {"batch": min(clients, 4)}, {"side_by_side": min(clients, args.threads)}]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache" / "marrow-serve-peer")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="Marrow alone")
    parser.add_argument("--marrow", type=Path, default=ROOT / "build" / "release" / "bin" / "marrow")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the tables")
    parser.add_argument("options", nargs="*", help="of marrow serve, behind --")
    args = parser.parse_args()
    if args.setup:
        return setup(args.venv)
    if not args.model or not args.picture:
        parser.error("--model and --picture are needed")
    args.model, args.picture = args.model.resolve(), args.picture.resolve()
    with tempfile.TemporaryDirectory() as folder:
        compare(args, Path(folder))


def compare(args, folder):
    onnx, script = folder / "model.onnx", folder / "post.lua"
    script.write_text(POST.format(picture=args.picture))
    servers = [marrow_server(args), marrow_server(args, rect=True)]
    try:
        if args.peer:
            subprocess.run([args.marrow, "export", args.model, "--imgsz", str(args.imgsz), "-o", onnx], check=True, stdout=subprocess.DEVNULL)
            port = free_port()
            servers.append(Server("FastAPI, ONNX Runtime", [args.venv / "bin" / "python", "-m", "uvicorn", "peer:app", "--port", str(port),
                                                            "--log-level", "warning"], port, MODEL=str(onnx), THREADS=str(args.threads)))
        found = [server.ask(args.picture) for server in servers]
        if args.peer and found[0] != found[-1]:
            raise SystemExit(f"the servers find {found} objects")
        for server in servers:
            server.pause()
        lines, rate = report(args, servers, script)
        lines += report_alone(args, servers[0], rate)
        publish("bench/serve/compare.py", "\n".join(lines), args.write)
    finally:
        for server in servers:
            server.stop()


def measured_rounds(args, servers, script, clients):
    """For each server the results of its rounds, and of the way to run the engine that is usually quickest the pictures a second in each."""
    ways = engine_ways(args, clients)
    results, engine = [[] for _ in servers], [[] for _ in ways]
    for round_ in range(args.rounds):
        order = list(enumerate(servers))
        for i, server in order if round_ % 2 == 0 else order[::-1]:
            server.resume()
            results[i].append(server.measure(script, clients, args.seconds))
            server.pause()
        for way, rates in zip(ways, engine):
            rates.append(engine_rate(args, **way))
    return results, max(engine, key=statistics.median)


def report(args, servers, script):
    """The table's lines; requests a second with the most clients."""
    lines = [f"{processor_name()}, {args.threads} threads, {args.model.name} at {args.imgsz}, {args.rounds} rounds of {args.seconds} s:", ""]
    lines += ["| clients | server | requests/s | of the engine alone | times the peer | p50 ms | p99 ms |", "| ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    best = 0
    for clients in args.clients:
        results, engine = measured_rounds(args, servers, script, clients)
        for i, server in enumerate(servers):
            rate, half, most = (statistics.median(column) for column in zip(*results[i]))
            # The engine alone has the square input; the peer is measured by the last server.
            part = statistics.median(one[0] / alone for one, alone in zip(results[i], engine))
            times = statistics.median(one[0] / other[0] for one, other in zip(results[i], results[-1]))
            lines.append(f"| {clients} | {server.name} | {rate:.1f} | {f'{100 * part:.0f} %' if i == 0 else ''} | {f'{times:.2f}' if args.peer else ''} "
                         f"| {half:.1f} | {most:.1f} |")
            print(lines[-1], file=sys.stderr, flush=True)
            best = rate if i == 0 else best
    return lines, best


def ready_seconds(args):
    start = time.perf_counter()
    server = marrow_server(args)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/health/ready", timeout=5):
                    return time.perf_counter() - start
            except (urllib.error.URLError, OSError):
                if server.process.poll() is not None:
                    raise SystemExit("the server did not start")
                time.sleep(0.005)
    finally:
        server.stop()


def report_alone(args, server, rate):
    ready = statistics.median(ready_seconds(args) for _ in range(3))
    server.resume()
    spread = {}
    for name, evenly in (("even", True), ("random", False)):
        times = load.latencies(server.port, "/v1/detect", args.picture.read_bytes(), LOAD * rate, max(20, 4 * args.seconds), evenly)
        spread[name] = load.share(times, 0.5), load.share(times, 0.99)
    time.sleep(1)
    before, seconds = server.processor_seconds(), 10
    time.sleep(seconds)
    idle = (server.processor_seconds() - before) / seconds
    lines = ["", "| | |", "| --- | ---: |"]
    for name, (half, most) in spread.items():
        lines.append(f"| {LOAD:.0%} load, {name} arrivals: p50, p99 | {half:.1f} ms, {most:.1f} ms: {most / half:.1f} times |")
    queue = load.queue_times(LOAD)
    lines.append(f"| random arrivals at one that takes equally long for each: p50, p99 | {load.share(queue, 0.99) / load.share(queue, 0.5):.1f} times |")
    return lines + [f"| processor of an idle server | {100 * idle:.2f} % of a core |", f"| from start to ready | {ready:.2f} s |"]


if __name__ == "__main__":
    sys.exit(main())
