#!/usr/bin/env python3
"""Where the time of networks goes, by kind of layer: tables of docs/performance.md and docs/quantize.md.

    bench/layers.py yolov8n@640 starnet_s1@224 --write docs/performance.md
    bench/layers.py yolov8n-int8.safetensors@640 --precisions float32 int8 bf16 --write docs/quantize.md

One thread. A layer's time is the shortest that `marrow benchmark` found in some turns of all networks and precisions:
other programs that run meanwhile lengthen nearly every run of a network, but not every run of a layer. Implementations
are those of the fixed rule, since the tuner's one measurement may be such a run.
"""

import argparse
import datetime
import json
import re
import subprocess
from pathlib import Path

from tables import publish

ROOT = Path(__file__).resolve().parent.parent
LEAST_SHARE = 0.02  # of a kind in some column; the others are summed


def kind(kernel):
    """What the layer is without its tiles, its epilogue and the instructions of its precision."""
    kernel = re.sub(r"^(int8|bf16) (?!gather)\w+ ", "", kernel)
    kernel = re.sub(r" x[\d.]+$| \d+ tiles$| tile \S+$", "", re.sub(r" \+(?! depthwise).*", "", kernel))
    return "expansion with its depthwise" if kernel.startswith("expand") else re.sub(r"^(low precision|direct) ", "", kernel)


def measure(options, column):
    (model, size), precision = column
    done = subprocess.run([options.marrow, "benchmark", model, "--imgsz", size, "--precision", precision, "--threads", "1",
                           "--seconds", "0", "--no-autotune", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def sums(runs):
    """Milliseconds and multiply-adds by kind, of each layer the shortest time."""
    times, macs = {}, {}
    for run in runs:
        for i, layer in enumerate(sorted(run["layers"], key=lambda layer: layer["layer"] + layer["kernel"])):
            place = (i, layer["layer"])
            times[place] = min(times.get(place, (layer["ms"],))[0], layer["ms"]), kind(layer["kernel"])
            macs[place] = layer["macs"]
    found = {}
    for place, (ms, name) in times.items():
        before = found.get(name, (0, 0))
        found[name] = before[0] + ms, before[1] + macs[place]
    return found


def cell(ms, macs):
    return f"{ms:.2f} ({2 * macs / ms / 1e6:.0f})" if macs > 0 else f"{ms:.2f}"


def table(columns, found):
    totals = [sum(ms for ms, _ in kinds.values()) for kinds in found]
    shown = [name for name in {name: None for kinds in found for name in kinds}
             if any(kinds.get(name, (0, 0))[0] > LEAST_SHARE * total for kinds, total in zip(found, totals))]
    shown.sort(key=lambda name: -sum(kinds.get(name, (0, 0))[0] / total for kinds, total in zip(found, totals)))
    precisions = {precision for _, precision in columns}
    heads = [f"{Path(model).stem} {size}{f' {precision}' if len(precisions) > 1 else ''}" for (model, size), precision in columns]
    lines = [f"| ms (GFLOP/s) | {' | '.join(heads)} |", f"|---|{'---|' * len(columns)}"]
    for name in shown:
        lines.append(f"| {name} | {' | '.join(cell(*kinds[name]) if name in kinds else '-' for kinds in found)} |")
    others = [total - sum(kinds[name][0] for name in shown if name in kinds) for kinds, total in zip(found, totals)]
    lines.append(f"| others | {' | '.join(f'{ms:.2f}' for ms in others)} |")
    lines.append(f"| all | {' | '.join(cell(total, sum(macs for _, macs in kinds.values())) for total, kinds in zip(totals, found))} |")
    if len(precisions) > 1:
        plain = {network: total for (network, precision), total in zip(columns, totals) if precision == "float32"}
        ratios = [f"{plain[network] / total:.2f}" for (network, _), total in zip(columns, totals)]
        lines.append(f"| times as fast as float32 | {' | '.join(ratios)} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="MODEL@SIZE")
    parser.add_argument("--precisions", nargs="+", default=["float32"], help="float32 first")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--marrow", type=Path, default=ROOT / "build/release/bin/marrow")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the table there instead of printing it")
    options = parser.parse_args()

    columns = [(tuple(network.rsplit("@", 1)), precision) for network in options.networks for precision in options.precisions]
    turns = [[measure(options, column) for column in columns] for _ in range(options.turns)]
    first = turns[0][0]
    peak = max(run["peak_gflops"] for turn in turns for run in turn)
    lines = [f"{first['cpu']}, {first['simd']}, second-level cache of {first['cache_bytes'][1] // 1024} KiB, float32 peak of a core "
             f"{peak:.0f} GFLOP/s; {datetime.date.today()}, one thread:", ""]
    lines += table(columns, [sums(runs) for runs in zip(*turns)])
    publish("bench/layers.py", "\n".join(lines), options.write)


if __name__ == "__main__":
    main()
