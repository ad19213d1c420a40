"""One worker and two, each pinned to a core of its own: images a second, efficiency, what travels and how much of it is hidden.

    python3 bench/distributed/measure.py build/release/bench/workers_bench --turns 5 --json measured.json --write docs/distributed.md

Runs them in turns, so that a machine that is busy slows both. Prints the two tables of docs/distributed.md, or writes them there: medians
over the turns, the efficiency that of the turns' ratios; a step of one core is the shortest of all, which other programs disturb least, and
on stderr stands the efficiency by such steps. --json keeps the numbers for model.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import publish  # noqa: E402

NETWORKS = [
    ("yolov8n", ""),
    ("yolov8n", "shufflenet_v2_x1_0"),
    ("yolov8n", "starnet_s1"),
    ("yolov8n", "pp_lcnet_x1_0"),
    ("yolov8s", ""),
]


def run(command, settings):
    words = command + [f"{key}={value}" for key, value in settings.items()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def measure(options, model, backbone):
    starter = ["mpirun", "-np", "2", "--bind-to", "core"] + (["--allow-run-as-root"] if os.geteuid() == 0 else [])
    settings = {
        "model": model,
        "backbone": backbone,
        "imgsz": options.imgsz,
        "batch": options.batch,
        "steps": options.steps,
        "sync": options.sync,
        "travel": options.travel,
    }
    ones, twos = [], []
    for _ in range(options.turns):
        ones.append(run(["taskset", "-c", "0", options.program], {**settings, "lone": 1}))
        twos.append(run(starter + [options.program], settings))
    name = f"{model} with {backbone}" if backbone else model
    step, step_of_two = (min(row["shortest_seconds"] for row in rows) for rows in (ones, twos))
    print(f"{name}: efficiency of the shortest steps {step / step_of_two:.3f}", file=sys.stderr, flush=True)
    return {
        "name": name,
        "parameters": ones[0]["parameters"],
        "batch": options.batch,
        "imgsz": options.imgsz,
        "step_seconds": step,
        "one": median(ones, "images_per_second"),
        "two": median(twos, "images_per_second"),
        "efficiency": statistics.median(two["images_per_second"] / (2 * one["images_per_second"]) for one, two in zip(ones, twos)),
        "bytes": median(twos, "bytes_a_step"),
        "theory": ones[0]["parameters"] * (2 if options.travel == "bf16" else 4),  # 2 (N - 1) / N of the gradient, N = 2
        "sum_seconds": median(twos, "sum_seconds"),
        "hidden": 1 - median(twos, "sum_wait_seconds") / median(twos, "sum_seconds"),
        "call_seconds": median(twos, "call_seconds"),
    }


def steps_table(networks):
    lines = [
        "| network | parameters, million | MB a step | of theory | a step, ms of one core | of it sums of gradients | hidden of these "
        "| sums of batch norms, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {n['name']} | {n['parameters'] / 1e6:.2f} | {n['bytes'] / 1e6:.2f} | {n['bytes'] / n['theory']:.3f} "
        f"| {1e3 * n['step_seconds']:.0f} | {1e3 * n['sum_seconds']:.0f} | {100 * n['hidden']:.0f} % | {1e3 * n['call_seconds']:.0f} |"
        for n in networks
    ]
    return "\n".join(lines)


def efficiency_table(networks):
    lines = ["| network | images/s, one | two | efficiency | of the gradients' sums hidden |", "|---|---|---|---|---|"]
    lines += [f"| {n['name']} | {n['one']:.1f} | {n['two']:.1f} | {n['efficiency']:.3f} | {100 * n['hidden']:.0f} % |" for n in networks]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8, help="of a worker")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--sync", type=int, default=1)
    parser.add_argument("--travel", default="fp32")
    parser.add_argument("--network", action="append", help="MODEL or MODEL,BACKBONE; default: several")
    parser.add_argument("--json")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the tables there instead of printing them")
    options = parser.parse_args()
    networks = [tuple((text + ",").split(",")[:2]) for text in options.network] if options.network else NETWORKS
    measured = [measure(options, model, backbone) for model, backbone in networks]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(measured, file, indent=1)
    publish("bench/distributed/measure.py, steps", steps_table(measured), options.write)
    publish("bench/distributed/measure.py, efficiency", efficiency_table(measured), options.write)


if __name__ == "__main__":
    main()
