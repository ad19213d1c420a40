"""Makes the wheel that `pip install ./python` installs, with the standard library alone (PEP 517).

The module is plain Python, so a wheel is its files and a few lines about them.
"""
import base64
import hashlib
import pathlib
import re
import zipfile

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "marrow" / "_version.py").read_text()).group(1)
NAME = f"marrow-{VERSION}"
METADATA = f"""\
Metadata-Version: 2.1
Name: marrow
Version: {VERSION}
Summary: Find objects in images, or say what an image shows: Marrow from Python
License: Apache-2.0
Requires-Python: >=3.9
Requires-Dist: numpy
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: marrow\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _files():
    """What the wheel holds: names and bytes."""
    for path in sorted((ROOT / "marrow").iterdir()):
        if path.suffix == ".py" or path.name == "py.typed":
            yield f"marrow/{path.name}", path.read_bytes()
    yield f"{NAME}.dist-info/METADATA", METADATA.encode()
    yield f"{NAME}.dist-info/WHEEL", WHEEL.encode()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = f"{NAME}-py3-none-any.whl"
    record = ""
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(content)}\n"
            archive.writestr(name, content)
        archive.writestr(f"{NAME}.dist-info/RECORD", record + f"{NAME}.dist-info/RECORD,,\n")
    return wheel
