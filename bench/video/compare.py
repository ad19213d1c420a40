#!/usr/bin/env python3
"""`marrow predict` of a video beside decoding alone and the network alone, in turns.

    cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target marrow_cli marrow_video_cli video_bench
    bench/video/compare.py --model yolov8n.pt

The video has 720 lines, H.264, and is drawn unless --video names one. Its frames go into a network of 384 x 640. Prediction is timed from its
first frame to its last, without files, with --save too; decoding has the threads that it has beside the network. The network alone runs as
prediction runs it, a frame on each part of the threads, or on all threads, if that is usually quicker. Beside each rate is the processor time of a frame, on all threads together. They share the
processors: no chain is faster than these by the sum of what its parts take, which is the last row.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import processor_name, publish  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_AT_ONCE = 4  # frames that prediction sees side by side


def decoding(args):
    said = subprocess.run([args.bench, "decode", args.video], check=True, capture_output=True, text=True).stdout
    return tuple(map(float, said.split()))


def network(args, parts):
    """Each of so many parts of the threads has one frame after the other; and what its threads take, who never rest."""
    command = [args.marrow, "benchmark", args.model, "--imgsz", "384,640", "--threads", str(args.threads // parts), "--seconds", str(args.seconds),
               "--layers", "0", "--json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(parts)]
    rate = sum(json.loads(process.communicate()[0])["network"]["images_per_second"] for process in running)
    return rate, 1e3 * args.threads / rate


def processor_seconds(process):
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def prediction(args, folder, save):
    """Frames a second between the first line of JSON and the last, and the processor's milliseconds for each."""
    command = [args.marrow, "predict", args.model, "--source", args.video, "--imgsz", "640", "--threads", str(args.threads), "--json",
               "--save" if save else "--no-save", "--project", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        times, worked = [], []
        for _ in process.stdout:
            times.append(time.perf_counter())
            if len(times) == 1:
                worked.append(processor_seconds(process))
        worked.append(processor_seconds(process))
    if process.returncode != 0 or len(times) < 2:
        raise SystemExit("marrow predict failed")
    frames = len(times) - 1
    return frames / (times[-1] - times[0]), 1e3 * (worked[-1] - worked[0]) / frames


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marrow", type=Path, default=ROOT / "build" / "release" / "bin" / "marrow")
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "release" / "bench" / "video_bench")
    parser.add_argument("--model", required=True)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the table")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.video is None:
            args.video = Path(folder) / "drawn.mp4"
            subprocess.run([args.bench, "write", args.video, str(args.frames)], check=True)
        rows = {"decoding alone": [], "the network alone": [], "predict": [], "predict --save": []}
        alone = {parts: [] for parts in {1, min(args.threads, MOST_AT_ONCE)}}
        for _ in range(args.rounds):
            rows["decoding alone"].append(decoding(args))
            for parts, measured in alone.items():
                measured.append(network(args, parts))
            rows["predict"].append(prediction(args, folder, False))
            rows["predict --save"].append(prediction(args, folder, True))
    # All threads for one frame after the other, or frames side by side: what is usually quicker.
    rows["the network alone"] = max(alone.values(), key=lambda measured: statistics.median(rate for rate, _ in measured))
    least = [min(decoded[0], seen[0]) for decoded, seen in zip(rows["decoding alone"], rows["the network alone"])]
    lines = [f"{processor_name()}, {args.threads} threads:", ""]
    lines += ["| | frames/s | of the slower alone | processor ms a frame |", "| --- | ---: | ---: | ---: |"]
    for name, measured in rows.items():
        part = statistics.median(rate / alone for (rate, _), alone in zip(measured, least))
        rate, took = (statistics.median(column) for column in zip(*measured))
        lines.append(f"| {name} | {rate:.1f} | {100 * part:.0f} % | {took:.2f} |")
    # What two parts take that share the processors, without anything between them.
    together = [decoded[1] + seen[1] for decoded, seen in zip(rows["decoding alone"], rows["the network alone"])]
    bound = statistics.median(1e3 * args.threads / took / alone for took, alone in zip(together, least))
    lines.append(f"| decoding and the network, nothing else | {statistics.median(1e3 * args.threads / took for took in together):.1f} "
                 f"| {100 * bound:.0f} % | {statistics.median(together):.2f} |")
    publish("bench/video/compare.py", "\n".join(lines), args.write)


if __name__ == "__main__":
    main()
