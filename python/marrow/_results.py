"""What was found in an image."""
from collections import Counter
from collections.abc import Sequence
from typing import List, NamedTuple, Optional, Tuple

import numpy

from ._library import UsageError


class _Box(NamedTuple):
    box: Tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the image
    confidence: float  # 0 to 1
    class_id: int
    label: str


class Detection(_Box):
    """An object in an image: ``box, confidence, class_id, label = detection``.

    What a model of another task than "detect" says beside them; None otherwise:

    mask        "segment": (height, width) uint8, 1 where the object is; made anew each time
    mask_part   the same without the empty rows and columns around the object, which is what is kept
    mask_at     where that lies in the mask, and how large this is: (x, y, width, height)
    mask_place  where a point of the image lies in the mask: at x * scale_x + left, y * scale_y + top; a tuple
                (scale_x, scale_y, left, top)
    outline     "segment": (n, 2) float32, points of the mask's outline in pixels of the image; several parts are joined by
                bridges of no width
    keypoints   "pose": (n, 3) float32: x, y in pixels of the image, and how likely the point can be seen, 1 where the model
                does not say
    turned      "obb": (cx, cy, width, height, angle), in pixels of the image, and radians clockwise as seen; ``box`` is then
                the smallest upright box around it
    corners     "obb": (4, 2) float32, pixels of the image
    """

    mask_part = mask_at = mask_place = outline = keypoints = turned = corners = None  # where a tuple's own _make() makes it

    def __new__(cls, box, confidence, class_id, label, *, mask_part: Optional[numpy.ndarray] = None,
                mask_at: Optional[Tuple[int, int, int, int]] = None,
                mask_place: Optional[Tuple[float, float, float, float]] = None, outline: Optional[numpy.ndarray] = None,
                keypoints: Optional[numpy.ndarray] = None,
                turned: Optional[Tuple[float, float, float, float, float]] = None,
                corners: Optional[numpy.ndarray] = None):
        self = super().__new__(cls, box, confidence, class_id, label)
        self.mask_part, self.mask_at, self.mask_place, self.outline = mask_part, mask_at, mask_place, outline
        self.keypoints, self.turned, self.corners = keypoints, turned, corners
        return self

    def _replace(self, **changes):
        replaced = super()._replace(**changes)
        replaced.__dict__.update(self.__dict__)
        return replaced

    def __eq__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented
        return tuple.__eq__(self, other) and all(
            numpy.array_equal(getattr(self, name), getattr(other, name, None))
            for name in ("mask_part", "mask_at", "mask_place", "outline", "keypoints", "turned"))

    @property
    def mask(self) -> Optional[numpy.ndarray]:
        if self.mask_part is None:
            return None
        (x, y, width, height), (rows, columns) = self.mask_at, self.mask_part.shape
        mask = numpy.zeros((height, width), numpy.uint8)
        mask[y:y + rows, x:x + columns] = self.mask_part
        return mask

    def __ne__(self, other):
        return not self == other

    __hash__ = tuple.__hash__

    def __str__(self):
        x1, y1, x2, y2 = self.box
        return f"{self.label} {self.confidence:.2f} at ({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})"


class ClassProbability(NamedTuple):
    """How likely a class is."""

    class_id: int
    label: str
    probability: float  # 0 to 1

    def __str__(self):
        return f"{self.label} {self.probability:.4f}"


class _Results(Sequence):
    """A sequence that never changes."""

    def __init__(self, entries: list):
        self._entries = tuple(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index):
        """An entry, or for a slice a shorter sequence of the same type."""
        return type(self)(self._entries[index]) if isinstance(index, slice) else self._entries[index]

    def __eq__(self, other):
        return type(self) is type(other) and self._entries == other._entries

    def __hash__(self):
        return hash(self._entries)

    def __repr__(self):
        return f"{type(self).__name__}({list(self._entries)!r})"


class Detections(_Results):
    """The objects in an image, by falling confidence: a sequence of Detection."""

    def __init__(self, entries: list, task: str = "detect"):
        super().__init__(entries)
        self.task = task

    def __getitem__(self, index):
        found = super().__getitem__(index)
        if isinstance(index, slice):
            found.task = self.task
        return found

    def _of(self, task, name):
        if self.task != task:
            raise UsageError(f"{name} come from a model for '{task}'; this one is for '{self.task}'")
        return [getattr(each, name) for each in self]

    @property
    def xyxy(self) -> numpy.ndarray:
        """(n, 4) float32: x1, y1, x2, y2 in pixels of the image."""
        return numpy.array([each.box for each in self], numpy.float32).reshape(-1, 4)

    @property
    def conf(self) -> numpy.ndarray:
        """(n,) float32."""
        return numpy.array([each.confidence for each in self], numpy.float32)

    @property
    def cls(self) -> numpy.ndarray:
        """(n,) int64: class ids."""
        return numpy.array([each.class_id for each in self], numpy.int64)

    @property
    def labels(self) -> List[str]:
        return [each.label for each in self]

    @property
    def masks(self) -> numpy.ndarray:
        """Of a model for "segment": (n, height, width) uint8, 1 where the object is."""
        masks = self._of("segment", "mask")
        return numpy.stack(masks) if masks else numpy.zeros((0, 0, 0), numpy.uint8)

    @property
    def outlines(self) -> List[numpy.ndarray]:
        """Of a model for "segment": n times (points, 2) float32, pixels of the image."""
        return self._of("segment", "outline")

    @property
    def keypoints(self) -> numpy.ndarray:
        """Of a model for "pose": (n, points, 3) float32: x, y in pixels of the image, visibility."""
        points = self._of("pose", "keypoints")
        return numpy.stack(points) if points else numpy.zeros((0, 0, 3), numpy.float32)

    @property
    def xywhr(self) -> numpy.ndarray:
        """Of a model for "obb": (n, 5) float32: centre, width and height in pixels of the image, angle in radians."""
        return numpy.array(self._of("obb", "turned"), numpy.float32).reshape(-1, 5)

    @property
    def corners(self) -> numpy.ndarray:
        """Of a model for "obb": (n, 4, 2) float32, pixels of the image."""
        return numpy.array(self._of("obb", "corners"), numpy.float32).reshape(-1, 4, 2)

    def numpy(self) -> numpy.ndarray:
        """(n, 6) float32: x1, y1, x2, y2, confidence, class id."""
        return numpy.column_stack((self.xyxy, self.conf, self.cls)).astype(numpy.float32)

    def __str__(self):
        """The count of each class, and a line for each object."""
        counts = Counter(self.labels)
        head = ", ".join(f"{count} {label}" for label, count in counts.items()) or "nothing found"
        return "\n".join([head, *(f"  {each}" for each in self)])


class ClassProbabilities(_Results):
    """The likeliest classes of an image, by falling probability: a sequence of ClassProbability."""

    @property
    def probabilities(self) -> numpy.ndarray:
        """(n,) float32."""
        return numpy.array([each.probability for each in self], numpy.float32)

    @property
    def cls(self) -> numpy.ndarray:
        """(n,) int64: class ids."""
        return numpy.array([each.class_id for each in self], numpy.int64)

    @property
    def labels(self) -> List[str]:
        return [each.label for each in self]

    def __str__(self):
        return ", ".join(map(str, self))
