"""Batches for the peer: YOLO labels, decoded pictures in memory, mosaic, perspective, colours and flip through OpenCV."""

import random
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

GREY = (114, 114, 114)


class TrainingSet(torch.utils.data.Dataset):
    """Item i: (uint8 (3, s, s) RGB, float32 (k, 5) class, cx, cy, w, h)."""

    def __init__(self, data, size):
        data = Path(data)
        settings = yaml.safe_load(data.read_text())
        root = data.parent / settings.get("path", "")
        folder = root / settings["train"]
        self.files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        self.size = size
        self.names = settings["names"]
        self.labels, self.pictures = [], []
        for file in self.files:
            text = Path(str(file.parent).replace("images", "labels")) / (file.stem + ".txt")
            rows = [list(map(float, line.split()[:5])) for line in text.read_text().splitlines() if line.strip()]
            self.labels.append(np.array(rows, np.float32).reshape(-1, 5))
            picture = cv2.imread(str(file))
            h, w = picture.shape[:2]
            r = size / max(h, w)
            self.pictures.append(cv2.resize(picture, (min(int(np.ceil(w * r)), size), min(int(np.ceil(h * r)), size)),
                                            interpolation=cv2.INTER_LINEAR))

    def __len__(self):
        return len(self.files)

    def corners(self, i):
        h, w = self.pictures[i].shape[:2]
        c, x, y, bw, bh = self.labels[i].T
        return c, np.stack(((x - bw / 2) * w, (y - bh / 2) * h, (x + bw / 2) * w, (y + bh / 2) * h), 1)

    def mosaic(self, first):
        s = self.size
        canvas = np.full((2 * s, 2 * s, 3), 114, np.uint8)
        yc, xc = (int(random.uniform(s / 2, 3 * s / 2)) for _ in range(2))
        classes, boxes = [], []
        for place, i in enumerate([first] + random.choices(range(len(self)), k=3)):
            picture = self.pictures[i]
            h, w = picture.shape[:2]
            left, top = (xc - w if place % 2 == 0 else xc), (yc - h if place < 2 else yc)
            x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + w, 2 * s), min(top + h, 2 * s)
            canvas[y1:y2, x1:x2] = picture[y1 - top:y2 - top, x1 - left:x2 - left]
            c, b = self.corners(i)
            classes.append(c)
            boxes.append(b + (left, top, left, top))
        classes, boxes = np.concatenate(classes), np.concatenate(boxes).clip(0, 2 * s)
        keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return canvas, classes[keep], boxes[keep]

    def perspective(self, picture, classes, boxes, translate=0.1, scale=0.5):
        s = self.size
        centre = np.eye(3)
        centre[:2, 2] = -picture.shape[1] / 2, -picture.shape[0] / 2
        gain = random.uniform(1 - scale, 1 + scale)
        move = np.diag((gain, gain, 1.0))
        move[:2, 2] = [random.uniform(0.5 - translate, 0.5 + translate) * s for _ in range(2)]
        matrix = move @ centre
        picture = cv2.warpAffine(picture, matrix[:2], (s, s), flags=cv2.INTER_LINEAR, borderValue=GREY)
        if len(boxes):
            new = (boxes.reshape(-1, 2) @ matrix[:2, :2].T + matrix[:2, 2]).reshape(-1, 4).clip(0, s)
            w, h = new[:, 2] - new[:, 0], new[:, 3] - new[:, 1]
            old = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * gain ** 2
            keep = (w > 2) & (h > 2) & (w * h / (old + 1e-16) > 0.1) & \
                (np.maximum(w / (h + 1e-16), h / (w + 1e-16)) < 100)
            classes, boxes = classes[keep], new[keep]
        return picture, classes, boxes

    @staticmethod
    def colours(picture):
        r = np.random.uniform(-1, 1, 3) * (0.015, 0.7, 0.4)
        x = np.arange(256, dtype=np.float64)
        hue, sat, val = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))
        tables = [((x + r[0] * 180) % 180).astype(np.uint8), (x * (1 + r[1])).clip(0, 255).astype(np.uint8),
                  (x * (1 + r[2])).clip(0, 255).astype(np.uint8)]
        tables[1][0] = 0
        merged = cv2.merge([cv2.LUT(plane, table) for plane, table in zip((hue, sat, val), tables)])
        return cv2.cvtColor(merged, cv2.COLOR_HSV2BGR)

    def __getitem__(self, i):
        picture, classes, boxes = self.perspective(*self.mosaic(i))
        picture = self.colours(picture)
        if random.random() < 0.5:
            picture = cv2.flip(picture, 1)
            boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (self.size, 0, self.size, 0)
        rows = np.concatenate((classes[:, None], (boxes[:, :2] + boxes[:, 2:]) / 2 / self.size,
                               (boxes[:, 2:] - boxes[:, :2]) / self.size), 1)
        planes = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1))
        return torch.from_numpy(planes), torch.from_numpy(rows.astype(np.float32))


def collate(samples):
    pictures, rows = zip(*samples)
    image = torch.cat([torch.full((len(r),), i, dtype=torch.int64) for i, r in enumerate(rows)])
    rows = torch.cat(rows)
    return torch.stack(pictures), image, rows[:, 0].long(), rows[:, 1:]


def start_worker(_):
    cv2.setNumThreads(0)
    random.seed(torch.initial_seed() % 2 ** 32)
    np.random.seed(torch.initial_seed() % 2 ** 32)


def endless_batches(pictures, batch, workers=1):
    loader = torch.utils.data.DataLoader(pictures, batch, shuffle=True, num_workers=workers,
                                         collate_fn=collate, worker_init_fn=start_worker, drop_last=True,
                                         persistent_workers=workers > 0)
    while True:
        yield from loader
