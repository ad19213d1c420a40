"""The list of parts has the shape of SPDX 2.3, names what it must, and is the same twice: sbom_test.py BUILD_FOLDER."""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from urllib.parse import unquote

BUILD = sys.argv.pop()


def made():
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    return subprocess.run([sys.executable, Path(__file__).with_name("sbom.py"), BUILD], env=environment, capture_output=True, text=True, check=True).stdout


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = made()
        cls.document = json.loads(cls.text)
        cls.packages = {package["SPDXID"]: package for package in cls.document["packages"]}

    def test_document(self):
        document = self.document
        self.assertEqual((document["spdxVersion"], document["dataLicense"], document["SPDXID"]), ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertEqual(document["creationInfo"]["created"], "2023-11-14T22:13:20Z")
        self.assertEqual(len(self.packages), len(document["packages"]))

    def test_packages(self):
        for name, package in self.packages.items():
            with self.subTest(name):
                self.assertRegex(name, r"^SPDXRef-[A-Za-z0-9.-]+$")
                for key in ("name", "versionInfo", "downloadLocation", "licenseDeclared"):
                    self.assertTrue(package[key])
                if package["supplier"].endswith("Debian"):
                    self.assertNotEqual(package["licenseDeclared"] + package.get("licenseComments", ""), "NOASSERTION")
                    self.assertIn(f"/{package['name']}@{package['versionInfo']}?", unquote(package["externalRefs"][0]["referenceLocator"]))

    def test_relations(self):
        known = {*self.packages, "SPDXRef-DOCUMENT"}
        for relation in self.document["relationships"]:
            self.assertLessEqual({relation["spdxElementId"], relation["relatedSpdxElement"]}, known)

    def related(self, kind, begin=None, end=None):
        return {
            (relation["spdxElementId"], relation["relatedSpdxElement"])
            for relation in self.document["relationships"]
            if relation["relationshipType"] == kind and begin in (None, relation["spdxElementId"]) and end in (None, relation["relatedSpdxElement"])
        }

    def test_parts(self):
        linked = {end for _, end in self.related("DYNAMIC_LINK", begin="SPDXRef-marrow")}
        for part in ("fmt", "yaml-cpp", "opencv-core", "jpeg", "c6"):
            self.assertTrue(any(re.search(part, end) for end in linked), part)
        self.assertIn(("SPDXRef-libfreetype6", "SPDXRef-marrow"), self.related("OPTIONAL_DEPENDENCY_OF"))
        compiled = {begin for begin, _ in self.related("BUILD_DEPENDENCY_OF")}
        for part in ("nlohmann-json3-dev", "libhwy-dev", "libcli11-dev"):
            self.assertIn("SPDXRef-" + part, compiled)
        self.assertNotIn("SPDXRef-libgtest-dev", self.packages)
        # Of the program that has them, and of no other.
        video = {end for _, end in self.related("BUILD_DEPENDENCY_OF", begin="SPDXRef-libavcodec-dev")}
        self.assertEqual(video, {"SPDXRef-marrow-video"})
        self.assertTrue(self.related("BUILD_TOOL_OF", end="SPDXRef-marrow"))

    def test_same_twice(self):
        self.assertEqual(made(), self.text)


if __name__ == "__main__":
    if shutil.which("dpkg-query") is None:
        print("skipped: there is no dpkg", file=sys.stderr)
        sys.exit(77)
    unittest.main(verbosity=0)
