"""PyTorch: the module that pnnx writes, traced and frozen, channels last; torch.compile is no faster here and takes minutes."""

import contextlib
import importlib.util

import torch

import peer_ncnn


def version():
    return f"PyTorch {torch.__version__.split('+')[0]}"


def module_of(place):
    spec = importlib.util.spec_from_file_location("model_pnnx", place / "model_pnnx.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    with contextlib.chdir(place):  # it opens its weights by a bare name
        return made.Model().float().eval()


class Peer:
    def __init__(self, path, height, width, threads, precision, folder):
        if precision != "float32":
            raise ValueError(f"no {precision}")
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        network = module_of(peer_ncnn.convert(path, height, width, folder)).to(memory_format=torch.channels_last)
        example = torch.zeros(1, 3, height, width).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            self.network = torch.jit.freeze(torch.jit.trace(network, example, check_trace=False))
            for _ in range(2):  # the executor specialises itself in its first runs
                self.network(example)

    def run(self, image):
        with torch.inference_mode():
            given = torch.from_numpy(image).contiguous(memory_format=torch.channels_last)
            results = self.network(given)
        self.results = [result.numpy() for result in (results if isinstance(results, tuple) else (results,))]

    def outputs(self):
        return self.results
