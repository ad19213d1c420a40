"""What to expect of many workers, from what measure.py measured with one and two.

    python3 bench/distributed/model.py measured.json --cores 16 --write docs/distributed.md

Prints the table of docs/distributed.md, or writes it there. A step of N workers takes

    T = t + max(G - h t, b)

    t    one worker's step: that of one core, measured, over its cores, as if they shared it evenly; the worst case for the network
    G    = 2 (N - 1) / N * 8 bits * bytes / bandwidth + 2 B (a + (N - 1) o): the gradient in B buckets, each in two rounds of messages
    h t  what sums can hide behind: the rest of the backward pass after the first bucket
    b    the last bucket's time, which nothing hides

with a the time of a message through the network and o the processor's time for one. A worker has 16 images, so that batch norms see its
part alone. With --sync-bn each of L norms adds 2 (a + (N - 1) o) to a step. Slow workers, for which all wait, are not in it.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import publish  # noqa: E402

LATENCY = 30e-6  # a: a round through a switch, with TCP
MESSAGE = 3e-6  # o: to send and to receive one
HIDDEN = 0.5  # h: the backward pass is two thirds of a step; its first bucket is there after a quarter of it
BUCKET = 1 << 20  # bytes: 2^18 floats
IMAGES = 16
WORKERS = [8, 32, 128, 512, 1024]
GIGABITS = [1, 10, 25, 100]


def efficiency(step, size, workers, gigabits, latency=LATENCY):
    share = 2 * (workers - 1) / workers
    buckets = -(-size // BUCKET)
    rounds = 2 * (latency + (workers - 1) * MESSAGE)
    gradient = share * 8 * size / (gigabits * 1e9) + buckets * rounds
    last = gradient / buckets
    return step / (step + max(gradient - HIDDEN * step, last))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured")
    parser.add_argument("--cores", type=int, default=16, help="of a worker")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the table there instead of printing it")
    options = parser.parse_args()
    with open(options.measured, encoding="utf-8") as file:
        networks = json.load(file)
    lines = ["| network, gradient | Gbit/s | " + " | ".join(f"{n} workers" for n in WORKERS) + " |", "|---|---|" + "---|" * len(WORKERS)]
    for network in networks:
        step = network["step_seconds"] * IMAGES / network["batch"] / options.cores
        size = 4 * network["parameters"]
        for gigabits in GIGABITS:
            cells = [f"{efficiency(step, size, n, gigabits):.2f}" for n in WORKERS]
            name = f"{network['name']}, {size / 1e6:.1f} MB" if gigabits == GIGABITS[0] else ""
            lines.append(f"| {name} | {gigabits} | " + " | ".join(cells) + " |")
    publish("bench/distributed/model.py, from the steps above", "\n".join(lines), options.write)


if __name__ == "__main__":
    main()
