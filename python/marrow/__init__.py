"""Marrow from Python: find objects in images, or say what an image shows.

>>> from marrow import Detector
>>> print(Detector("best.safetensors")("street.jpg"))

Everything is done by libmarrow, which is found by the environment variable MARROW_LIBRARY (a file), else beside this module,
else where the system finds libraries.
"""
from ._library import Error, FileError, FormatError, ModelError, UnsupportedError, UsageError
from ._networks import Classifier, Detector, Model
from ._results import ClassProbabilities, ClassProbability, Detection, Detections
from ._version import __version__

__all__ = [
    "Classifier", "ClassProbabilities", "ClassProbability", "Detection", "Detections", "Detector", "Error", "FileError",
    "FormatError", "Model", "ModelError", "UnsupportedError", "UsageError", "__version__",
]
