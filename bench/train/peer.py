#!/usr/bin/env python3
"""A plain PyTorch training loop of the same networks, recipe and augmentation: what train_bench is measured against.

    peer.py data=data.yaml model=yolov8n imgsz=320 batch=16 threads=2 input=loader

Takes what train_bench takes: key=value, then numbers of steps on its input, each answered with the seconds they took and the
most memory that the process has held.
dump=FILE here reads what train_bench has written, and compares parameters, losses and gradients.
"""

import copy
import json
import math
import resource
import sys
import time

import numpy as np
import torch

import peer_data
from peer_loss import Loss
from peer_model import Published, VanillaNet5, Yolo

READY_BATCHES = 8
ACCUMULATE = 4


def read_safetensors(path):
    kinds = {"F32": np.float32, "I64": np.int64}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        body = file.read()
    return {name: torch.from_numpy(np.frombuffer(body[entry["data_offsets"][0]:entry["data_offsets"][1]],
                                                 kinds[entry["dtype"]]).reshape(entry["shape"]).copy())
            for name, entry in header.items() if name != "__metadata__"}


class Ema:
    def __init__(self, model):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        d = 0.9999 * (1 - math.exp(-self.updates / 2000))
        current = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                value.mul_(d).add_(current[name], alpha=1 - d)


class Peer:
    def __init__(self, options):
        pictures = peer_data.TrainingSet(options["data"], int(options["imgsz"]))
        self.batches = peer_data.endless_batches(pictures, int(options["batch"]))
        first = next(self.batches)
        classes = len(pictures.names)
        self.layout = torch.channels_last if options.get("channels_last") == "true" else torch.contiguous_format
        self.model = Yolo(classes, options.get("backbone")).to(memory_format=self.layout).train()
        self.run = torch.compile(self.model) if options.get("compile") == "true" else self.model
        self.loss = Loss(classes)
        biases, weights, scales = [], [], []
        for module in self.model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                norm = isinstance(module, torch.nn.BatchNorm2d)
                (biases if name == "bias" else scales if norm else weights).append(parameter)
        self.optimizer = torch.optim.SGD(biases, lr=0.01, momentum=0.937, nesterov=True)
        self.optimizer.add_param_group({"params": weights, "weight_decay": 5e-4})
        self.optimizer.add_param_group({"params": scales})
        self.ema = Ema(self.model)
        self.ready = None
        if options["input"] == "ready":
            batches = [first] + [next(self.batches) for _ in range(READY_BATCHES - 1)]
            self.ready = [(b[0].float() / 255, *b[1:]) for b in batches]
            self.batches = None
        self.steps = 0

    def losses(self, batch):
        images, *targets = batch
        if images.dtype == torch.uint8:
            images = images.float() / 255
        return self.loss(self.run(images.contiguous(memory_format=self.layout)), *targets)

    def step(self):
        loss = self.losses(self.ready[self.steps % READY_BATCHES] if self.ready else next(self.batches))
        loss.sum().backward()
        loss.detach().tolist()  # a loop shows them
        self.steps += 1
        if self.steps % ACCUMULATE:
            return
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.model)

    def compare(self, path):
        theirs = read_safetensors(path)
        weights = {name[7:]: value for name, value in theirs.items() if name.startswith("weight/")}
        count = sum(p.numel() for p in self.model.parameters())
        if isinstance(self.model.model[0], (Published, VanillaNet5)):  # whose names are others
            ours = sum(value.numel() for name, value in theirs.items() if name.startswith("gradient/"))
            print(f"{count} parameters, train_bench {ours}")
            return
        bins = [name for name in weights if ".dfl." in name]
        mine = copy.deepcopy(self.model)
        missing = self.model.load_state_dict({k: v for k, v in weights.items() if k not in bins}, strict=True)
        loss = self.losses((theirs["images"], theirs["image"], theirs["classes"], theirs["boxes"]))
        loss.sum().backward()
        square = lambda values: sum(float(v.double().square().sum()) for v in values)
        gradients = [(p.grad, theirs["gradient/" + name]) for name, p in self.model.named_parameters()]
        off = (square(a - b for a, b in gradients) / square(a for a, _ in gradients)) ** 0.5
        items = loss.detach() / len(theirs["images"])
        print(f"{count} parameters; losses {items.tolist()}, "
              f"train_bench {theirs['losses'].tolist()}; relative difference of the gradients {off:.1e}")
        self.model.load_state_dict(mine.state_dict())
        self.optimizer.zero_grad(set_to_none=True)


def main():
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    torch.set_num_threads(int(options["threads"]))
    torch.manual_seed(0)
    peer = Peer(options)
    if "dump" in options:
        peer.compare(options["dump"])
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            peer.step()
        seconds = time.perf_counter() - start
        print(seconds, 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)


if __name__ == "__main__":
    main()
