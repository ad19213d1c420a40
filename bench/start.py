#!/usr/bin/env python3
"""How long networks take to be ready: a table.

    bench/start.py --threads 1 2
    bench/start.py --threads 2 --avx2-only vanillanet_5@224
    bench/start.py --threads 1 2 --write docs/performance.md

Merging layers in memory (deploy), compiling with an empty cache of the tuner (first) and with what that measured
(cached): of each the shortest of --turns of `marrow benchmark`. The weights are random, and drawing them is not counted.
"""

import argparse
import datetime
import json
import os
import subprocess
import tempfile
from pathlib import Path

from tables import LIBRARY, hide_avx512, processor_name, publish, vectors

ROOT = Path(__file__).resolve().parent.parent
# The usual and the largest of each family.
MODELS = ["yolov8n@640", "yolov8x@640", "yolo11n@640", "yolo11x@640", "yolov8n-shufflenet_v2_x1_0@640",
          "yolov8n-starnet_s1@640", "yolov8n-pp_lcnet_x1_0@640", "yolov8n-efficientnet_b0@640",
          "yolov8n-vanillanet_5@640", "shufflenet_v2_x2_0@224", "starnet_s4@224", "pp_lcnet_x2_5@224",
          "efficientnet_b7@600", "vanillanet_5@224", "vanillanet_13@224"]


def measure(options, model, threads, cache):
    name, size = model.split("@")
    environment = dict(os.environ, XDG_CACHE_HOME=cache)
    done = subprocess.run([options.marrow, "benchmark", name, "--imgsz", size, "--threads", str(threads), "--seconds", "0",
                           "--json"], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def row(options, model, threads):
    first, cached = [], []
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as cache:
            first.append(measure(options, model, threads, cache))
            cached.append(measure(options, model, threads, cache))
    deploy = min(run["deploy_ms"] for run in first + cached)
    times = [deploy] + [min(run["compile_ms"] for run in runs) for runs in (first, cached)]
    return f"| {model} | {threads} | " + " | ".join(f"{ms / 1e3:.2f}" for ms in times) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL@SIZE")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--avx2-only", action="store_true", help="hides AVX-512 (bench/avx2_only.cpp)")
    parser.add_argument("--marrow", default=str(ROOT / "build/release/bin/marrow"))
    parser.add_argument("--write", metavar="DOCUMENT", help="put the table there instead of printing it")
    options = parser.parse_args()
    if options.avx2_only:
        hide_avx512(ROOT / "build/release/bench" / LIBRARY)
    rows = [row(options, model, threads) for model in options.models for threads in options.threads]
    text = [f"{processor_name()}, {datetime.date.today()}; seconds:", "",
            "| network | threads | deploy | compile, first | compile, cached |", "| --- | --- | --- | --- | --- |"]
    publish(f"bench/start.py, {vectors()}", "\n".join(text + rows), options.write)


if __name__ == "__main__":
    main()
