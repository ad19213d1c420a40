"""One worker and two, each pinned to a core of its own: images a second, efficiency, what travels and how much of it is hidden.

    python3 bench/distributed/measure.py build/release/bench/workers_bench --json measured.json --write docs/distributed.md
    python3 bench/distributed/measure.py build/release/bench/workers_bench --links --write docs/distributed.md

One worker, two at once that know nothing of each other, and two that train together take turns, so that a machine that is busy slows
all. The strangers say what caches and memory, which the cores share, leave to any two. Images a second are those of the median step of a
turn, numbers medians over the turns, efficiencies those of the turns' ratios; a step of one core is the shortest of all, which other programs
disturb least, and the shortest steps of one and of two have their efficiency, too: a step of two takes as long as the one that is disturbed
more. --json keeps the numbers for model.py. --links does the same over links of several speeds between two hosts that two_hosts.py makes, as root.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import model  # noqa: E402
from tables import publish  # noqa: E402

NETWORKS = [
    ("yolov8n", ""),
    ("yolov8n", "shufflenet_v2_x1_0"),
    ("yolov8n", "starnet_s1"),
    ("yolov8n", "pp_lcnet_x1_0"),
    ("yolov8s", ""),
]
LINKED_NETWORKS = NETWORKS[:2]
LINKS = [(10, 0.1), (10, 1), (1, 1)]  # Gbit a second, ms
# A worker's images; train synchronises batch norms below 16.
OWN_NORMS, SYNCHRONISED = 16, 8
TWO_HOSTS = Path(__file__).resolve().parent / "two_hosts.py"


def start(command, settings):
    words = command + [f"{key}={value}" for key, value in settings.items()]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process):
    out, err = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(process.args)}:\n{err}")
    return json.loads(out.strip().splitlines()[-1])


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def starter(link):
    if link:
        gigabits, milliseconds = link
        return [sys.executable, str(TWO_HOSTS), "--gbit", str(gigabits), "--ms", str(milliseconds)]
    return ["mpirun", "-np", "2", "--bind-to", "core"] + (["--allow-run-as-root"] if os.geteuid() == 0 else [])


def measure(options, network, batch, link=None):
    name, backbone = network
    settings = {"model": name, "backbone": backbone, "imgsz": options.imgsz, "batch": batch, "steps": options.steps}
    settings |= {"sync": int(batch < OWN_NORMS), "travel": options.travel}

    def start_lone(core):
        return start(["taskset", "-c", str(core), options.program], {**settings, "lone": 1})

    ones, strangers, twos = [], [], []
    for turn in range(options.turns):
        ones.append(result(start_lone(turn % 2)))  # cores may not be equally fast
        both = [start_lone(core) for core in (0, 1)]
        strangers.append(sum(result(process)["images_per_second"] for process in both))
        twos.append(result(start(starter(link) + [options.program], settings)))

    def share_of_two(rates):
        return statistics.median(rate / (2 * one["images_per_second"]) for rate, one in zip(rates, ones))

    measured = {
        "name": f"{name} with {backbone}" if backbone else name,
        "parameters": ones[0]["parameters"],
        "batch": batch,
        "imgsz": options.imgsz,
        "step_seconds": min(row["shortest_seconds"] for row in ones),
        "one": median(ones, "images_per_second"),
        "two": median(twos, "images_per_second"),
        "efficiency": share_of_two([two["images_per_second"] for two in twos]),
        "efficiency_of_shortest": min(row["shortest_seconds"] for row in ones) / min(row["shortest_seconds"] for row in twos),
        "strangers": share_of_two(strangers),
        "bytes": median(twos, "bytes_a_step"),
        "theory": ones[0]["parameters"] * (2 if options.travel == "bf16" else 4),  # 2 (N - 1) / N of the gradient, N = 2
        "sum_seconds": median(twos, "sum_seconds"),
        "hidden": 1 - median(twos, "sum_wait_seconds") / median(twos, "sum_seconds"),
        "call_seconds": median(twos, "call_seconds"),
    }
    print(f"{measured['name']}, {batch} images: {measured['efficiency']:.3f} of {measured['strangers']:.3f}", file=sys.stderr, flush=True)
    return measured


def norms(n):
    return "synchronised" if n["batch"] < OWN_NORMS else "of its own"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def steps_table(measured):
    heads = ["network", "parameters, million", "batch norms", "MB a step", "of theory", "a step, ms of one core"]
    heads += ["of it sums of gradients", "hidden of these", "sums of batch norms, ms"]
    return table(
        heads,
        [
            [n["name"], f"{n['parameters'] / 1e6:.2f}", norms(n), f"{n['bytes'] / 1e6:.2f}", f"{n['bytes'] / n['theory']:.3f}"]
            + [f"{1e3 * n['step_seconds']:.0f}", f"{1e3 * n['sum_seconds']:.0f}", f"{100 * n['hidden']:.0f} %"]
            + [f"{1e3 * n['call_seconds']:.0f}"]
            for n in measured
        ],
    )


def efficiency_table(measured):
    heads = ["network", "images of a worker", "batch norms", "images/s, one", "two", "efficiency", "of the shortest steps", "of two strangers"]
    return table(
        heads,
        [
            [n["name"], str(n["batch"]), norms(n), f"{n['one']:.1f}", f"{n['two']:.1f}", f"{n['efficiency']:.3f}"]
            + [f"{n['efficiency_of_shortest']:.3f}", f"{n['strangers']:.3f}"]
            for n in measured
        ],
    )


def links_table(measured):
    def row(link, n):
        gigabits, milliseconds = link
        cells = [n["name"], f"{gigabits} Gbit/s, {milliseconds} ms", norms(n), f"{n['efficiency']:.3f}"]
        shared = n["efficiency"] / n["strangers"]
        expected = model.efficiency(n["step_seconds"], 4 * n["parameters"], 2, gigabits, latency=1e-3 * milliseconds)
        return cells + [f"{shared:.3f}", f"{expected:.3f}" if n["batch"] >= OWN_NORMS else "-", f"{100 * n['hidden']:.0f} %"]

    heads = ["network", "link", "batch norms", "efficiency", "beside two strangers", "by model.py", "of the gradients' sums hidden"]
    return table(heads, [row(link, n) for link, n in measured])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--turns", type=int, default=6, help="even, so that the lone worker has both cores alike")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--travel", default="fp32")
    parser.add_argument("--network", action="append", help="MODEL or MODEL,BACKBONE; default: several")
    parser.add_argument("--links", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the tables there instead of printing them")
    options = parser.parse_args()
    wanted = [tuple((text + ",").split(",")[:2]) for text in options.network or []]
    if options.links:
        linked = [(link, network, OWN_NORMS) for network in wanted or LINKED_NETWORKS for link in LINKS]
        linked += [(LINKS[0], NETWORKS[0], SYNCHRONISED)]
        measured = [(link, measure(options, network, batch, link)) for link, network, batch in linked]
        publish("bench/distributed/measure.py, links", links_table(measured), options.write)
        return
    networks = wanted or NETWORKS
    measured = [measure(options, network, batch) for network in networks for batch in (OWN_NORMS, SYNCHRONISED)]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([n for n in measured if n["batch"] == OWN_NORMS], file, indent=1)
    publish("bench/distributed/measure.py, steps", steps_table(measured), options.write)
    publish("bench/distributed/measure.py, efficiency", efficiency_table(measured), options.write)


if __name__ == "__main__":
    main()
