"""One worker and two, each pinned to a core of its own: images a second, efficiency, what travels and how much of it is hidden.

    python3 bench/distributed/measure.py build/release/bench/workers_bench --turns 5 --json measured.json

Runs them in turns, so that a machine that is busy slows both. Prints a table for docs/distributed.md: medians over the turns, the
efficiency that of the turns' ratios, and that of the shortest step of all, which other programs disturb least. --json keeps the numbers for
model.py.
"""

import argparse
import json
import os
import statistics
import subprocess

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
    options = parser.parse_args()
    networks = [tuple((text + ",").split(",")[:2]) for text in options.network] if options.network else NETWORKS
    starter = ["mpirun", "-np", "2", "--bind-to", "core"] + (["--allow-run-as-root"] if os.geteuid() == 0 else [])
    print(
        "| network | parameters, million | images/s, one | two | efficiency | of the shortest steps | MB a step | of theory | hidden "
        "| other calls, ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    kept = []
    for model, backbone in networks:
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
        ratios = [two["images_per_second"] / (2 * one["images_per_second"]) for one, two in zip(ones, twos)]
        shortest = min(one["shortest_seconds"] for one in ones) / min(two["shortest_seconds"] for two in twos)
        parameters = ones[0]["parameters"]
        theory = parameters * (2 if options.travel == "bf16" else 4)  # 2 (N - 1) / N of the gradient, N = 2
        sent, sums = median(twos, "bytes_a_step"), median(twos, "sum_seconds")
        hidden = 1 - median(twos, "sum_wait_seconds") / sums
        name = f"{model} with {backbone}" if backbone else model
        print(
            f"| {name} | {parameters / 1e6:.2f} | {median(ones, 'images_per_second'):.2f} | {median(twos, 'images_per_second'):.2f} "
            f"| {statistics.median(ratios):.3f} | {shortest:.3f} | {sent / 1e6:.2f} | {sent / theory:.3f} | {100 * hidden:.0f} % "
            f"| {1e3 * median(twos, 'call_seconds'):.1f} |",
            flush=True,
        )
        kept.append(
            {
                "name": name,
                "parameters": parameters,
                "batch": options.batch,
                "imgsz": options.imgsz,
                "step_seconds": min(one["shortest_seconds"] for one in ones),
            }
        )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)


if __name__ == "__main__":
    main()
