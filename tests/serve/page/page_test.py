#!/usr/bin/env python3
"""The web page of `marrow serve` in a headless Chromium, against the running server.

    tests/serve/page/page_test.py --serve build/release/bin/marrow-serve --make-files build/release/tests/make_api_files
"""

import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.request
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from browser import Browser  # noqa: E402

OPTIONS = None
PICTURE = None  # 640 x 480


def write_picture(path, width=640, height=480):
    """A PNG file: colours that change over the picture, and some squares."""
    rows = b""
    for y in range(height):
        row = bytearray()
        for x in range(width):
            square = (x // 80 + y // 60) % 3 == 0
            row += bytes((x * 255 // width, y * 255 // height, 200 if square else 60))
        rows += b"\0" + row

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def click(browser, text):
    browser.value(f"[...document.querySelectorAll('button')].find((one) => one.textContent === {json.dumps(text)}).click()")


def set_value(browser, name, value, event):
    browser.value(f"((one) => {{ one.value = {json.dumps(value)}; one.dispatchEvent(new Event('{event}')); }})"
                  f"(document.getElementById('{name}'))")


def listed(browser):
    """(name, confidence) of each row of the first panel."""
    rows = browser.value("[...document.querySelector('.panel .found').querySelectorAll('button')].map((row) => "
                         "[row.childNodes[1].textContent, row.lastChild.textContent])")
    return [tuple(row) for row in rows]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        global PICTURE
        cls.folder = tempfile.TemporaryDirectory()
        folder = Path(cls.folder.name)
        PICTURE = folder / "picture.png"
        write_picture(PICTURE)
        (folder / "models").mkdir()
        subprocess.run([OPTIONS.make_files, folder / "models"], check=True)
        for name in ("runs/detect/train", "runs/segment/train", "samples"):
            (folder / name).mkdir(parents=True)
        shutil.copy(PICTURE, folder / "samples" / "one.png")
        (folder / "runs/detect/train/args.yaml").write_text("model: yolov8n\nbackbone: starnet_s1\nepochs: 30\ndata: gone.yaml\n")
        rows = [f"{e},{e},{3 - e / 10}," + (",," if e % 2 else f"{3 - e / 12},{e / 30},{e / 50}") for e in range(1, 11)]  # --val-every 2
        (folder / "runs/detect/train/results.csv").write_text(
            "epoch,time,train/box_loss,val/box_loss,metrics/mAP50(B),metrics/mAP50-95(B)\n" + "\n".join(rows) + "\n")
        shutil.copy(PICTURE, folder / "runs/detect/train/results.png")
        (folder / "runs/segment/train/args.yaml").write_text("model: yolov8n-seg\nepochs: 3\ndata: gone.yaml\n")
        (folder / "runs/segment/train/results.csv").write_text(
            "epoch,time,train/seg_loss,val/seg_loss,metrics/mAP50-95(B),metrics/mAP50-95(M)\n1,1,3,4,0.5,0.4\n")
        os.utime(folder / "runs/segment/train/results.csv", (1, 1))  # the older one
        cls.server = subprocess.Popen([OPTIONS.serve, f"first={folder}/models/detector.safetensors", f"second={folder}/models/thresholds.safetensors",
                                       "--port", "0", "--samples", folder / "samples", "--runs", folder / "runs", "--labels", folder / "labels"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        told = ""
        while not (found := re.search(r"ready, on port (\d+)", told)):
            line = cls.server.stderr.readline()
            if not line:
                raise RuntimeError(f"the server ended: {told}")
            told += line
        cls.origin = f"http://127.0.0.1:{found.group(1)}"
        cls.labels = folder / "labels"

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.wait(timeout=30)
        cls.server.stderr.close()
        cls.folder.cleanup()

    def setUp(self):
        self.browser = Browser(self.origin)
        self.addCleanup(self.browser.end)

    def tearDown(self):
        self.assertEqual(self.browser.faults, [])

    def look(self, picture=None):
        self.browser.open("/")
        self.browser.wait_for("document.getElementById('model-0').options.length === 2")
        self.browser.choose_file("#file", picture or PICTURE)
        self.browser.wait_for("document.getElementById('status').textContent.startsWith('Done')")

    def asked(self, model, confidence):
        request = urllib.request.Request(f"{self.origin}/v1/detect?model={model}&conf={confidence}", Path(PICTURE).read_bytes())
        return json.load(urllib.request.urlopen(request))

    def shot(self, name):
        if OPTIONS.pictures:
            self.browser.picture(Path(OPTIONS.pictures) / f"{name}.png")

    def test_boxes_are_those_of_the_server(self):
        self.look()
        found = self.asked("first", 0.25)["detections"]
        self.assertGreater(len(found), 0)
        self.assertEqual(listed(self.browser), [(one["name"], f"{one['confidence']:.2f}") for one in found])
        # What is chosen is drawn on top of all: three of its sides, where the picture does not cut them, have the colour of its class, but
        # for letters of its name. They are looked at half a pixel outside, since a chosen box is lighter inside.
        self.browser.value("[...document.querySelectorAll('.panel .found button')].at(-1).click()")
        x1, y1, x2, y2 = found[-1]["box"]
        shares = [i / 20 for i in range(1, 20)]
        points = [[x1 + share * (x2 - x1), y2 + 0.5] for share in shares]
        points += [[x, y1 + share * (y2 - y1)] for x in (x1 - 0.5, x2 + 0.5) for share in shares]
        inside = [[x, y] for x, y in points if 3 < x < 637 and 3 < y < 477]
        self.assertGreater(len(inside), 15)
        drawn = self.browser.value(
            "(() => { const canvas = document.querySelector('canvas'), zoom = canvas.width / 640, context = canvas.getContext('2d');"
            f"return {inside}.map(([x, y]) => [...context.getImageData(Math.round(x * zoom), Math.round(y * zoom), 1, 1).data]); }})()")
        wanted = self.browser.value(
            "import('/colours.js').then(({colour}) => { const probe = document.createElement('canvas').getContext('2d');"
            f"probe.fillStyle = colour({found[-1]['class']}); probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; }})")
        coloured = [max(abs(a - b) for a, b in zip(pixel, wanted)) < 24 for pixel in drawn]
        self.assertGreaterEqual(sum(coloured), 0.8 * len(coloured), list(zip(inside, drawn)))
        self.shot("boxes")

    def test_damage_is_said(self):
        whole = (Path(self.folder.name) / "models/a.jpg").read_bytes()
        cut = Path(self.folder.name) / "cut.jpg"
        cut.write_bytes(whole[: len(whole) // 2])
        self.look(cut)
        self.assertIn("the file ends early", self.browser.value("document.querySelector('.panel .warning').textContent"))

    def test_the_slider_filters_in_the_browser(self):
        self.look()
        asked = len(self.browser.value("performance.getEntriesByType('resource').map((one) => one.name)"))
        for confidence in ("0.05", "0.45", "1"):
            set_value(self.browser, "confidence", confidence, "input")
            wanted = [one for one in self.asked("first", confidence)["detections"]]
            self.assertEqual(len(listed(self.browser)), len(wanted), confidence)
        self.assertEqual(len(self.browser.value("performance.getEntriesByType('resource').map((one) => one.name)")), asked)

    def test_classes_are_chosen(self):
        self.look()
        before = listed(self.browser)
        name = before[0][0]
        self.browser.value(f"document.querySelector('#class-list input[value={json.dumps(name)}]').click()")
        self.assertEqual(listed(self.browser), [row for row in before if row[0] != name])
        click(self.browser, "None")
        self.assertEqual(listed(self.browser), [])
        click(self.browser, "All")
        self.assertEqual(listed(self.browser), before)

    def test_two_models_stand_side_by_side(self):
        self.look()
        set_value(self.browser, "model-1", "second", "change")
        self.browser.wait_for("document.querySelectorAll('.panel').length === 2")
        names = self.browser.value("[...document.querySelectorAll('.panel h2')].map((one) => one.textContent)")
        self.assertEqual(names, ["first", "second"])
        times = self.browser.value("[...document.querySelectorAll('.times')].map((one) => one.textContent)")
        for text in times:
            self.assertRegex(text, r"inference [0-9.]+ ms.*round trip \d+ ms")
        self.shot("two_models")

    def test_a_point_names_its_box(self):
        self.look()
        self.browser.value("document.querySelector('.found button').focus()")
        first = self.asked("first", 0.25)["detections"][0]
        self.assertIn(f"{first['name']}, confidence {first['confidence']:.3f}", self.browser.value("document.querySelector('.panel .soft').textContent"))

    def test_a_correction_becomes_a_label(self):
        self.look()
        click(self.browser, "Correct boxes")
        before = len(listed(self.browser))
        self.browser.value("document.querySelector('.found button').click()")
        click(self.browser, "Remove it")
        click(self.browser, "Add a box")
        set_class = "((one) => { one.value = '2'; one.dispatchEvent(new Event('change')); })(document.querySelector('.editor select'))"
        self.browser.value(set_class)
        self.assertEqual(len(listed(self.browser)), before)
        self.shot("corrected")
        click(self.browser, "Save as labels")
        self.browser.wait_for("document.getElementById('status').textContent.startsWith('Saved')")
        label = self.labels / re.search(r"as (\S+)\.$", self.browser.value("document.getElementById('status').textContent")).group(1)
        rows = label.read_text().splitlines()
        self.assertEqual(len(rows), before)
        self.assertEqual(rows[-1], "2 0.500000 0.500000 0.200000 0.200000")
        image = self.labels / "images" / (label.stem + ".png")
        self.assertEqual(image.read_bytes(), Path(PICTURE).read_bytes())
        self.assertIn("bar", (self.labels / "data.yaml").read_text())

    def test_a_box_is_drawn_with_the_pointer(self):
        self.look()
        click(self.browser, "None")
        click(self.browser, "Correct boxes")
        self.browser.value("document.querySelector('canvas').scrollIntoView({block: 'center'})")
        place = self.browser.value("(() => { const one = document.querySelector('canvas').getBoundingClientRect(); return [one.left, one.top, one.width, one.height]; })()")
        at = lambda x, y: (place[0] + x * place[2], place[1] + y * place[3])  # noqa: E731
        self.browser.drag(at(0.25, 0.25), at(0.5, 0.75))
        self.browser.wait_for("Math.abs(document.querySelectorAll('.editor input')[2].valueAsNumber - 320) <= 2")
        numbers = self.browser.value("[...document.querySelectorAll('.editor input')].map((one) => one.valueAsNumber)")
        for number, wanted in zip(numbers, (160, 120, 320, 360)):
            self.assertAlmostEqual(number, wanted, delta=2)
        self.browser.press("Delete")
        self.assertEqual(listed(self.browser), [])

    def test_masks_keypoints_and_turned_boxes_are_drawn(self):
        self.browser.open("/")
        # On a black picture of 1000 x 400: a triangle, a square on its corner, two keypoints and what joins them, one that is hidden; and
        # two boxes whose names would lie on one another.
        colours = self.browser.value("""Promise.all([import('/picture_view.js'), import('/colours.js')]).then(([{PictureView}, {colour}]) => {
            const black = document.createElement('canvas');
            [black.width, black.height] = [1000, 400];
            black.getContext('2d').fillRect(0, 0, 1000, 400);
            const canvas = document.createElement('canvas');
            document.body.append(canvas);
            const view = new PictureView(canvas, black, [[0, 1], [1, 2]]);
            view.scale = () => 1;
            view.boxes = [
              {class: 0, name: 'mask', confidence: 0.9, box: [50, 50, 250, 250], outline: [[50, 50], [250, 50], [50, 250]]},
              {class: 1, name: 'turned', confidence: 0.9, box: [400, 50, 600, 250], corners: [[500, 50], [600, 150], [500, 250], [400, 150]]},
              {class: 2, name: 'pose', confidence: 0.9, box: [700, 50, 950, 250], keypoints: [[750, 200, 0.9], [850, 200, 0.9], [900, 100, 0.1]]},
              {class: 3, name: 'near', confidence: 0.9, box: [100, 330, 320, 380]},
              {class: 4, name: 'nearer', confidence: 0.9, box: [110, 330, 320, 380]}];
            view.draw();
            const pixel = (x, y) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
            const probe = document.createElement('canvas').getContext('2d');
            const wanted = (i) => { probe.fillStyle = colour(i); probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3); };
            const found = {inside: pixel(100, 100), outside: pixel(200, 200), edge: pixel(550, 100), corner: pixel(405, 245), middle: pixel(500, 150),
                           point: pixel(750, 200), limb: pixel(800, 200), hidden: pixel(900, 100), rim: pixel(750, 204),
                           names: [[502, 34], [102, 314], [317, 314]].map(([x, y]) => pixel(x, y)), colours: [0, 1, 3, 4].map(wanted)};
            canvas.remove();
            return found;
        })""")
        near = lambda a, b: max(abs(x - y) for x, y in zip(a, b)) <= 40  # noqa: E731
        dark = [0, 0, 0]
        first, second, *others = colours["colours"]
        self.assertTrue(near(colours["inside"], [0.45 * part for part in first]), colours)
        self.assertTrue(near(colours["outside"], dark), colours)
        self.assertTrue(near(colours["edge"], second), colours)
        self.assertTrue(near(colours["corner"], dark) and near(colours["middle"], dark), colours)
        self.assertTrue(near(colours["point"], first) and near(colours["limb"], first), colours)
        self.assertTrue(near(colours["rim"], [255, 255, 255]), colours)
        self.assertTrue(near(colours["hidden"], dark), colours)
        for found, wanted in zip(colours["names"], [second, *others], strict=True):
            self.assertTrue(near(found, wanted), colours)

    def test_what_is_no_picture_is_said(self):
        self.browser.open("/")
        self.browser.wait_for("document.getElementById('model-0').options.length === 2")
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            file.write(b"no picture")
            file.flush()
            self.browser.choose_file("#file", file.name)
            self.browser.wait_for("document.getElementById('status').classList.contains('error')")
        self.assertIn("That did not work", self.browser.value("document.getElementById('status').textContent"))
        self.browser.faults = [fault for fault in self.browser.faults if "400" not in fault]

    def test_a_sample_is_taken(self):
        self.browser.open("/")
        self.browser.wait_for("document.querySelectorAll('#samples button').length === 1")
        self.browser.value("document.querySelector('#samples button').click()")
        self.browser.wait_for("document.getElementById('status').textContent.startsWith('Done')")

    def test_a_phone_shows_all_of_it(self):
        self.browser.size(390, 800, phone=True)
        self.look()
        self.assertLessEqual(self.browser.value("document.documentElement.scrollWidth"), 390)
        self.shot("phone")

    def test_everything_has_a_name(self):
        self.look()
        click(self.browser, "Correct boxes")
        nameless = self.browser.value(
            "[...document.querySelectorAll('button, input, select, canvas, img')].filter((one) => !(one.textContent.trim() || one.ariaLabel || "
            "one.getAttribute('aria-label') || one.alt || one.closest('label')?.textContent.trim() || one.querySelector('img')?.alt)).map((one) => one.outerHTML)")
        self.assertEqual(nameless, [])

    def test_runs_have_curves_and_pictures(self):
        self.browser.open("/runs")
        self.browser.wait_for("document.querySelectorAll('#charts svg').length === 3")
        summary = self.browser.value("document.getElementById('summary').innerText")
        for text in ("detect/train", "yolov8n on starnet_s1", "10 of 30", "0.2000 (epoch 10)"):
            self.assertIn(text, summary)
        self.browser.wait_for("document.querySelector('#pictures img').complete && document.querySelector('#pictures img').naturalWidth > 0")
        self.shot("runs")

    def test_runs_of_other_tasks_and_of_one_epoch(self):
        self.browser.open("/runs")
        self.browser.wait_for("document.querySelectorAll('#charts svg').length === 3")
        self.browser.value("[...document.querySelectorAll('#run-list label')].find((one) => one.textContent.includes('segment/train')).click()")
        self.browser.wait_for("document.querySelectorAll('#charts svg').length === 5")
        titles = self.browser.value("[...document.querySelectorAll('#charts svg')].map((one) => one.getAttribute('aria-label'))")
        self.assertTrue(any("mAP50-95 of masks. segment/train validation: 0.4 at epoch 1" in title for title in titles), titles)
        self.assertIn("0.4000 mAP50-95(M) (epoch 1)", self.browser.value("document.getElementById('summary').innerText"))
        self.assertEqual(self.browser.value("document.querySelectorAll('#charts circle').length"), 4)
        colours = self.browser.value("[...new Set([...document.querySelectorAll('#charts .curve')].map((one) => one.getAttribute('stroke')))]")
        self.assertEqual(len(colours), 2)
        self.shot("runs-of-tasks")

    def test_dark_has_other_colours(self):
        self.look()
        light = self.browser.value("getComputedStyle(document.body).backgroundColor")
        self.browser.dark()
        self.assertNotEqual(self.browser.value("getComputedStyle(document.body).backgroundColor"), light)


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", required=True, help="the program marrow-serve")
    parser.add_argument("--make-files", required=True, help="the program that writes models into a folder")
    parser.add_argument("--pictures", help="a folder for pictures of the page")
    OPTIONS, rest = parser.parse_known_args()
    if shutil.which("chromium") is None:
        print("skipped: there is no chromium")
        return 77
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
