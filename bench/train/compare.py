#!/usr/bin/env python3
"""Training throughput of marrow train's step beside a plain PyTorch loop of the same network, in one run.

    cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target train_bench
    bench/train/compare.py --setup                     # once: the current PyTorch into an environment of its own
    bench/train/compare.py --data data.yaml
    bench/train/compare.py --data data.yaml --write docs/train.md

Both have the same threads, decode the images into memory first, and augment alike: mosaic, perspective, colours, flip;
the peer through OpenCV in a worker process of its own. They take turns of a few steps, and the one whose turn it is not
stands still with its workers; threads that wait spin as briefly as marrow train has them. Images a second are those of the median
turn; the ratio is the median of the turns'.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tables import LIBRARY, hide_avx512, processor_name, publish, vectors  # noqa: E402


PACKAGES = ["torch", "torchvision", "timm", "ultralytics", "opencv-python-headless", "numpy"]
NETWORKS = ["yolov8n", "efficientnet_b0", "pp_lcnet_x1_0", "shufflenet_v2_x1_0", "starnet_s1", "vanillanet_5"]


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
        seconds, waited, memory = (float(word) for word in self.process.stdout.readline().split())
        self.signal(signal.SIGSTOP)
        self.waited, self.memory = waited, memory
        return seconds

    def end(self):
        self.signal(signal.SIGKILL)
        self.process.wait()


def measure(options, network, threads, source):
    sides = []
    try:
        return measure_sides(options, network, threads, source, sides)
    finally:
        for side in sides:
            side.end()


# Ours, and the peer's: channels last is its faster layout everywhere; compiled where --compiled asks for it.
def measure_sides(options, network, threads, source, sides):
    settings = [f"data={options.data}", "model=yolov8n", f"imgsz={options.imgsz}", f"batch={options.batch}",
                f"threads={threads}", f"input={source}"]
    if network != "yolov8n":
        settings.append(f"backbone={network}")
    peer = [options.venv / "bin" / "python", str(HERE / "peer.py"), *settings, "channels_last=true"]
    with tempfile.TemporaryDirectory() as folder:
        dump = [f"dump={folder}/start.safetensors"]
        sides.append(Side([options.bench, *settings, *dump], threads))
        sides.append(Side([*peer, *dump], threads))
    print("\n".join(sides[1].notes), flush=True)
    if options.compiled:
        sides.append(Side([*peer, "compile=true"], threads))
    for side in sides:
        side.turn(options.steps)
    turns = []
    for i in range(options.turns):
        turn = [0.0] * len(sides)
        for k in range(len(sides)):
            k = (k + i) % len(sides)
            turn[k] = sides[k].turn(options.steps)
        turns.append(turn)
    images = options.steps * options.batch
    speeds = [images / statistics.median(turn[k] for turn in turns) for k in range(len(sides))]
    ratios = sorted(min(turn[1:]) / turn[0] for turn in turns)
    shortest = min(min(turn[1:]) for turn in turns) / min(turn[0] for turn in turns)
    return {"speeds": speeds, "ratio": statistics.median(ratios), "low": ratios[0], "high": ratios[-1],
            "shortest": shortest, "memory": [side.memory / 1e9 for side in sides], "waited": sides[0].waited}


def setup(folder):
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--upgrade", *PACKAGES], check=True)


def row(network, threads, source, found):
    name = network if network == "yolov8n" else f"yolov8n on {network}"
    batches = "from the loader" if source == "loader" else "ready"
    compiled = f"{found['speeds'][2]:.1f}" if len(found["speeds"]) > 2 else ""
    return (f"| {name} | {threads} | {batches} | {found['speeds'][0]:.1f} | {found['speeds'][1]:.1f} | {compiled} | "
            f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f}) | {found['shortest']:.2f} | "
            f"{found['memory'][0]:.2f} | {found['memory'][1]:.2f} | {100 * found['waited']:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true", help="makes --venv and installs the peers there, no more")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache" / "marrow-train-peers")
    parser.add_argument("--data", help="a dataset's YAML")
    parser.add_argument("--bench", default="build/release/bench/train_bench")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=4, help="of a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--batches", nargs="+", default=["ready"], choices=["loader", "ready"])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--compiled", action="store_true", help="torch.compile takes its turns, too")
    parser.add_argument("--avx2-only", action="store_true", help="hides AVX-512 from both sides (bench/avx2_only.cpp)")
    parser.add_argument("--write", type=Path, help="a document whose part for these vector instructions becomes the table")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no side is left standing
    if options.setup:
        return setup(options.venv)
    if not options.data:
        parser.error("--data is missing")
    if options.avx2_only:
        hide_avx512(Path(options.bench).with_name(LIBRARY))

    rows = []
    for network in options.networks:
        for threads in options.threads:
            for source in options.batches:
                rows.append(row(network, threads, source, measure(options, network, threads, source)))
                print(rows[-1], flush=True)
    version = subprocess.run([options.venv / "bin" / "python", "-c", "import torch; print(torch.__version__)"],
                             capture_output=True, text=True).stdout.strip()
    table = "\n".join([
        f"{options.imgsz} px, batch {options.batch}, {processor_name()}, PyTorch {version}, "
        f"{options.turns} turns of {options.steps} steps each. Images a second; the ratio is PyTorch's time over ours, of "
        "its faster mode, the median of the turns; memory is the most that the process held, GB:", "",
        "| network | threads | batches | marrow | PyTorch | compiled | ratio (turns) | of the shortest times | marrow's memory | "
        "PyTorch's | waited for batches, % |", "|---|---|---|---|---|---|---|---|---|---|---|", *rows])
    publish(f"bench/train/compare.py, {vectors()}", table, options.write)


if __name__ == "__main__":
    sys.exit(main())
