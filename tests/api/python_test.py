"""The Python module, with the files that make_api_files makes and the program `marrow` beside it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy

import marrow
from marrow import Classifier, Detector, Model

try:
    from PIL import Image
except ImportError:
    Image = None

FILES = pathlib.Path(os.environ["MARROW_API_FILES"])
DETECTOR, CLASSIFIER = FILES / "detector.safetensors", FILES / "classifier.safetensors"
THRESHOLDS, END2END = FILES / "thresholds.safetensors", FILES / "end2end.safetensors"
TILES = FILES / "tiles.safetensors"
A, B, GREY = FILES / "a.jpg", FILES / "b.png", FILES / "grey.png"
SMALL = {"imgsz": 64, "conf": 0.01, "max_det": 20, "tune": False}


def predict(model, image, *options):
    """The line of `marrow predict --json`."""
    command = [os.environ["MARROW_PROGRAM"], "predict", "--model", model, "--source", image, "--json", "--no-save",
               "--no-autotune", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def pixels(path):
    """Red, green, blue."""
    return numpy.asarray(Image.open(path).convert("RGB"))


class DetectorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model(DETECTOR)
        cls.detector = Detector(cls.model, **SMALL)

    def test_finds_what_predict_finds(self):
        for image in (A, B, GREY):
            expected = predict(DETECTOR, image, "--imgsz", "64", "--conf", "0.01", "--max-det", "20")["detections"]
            found = self.detector(image)
            self.assertGreater(len(found), 0)
            self.assertEqual([{"class": each.class_id, "name": each.label, "confidence": round(each.confidence, 5),
                               "box": [round(side, 5) for side in each.box]} for each in found], expected)

    def test_equals_no_other_things(self):
        first = self.detector(A)[0]
        for other in (None, 5, "x", tuple(first)[:3]):
            self.assertNotEqual(first, other)
        self.assertNotIn(first, [None])
        self.assertEqual(first, self.detector(A)[0])

    def test_warns_of_a_damaged_image(self):
        with tempfile.TemporaryDirectory() as folder:
            half = pathlib.Path(folder) / "half.jpg"
            half.write_bytes(A.read_bytes()[: A.stat().st_size // 2])
            for image in (half, half.read_bytes()):
                with self.assertWarnsRegex(UserWarning, "damaged JPEG: the file ends early") as caught:
                    self.detector(image)
                self.assertEqual(caught.filename, __file__)

    def test_options_are_those_of_predict(self):
        detector = Detector(str(DETECTOR), imgsz=(40, 100), conf=0.02, iou=0.3, max_det=7, classes=["bar", 0],
                            agnostic=True, rect=False, threads=1, precision="bf16", tune=False)
        self.assertEqual(detector.imgsz, (64, 128))
        expected = predict(DETECTOR, A, "--imgsz", "40,100", "--conf", "0.02", "--iou", "0.3", "--max-det", "7",
                           "--classes", "bar,0", "--agnostic-nms", "--no-rect", "--threads", "1", "--precision", "bf16")
        self.assertEqual([round(each.confidence, 5) for each in detector(A)],
                         [each["confidence"] for each in expected["detections"]])

    def test_thresholds_tiles_and_end_to_end_heads(self):
        for file, options, arguments in (
            (THRESHOLDS, {"imgsz": 64}, ("--imgsz", "64")),
            (THRESHOLDS, SMALL, ("--imgsz", "64", "--conf", "0.01", "--max-det", "20")),
            (END2END, {**SMALL, "end2end": True}, ("--imgsz", "64", "--conf", "0.01", "--max-det", "20", "--end2end")),
            (TILES, {"conf": 0.01}, ("--conf", "0.01")),
            (TILES, {"conf": 0.01, "tile": 0}, ("--conf", "0.01", "--tile", "0")),
            (DETECTOR, {"conf": 0.01, "tile": 32, "overlap": 0.25}, ("--conf", "0.01", "--tile", "32", "--overlap", "0.25")),
        ):
            with self.subTest(arguments):
                expected = predict(file, A, *arguments)["detections"]
                self.assertEqual([round(each.confidence, 5) for each in Detector(file, **{**options, "tune": False})(A)],
                                 [each["confidence"] for each in expected])
                self.assertGreater(len(expected), 0)

    def test_reads_files_as_the_model_wants_them(self):
        model, bands = FILES / "bands.safetensors", FILES / "bands.tif"
        expected = predict(model, bands, "--imgsz", "64", "--conf", "0.01", "--max-det", "20")["detections"]
        detector = Detector(model, **SMALL)
        for image in (bands, bands.read_bytes()):
            self.assertEqual([round(each.confidence, 5) for each in detector(image)],
                             [each["confidence"] for each in expected])
        self.assertGreater(len(expected), 0)

    def test_every_way_to_give_an_image_gives_the_same(self):
        for path in (A, B):
            expected = self.detector(path)
            self.assertEqual(self.detector(str(path)), expected)
            self.assertEqual(self.detector(path.read_bytes()), expected)
            self.assertEqual(self.detector(bytearray(path.read_bytes())), expected)

    @unittest.skipUnless(Image, "python3-pil is not installed")
    def test_arrays_in_any_strides_give_the_same(self):
        rgb = pixels(B)
        expected = self.detector(B)
        height, width = rgb.shape[:2]
        padded = numpy.zeros((height, width + 9, 3), numpy.uint8)
        padded[:, :width] = rgb
        rgba = numpy.dstack([rgb, numpy.full((height, width), 7, numpy.uint8)])
        upside_down = numpy.ascontiguousarray(rgb[::-1])
        mirrored = numpy.ascontiguousarray(rgb[:, ::-1])
        bgr = numpy.ascontiguousarray(rgb[..., ::-1])
        planes = numpy.ascontiguousarray(rgb.transpose(2, 0, 1))
        read_only = rgb.copy()
        read_only.flags.writeable = False
        for name, array in {
            "contiguous": rgb.copy(), "rows with a gap": padded[:, :width], "of four channels": rgba[..., :3],
            "bottom up": upside_down[::-1], "right to left": mirrored[:, ::-1], "BGR backwards": bgr[..., ::-1],
            "planes": planes.transpose(1, 2, 0), "column major": numpy.asfortranarray(rgb), "read only": read_only,
            "BGR bottom up": numpy.ascontiguousarray(upside_down[..., ::-1])[::-1, :, ::-1],
        }.items():
            with self.subTest(name):
                self.assertEqual(self.detector(array), expected)
        crop = rgb[5:40, 3:33]
        self.assertEqual(self.detector(crop), self.detector(crop.copy()))

    @unittest.skipUnless(Image, "python3-pil is not installed")
    def test_pil_images_and_grey(self):
        self.assertEqual(self.detector(Image.open(B)), self.detector(B))
        self.assertEqual(self.detector(Image.open(B).convert("RGBA")), self.detector(B))
        expected = self.detector(GREY)
        grey = numpy.asarray(Image.open(GREY).convert("L"))
        self.assertEqual(self.detector(Image.open(GREY).convert("L")), expected)
        self.assertEqual(self.detector(grey), expected)
        self.assertEqual(self.detector(grey[..., None]), expected)
        self.assertEqual(self.detector(numpy.repeat(grey, 2, axis=1)[:, ::2]), expected)
        row = numpy.full((1, 50), 9, numpy.uint8)
        self.assertEqual(self.detector(numpy.broadcast_to(row, (40, 50))), self.detector(numpy.repeat(row, 40, axis=0)))

    def test_a_batch_is_a_list(self):
        found = self.detector([A, B.read_bytes(), str(A)])
        self.assertEqual(found, [self.detector(A), self.detector(B), self.detector(A)])
        self.assertEqual(self.detector([]), [])
        with self.assertRaisesRegex(marrow.FileError, "no.jpg"):
            self.detector([A, "no.jpg"])

    def test_results_are_a_sequence(self):
        found = self.detector(A)
        first = found[0]
        self.assertEqual(list(found)[0], first)
        self.assertIn(first, found)
        self.assertEqual(len(found[1:3]), 2)
        self.assertIsInstance(found[1:3], marrow.Detections)
        with self.assertRaises(IndexError):
            found[len(found)]
        box, confidence, class_id, label = first
        self.assertEqual(self.model.class_names[class_id], label)
        self.assertEqual(found.xyxy.shape, (len(found), 4))
        self.assertEqual(found.numpy().shape, (len(found), 6))
        numpy.testing.assert_array_equal(found.xyxy[0], numpy.float32(box))
        self.assertEqual(found.conf[0], numpy.float32(confidence))
        self.assertEqual(found.cls[0], class_id)
        self.assertEqual(found.numpy().dtype, numpy.float32)
        self.assertEqual(found.labels[0], label)

    def test_results_print(self):
        found = self.detector(A)
        lines = str(found).splitlines()
        self.assertEqual(len(lines), 1 + len(found))
        self.assertRegex(lines[0], r"^\d+ (red box|green/disc|bar)")
        self.assertRegex(lines[1], r"^  .+ 0\.\d\d at \(\d+, \d+\) to \(\d+, \d+\)$")
        self.assertTrue(repr(found).startswith("Detections([Detection(box=("))
        nothing = Detector(self.model, **{**SMALL, "conf": 1})(A)
        self.assertEqual(str(nothing), "nothing found")
        self.assertEqual(nothing.numpy().shape, (0, 6))

    def test_threads_share_a_detector(self):
        expected = {path: self.detector(path) for path in (A, B, GREY)}
        shared, wrong = Detector(self.model, **SMALL), []

        def work():
            for path, found in list(expected.items()) * 3:
                if shared(path) != found:
                    wrong.append(path)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_what_is_not_an_image_is_refused(self):
        for image, error, says in (
            ("no/such.jpg", marrow.FileError, "no/such.jpg"),
            (b"", marrow.FormatError, "empty"),
            (b"GIF89a", marrow.UnsupportedError, "GIF"),
            (A.read_bytes()[:40], marrow.FormatError, "JPEG"),
            (None, marrow.UsageError, "NoneType"),
            (numpy.zeros((4, 4, 3)), marrow.UsageError, "float64"),
            (numpy.zeros((4, 4, 2), numpy.uint8), marrow.UsageError, r"\(4, 4, 2\)"),
            (numpy.zeros((4, 0, 3), numpy.uint8), marrow.UsageError, "no pixels"),
            (numpy.zeros(4, numpy.uint8), marrow.UsageError, r"\(4,\)"),
            (numpy.zeros((1, 70000), numpy.uint8), marrow.UsageError, "65500"),
        ):
            with self.subTest(says), self.assertRaisesRegex(error, says):
                self.detector(image)
        with self.assertRaises(OSError):
            self.detector("no/such.jpg")

    def test_options_that_make_no_sense_are_refused(self):
        for options, says in (
            ({"conf": 2}, "confidence 2"), ({"conf": -1}, "confidence"), ({"tile": -1}, "tile -1"), ({"overlap": -1}, "tile_overlap"),
            ({"overlap": 1}, "tile_overlap 1"), ({"end2end": True}, "no end-to-end head"), ({"conf": float("nan")}, "confidence"), ({"iou": -1}, "iou"),
            ({"max_det": 0}, "max_detections 0"), ({"max_det": 2**40}, "max_det"), ({"imgsz": 0}, "imgsz 0"),
            ({"imgsz": 20000}, "16384"), ({"classes": ["baar"]}, "baar"), ({"classes": [3]}, "class id 3"),
            ({"classes": []}, "classes is empty"), ({"precision": "fp8"}, "fp8"),
        ):
            with self.subTest(says), self.assertRaisesRegex(marrow.UsageError, says):
                Detector(self.model, **{**SMALL, **options})
        with self.assertRaisesRegex(marrow.UsageError, "a classifier, not a detector"):
            Detector(CLASSIFIER)

    def test_a_model_says_what_it_is(self):
        self.assertEqual(self.model.task, "detect")
        self.assertEqual(self.model.class_names, ["red box", "green/disc", "bar"])
        self.assertEqual(self.model.imgsz, (640, 640))
        self.assertEqual(self.model.warnings, [])
        self.assertIn("detect, 3 classes", repr(self.detector))


class TasksTest(unittest.TestCase):
    def found(self, task, **options):
        return Detector(FILES / f"{task}.safetensors", **{**SMALL, **options})(A)

    def expected(self, task, *options):
        return predict(FILES / f"{task}.safetensors", A, "--imgsz", "64", "--conf", "0.01", "--max-det", "20",
                       *options)["detections"]

    @staticmethod
    def rounded(points):
        return [[round(float(value), 5) for value in point] for point in points]

    def test_masks_are_those_of_predict(self):
        for masks, options in (("input", ()), ("image", ("--retina-masks",))):
            found, expected = self.found("segment", masks=masks), self.expected("segment", *options)
            self.assertEqual([self.rounded(each.outline) for each in found], [each["outline"] for each in expected])
            self.assertGreater(len(found), 0)
            self.assertEqual(found.masks.shape, (len(found), *((64, 64) if masks == "input" else (60, 80))))
            self.assertEqual(found.masks.dtype, numpy.uint8)
            self.assertEqual(set(numpy.unique(found.masks)), {0, 1})
            self.assertEqual(len(found.outlines), len(found))
        self.assertEqual(found[0].mask_place, (1, 1, 0, 0))
        renamed = found[0]._replace(label="renamed")
        self.assertIs(renamed.mask_part, found[0].mask_part)
        x, y, width, height = found[0].mask_at
        rows, columns = found[0].mask_part.shape
        self.assertTrue(found[0].mask_part[0].any() and found[0].mask_part[:, 0].any())
        self.assertTrue(numpy.array_equal(found[0].mask[y:y + rows, x:x + columns], found[0].mask_part))
        self.assertEqual((found[0].mask.shape, found[0].mask.sum()), ((height, width), found[0].mask_part.sum()))
        self.assertIsNone(self.found("pose")[0].mask)
        self.assertNotEqual(renamed, found[0])
        self.assertEqual(len(self.found("segment", outlines=False)[0].outline), 0)

    def test_keypoints_are_those_of_predict(self):
        found, expected = self.found("pose"), self.expected("pose")
        self.assertEqual([self.rounded(each) for each in found.keypoints], [each["keypoints"] for each in expected])
        self.assertEqual(found.keypoints.shape, (len(found), 17, 3))

    def test_turned_boxes_are_those_of_predict(self):
        found, expected = self.found("obb"), self.expected("obb")
        self.assertEqual([self.rounded(each) for each in found.corners], [each["corners"] for each in expected])
        self.assertEqual([round(each.turned[4], 5) for each in found], [each["angle"] for each in expected])
        self.assertEqual(found.xywhr.shape, (len(found), 5))
        self.assertEqual(found[1:].xywhr.shape, (len(found) - 1, 5))

    def test_detections_are_equal_with_all_that_they_have(self):
        for task in ("segment", "pose", "obb"):
            found = self.found(task)
            self.assertEqual(found, self.found(task))
            box, confidence, class_id, label = found[0]
            self.assertNotEqual(found[0], marrow.Detection(box, confidence, class_id, label))

    def test_what_a_model_does_not_find_is_refused(self):
        for task, name, wanted in (("detect", "masks", "segment"), ("pose", "masks", "segment"), ("obb", "keypoints", "pose"),
                                   ("segment", "xywhr", "obb"), ("segment", "corners", "obb")):
            found = self.found("detector" if task == "detect" else task)
            with self.subTest(name), self.assertRaisesRegex(marrow.UsageError, f"for '{wanted}'; this one is for '{task}'"):
                getattr(found, name)
        with self.assertRaisesRegex(marrow.UsageError, "finds no masks; wanted is one for 'segment'"):
            self.found("obb", masks="image")
        with self.assertRaisesRegex(marrow.UsageError, "masks 'big'"):
            self.found("segment", masks="big")
        self.assertEqual(Model(FILES / "segment.safetensors").task, "segment")


class ClassifierTest(unittest.TestCase):
    def test_says_what_predict_says(self):
        classifier = Classifier(CLASSIFIER, tune=False)
        for image in (A, B):
            expected = predict(CLASSIFIER, image)["top5"]
            self.assertEqual([{"class": each.class_id, "name": each.label, "probability": each.probability}
                              for each in classifier(image)], expected)
        self.assertEqual(classifier.imgsz, 224)
        one, other = classifier([A, B], top=2)
        self.assertEqual((len(one), len(other)), (2, 2))
        self.assertEqual(one.cls[0], one[0].class_id)
        self.assertRegex(str(one), r"^\S+ 0\.\d{4}, \S+ 0\.\d{4}$")
        self.assertEqual(len(classifier(A, top=100)), 7)
        self.assertIn("délice", classifier(A, top=100).labels)


class ModuleTest(unittest.TestCase):
    def test_its_version_is_the_library_s(self):
        self.assertEqual(marrow.__version__, os.environ["MARROW_VERSION"])

    def test_a_library_that_is_missing_or_foreign_is_named(self):
        for library, says in (("/no/such.so", "MARROW_LIBRARY"), ("libc.so.6", "no libmarrow that fits")):
            run = subprocess.run([sys.executable, "-c", "import marrow"], env={**os.environ, "MARROW_LIBRARY": library},
                                 capture_output=True, text=True)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("ImportError", run.stderr)
            self.assertIn(says, run.stderr)

    def test_it_says_how_to_get_the_library(self):
        with tempfile.TemporaryDirectory() as installed:
            module = pathlib.Path(marrow.__file__).parent
            shutil.copytree(module, pathlib.Path(installed) / "marrow")
            for path, says in ((module.parent, "./run build"), (installed, f"Debian's package libmarrow{marrow.__version__.rsplit('.', 1)[0]}")):
                run = subprocess.run([sys.executable, "-B", "-c", "import marrow"], capture_output=True, text=True,
                                     env={**os.environ, "PYTHONPATH": str(path), "MARROW_LIBRARY": "/no/such.so"})
                self.assertIn(says, run.stderr)

    def test_its_structs_are_those_of_the_header(self):
        # The sizes stand in the objects' struct_size, which the library checks; a wrong one would be refused or refuse.
        from marrow import _library
        options = _library.DetectorOptions()
        _library.function("detector_options_init")(options, _library.ctypes.sizeof(options))
        self.assertAlmostEqual(options.iou, 0.7, 6)
        self.assertEqual(options.max_detections, 300)
        self.assertFalse(options.class_ids)
        self.assertEqual(options.class_id_count, 0)

    def test_pip_installs_it_from_the_checkout(self):
        source = pathlib.Path(marrow.__file__).parents[1]
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
            self.skipTest("python3-pip is not installed")
        with tempfile.TemporaryDirectory() as folder:
            # Nothing may be fetched: no index to fetch from.
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-cache-dir",
                            "--disable-pip-version-check", "--target", folder, str(source)], check=True,
                           env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})
            run = subprocess.run([sys.executable, "-c", "import marrow; print(marrow.__file__)"], check=True,
                                 capture_output=True, text=True, env={**os.environ, "PYTHONPATH": folder})
            self.assertTrue(run.stdout.startswith(folder))


if __name__ == "__main__":
    unittest.main()
