"""What the engines of bench/peers/compare.py read, made when first wanted, and the comparison of what they write."""

import subprocess

import numpy as np

from rewrite import suit_peers


CALIBRATION_SIZE = 320  # of the image whose ranges int8 networks take; another size has nearly the same


class Files:
    """Checkpoints, ONNX files and input images, made when first wanted and kept."""

    def __init__(self, options, networks):
        self.folder, self.bin = options.work, options.marrow
        self.folder.mkdir(parents=True, exist_ok=True)
        self.turns, self.networks, self.given = options.turns, networks, options.checkpoints

    def checkpoint(self, name, precision="float32"):
        """Of float32 weights, which bf16 has too, or a quantised one."""
        if name in self.given:
            return self.given[name]
        if precision == "int8":
            source, size = self.checkpoint(name), CALIBRATION_SIZE
            return self.made(f"{name}-int8", f"quantize {source} {self.image(size)} {size}")
        model, backbone = self.networks[name]
        return self.made(name, f"make {model} {backbone}")

    def made(self, name, words):
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            answer = subprocess.run([self.turns], input=f"{words} {path}\n", text=True, capture_output=True, check=True).stdout
            if answer.strip() != "made":
                raise SystemExit(f"{path}: {answer}")
        return path

    def onnx(self, name, size, precision):
        int8 = ["--int8"] if precision == "int8" else []
        checkpoint = self.checkpoint(name, precision)
        path = self.folder / f"{checkpoint.stem}-{size}{'-int8' if int8 else ''}.onnx"
        if not path.exists():
            exported = path.with_suffix(".export.onnx")
            done = subprocess.run([self.bin, "export", checkpoint, "--imgsz", str(size), "-o", exported, *int8],
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

    def outputs(self, engine):
        """Those of the engine's last run."""
        path = self.folder / f"output-{engine.name}.f32"
        sizes = [int(size) for size in engine.ask("output", path).split()]
        return np.split(np.fromfile(path, np.float32), np.cumsum(sizes)[:-1])

    @staticmethod
    def difference(ours, theirs):
        """Root mean square over that of our values, of the output where it is largest; infinite where there is another number
        of values."""
        if [a.size for a in ours] != [b.size for b in theirs] or not all(np.isfinite(b).all() for b in theirs):
            return float("inf")
        wide = [a.astype(np.float64) for a in ours]
        return max(float(np.sqrt(np.mean((a - b) ** 2) / np.mean(a ** 2))) for a, b in zip(wide, theirs))
