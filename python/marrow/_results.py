"""What was found in an image."""
from collections import Counter
from collections.abc import Sequence
from typing import List, NamedTuple, Tuple

import numpy


class Detection(NamedTuple):
    """An object in an image."""

    box: Tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the image
    confidence: float  # 0 to 1
    class_id: int
    label: str

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
