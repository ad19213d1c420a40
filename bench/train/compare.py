#!/usr/bin/env python3
"""Training throughput of marrow-train's step beside a plain PyTorch loop of the same network, in one run.

    cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target train_bench
    bench/train/compare.py --data data.yaml            # Debian's python3-torch and python3-opencv
    bench/train/compare.py --data data.yaml --write docs/training.md

Both have the same threads, decode the images into memory first, and augment alike: mosaic, perspective, colours, flip;
the peer through OpenCV in a worker process of its own. They take turns of a few steps, and the one whose turn it is not
stands still with its workers; threads that wait spin as briefly as marrow train has them. Images a second are those of the median
turn; the ratio is the median of the turns'.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tables import publish  # noqa: E402


class Side:
    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), GOMP_SPINCOUNT="1000")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        process_group=0, env=environment)
        self.notes = []
        while (line := self.process.stdout.readline().strip()) != "ready":
            if not line:
                raise SystemExit(f"{command[0]} ended early")
            self.notes.append(line)
        self.signal(signal.SIGSTOP)

    def signal(self, which):
        os.killpg(self.process.pid, which)

    def turn(self, steps):
        self.signal(signal.SIGCONT)
        print(steps, file=self.process.stdin, flush=True)
        seconds = float(self.process.stdout.readline())
        self.signal(signal.SIGSTOP)
        return seconds

    def end(self):
        self.signal(signal.SIGKILL)
        self.process.wait()


def measure(options, backbone, layout, source):
    sides = []
    try:
        return measure_sides(options, backbone, layout, source, sides)
    finally:
        for side in sides:
            side.end()


def measure_sides(options, backbone, layout, source, sides):
    settings = [f"data={options.data}", "model=yolov8n", f"imgsz={options.imgsz}", f"batch={options.batch}",
                f"threads={options.threads}", f"input={source}"]
    if backbone:
        settings.append(f"backbone={backbone}")
    ours = settings + ([] if layout == "default" else [f"channels_last={'true' if layout == 'last' else 'false'}"])
    with tempfile.TemporaryDirectory() as folder:
        dump = [f"dump={folder}/start.safetensors"]
        sides.append(Side([options.bench, *ours, *dump], options.threads))
        sides.append(Side([options.python, str(HERE / "peer.py"), *settings,
                           f"channels_last={'true' if options.peer_channels_last else 'false'}", *dump], options.threads))
    print("\n".join(sides[1].notes), flush=True)
    for side in sides:
        side.turn(options.steps)
    turns = []
    for i in range(options.turns):
        order = (0, 1) if i % 2 == 0 else (1, 0)
        took = {k: sides[k].turn(options.steps) for k in order}
        turns.append((took[0], took[1]))
    images = options.steps * options.batch
    return (images / statistics.median(t[0] for t in turns), images / statistics.median(t[1] for t in turns),
            statistics.median(t[1] / t[0] for t in turns), min(t[1] / t[0] for t in turns),
            max(t[1] / t[0] for t in turns))


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--bench", default="build/release/bench/train_bench")
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4, help="of a turn")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--layouts", nargs="+", default=["default"], choices=["default", "first", "last"],
                        help="memory layout of ours: as marrow train has it, channels first, channels last")
    parser.add_argument("--peer-channels-last", action="store_true")
    parser.add_argument("--batches", nargs="+", default=["loader", "ready"], choices=["loader", "ready"])
    parser.add_argument("--networks", nargs="+", default=["yolov8n", "starnet_s1"])
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the table")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no side is left standing

    rows = []
    for network in options.networks:
        for source in options.batches:
            for layout in options.layouts:
                backbone = network if network != "yolov8n" else None
                ours, peer, ratio, low, high = measure(options, backbone, layout, source)
                name = "yolov8n" if backbone is None else f"yolov8n on {network}"
                layout_text = {"default": "", "first": ", channels first", "last": ", channels last"}[layout]
                batches = "from the loader" if source == "loader" else "ready tensors"
                rows.append(f"| {name}{layout_text} | {batches} | {ours:.1f} | {peer:.1f} | {ratio:.2f} "
                            f"({low:.2f} to {high:.2f}) |")
                print(rows[-1], flush=True)
    version = subprocess.run([options.python, "-c", "import torch; print(torch.__version__)"], capture_output=True,
                             text=True).stdout.strip()
    table = "\n".join([
        f"{options.imgsz} px, batch {options.batch}, {options.threads} threads of {cpu_name()}, PyTorch {version}, "
        f"{options.turns} turns of {options.steps} steps each:", "",
        "| network | batches | marrow, images/s | PyTorch, images/s | ratio (turns) |", "|---|---|---|---|---|", *rows])
    publish("bench/train/compare.py", table, options.write)


if __name__ == "__main__":
    main()
