#!/usr/bin/env python3
"""`marrow predict` of a video beside decoding alone and the network alone, in turns.

    cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target marrow_cli marrow_video_cli video_bench
    bench/video/compare.py --model yolov8n.pt

The video has 720 lines, H.264, and is drawn unless --video names one. Its frames go into a network of 384 x 640. Prediction is timed from its
first frame to its last, without files, with --save too; decoding has the threads that it has beside the network.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def decoding(args):
    return float(subprocess.run([args.bench, "decode", args.video], check=True, capture_output=True, text=True).stdout)


def network(args):
    said = subprocess.run([args.marrow, "benchmark", args.model, "--imgsz", "384,640", "--threads", str(args.threads), "--seconds", str(args.seconds),
                           "--layers", "0", "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(said)["network"]["images_per_second"]


def prediction(args, folder, save):
    """Frames a second between the first line of JSON and the last."""
    command = [args.marrow, "predict", args.model, "--source", args.video, "--imgsz", "640", "--threads", str(args.threads), "--json",
               "--save" if save else "--no-save", "--project", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        times = [time.perf_counter() for _ in process.stdout]
    if process.returncode != 0 or len(times) < 2:
        raise SystemExit("marrow predict failed")
    return (len(times) - 1) / (times[-1] - times[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marrow", type=Path, default=ROOT / "build" / "release" / "bin" / "marrow")
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "release" / "bench" / "video_bench")
    parser.add_argument("--model", required=True)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.video is None:
            args.video = Path(folder) / "drawn.mp4"
            subprocess.run([args.bench, "write", args.video, str(args.frames)], check=True)
        rows = {"decoding alone": [], "the network alone": [], "predict": [], "predict --save": []}
        for _ in range(args.rounds):
            rows["decoding alone"].append(decoding(args))
            rows["the network alone"].append(network(args))
            rows["predict"].append(prediction(args, folder, False))
            rows["predict --save"].append(prediction(args, folder, True))
    least = [min(pair) for pair in zip(rows["decoding alone"], rows["the network alone"])]
    print("| | frames/s | of the slower alone |\n| --- | ---: | ---: |")
    for name, rates in rows.items():
        part = statistics.median(rate / alone for rate, alone in zip(rates, least))
        print(f"| {name} | {statistics.median(rates):.1f} | {100 * part:.0f} % |")


if __name__ == "__main__":
    main()
