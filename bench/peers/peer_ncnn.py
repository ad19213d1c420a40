"""ncnn: converted by pnnx without float16, no reduced storage or arithmetic, Winograd and SGEMM on."""

import shutil
import subprocess
import sys
from pathlib import Path

import ncnn
import numpy as np


def version():
    return f"ncnn {ncnn.__version__}"


def convert(path, height, width, folder):
    """pnnx writes beside its input, so that gets a copy in a folder of its own."""
    place = folder / (Path(path).stem + ".pnnx")
    if not (place / "model.ncnn.param").exists():
        place.mkdir(exist_ok=True)
        shutil.copy(path, place / "model.onnx")
        subprocess.run([Path(sys.executable).with_name("pnnx"), "model.onnx", "fp16=0", f"inputshape=[1,3,{height},{width}]"],
                       cwd=place, check=True, stdout=subprocess.DEVNULL)
    return place


class Peer:
    def __init__(self, path, height, width, threads, precision, folder):
        if precision not in ("float32", "bf16"):
            raise ValueError(f"no {precision}")
        place = convert(path, height, width, folder)
        self.network = ncnn.Net()
        options = self.network.opt
        options.num_threads = threads
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = precision == "bf16"
        options.lightmode = True
        options.use_packing_layout = options.use_winograd_convolution = options.use_sgemm_convolution = True
        options.openmp_blocktime = 100
        self.network.load_param(str(place / "model.ncnn.param"))
        self.network.load_model(str(place / "model.ncnn.bin"))

    def run(self, image):
        extractor = self.network.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]))
        self.results = []
        for name in sorted(self.network.output_names()):  # out0, out1, ... in the order of the file's
            failed, result = extractor.extract(name)
            if failed:
                raise RuntimeError(f"extract gives {failed}")
            self.results.append(result)

    def outputs(self):
        return [np.array(result) for result in self.results]
