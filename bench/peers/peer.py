#!/usr/bin/env python3
"""One peer of bench/peers/compare.py in a process of its own, with the protocol of marrow_turns.cpp.

    peer.py NAME        NAME: a module peer_NAME.py beside this file

Such a module has `version()` and a class Peer: made from (onnx file, height, width, threads, precision, folder for
converted files), it sets the runtime up at its best; `run(image)` is what is timed, from a (1, 3, H, W) float32 array to
outputs that a caller can read; `outputs()` are those of the last run, in the file's order. What a runtime cannot do raises an
exception.
"""

import importlib
import os
import sys
import time
from pathlib import Path

import numpy as np


def answers(module, folder):
    peer = image = None

    def load(path, height, width, threads, precision, source):
        nonlocal peer, image
        peer = None  # its memory first
        height, width = int(height), int(width)
        image = np.fromfile(source, np.float32).reshape(1, 3, height, width)
        peer = module.Peer(path, height, width, int(threads), precision, folder)
        return "loaded"

    def run(count):
        times = []
        for _ in range(int(count)):
            begin = time.perf_counter()
            peer.run(image)
            times.append(1e3 * (time.perf_counter() - begin))
        return " ".join(f"{ms:.5f}" for ms in times)

    def output(path):
        values = [np.ascontiguousarray(output, dtype=np.float32) for output in peer.outputs()]
        with open(path, "wb") as file:
            for value in values:
                value.tofile(file)
        return " ".join(str(value.size) for value in values)

    return {"load": load, "run": run, "output": output, "version": module.version}


def main():
    # Answers go to what stdout was; whatever a runtime prints goes to stderr.
    reply = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    name, folder = sys.argv[1:]
    try:
        commands = answers(importlib.import_module(f"peer_{name}"), Path(folder))
    except Exception as error:  # not installed, most often
        print(f"error: {type(error).__name__}: {error}".replace("\n", " "), file=reply)
        return
    print(f"ready {commands['version']()}", file=reply)
    for line in sys.stdin:
        command, *words = line.split()
        try:
            print(commands[command](*words), file=reply)
        except Exception as error:
            print(f"error: {type(error).__name__}: {error}".replace("\n", " ")[:500], file=reply)


if __name__ == "__main__":
    main()
