#!/usr/bin/env python3
"""An epoch of marrow train beside one of Ultralytics' trainer: loader, augmentation, step and validation.

    bench/train/compare.py --setup                     # once: the current PyTorch and Ultralytics into an environment of their own
    bench/train/whole.py --data data.yaml
    bench/train/whole.py --data data.yaml --write docs/train.md

Both train yolov8n with the same settings, from images that they keep in memory. They take turns of one epoch; the one whose
turn it is not stands still with all that it started. An epoch ends when its row stands in results.csv. The first epoch of
both, which fills the caches, is left out.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import processor_name, publish  # noqa: E402

# It would choose its threads itself, one fewer than there are cores.
PEER = """
import torch
from ultralytics import YOLO
model = YOLO('yolov8n.yaml')
model.add_callback('on_train_start', lambda trainer: torch.set_num_threads({threads}))
model.train(data={data!r}, epochs={epochs}, imgsz={imgsz}, batch={batch}, optimizer='SGD', lr0=0.01, workers=1,
            cache='ram', device='cpu', amp=False, plots=False, save=False, project={folder!r}, name='peer', exist_ok=True)
"""


class Trainer:
    """A training process that runs only while `epoch` waits for it."""

    def __init__(self, name, command, results, environment):
        self.name, self.results = name, results
        self.log = open(results.parent.parent / f"{name}.log", "w+")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log, process_group=0)
        self.rows = 0

    def signal(self, which):
        os.killpg(self.process.pid, which)

    def written(self):
        return self.results.read_text().count("\n") - 1 if self.results.exists() else 0

    def epoch(self):
        self.signal(signal.SIGCONT)
        start = time.monotonic()
        while self.written() <= self.rows:
            if self.process.poll() is not None:
                self.log.seek(0)
                raise SystemExit(f"{self.name} ended early:\n{self.log.read()[-2000:]}")
            time.sleep(0.01)
        seconds = time.monotonic() - start
        self.signal(signal.SIGSTOP)
        self.rows += 1
        return seconds

    def end(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()


def measure(options, threads):
    images = options.data.resolve()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "marrow").mkdir()
        (Path(folder) / "peer").mkdir()
        epochs = 3 * options.turns + 30  # never reached: mosaics close in the last ten
        own = [options.marrow, "train", "--data", images, "--model", "yolov8n", "--epochs", epochs, "--imgsz", options.imgsz,
               "--batch", options.batch, "--optimizer", "SGD", "--lr0", "0.01", "--cache", "ram", "--workers", "1", "--threads",
               threads, "--no-plots", "--project", folder, "--name", "marrow", "--exist-ok"]
        peer = PEER.format(data=str(images), epochs=epochs, imgsz=options.imgsz, batch=options.batch, folder=folder, threads=threads)
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), YOLO_OFFLINE="1", YOLO_CONFIG_DIR=folder)
        trainers = []
        try:
            trainers.append(Trainer("marrow", [str(part) for part in own], Path(folder) / "marrow" / "results.csv", environment))
            trainers[0].signal(signal.SIGSTOP)
            trainers.append(Trainer("peer", [options.venv / "bin" / "python", "-c", peer], Path(folder) / "peer" / "results.csv",
                                    environment))
            trainers[1].signal(signal.SIGSTOP)
            for trainer in trainers:
                trainer.epoch()
            turns = []
            for i in range(options.turns):
                order = trainers if i % 2 == 0 else trainers[::-1]
                seconds = {trainer.name: trainer.epoch() for trainer in order}
                turns.append((seconds["marrow"], seconds["peer"]))
                print(f"{threads} threads: {turns[-1][0]:.2f} s, {turns[-1][1]:.2f} s", file=sys.stderr, flush=True)
        finally:
            for trainer in trainers:
                trainer.end()
    ratios = sorted(theirs / ours for ours, theirs in turns)
    ours, theirs = (statistics.median(turn[k] for turn in turns) for k in range(2))
    return f"| {threads} | {ours:.1f} | {theirs:.1f} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="a dataset's YAML")
    parser.add_argument("--marrow", default="build/release/bin/marrow")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache" / "marrow-train-peers")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the table")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no trainer is left standing

    rows = [measure(options, threads) for threads in options.threads]
    version = subprocess.run([options.venv / "bin" / "python", "-c", "import ultralytics; print(ultralytics.__version__)"],
                             capture_output=True, text=True).stdout.strip().splitlines()[-1]
    table = "\n".join([
        f"yolov8n, {options.imgsz} px, batch {options.batch}, {processor_name()}, Ultralytics {version}, "
        f"{options.turns} turns of an epoch each:", "",
        "| threads | marrow, s an epoch | Ultralytics, s an epoch | ratio (turns) |", "|---|---|---|---|", *rows])
    publish("bench/train/whole.py", table, options.write)


if __name__ == "__main__":
    sys.exit(main())
