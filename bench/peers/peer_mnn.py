"""MNN: converted for speed, precision high (its own word for float32 kept exact), power high."""

from pathlib import Path

import _tools  # MNN's converter; MNN.tools around it installs packages and calls home
import MNN
import MNN.expr
import MNN.nn
import onnx


def version():
    return f"MNN {MNN.version()}"


def convert(path, folder):
    made = folder / (Path(path).stem + ".mnn")
    if not made.exists():
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", path, "--MNNModel", str(made), "--bizCode", "marrow",
                           "--optimizeLevel", "2", "--optimizePrefer", "2"])
    return str(made)


def output_names(path):
    return [output.name for output in onnx.load(path, load_external_data=False).graph.output]


class Peer:
    def __init__(self, path, height, width, threads, precision, folder):
        if precision != "float32":
            raise ValueError(f"no {precision}")
        manager = MNN.nn.create_runtime_manager(({
            "backend": "CPU", "numThread": threads, "precision": "high", "power": "high",
            "memory": "high"},))
        self.network = MNN.nn.load_module_from_file(convert(path, folder), ["images"], output_names(path),
                                                    runtime_manager=manager, shape_mutable=False)
        self.input = MNN.expr.placeholder([1, 3, height, width], MNN.expr.NCHW)

    def run(self, image):
        self.input.write(image)
        self.results = [output.read() for output in self.network.forward([self.input])]

    def outputs(self):
        return self.results
