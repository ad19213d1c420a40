#!/usr/bin/env python3
"""Marrow's engine beside the runtimes that people use, on the same networks, in one interleaved run.

    cmake --preset release -DMARROW_BENCH=ON && cmake --build build/release --target marrow_cli marrow_turns
    bench/peers/compare.py --setup --venv ~/.cache/marrow-peers       # once: pip installs the peers there
    bench/peers/compare.py --models yolov8n --sizes 320 --threads 1   # a part, in under a minute
    bench/peers/compare.py --write docs/performance.md                # everything, and the document's table and plot

Every engine is a process of its own that is stopped unless it is its turn. In a round each engine runs the network once
unmeasured and then a few times; rounds follow each other, in an order that rotates. A figure is the median over all of
an engine's runs. An engine whose output differs from Marrow's is reported and not timed. Weights are random, with activations
near 1, and the image is noise: times do not depend on them.

Results go to a JSON file (--results) into which later runs merge; a part measured again replaces what was there. --write
without measuring (--rounds 0) makes the document's tables from that file.
"""

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import engines
import report
from engines import OURS, PEERS, Failed
from tables import LIBRARY, hide_avx512

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["numpy", "onnx", "onnxruntime", "openvino", "MNN", "ncnn", "pnnx"]
DEBIAN_PYTHON = "/usr/bin/python3"  # with python3-opencv; OpenCV 5 computes PP-LCNet wrongly
BACKBONES = ["shufflenet_v2_x1_0", "starnet_s1", "pp_lcnet_x1_0", "efficientnet_b0", "vanillanet_5"]
OF_DETECTION = ["yolov8n", "yolo11n", "yolo12n", "yolo26n"]
OF_OTHER_TASKS = ["yolov8n-seg", "yolov8n-pose", "yolov8n-obb"]
DETECTORS = {**{name: (name, "-") for name in OF_DETECTION + OF_OTHER_TASKS},
             **{f"yolov8n-{b}": ("yolov8n", b) for b in BACKBONES}}
CLASSIFIERS = {name: (name, "-") for name in BACKBONES}
NETWORKS = {**DETECTORS, **CLASSIFIERS}
LEAST_ROUNDS = 5
DETECTOR_SIZES, CLASSIFIER_SIZE = [640, 320], 224
# How far outputs may differ, root mean square over ours'. Runtimes in float32 are within 2e-5, MNN's larger Winograd tiles
# within 2e-4, while bfloat16 is at 4e-2 from float32.
TOLERANCE = {"float32": 1e-3, "bf16": 1.5e-1, "int8": 3e-1}


def setup(folder):
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--upgrade", *PACKAGES], check=True)


def inside_environment(folder):
    """Starts this script again with the environment's Python."""
    python = folder / "bin" / "python"
    if Path(sys.prefix).resolve() != folder.resolve():
        if not python.exists():
            raise SystemExit(f"{folder}: no environment; --setup makes it")
        os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])


def cases(options):
    """(network, size, precision), those of one network in a row."""
    chosen = []
    for name in options.models:
        sizes = DETECTOR_SIZES if name in DETECTORS else [CLASSIFIER_SIZE]
        chosen += [(name, size, p) for size in sizes if not options.sizes or size in options.sizes
                   for p in options.precisions]
    return chosen


def load_all(running, files, case, threads, options):
    """The engines that compute the case as Marrow does, and what the others have against it."""
    name, size, precision = case
    image, outputs = files.image(size), {}
    good, problems = [], {}
    for engine in running:
        model = files.checkpoint(name, precision) if engine.name == OURS else files.onnx(name, size, precision)
        try:
            engine.ask("load", model, size, size, threads, precision, image)
            engine.run(1)
            outputs[engine.name] = files.outputs(engine)
            far = files.difference(outputs[OURS], outputs[engine.name])
            if far > TOLERANCE[precision]:
                raise Failed(f"differs by {far:.1e}")
            good.append(engine)
        except Failed as failure:
            if engine.name == OURS:
                raise SystemExit(f"marrow, {name} {size} {precision}: {failure}")
            problems[engine.name] = str(failure)
            print(f"  {engine.name}: {failure}", file=sys.stderr, flush=True)
    return good, problems


def wait_for_quiet(most_s):
    """Until no other program runs, but no longer than `most_s`: all engines stand still now."""
    until = time.monotonic() + most_s
    while time.monotonic() < until and int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]) > 1:
        time.sleep(0.002)


def measure(running, options):
    """Times in ms by engine. A turn is as many runs as take about options.turn_ms on the engine whose turn it is, and waits for
    other programs at most as long."""
    times = {engine.name: [] for engine in running}
    counts = {engine.name: max(1, min(50, round(options.turn_ms / min(engine.run(2))))) for engine in running}
    begin = time.monotonic()
    for i in range(options.rounds):
        if i >= LEAST_ROUNDS and time.monotonic() - begin > options.seconds:
            break
        for engine in running[i % len(running):] + running[:i % len(running)]:
            wait_for_quiet(options.turn_ms / 1e3)
            times[engine.name] += engine.run(1 + counts[engine.name])[1:]
    return times


def start(options, log):
    """All engines and their versions."""
    running = [engines.start_ours(options.turns, options.limit_s, log)]
    git = lambda *words: subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True).stdout.strip()
    changed = "-dirty" if git("status", "--porcelain", "--", ".", ":!docs") else ""  # results go to docs
    versions = {OURS: f"Marrow {git('describe', '--always')}{changed}"}
    for name in options.peers:
        python = options.pythons.get(name, options.venv / "bin" / "python")
        try:
            engine, versions[name] = engines.start_peer(name, python, options.work, options.limit_s, log)
            running.append(engine)
        except (Failed, OSError) as failure:
            print(f"{name}: left out: {failure}", file=sys.stderr, flush=True)
    return running, versions


def measure_all(options, results):
    from files import Files  # needs NumPy, which the environment has

    files = Files(options, NETWORKS)
    processor = report.processor(options.marrow, options.avx2_only)
    with open(options.work / "compare.log", "wb") as log:
        for threads in options.threads:
            running, versions = start(options, log)
            try:
                for case in cases(options):
                    begin = time.monotonic()
                    good, problems = load_all(running, files, case, threads, options)
                    row = {"network": case[0], "size": case[1], "precision": case[2], "threads": threads, "processor": processor,
                           "date": datetime.date.today().isoformat(), "versions": versions, "problems": problems,
                           "ms": {name: report.summary(t) for name, t in measure(good, options).items()}}
                    results[" ".join(str(part) for part in (*case, threads, *report.kind(row)))] = row
                    report.save(options.results, results)
                    print(report.line(row), f"  ({time.monotonic() - begin:.0f} s)", flush=True)
            finally:
                for engine in running:
                    engine.end()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda kind: (lambda text: [kind(word) for word in text.split(",")])
    parser.add_argument("--models", type=listed(str), default=list(NETWORKS), help=f"of {','.join(NETWORKS)}")
    parser.add_argument("--sizes", type=listed(int), default=[], help="only these [default: 640,320; classifiers 224]")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NETWORK=FILE",
                        help="weights for one of --models instead of random ones; for int8, quantised ones")
    parser.add_argument("--threads", type=listed(int), default=[1, 2])
    parser.add_argument("--precisions", type=listed(str), default=["float32"], help=f"of {','.join(TOLERANCE)}")
    parser.add_argument("--peers", type=listed(str), default=PEERS, help=f"of {','.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each engine; 0: measure nothing")
    parser.add_argument("--turn-ms", type=float, default=50, help="how long a turn is, at least one run")
    parser.add_argument("--seconds", type=float, default=15,
                        help=f"no further round of a case begins after this, {LEAST_ROUNDS} rounds at least")
    parser.add_argument("--limit-s", type=float, default=120, help="an engine that says nothing for so long is left out")
    parser.add_argument("--venv", type=Path, default=Path.home() / ".cache/marrow-peers")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PYTHON",
                        help="runs a peer with another Python than --venv's [default: opencv=/usr/bin/python3]")
    parser.add_argument("--setup", action="store_true", help="makes --venv and installs the peers there, no more")
    parser.add_argument("--work", type=Path, help="keeps networks and converted files here [default: a temporary folder]")
    parser.add_argument("--marrow", type=Path, default=ROOT / "build/release/bin/marrow")
    parser.add_argument("--turns", type=Path, help="the program marrow_turns [default: beside --marrow's folder, in bench]")
    parser.add_argument("--avx2-only", action="store_true", help="hides AVX-512 from all engines (bench/avx2_only.cpp)")
    parser.add_argument("--results", type=Path, default=ROOT / "docs/performance.json")
    parser.add_argument("--write", type=Path, help="the document whose marked part becomes the tables")
    options = parser.parse_args()
    options.pythons = {"opencv": DEBIAN_PYTHON} | dict(pair.split("=", 1) for pair in options.python)
    options.checkpoints = {name: Path(file).resolve() for name, file in (pair.split("=", 1) for pair in options.checkpoint)}
    options.turns = options.turns or options.marrow.resolve().parent.parent / "bench/marrow_turns"
    for kind, known in (("models", NETWORKS), ("peers", PEERS), ("precisions", TOLERANCE)):
        for name in getattr(options, kind):
            if name not in known:
                parser.error(f"--{kind}: unknown name '{name}'. Known: {', '.join(known)}")
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no engine is left standing
    if options.setup:
        return setup(options.venv)
    results = report.load(options.results)
    if options.rounds > 0:
        inside_environment(options.venv)
        if options.avx2_only:
            hide_avx512(options.turns.with_name(LIBRARY))
        with tempfile.TemporaryDirectory() as temporary:
            options.work = (options.work or Path(temporary)).resolve()
            measure_all(options, results)
    if options.write:
        report.write(options.write, results, list(NETWORKS))


if __name__ == "__main__":
    main()
