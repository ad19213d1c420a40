#!/usr/bin/env python3
"""Runs exported files of every mode with ONNX Runtime and compares them with marrow.

    bench/peers/run_onnxruntime.py --marrow build/release/bin/marrow --model best.safetensors [--imgsz 640]

Makes a virtual environment (--venv) and installs onnxruntime and onnx into it when they are missing, so a Python registry has to
be within reach. Exports the model in every mode; all raw outputs are compared with those of the plain float32 file, which
`marrow export` itself has compared with Marrow's. The suppression of --nms is compared with the boxes of `marrow predict`'s rules,
written out here in NumPy. Exit code 1 when a mode differs by more than its tolerance.
"""
import argparse
import ast
import itertools
import os
import subprocess
import sys
import tempfile
import venv

FLOAT_TOLERANCE = 1e-3  # of the largest output
HALF_TOLERANCE = 3e-2
BOX_TOLERANCE = 0.05  # pixels


def inside_environment(folder):
    """Starts this script again with the environment's Python."""
    python = os.path.join(folder, "bin", "python")
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    if not os.path.exists(python):
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "onnxruntime", "onnx", "numpy"], check=True)
    os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])


def iou(np, box, boxes):
    x1, y1 = np.maximum(box[0], boxes[:, 0]), np.maximum(box[1], boxes[:, 1])
    x2, y2 = np.minimum(box[2], boxes[:, 2]), np.minimum(box[3], boxes[:, 3])
    inter = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)
    area = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return inter / np.maximum(area(box) + area(boxes) - inter, 1e-30)


def probiou(np, a, b):
    """Of turned boxes (n, 5) and (m, 5): (n, m)."""
    def covariance(box):
        along, across = box[:, 2] ** 2 / 12, box[:, 3] ** 2 / 12
        cosine, sine = np.cos(box[:, 4]), np.sin(box[:, 4])
        return (along * cosine**2 + across * sine**2, along * sine**2 + across * cosine**2,
                (along - across) * cosine * sine)

    eps = 1e-7
    (a1, b1, c1), (a2, b2, c2) = [[part[:, None] for part in covariance(a)], covariance(b)]
    x, y = a[:, None, 0] - b[:, 0], a[:, None, 1] - b[:, 1]
    p, q, r = a1 + a2, b1 + b2, c1 + c2
    both = p * q - r * r
    own = np.sqrt(np.maximum(a1 * b1 - c1**2, 0) * np.maximum(a2 * b2 - c2**2, 0))
    distance = ((p * y * y + q * x * x) / (both + eps) / 4 - r * x * y / (both + eps) / 2
                + np.log(both / (4 * own + eps) + eps) / 2)
    return 1 - np.sqrt(1 - np.exp(-np.clip(distance, eps, 100)) + eps)


def suppressed_turned(np, raw, classes, conf, iou_limit, most):
    """(4 + classes + 1, anchors) -> rows cx cy w h confidence class angle: those that no better one overlaps."""
    scores, ids = raw[4 : 4 + classes].max(0), raw[4 : 4 + classes].argmax(0)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > conf][:1024]
    boxes = np.concatenate([raw[:4], raw[4 + classes :]])[:, order].T.astype(np.float64)
    overlap = np.triu(probiou(np, boxes, boxes) > iou_limit, 1) & (ids[order][:, None] == ids[order])
    kept = order[~overlap.any(0)][:most]
    return np.concatenate([raw[:4, kept].T, scores[kept, None], ids[kept, None].astype(np.float32), raw[4 + classes :, kept].T], 1)


def suppressed(np, raw, classes, conf, iou_limit, most):
    """(4 + classes + more, anchors) -> rows x1 y1 x2 y2 confidence class more."""
    scores, ids = raw[4 : 4 + classes].max(0), raw[4 : 4 + classes].argmax(0)
    more = raw[4 + classes :]
    keep = scores > conf
    centre, half = raw[:2, keep].T, raw[2:4, keep].T / 2
    boxes, scores, ids, more = np.concatenate([centre - half, centre + half], 1), scores[keep], ids[keep], more[:, keep]
    apart = boxes + ids[:, None].astype(np.float32) * np.float32(7680)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[~(iou(np, apart[best], apart[order]) > iou_limit)]
    return np.concatenate([boxes[kept], scores[kept, None], ids[kept, None].astype(np.float32), more[:, kept].T], 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marrow", default="build/release/bin/marrow")
    parser.add_argument("--model", required=True)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--conf", type=float, default=0.001)
    parser.add_argument("--venv", default=os.path.expanduser("~/.cache/marrow-onnxruntime"))
    args = parser.parse_args()
    inside_environment(args.venv)

    import numpy as np
    import onnx
    import onnxruntime

    random = np.random.default_rng(0)
    failed = False

    def run(path, image):
        onnx.checker.check_model(onnx.load(path), full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        kind = np.float16 if given.type == "tensor(float16)" else np.float32
        return session.run(None, {given.name: image.astype(kind)})[0].astype(np.float32)

    with tempfile.TemporaryDirectory() as folder:

        def export(name, *flags):
            path = os.path.join(folder, name + ".onnx")
            size = str(args.imgsz)
            subprocess.run([args.marrow, "export", args.model, "--imgsz", size, "-o", path, *flags],
                           check=True, stdout=subprocess.DEVNULL)
            return path

        plain = export("plain", "--dynamic")
        metadata = {entry.key: entry.value for entry in onnx.load(plain).metadata_props}
        sizes = [(1, args.imgsz, args.imgsz), (2, args.imgsz, args.imgsz + 64)]
        images = {size: random.random((size[0], 3, *size[1:]), dtype=np.float32) for size in sizes}
        expected = {size: run(plain, image) for size, image in images.items()}

        def report(name, difference, tolerance):
            nonlocal failed
            good = difference <= tolerance
            failed = failed or not good
            print(f"{name:34} {difference:9.2e}  {'ok' if good else 'DIFFERS'}", flush=True)

        for opset, dynamic, half in itertools.product((11, 12, 13, 15, 17), (False, True), (False, True)):
            flags = ["--opset", str(opset)] + ["--dynamic"] * dynamic + ["--half"] * half
            path = export("mode", *flags)
            for size in sizes if dynamic else sizes[:1]:
                raw, wanted = run(path, images[size]), expected[size]
                report(" ".join(flags[1:]) + f" {size}", np.abs(raw - wanted).max() / np.abs(wanted).max(),
                       HALF_TOLERANCE if half else FLOAT_TOLERANCE)
        if expected[sizes[0]].ndim == 3:
            for opset, dynamic in itertools.product((11, 13, 17), (False, True)):
                flags = ["--nms", "--opset", str(opset), "--conf", str(args.conf)] + ["--dynamic"] * dynamic
                rows = run(export("nms", *flags), images[sizes[0]])[0]
                by = suppressed_turned if metadata["task"] == "obb" else suppressed
                wanted = by(np, expected[sizes[0]][0], len(ast.literal_eval(metadata["names"])), args.conf, 0.7, 300)
                rows = rows[: len(wanted)] if not rows[len(wanted):].any() else rows
                same = rows.shape == wanted.shape
                report(" ".join(flags[2:]) + f" nms, {len(wanted)} boxes",
                       np.abs(rows - wanted).max() if same and len(wanted) else float(not same), BOX_TOLERANCE)
    sys.exit(failed)


if __name__ == "__main__":
    main()
