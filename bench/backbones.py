#!/usr/bin/env python3
"""The tables of docs/backbones.md: what every published backbone costs, alone and in YOLOv8n.

    bench/backbones.py --write docs/backbones.md

Parameters and multiply-adds are those of `marrow info --deploy`: of the classifier at its published size, and of YOLOv8n with this
backbone at 640 pixels. Names whose figures are all equal share a row. Latency is read from docs/performance.json, which
bench/peers/compare.py writes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tables import publish

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench/peers"))
import report  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marrow", default=ROOT / "build/release/bin/marrow")
    parser.add_argument("--write", metavar="FILE", help="the document to put the tables into; otherwise they are printed")
    options = parser.parse_args()

    def run(*command):
        done = subprocess.run([options.marrow, *command, "--json"], capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def counts(*model):
        found = run("info", *model, "--deploy")
        return f"{found['parameters'] / 1e6:.2f} | {found['macs'] / 1e9:.2f}" if found else "- | -"

    rows = ["| backbone | million parameters | GMAC | in YOLOv8n: million parameters | GMAC |", "|---|---|---|---|---|",
            f"| YOLOv8n's own | | | {counts('yolov8n')} |"]
    families = run("models")["backbones"]
    known = [name for family in families for name in family["variants"]]
    for family in families:
        names = {}
        for name in family["variants"]:
            names.setdefault(f"{counts(name)} | {counts('yolov8n', '--backbone', name)}", []).append(f"`{name}`")
        rows += [f"| {', '.join(equal)} | {figures} |" for figures, equal in names.items()]

    measured = json.loads((ROOT / "docs/performance.json").read_text())

    for kind in sorted({report.kind(entry) for entry in measured.values()}):
        entries = [entry for entry in measured.values() if report.kind(entry) == kind and entry["precision"] == "float32"]

        def ms(network, size, threads):
            found = [entry["ms"]["marrow"]["median"] for entry in entries
                     if (entry["network"], entry["size"], entry["threads"]) == (network, size, threads)]
            return f"{found[0]:.1f}" if found else "-"

        dates = sorted({entry["date"] for entry in entries})
        rows += ["", f"{kind[0]}, {kind[1]}, {dates[-1]}; float32, milliseconds an image:", "",
                 "| backbone | classifier, 224, 1 thread | YOLOv8n, 320, 1 thread | 640, 1 thread | 640, 2 threads |",
                 "|---|---|---|---|---|"]
        detectors = {entry["network"] for entry in entries} & {"yolov8n", *(f"yolov8n-{name}" for name in known)}
        for network in sorted(detectors, key=lambda network: float(ms(network, 640, 1).replace("-", "inf"))):
            backbone = network.removeprefix("yolov8n").removeprefix("-")
            times = [ms(backbone, 224, 1), ms(network, 320, 1), ms(network, 640, 1), ms(network, 640, 2)]
            rows.append(f"| {f'`{backbone}`' if backbone else 'its own'} | {' | '.join(times)} |")
    publish("bench/backbones.py", "\n".join(rows), options.write)


if __name__ == "__main__":
    main()
