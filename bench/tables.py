"""What the scripts here share: the documents' tables that they write, and the processor that they show to all programs they start."""

import os
import platform
from pathlib import Path

HIDDEN = "with AVX-512 hidden"  # added to a processor's name
LIBRARY = "libavx2_only.so"  # of bench/avx2_only.cpp


def publish(script, table, document=None):
    """Prints `table`, or puts it where `document` says that `script` writes."""
    if document is None:
        print(table)
        return
    document = Path(document)
    begin, end = f"<!-- written by {script} -->", "<!-- end -->"
    before, found, rest = document.read_text().partition(begin)
    after = rest.partition(end)
    if not found or not after[1]:
        raise SystemExit(f"{document}: no '{begin}' with an '{end}' behind it")
    document.write_text(f"{before}{begin}\n{table}\n{end}{after[2]}")


def hide_avx512(library):
    """All programs started from now on see a processor without AVX-512, AVX-VNNI and AMX (bench/avx2_only.cpp)."""
    library = Path(library).resolve()
    if not library.exists():
        raise SystemExit(f"{library}: not built; cmake --build build/release --target avx2_only")
    os.environ["LD_PRELOAD"] = str(library)


def vectors():
    """The widest vector instructions that programs started from now on see."""
    if LIBRARY in os.environ.get("LD_PRELOAD", ""):
        return "AVX2"
    text = Path("/proc/cpuinfo").read_text()
    return "AVX-512" if "avx512f" in text else "AVX2" if "avx2" in text else "neither AVX2 nor AVX-512"


def processor_name():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{name} {HIDDEN}" if LIBRARY in os.environ.get("LD_PRELOAD", "") else f"{name} with {vectors()}"
