#!/usr/bin/env python3
"""The table of docs/deploy.md: trained checkpoints before and after deployment, and their way through ONNX.

    bench/deploy.py --data data.yaml --imgsz 320 runs/detect/*/weights/best.safetensors --write docs/deploy.md

For each checkpoint: marrow deploy proves the deployed form on the dataset's pictures; marrow benchmark times both forms
in turns, the ratio being the median of the turns'; marrow export writes ONNX, which Marrow and OpenCV read back; and
predict runs the checkpoint and the ONNX file on the pictures, whose boxes must be the same.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tables import publish


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def boxes(marrow, model, pictures, imgsz):
    lines = run(marrow, "predict", "--model", model, "--source", pictures, "--imgsz", imgsz, "--no-rect", "--no-save",
                "--json").splitlines()
    found = [json.loads(line) for line in lines]
    return [sorted((d["class"], *d["box"]) for d in picture["detections"]) for picture in found]


def largest_shift(ours, theirs, name):
    """In pixels, over boxes that must be the same in number and class."""
    shift = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if [box[0] for box in a] != [box[0] for box in b]:
            raise SystemExit(f"{name}: the ONNX file finds other objects")
        for one, other in zip(a, b):
            shift = max(shift, *(abs(x - y) for x, y in zip(one[1:], other[1:])))
    return shift


def measure(options, checkpoint, folder):
    marrow, imgsz = options.marrow, options.imgsz
    deployed, onnx = folder / "deployed.safetensors", folder / "model.onnx"
    proof = run(marrow, "deploy", checkpoint, "--data", options.data, "--imgsz", imgsz, "-o", deployed)
    difference = max(float(x) for x in re.findall(r"at most, (\S+) of the largest", proof))
    counts = [json.loads(run(marrow, "info", model, "--imgsz", imgsz, "--json")) for model in (checkpoint, deployed)]

    def median(*arguments):
        return json.loads(run(marrow, "benchmark", checkpoint, "--imgsz", imgsz, "--threads", options.threads, "--seconds",
                              "0.5", "--json", *arguments))["network"]["median_ms"]
    turns = [(median("--no-deploy"), median()) for _ in range(options.turns)]

    exported = run(marrow, "export", checkpoint, "--imgsz", imgsz, "--source", options.pictures, "-o", onnx)
    if "OpenCV" not in exported.split("not run:")[0]:
        raise SystemExit(f"{checkpoint}: OpenCV did not read the export back\n{exported}")
    export_difference = float(re.search(r"largest difference: (\S+)", exported)[1])
    shift = largest_shift(boxes(marrow, checkpoint, options.pictures, imgsz), boxes(marrow, onnx, options.pictures, imgsz),
                          checkpoint)

    def change(key, unit):
        return " / ".join(f"{c[key] / unit:.3f}" for c in counts)
    before, after = (statistics.median(t[k] for t in turns) for k in (0, 1))
    return (f"| {checkpoint.parent.parent.name} | {change('parameters', 1e6)} | {change('macs', 1e9)} | "
            f"{counts[0]['operation_count']} / {counts[1]['operation_count']} | {before:.1f} / {after:.1f} | "
            f"{statistics.median(t[0] / t[1] for t in turns):.2f} | {difference:.1e} | {export_difference:.1e} | {shift:.2g} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--pictures", required=True, help="photos to find objects in: a folder or a pattern")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--marrow", default="build/release/bin/marrow")
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the table")
    options = parser.parse_args()
    rows = []
    for checkpoint in options.checkpoints:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(options, checkpoint, Path(folder)))
        print(rows[-1], file=sys.stderr, flush=True)
    publish("bench/deploy.py", "\n".join([
        f"{options.imgsz} px, {options.threads} thread(s); before / after:", "",
        "| run | million parameters | GMAC | operations | ms | ratio | outputs differ | ONNX differs | boxes move, px |",
        "|---|---|---|---|---|---|---|---|---|", *rows]), options.write)


if __name__ == "__main__":
    main()
