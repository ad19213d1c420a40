"""What the engines of bench/peers/compare.py read, made when first wanted, and the comparison of what they write."""

import subprocess

import numpy as np

from rewrite import suit_peers


class Files:
    """Checkpoints, ONNX files and input images, made when first wanted and kept."""

    def __init__(self, options, networks):
        self.folder, self.bin = options.work, options.marrow
        self.folder.mkdir(parents=True, exist_ok=True)
        self.turns, self.networks, self.given = options.turns, networks, options.checkpoints

    def checkpoint(self, name):
        if name in self.given:
            return self.given[name]
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            model, backbone = self.networks[name]
            answer = subprocess.run([self.turns], input=f"make {model} {backbone} {path}\n", text=True,
                                    capture_output=True, check=True).stdout
            if answer.strip() != "made":
                raise SystemExit(answer)
        return path

    def onnx(self, name, size, precision):
        int8 = ["--int8"] if precision == "int8" else []
        path = self.folder / f"{self.checkpoint(name).stem}-{size}{'-int8' if int8 else ''}.onnx"
        if not path.exists():
            exported = path.with_suffix(".export.onnx")
            done = subprocess.run([self.bin, "export", self.checkpoint(name), "--imgsz", str(size), "-o", exported, *int8],
                                  text=True, capture_output=True)
            if done.returncode != 0:
                raise SystemExit(f"{path}: {done.stdout}{done.stderr}")
            suit_peers(exported, path)
        return path

    def image(self, size):
        """Noise in [0, 1), the same for every engine."""
        path = self.folder / f"noise-{size}.f32"
        if not path.exists():
            np.random.default_rng(0).random((1, 3, size, size), np.float32).tofile(path)
        return path

    @staticmethod
    def difference(ours, theirs):
        """Root mean square over that of our values; infinite where there is another number of values."""
        a, b = np.fromfile(ours, np.float32).astype(np.float64), np.fromfile(theirs, np.float32)
        if a.size != b.size or not np.isfinite(b).all():
            return float("inf")
        return float(np.sqrt(np.mean((a - b) ** 2) / np.mean(a ** 2)))
