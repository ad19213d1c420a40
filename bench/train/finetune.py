#!/usr/bin/env python3
"""What fine-tuning on a frozen backbone takes and reaches, with cached features and without: the table of docs/train.md.

    bench/train/finetune.py --checkpoint coco.safetensors --write docs/train.md

Draws 150 images of three new classes, of which 50 are trained on, and runs marrow train on them; seconds are those of all cores
together (user and system time), start and validations included.
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import publish  # noqa: E402

CACHED = ["--freeze", "backbone", "--cache", "features"]
VARIANTS = {
    "`--freeze backbone --cache features`": CACHED,
    "the same with `--cache-variants 1`": [*CACHED, "--cache-variants", "1"],
    "`--freeze backbone`": ["--freeze", "backbone"],
    "neither": [],
}


def run(options, folder, name, seed, arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([options.marrow, "train", "--model", options.checkpoint, "--data", folder / "new" / "data.yaml", "--imgsz", "320",
                    "--epochs", "20", "--batch", "10", "--nbs", "10", "--val-every", "20", "--no-plots", "--seed", str(seed),
                    "--project", folder / "runs", "--name", name, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "runs" / name / "results.csv") as file:
        last = list(csv.DictReader(file))[-1]
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, float(last["metrics/mAP50(B)"]), float(last["metrics/mAP50-95(B)"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="the detector to start from")
    parser.add_argument("--marrow", default="build/release/bin/marrow")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--write", type=Path, help="a document whose marked part becomes the table")
    options = parser.parse_args()
    lines = ["| options | seconds of all cores | mAP50 | mAP50-95 |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([options.marrow, "data", "synth", folder / "new", "--images", "150", "--val-share", "0.667", "--classes",
                        "star,ring,cross", "--seed", "1"], check=True, capture_output=True)
        for i, (title, arguments) in enumerate(VARIANTS.items()):
            found = [run(options, folder, f"{i}-{seed}", seed, arguments) for seed in options.seeds]
            each = [" and ".join(f"{value:.{digits}f}" for value in values)
                    for values, digits in zip(zip(*found), (0, 3, 3))]
            lines.append(f"| {title} | {each[0]} | {each[1]} | {each[2]} |")
            print(lines[-1], flush=True)
    publish("bench/train/finetune.py", "\n".join(lines), options.write)


if __name__ == "__main__":
    sys.exit(main())
