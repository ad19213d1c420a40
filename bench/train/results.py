#!/usr/bin/env python3
"""The tables and the curves of docs/results.md from the run folders of marrow train.

    bench/train/results.py runs/detect/yolov8n30s0 runs/detect/starnet50 ... --data data.yaml --write docs/results.md
    bench/train/results.py --tasks runs/segment/train runs/pose/train ... --write docs/results.md

Each run's best checkpoint is measured again with marrow val, on the CPU engine; epochs and times come from results.csv. gnuplot
draws the curves of runs of 50 epochs and more beside the document. With --tasks it is the table of masks, keypoints and turned
boxes, each run measured on the dataset that it was trained on.
"""

import argparse
import csv
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import publish  # noqa: E402


LONG = 50  # epochs of a run whose curve is drawn


def read_args(path):
    """args.yaml is flat: a key and a value a line."""
    return dict(line.split(": ", 1) for line in path.read_text().splitlines() if ": " in line)


def measure(marrow, weights, data, args):
    command = [marrow, "val", "--model", weights, "--data", data, "--imgsz", args["imgsz"], "--rules", args.get("rules", "8.3"),
               "--json", "--plots", "false"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)


def plot(curves, picture):
    """curves: (name, mAP50-95 of each epoch)"""
    script = ["set terminal svg noenhanced size 900,420 font 'sans,12' background 'white'", f"set output '{picture}'",
              "set grid lt 1 lc rgb '#dddddd'", "set key outside right", "set xlabel 'epoch'", "set ylabel 'mAP50-95'"]
    for i, (_, values) in enumerate(curves):
        script += [f"$d{i} << E", *(f"{epoch} {value}" for epoch, value in enumerate(values, 1)), "E"]
    script.append("plot " + ", ".join(f"$d{i} with lines lw 2 title '{name}'" for i, (name, _) in enumerate(curves)))
    done = subprocess.run(["gnuplot"], input="\n".join([*script, ""]), text=True, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"gnuplot: {done.stderr}")


def run_of(run):
    """Its settings and its epochs."""
    with open(run / "results.csv") as file:
        return read_args(run / "args.yaml"), list(csv.DictReader(file))


def network_of(args):
    backbone = args["backbone"]
    return args["model"] + ("" if backbone == "null" else f" on {backbone}")


def tasks_table(options):
    lines = ["| network | dataset | epochs | boxes: mAP50 | mAP50-95 | masks, keypoints: mAP50 | mAP50-95 | COCO AP | minutes |",
             "|---|---|---|---|---|---|---|---|---|"]
    for run in options.runs:
        args, epochs = run_of(run)
        measured = measure(options.marrow, run / "weights" / "best.safetensors", args["data"], args)
        letter = next((letter for letter in "MP" if f"map50({letter})" in measured), None)
        second = [f"{measured[f'{key}({letter})']:.3f}" if letter else "" for key in ("map50", "map50_95")]
        coco = measured[{"M": "coco_masks", "P": "coco_keypoints", None: "coco"}[letter]][0]
        minutes = float(epochs[-1]["time"]) / 60
        lines.append(f"| {network_of(args)} | {Path(args['data']).parent.name} | {len(epochs)} | {measured['map50']:.3f} "
                     f"| {measured['map50_95']:.3f} | {second[0]} | {second[1]} | {coco:.3f} | {minutes:.1f} |")
        print(lines[-1], flush=True)
    publish("bench/train/results.py --tasks", "\n".join(lines), options.write)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", help="the dataset to measure on; with --tasks each run's own")
    parser.add_argument("--tasks", action="store_true", help="the table of masks, keypoints and turned boxes")
    parser.add_argument("--backbones", action="store_true", help="the table and the curves of other backbones than YOLOv8's")
    parser.add_argument("--marrow", default="build/release/bin/marrow")
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the table")
    options = parser.parse_args()
    if options.tasks:
        return tasks_table(options)
    if options.data is None:
        parser.error("--data is required")

    rows, curves = [], []
    for run in options.runs:
        args, epochs = run_of(run)
        measured = measure(options.marrow, run / "weights" / "best.safetensors", options.data, args)
        network = network_of(args)
        ends = [0.0, *(float(epoch["time"]) for epoch in epochs)]
        seconds = statistics.median(b - a for a, b in zip(ends, ends[1:]))
        if len(epochs) >= LONG:
            curves.append((network, [float(epoch["metrics/mAP50-95(B)"]) for epoch in epochs]))
        planned, done = int(args["epochs"]), len(epochs)
        rows.append((network, done if done == planned else f"{done} of {planned}", args["seed"], measured["map50"], measured["map50_95"],
                     float(epochs[-1]["metrics/mAP50(B)"]), float(epochs[-1]["metrics/mAP50-95(B)"]),
                     measured["coco"][0], seconds))
        print(rows[-1], flush=True)
    table = "\n".join([
        "| network | epochs | seed | mAP50 | mAP50-95 | last epoch's | COCO AP | s an epoch |", "|---|---|---|---|---|---|---|---|",
        *(f"| {network} | {epochs} | {seed} | {map50:.3f} | {map50_95:.3f} | {last50:.3f} / {last:.3f} | {coco:.3f} "
          f"| {seconds:.0f} |" for network, epochs, seed, map50, map50_95, last50, last, coco, seconds in rows)])
    publish("bench/train/results.py" + (" --backbones" if options.backbones else ""), table, options.write)
    if options.write and curves:
        part = "backbones-" if options.backbones else ""
        plot(curves, options.write.with_name(f"{options.write.stem}-{part}curves.svg"))


if __name__ == "__main__":
    main()
