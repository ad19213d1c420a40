"""What a caller may give as an image, as a view that the library reads."""
import ctypes
import os
import warnings

import numpy

from . import _library
from ._library import Handle, ImageView, UsageError

_RGB, _BGR, _GRAY = 0, 1, 2


def views(images, model):
    """An array of ImageView as the model (a pointer) reads it, and what has to live as long as it is used."""
    array = (ImageView * len(images))()
    kept = []
    for i, image in enumerate(images):
        array[i], keep = _view(image, model)
        kept.append(keep)
    return array, kept


def _view(image, model):
    if isinstance(image, (str, os.PathLike)):
        return _decoded(Handle("image", "image_read_for", os.fsencode(image), model))
    if isinstance(image, (bytes, bytearray, memoryview)):
        encoded = bytes(image)
        return _decoded(Handle("image", "image_decode_for", encoded, len(encoded), model))
    if isinstance(image, numpy.ndarray):
        return _of_array(image)
    if hasattr(image, "convert") and hasattr(image, "mode"):  # PIL, which need not be installed
        return _of_array(numpy.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB")))
    raise UsageError(f"an image of type {type(image).__name__}; wanted a path, encoded bytes, a numpy array or a PIL image")


def _decoded(image):
    view = ImageView()
    _library.call("image_get_view", image.pointer, ctypes.byref(view))
    if damage := _library.text(_library.function("image_warning")(image.pointer)):
        warnings.warn(damage, stacklevel=5)  # of whoever called the network
    return view, image


def _of_array(array):
    """Height x width x 3 is red, green, blue; height x width is grey."""
    if array.dtype != numpy.uint8:
        raise UsageError(f"an array of {array.dtype}; wanted uint8")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3):
        raise UsageError(f"an array of shape {array.shape}; wanted (height, width, 3) or (height, width)")
    if 0 in array.shape:
        raise UsageError(f"an array of shape {array.shape} has no pixels")
    height, width = array.shape[:2]
    pixel_format, pixel = _GRAY, array.strides[1:]
    if array.ndim == 3:
        # A row of blue, green, red read backwards, as OpenCV's users write image[..., ::-1], is taken as it lies.
        pixel_format = _BGR if pixel == (3, -1) else _RGB
    row = width * (1 if array.ndim == 2 else 3)
    if pixel not in ((1,), (3, 1), (3, -1)) or abs(array.strides[0]) < row:
        array = numpy.ascontiguousarray(array)
        pixel_format = _GRAY if array.ndim == 2 else _RGB
    data = array.ctypes.data - (2 if pixel_format == _BGR else 0)
    return ImageView(data=data, width=width, height=height, stride=array.strides[0], format=pixel_format), array
