"""Models, and what runs them."""
import ctypes
import operator
import os
from ctypes import byref, c_int
from typing import List, Optional, Sequence, Tuple, Union

import numpy

from . import _library
from ._images import views
from ._library import Handle, UsageError, call, function, text
from ._results import ClassProbabilities, ClassProbability, Detection, Detections

_PRECISIONS = {"float32": 0, "bf16": 1, "int8": 2}
_TASKS = {1: "detect", 2: "classify", 3: "segment", 4: "pose", 5: "obb"}
_MASKS = {"input": 0, "image": 1}


class Model:
    """A network with its weights, as a file holds it: any file that ``marrow predict`` takes.

    ``as_`` and ``weights_source`` are for published files whose network cannot be told from their content: the model
    they hold, and the implementation they come from (``--as`` and ``--weights-source`` of the program).

    A model never changes; several detectors may share one.
    """

    def __init__(self, path: Union[str, os.PathLike], *, as_: Optional[str] = None,
                 weights_source: Optional[str] = None):
        options = _library.LoadOptions(as_=_encoded(as_), weights_source=_encoded(weights_source))
        self._handle = Handle("model", "model_load", os.fsencode(path), byref(options))
        pointer = self._handle.pointer
        self.path = os.fsdecode(path)
        # "detect", "classify", "segment", "pose" or "obb"
        self.task: str = _TASKS[function("model_task")(pointer)]
        self.class_names: List[str] = _texts("model_class_count", "model_class_name", pointer)
        # What the reader of the file has to say about it.
        self.warnings: List[str] = _texts("model_warning_count", "model_warning", pointer)
        # Height and width that images are fitted into where nothing else is asked for.
        self.imgsz: Tuple[int, int] = _height_width("model_input_size", pointer)

    def __repr__(self):
        return f"Model({self.path!r}: {self.task}, {len(self.class_names)} classes)"


class Detector:
    """Finds objects in images: boxes, and masks, keypoints or turned boxes by models of these tasks.

    >>> detector = Detector("best.safetensors", conf=0.4)
    >>> for found in detector("street.jpg"):
    ...     print(found.label, found.confidence, found.box)

    Options are those of ``marrow predict``, with the same defaults and results:

    model      a Model, or the path of a file
    imgsz      the network's input in pixels: a side, or (height, width); None: the model's own
    conf       detections are above this confidence, 0 to 1; None: above each class's own, where the model holds such
               thresholds (``marrow val --thresholds``), else above 0.25
    iou        of two boxes that overlap by more, the weaker is dropped, 0 to 1
    max_det    most detections an image
    classes    only these class ids or names; None: all
    agnostic   boxes of different classes suppress each other too
    end2end    the boxes that an end-to-end head (YOLO26, YOLOv10) chooses itself, without suppression
    tile       pixels: images are cut into squares of this side, and what is found in them is joined across their
               borders; for small objects in large images. 0: images are not cut; None: the tiles that the model was
               trained on, if any
    overlap    how much of a tile lies in its neighbour, 0 to 0.9; None: as in the model's tiles, else 0.2
    masks      of models that segment: "input", masks of the network's input, or "image", of the image's size: finer, and
               they take more time
    outlines   masks have outlines, too
    rect       pad an image only to the next multiple of the stride, not to the whole input
    threads    0: every processor that this process may use
    precision  "float32", "bf16", or "int8" for models that ``marrow quantize`` made
    tune       measure once which implementation of a layer is the fastest here, and remember it below ~/.cache

    Threads may share a detector; their calls take turns. To run several at once, make several of one Model, with few
    threads each.
    """

    def __init__(self, model: Union[Model, str, os.PathLike], *, imgsz: Union[int, Tuple[int, int], None] = None,
                 conf: Optional[float] = None, iou: float = 0.7, max_det: int = 300,
                 classes: Optional[Sequence[Union[int, str]]] = None, agnostic: bool = False,
                 end2end: bool = False, tile: Optional[int] = None, overlap: Optional[float] = None,
                 masks: str = "input", outlines: bool = True, rect: bool = True, threads: int = 0,
                 precision: str = "float32", tune: bool = True):
        self.model = _model(model)
        options = _library.DetectorOptions()
        function("detector_options_init")(byref(options), ctypes.sizeof(options))
        _set_engine(options, threads, precision, tune)
        if imgsz is not None:
            height, width = (imgsz, imgsz) if not isinstance(imgsz, (tuple, list)) else imgsz
            options.input_height, options.input_width = _positive("imgsz", height), _positive("imgsz", width)
        options.iou, options.rect, options.agnostic, options.end2end = iou, bool(rect), bool(agnostic), bool(end2end)
        if masks not in _MASKS:
            raise UsageError(f"masks {masks!r}; wanted one of {', '.join(_MASKS)}")
        options.masks, options.outlines = _MASKS[masks], bool(outlines)
        if conf is not None:
            options.confidence = _given(conf)
        if tile is not None:
            options.tile = _positive("tile", tile) if tile else 0
        if overlap is not None:
            options.tile_overlap = _given(overlap)
        options.max_detections = _int("max_det", max_det)
        if classes is not None:
            ids = [self._class_id(each) for each in classes]
            if not ids:
                raise UsageError("classes is empty; None stands for all")
            options.class_ids, options.class_id_count = (c_int * len(ids))(*ids), len(ids)
        self._handle = Handle("detector", "detector_create", self.model._handle.pointer, byref(options))
        # Height and width, after rounding to what the network can read.
        self.imgsz: Tuple[int, int] = _height_width("detector_input_size", self._handle.pointer)

    def __call__(self, image) -> Union[Detections, List[Detections]]:
        """The objects in an image; for a list or tuple of images, a list with the objects of each.

        An image is a path, encoded bytes, a numpy array of uint8 or a PIL image. An array of shape (height, width, 3) is
        red, green, blue, in any strides (of OpenCV's images pass ``image[..., ::-1]``); one of (height, width) is grey.
        A path and encoded bytes are read with the channels and bits that the model was trained on.
        """
        images, many = _images(image)
        array, kept = views(images, self.model._handle.pointer)
        found = Handle("detections", "detect", self._handle.pointer, array, len(images))
        del kept
        results = [Detections(self._detections(found, i), self.model.task) for i in range(len(images))]
        return results if many else results[0]

    def __repr__(self):
        return f"Detector({self.model!r}, imgsz={self.imgsz})"

    def _class_id(self, named):
        if not isinstance(named, str):
            return _int("classes", named)
        if named not in self.model.class_names:
            raise UsageError(f"classes: no class is named {named!r}; there are {', '.join(self.model.class_names[:12])}"
                             + (", ..." if len(self.model.class_names) > 12 else ""))
        return self.model.class_names.index(named)

    @staticmethod
    def _detections(found, image):
        each = _library.Detection()
        for i in range(function("detections_count")(found.pointer, image)):
            call("detections_get", found.pointer, image, i, byref(each))
            box = (each.x1, each.y1, each.x2, each.y2)
            yield Detection(box, each.confidence, each.class_id, text(each.label), **_extras(each))


class Classifier:
    """Says what an image shows.

    >>> classifier = Classifier("starnet_s1.safetensors")
    >>> print(classifier("cat.jpg")[0].label)

    ``imgsz`` is the side of the network's square input in pixels, None the model's own. ``threads``, ``precision`` and
    ``tune``, and use by several threads, are as for Detector.
    """

    def __init__(self, model: Union[Model, str, os.PathLike], *, imgsz: Optional[int] = None, threads: int = 0,
                 precision: str = "float32", tune: bool = True):
        self.model = _model(model)
        options = _library.ClassifierOptions()
        function("classifier_options_init")(byref(options), ctypes.sizeof(options))
        _set_engine(options, threads, precision, tune)
        if imgsz is not None:
            options.input_size = _positive("imgsz", imgsz)
        self._handle = Handle("classifier", "classifier_create", self.model._handle.pointer, byref(options))
        pixels = c_int()
        call("classifier_input_size", self._handle.pointer, byref(pixels))
        self.imgsz: int = pixels.value

    def __call__(self, image, top: int = 5) -> Union[ClassProbabilities, List[ClassProbabilities]]:
        """The `top` likeliest classes of an image, or of each of a list or tuple of images; images as for Detector."""
        images, many = _images(image)
        array, kept = views(images, self.model._handle.pointer)
        found = Handle("classes", "classify", self._handle.pointer, array, len(images), _int("top", top))
        del kept
        results = [ClassProbabilities(self._classes(found, i)) for i in range(len(images))]
        return results if many else results[0]

    def __repr__(self):
        return f"Classifier({self.model!r}, imgsz={self.imgsz})"

    @staticmethod
    def _classes(found, image):
        each = _library.ClassProbability()
        for i in range(function("classes_count")(found.pointer, image)):
            call("classes_get", found.pointer, image, i, byref(each))
            yield ClassProbability(each.class_id, text(each.label), each.probability)


def _extras(each):
    """What a detection has beside its box, copied, since the library frees it."""
    extras = {}
    if each.mask_whole_width:
        extras["mask_part"] = _copied(each.mask, (each.mask_height, each.mask_width)).astype(numpy.uint8, copy=False)
        extras["mask_at"] = (each.mask_x, each.mask_y, each.mask_whole_width, each.mask_whole_height)
        extras["mask_place"] = (each.mask_scale_x, each.mask_scale_y, each.mask_left + each.mask_x, each.mask_top + each.mask_y)
        extras["outline"] = _copied(each.outline, (each.outline_count, 2))
    if each.keypoints:
        extras["keypoints"] = _copied(each.keypoints, (each.keypoint_count, 3))
    if each.turned:
        extras["turned"] = (each.cx, each.cy, each.width, each.height, each.angle)
        extras["corners"] = numpy.array(each.corners, numpy.float32).reshape(4, 2)
    return extras


def _copied(pointer, shape):
    if not pointer:
        return numpy.zeros(shape, numpy.float32)
    return numpy.ctypeslib.as_array(pointer, shape).copy()


def _given(number):
    """A number from a user: -1 stands for None in the library, and is wrong here."""
    return float("nan") if number == -1 else number


def _images(image):
    """The images of a call, and whether they came as a batch."""
    many = isinstance(image, (list, tuple))
    return (image if many else [image]), many


def _model(model):
    return model if isinstance(model, Model) else Model(model)


def _set_engine(options, threads, precision, tune):
    if precision not in _PRECISIONS:
        raise UsageError(f"precision {precision!r}; wanted one of {', '.join(_PRECISIONS)}")
    options.threads, options.precision, options.tune = _int("threads", threads), _PRECISIONS[precision], bool(tune)


def _int(name, value):
    """ctypes cuts integers without a word."""
    number = operator.index(value)
    if not -(2**31) <= number < 2**31:
        raise UsageError(f"{name} {number} is out of range")
    return number


def _positive(name, value):
    """0 would stand for the default, which is None here."""
    number = _int(name, value)
    if number < 1:
        raise UsageError(f"{name} {number}; wanted 1 or more")
    return number


def _encoded(value):
    return None if value is None else value.encode()


def _texts(count, get, pointer):
    return [text(function(get)(pointer, i)) for i in range(function(count)(pointer))]


def _height_width(name, pointer):
    width, height = c_int(), c_int()
    call(name, pointer, byref(width), byref(height))
    return height.value, width.value
