"""The detection loss of YOLOv8 with its task-aligned assigner, over all anchors at once, as its papers have it.

Sources: TOOD, Feng et al. 2021; Generalized Focal Loss, Li et al. 2020; Distance-IoU, Zheng et al. 2020.
"""

import math

import torch
import torch.nn.functional as F

BINS = 16
STRIDES = (8, 16, 32)


def ciou(a, b, eps=1e-7):
    """Complete IoU of boxes (..., 4) as corners."""
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    aw, ah, bw, bh = ax2 - ax1, ay2 - ay1 + eps, bx2 - bx1, by2 - by1 + eps
    inter = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp(min=0) * \
            (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp(min=0)
    iou = inter / (aw * ah + bw * bh - inter + eps)
    cw = torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1)
    ch = torch.maximum(ay2, by2) - torch.minimum(ay1, by1)
    distance = ((bx1 + bx2 - ax1 - ax2) ** 2 + (by1 + by2 - ay1 - ay2) ** 2) / 4
    v = 4 / math.pi ** 2 * (torch.atan(bw / bh) - torch.atan(aw / ah)) ** 2
    with torch.no_grad():
        alpha = v / (v - iou + (1 + eps))
    return iou - (distance / (cw ** 2 + ch ** 2 + eps) + v * alpha)


@torch.no_grad()
def assign(scores, boxes, anchors, labels, gt, valid, top_k=10, alpha=0.5, beta=6.0, eps=1e-9):
    """scores (N, A, C) and boxes (N, A, 4) predicted, anchors (A, 2), labels (N, M), gt (N, M, 4), valid (N, M), all
    in pixels. Returns each anchor's target box (N, A, 4), soft scores (N, A, C) and whether it has an object."""
    n, a, c = scores.shape
    m = gt.shape[1]
    if m == 0:
        return gt.new_zeros(n, a, 4), torch.zeros_like(scores), torch.zeros(n, a, dtype=torch.bool)
    sides = torch.cat((anchors - gt[:, :, None, :2], gt[:, :, None, 2:] - anchors), -1)
    inside = (sides.amin(-1) > eps) & valid[:, :, None]
    image, which, anchor = inside.nonzero(as_tuple=True)
    overlap = gt.new_zeros(n, m, a)
    score = gt.new_zeros(n, m, a)
    overlap[image, which, anchor] = ciou(gt[image, which], boxes[image, anchor]).clamp(min=0)
    score[image, which, anchor] = scores[image, anchor, labels[image, which]]
    align = score.pow(alpha) * overlap.pow(beta)

    picked = torch.zeros_like(inside).scatter_(-1, align.topk(top_k, -1).indices, True) & inside
    contested = picked.sum(1, keepdim=True) > 1
    winner = F.one_hot(overlap.argmax(1), m).transpose(1, 2).bool()
    picked = torch.where(contested, winner, picked)
    positive = picked.any(1)
    of = picked.int().argmax(1)

    align = align * picked
    largest = align.amax(-1, keepdim=True)
    norm = (align * (overlap * picked).amax(-1, keepdim=True) / (largest + eps)).amax(1)
    rows = torch.arange(n)[:, None]
    return gt[rows, of], F.one_hot(labels[rows, of], c) * (norm * positive)[..., None], positive


class Loss:
    def __init__(self, classes):
        self.classes = classes
        self.bins = torch.arange(BINS, dtype=torch.float32)

    def __call__(self, maps, image, labels, boxes):
        """Of the raw maps, for objects as rows. Returns (box, class, dfl) with their gains, summed over the batch."""
        n = maps[0].shape[0]
        anchors, strides = [], []
        for x, stride in zip(maps, STRIDES):
            h, w = x.shape[2:]
            y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            anchors.append(torch.stack((x, y), -1).view(-1, 2))
            strides.append(torch.full((h * w, 1), float(stride)))
        anchors, strides = torch.cat(anchors), torch.cat(strides)
        raw = torch.cat([x.flatten(2) for x in maps], 2)
        distribution, logits = raw.transpose(1, 2).contiguous().split((4 * BINS, self.classes), 2)

        size = torch.tensor([maps[0].shape[3], maps[0].shape[2]] * 2) * STRIDES[0]
        counts = torch.bincount(image, minlength=n)
        gt = torch.zeros(n, int(counts.max()) if len(image) else 0, 5)
        for i in range(n):
            mine = image == i
            gt[i, :counts[i], 0] = labels[mine].float()
            centre, half = (boxes[mine] * size).split(2, 1)
            half = half / 2
            gt[i, :counts[i], 1:] = torch.cat((centre - half, centre + half), 1)
        target_labels, target_boxes = gt[..., 0].long(), gt[..., 1:]

        distances = distribution.view(n, -1, 4, BINS).softmax(3) @ self.bins
        predicted = torch.cat((anchors - distances[..., :2], anchors + distances[..., 2:]), -1)
        target, score, positive = assign(
            logits.detach().sigmoid(), predicted.detach() * strides, anchors * strides, target_labels, target_boxes,
            target_boxes.sum(2) > 0)
        total = score.sum().clamp(min=1)
        cls = F.binary_cross_entropy_with_logits(logits, score, reduction="sum") / total
        box = dfl = torch.zeros(())
        if positive.any():
            weight = score.sum(-1)[positive]
            target = (target / strides)[positive]
            box = ((1 - ciou(predicted[positive], target)) * weight).sum() / total
            anchor = anchors.expand(n, -1, -1)[positive]
            wanted = torch.cat((anchor - target[:, :2], target[:, 2:] - anchor), 1).clamp(0, BINS - 1.01)
            left = wanted.long()
            right_weight = wanted - left
            bins = distribution[positive].view(-1, BINS)
            dfl = F.cross_entropy(bins, left.view(-1), reduction="none").view_as(left) * (1 - right_weight) + \
                F.cross_entropy(bins, (left + 1).view(-1), reduction="none").view_as(left) * right_weight
            dfl = (dfl.mean(1) * weight).sum() / total
        return torch.stack((box * 7.5, cls * 0.5, dfl * 1.5)) * n
