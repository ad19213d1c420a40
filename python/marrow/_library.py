"""libmarrow, and the structs and functions of its C API that are used here (marrow/marrow.h says what they do)."""
import ctypes
import os
import pathlib
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_size_t, c_ssize_t, c_uint8, c_void_p

from ._version import __version__

# Before 1.0 the second number changes when programs do not fit any more.
_NAME = "libmarrow.so." + ".".join(__version__.split(".")[:2])


class Error(Exception):
    """Something the caller can mend, or that ended the call; the message says what was found and what was wanted."""


class UsageError(Error, ValueError):
    """An argument or option that makes no sense."""


class FileError(Error, OSError):
    """A file is missing or cannot be read."""


class FormatError(Error, ValueError):
    """The content of a file or of encoded bytes is broken, or of an unknown kind."""


class ModelError(Error, ValueError):
    """A file holds no network that can be run."""


class UnsupportedError(Error, NotImplementedError):
    """Well formed, but nothing that Marrow does."""


_ERRORS = {1: UsageError, 2: FileError, 3: FormatError, 4: ModelError, 5: UnsupportedError, 7: MemoryError}


class _Sized(ctypes.Structure):
    """A struct that starts with its size."""

    def __init__(self, **members):
        super().__init__(struct_size=ctypes.sizeof(self), **members)


class ImageView(_Sized):
    _fields_ = [("struct_size", c_size_t), ("data", c_void_p), ("width", c_int), ("height", c_int),
                ("stride", c_ssize_t), ("format", c_int)]


class LoadOptions(_Sized):
    _fields_ = [("struct_size", c_size_t), ("as_", c_char_p), ("weights_source", c_char_p)]


class DetectorOptions(_Sized):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int), ("precision", c_int), ("tune", c_int),
                ("input_width", c_int), ("input_height", c_int), ("rect", c_int), ("confidence", c_float),
                ("iou", c_float), ("max_detections", c_int), ("agnostic", c_int), ("class_ids", POINTER(c_int)),
                ("class_id_count", c_size_t), ("end2end", c_int), ("tile", c_int), ("tile_overlap", c_float),
                ("masks", c_int), ("outlines", c_int)]


class ClassifierOptions(_Sized):
    _fields_ = [("struct_size", c_size_t), ("threads", c_int), ("precision", c_int), ("tune", c_int),
                ("input_size", c_int)]


class Detection(_Sized):
    _fields_ = [("struct_size", c_size_t), ("x1", c_float), ("y1", c_float), ("x2", c_float), ("y2", c_float),
                ("confidence", c_float), ("class_id", c_int), ("label", c_char_p),
                # marrow_point is two floats, marrow_keypoint three.
                ("mask", POINTER(c_uint8)), ("mask_width", c_int), ("mask_height", c_int), ("mask_scale_x", c_double),
                ("mask_scale_y", c_double), ("mask_left", c_double), ("mask_top", c_double), ("mask_whole_width", c_int), ("mask_whole_height", c_int),
                ("mask_x", c_int), ("mask_y", c_int),
                ("outline", POINTER(c_float)), ("outline_count", c_size_t), ("keypoints", POINTER(c_float)),
                ("keypoint_count", c_size_t), ("turned", c_int), ("cx", c_float), ("cy", c_float), ("width", c_float),
                ("height", c_float), ("angle", c_float), ("corners", c_float * 8)]


class ClassProbability(_Sized):
    _fields_ = [("struct_size", c_size_t), ("class_id", c_int), ("probability", c_float), ("label", c_char_p)]


# Results and arguments. A function whose result is c_int gives a status, and is called through call().
_FUNCTIONS = {
    "version": (c_char_p, []),
    "last_error": (c_char_p, []),
    "image_read": (c_int, [c_char_p, POINTER(c_void_p)]),
    "image_decode": (c_int, [c_char_p, c_size_t, POINTER(c_void_p)]),
    "image_read_for": (c_int, [c_char_p, c_void_p, POINTER(c_void_p)]),
    "image_decode_for": (c_int, [c_char_p, c_size_t, c_void_p, POINTER(c_void_p)]),
    "image_get_view": (c_int, [c_void_p, POINTER(ImageView)]),
    "image_warning": (c_char_p, [c_void_p]),
    "image_free": (None, [c_void_p]),
    "model_load": (c_int, [c_char_p, POINTER(LoadOptions), POINTER(c_void_p)]),
    "model_task": (c_int, [c_void_p]),
    "model_class_count": (c_size_t, [c_void_p]),
    "model_class_name": (c_char_p, [c_void_p, c_size_t]),
    "model_input_size": (c_int, [c_void_p, POINTER(c_int), POINTER(c_int)]),
    "model_warning_count": (c_size_t, [c_void_p]),
    "model_warning": (c_char_p, [c_void_p, c_size_t]),
    "model_free": (None, [c_void_p]),
    "detector_options_init": (None, [POINTER(DetectorOptions), c_size_t]),
    "detector_create": (c_int, [c_void_p, POINTER(DetectorOptions), POINTER(c_void_p)]),
    "detector_input_size": (c_int, [c_void_p, POINTER(c_int), POINTER(c_int)]),
    "detector_free": (None, [c_void_p]),
    "detect": (c_int, [c_void_p, POINTER(ImageView), c_size_t, POINTER(c_void_p)]),
    "detections_count": (c_size_t, [c_void_p, c_size_t]),
    "detections_get": (c_int, [c_void_p, c_size_t, c_size_t, POINTER(Detection)]),
    "detections_free": (None, [c_void_p]),
    "classifier_options_init": (None, [POINTER(ClassifierOptions), c_size_t]),
    "classifier_create": (c_int, [c_void_p, POINTER(ClassifierOptions), POINTER(c_void_p)]),
    "classifier_input_size": (c_int, [c_void_p, POINTER(c_int)]),
    "classifier_free": (None, [c_void_p]),
    "classify": (c_int, [c_void_p, POINTER(ImageView), c_size_t, c_int, POINTER(c_void_p)]),
    "classes_count": (c_size_t, [c_void_p, c_size_t]),
    "classes_get": (c_int, [c_void_p, c_size_t, c_size_t, POINTER(ClassProbability)]),
    "classes_free": (None, [c_void_p]),
}


def _how_to_get_it():
    checkout = pathlib.Path(__file__).resolve().parents[2]
    if (checkout / "run").exists():
        return f"To build it: (cd {checkout} && ./run build); then export MARROW_LIBRARY={checkout}/build/release/libmarrow.so"
    return (f"Debian's package {_NAME.replace('.so.', '')} has it; from Marrow's source: ./run build && cmake --install build/release. "
            f"Elsewhere the environment variable MARROW_LIBRARY names the file {_NAME}")


def _open():
    """$MARROW_LIBRARY, a file; else libmarrow beside this module; else the system's."""
    named = os.environ.get("MARROW_LIBRARY")
    beside = pathlib.Path(__file__).with_name(_NAME)
    path = named or (str(beside) if beside.exists() else _NAME)
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"libmarrow cannot be loaded: {error}. {_how_to_get_it()}") from None
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, "marrow_" + name)
        except AttributeError:
            raise ImportError(f"{path}: no libmarrow that fits: it has no marrow_{name}") from None
        function.restype, function.argtypes = result, arguments
    return library


_library = _open()


def function(name):
    """A function of the library whose result is no status."""
    return getattr(_library, "marrow_" + name)


def call(name, *arguments):
    """Calls a function whose result is a status; raises what it says. The threads of Python go on meanwhile."""
    status = function(name)(*arguments)
    if status != 0:
        raise _ERRORS.get(status, Error)(text(function("last_error")()))


def text(value):
    """A text of the library: UTF-8, or whatever a file or a path held."""
    return value.decode("utf-8", "replace")


class Handle:
    """An object of the library, freed with this one: what `name`(arguments..., &object) makes."""

    def __init__(self, kind, name, *arguments):
        self._free = function(kind + "_free")
        self.pointer = c_void_p()
        call(name, *arguments, byref(self.pointer))

    def __del__(self):
        if getattr(self, "pointer", None):
            self._free(self.pointer)
