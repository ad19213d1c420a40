"""What bench/peers/compare.py measured: its file, its lines, the document's tables and its plot."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from engines import OURS, PEERS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tables import HIDDEN, publish  # noqa: E402

NAMES = {OURS: "Marrow", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "mnn": "MNN", "ncnn": "ncnn",
         "opencv": "OpenCV", "torch": "PyTorch"}
PRECISIONS = ["float32", "bf16", "int8"]
COLOURS = {"onnxruntime": "#1f77b4", "openvino": "#d62728", "mnn": "#2ca02c", "ncnn": "#ff7f0e", "opencv": "#9467bd",
           "torch": "#7f7f7f"}


def load(path):
    return json.loads(path.read_text()) if path.exists() else {}


def save(path, results):
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def processor(marrow, hidden):
    """What `marrow benchmark` says of the processor: name, vector instructions, caches in KiB, a core's peak."""
    said = json.loads(subprocess.run([marrow, "benchmark", "shufflenet_v2_x0_5", "--seconds", "0", "--threads", "1",
                                      "--json"], capture_output=True, text=True, check=True).stdout)
    return {"name": f"{said['cpu']} {HIDDEN}" if hidden else said["cpu"], "simd": said["simd"], "cache_kib": [size // 1024 for size in said["cache_bytes"]],
            "peak_gflops": round(said["peak_gflops"])}


def kind(row):
    """The type of a row's processor; two may differ in their first caches alone. Rows of one type stand in one table, and replace each other."""
    return row["processor"]["name"], row["processor"]["simd"], "-".join(str(size) for size in row['processor']['cache_kib'][:2]) + "K"


def summary(times):
    times = sorted(times)
    return {"median": round(statistics.median(times), 3), "best": round(times[0], 3), "runs": len(times)}


def ratio(row, of="median"):
    """The best peer's median over ours, or its best time over ours; None where no peer computed it."""
    peers = [times[of] for name, times in row["ms"].items() if name != OURS]
    return min(peers) / row["ms"][OURS][of] if peers else None


def line(row):
    times = sorted((t["median"], name) for name, t in row["ms"].items())
    best = ratio(row)
    return (f"{row['network']} {row['size']} {row['precision']}, {row['threads']} thread(s), ms: "
            + ", ".join(f"{name} {ms:.2f}" for ms, name in times)
            + ("" if best is None else f"; best peer / ours {best:.2f}"))


def cell(row, name):
    if name in row["ms"]:
        return f"{row['ms'][name]['median']:.2f}"
    return "differs" if row["problems"].get(name, "").startswith("differs") else "-"


def table(rows, threads, precision, order):
    rows = [row for row in rows if row["threads"] == threads and row["precision"] == precision]
    if not rows:
        return []
    rows.sort(key=lambda row: (order.index(row["network"]), -row["size"]))
    shown = [name for name in [OURS, *PEERS] if any(name in row["ms"] or name in row["problems"] for row in rows)]
    lines = [f"**{precision}, {threads} thread{'s' * (threads > 1)}**, ms:", "",
             f"| network | size | {' | '.join(NAMES[name] for name in shown)} | best peer / Marrow | shortest times |",
             f"|---|---|{'---|' * len(shown)}---|---|"]
    for row in rows:
        ratios = ["-" if ratio(row, of) is None else f"{ratio(row, of):.2f}" for of in ("median", "best")]
        lines.append(f"| {row['network']} | {row['size']} | {' | '.join([cell(row, name) for name in shown] + ratios)} |")
    return lines + [""]


def provenance(rows):
    """Which versions when; one line each way in which rows differ in them."""
    def said(row):
        return ", ".join(row["versions"][name] for name in NAMES if name in row["versions"]
                         and (name == OURS or name in row["ms"] or name in row["problems"]))
    lines = []
    for versions in dict.fromkeys(said(row) for row in rows):
        dates = sorted({row["date"] for row in rows if said(row) == versions})
        lines.append(f"* {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}: {versions}.")
    return lines


def heading(rows):
    """The processor of some rows; its peak is the highest that was measured."""
    processor = rows[0]["processor"]
    caches = ", ".join(f"{size // 1024} MiB" if size >= 1024 else f"{size} KiB" for size in processor["cache_kib"])
    peak = max(row["processor"]["peak_gflops"] for row in rows)
    return [f"### {processor['name']}, {processor['simd']}", "",
            f"Caches of {caches}; float32 peak of a core {peak} GFLOP/s.", ""]


def write(document, results, order):
    """A part of the document and a plot for each type of processor, and in it a table for each precision and number of threads."""
    everything = [row for row in results.values() if row["network"] in order]
    lines = []
    for mine in sorted({kind(row) for row in everything}, key=lambda k: (k[1], k)):
        rows = [row for row in everything if kind(row) == mine]
        lines += [*heading(rows), *provenance(rows), ""]
        for precision in sorted({row["precision"] for row in rows}, key=PRECISIONS.index):
            for threads in sorted({row["threads"] for row in rows}):
                lines += table(rows, threads, precision, order)
        picture = document.with_name(f"{document.stem}-{mine[1]}-{mine[2]}.svg")
        plot([row for row in rows if row["precision"] == "float32"], order, picture)
        lines += [f"![Time over Marrow's]({picture.name})", ""]
    publish("bench/peers/compare.py", "\n".join(lines).rstrip(), document)


def plot_points(rows, name, order):
    """x: time over ours; y: the place of the network."""
    points = [(order.index((row["network"], row["size"])), row["ms"][name]["median"] / row["ms"][OURS]["median"]) for row in rows if name in row["ms"]]
    return [f"{ratio:.4f} {place}" for place, ratio in sorted(points)]


def plot(rows, order, picture):
    """A panel for each number of threads: how many times as long as Marrow each peer takes."""
    places = sorted({(row["network"], row["size"]) for row in rows}, key=lambda place: (-order.index(place[0]), place[1]))
    panels = sorted({row["threads"] for row in rows})
    if not places:
        return
    panel, legend = 640, 120  # pixels across
    across = panel * len(panels) + legend
    most = max(times["median"] / row["ms"][OURS]["median"] for row in rows for times in row["ms"].values())
    script = [f"set terminal svg noenhanced size {across},{24 * len(places) + 130} font 'sans,12' background 'white'",
              f"set output '{picture}'", f"set multiplot layout 1,{len(panels)}", "set logscale x", "set grid xtics lt 1 lc rgb '#dddddd'",
              "set xlabel 'time / time of Marrow'", f"set yrange [-0.7:{len(places) - 0.3}]",
              f"set xrange [0.7:{1.1 * most}]", "set xtics (0.75, 1, 1.5, 2, 3, 4, 6, 10, 20)"]
    names = ", ".join(f"'{network} {size}' {i}" for i, (network, size) in enumerate(places))
    script.append(f"set ytics ({names})")
    shown = [name for name in PEERS if any(name in row["ms"] for row in rows)]
    for place, threads in enumerate(panels):
        script += [f"set lmargin at screen {(place * panel + 230) / across}", f"set rmargin at screen {((place + 1) * panel - 15) / across}"]
        script.append("set key outside right center samplen 1" if threads == panels[-1] else "unset key")
        script.append(f"set title '{threads} thread{'s' * (threads > 1)}'")
        mine = [row for row in rows if row["threads"] == threads]
        script.append(f"set arrow 1 from 1,-0.7 to 1,{len(places) - 0.3} nohead lc rgb '#000000'")
        blocks, parts = [], []
        for i, name in enumerate(shown):
            blocks.append("\n".join([f"$d{i} << E", *(plot_points(mine, name, places) or ["NaN NaN"]), "E"]))
            parts.append(f"$d{i} using 1:2 with points pt {i + 4} ps 0.9 lw 1.5 lc rgb '{COLOURS[name]}' title '{NAMES[name]}'")
        script += [*blocks, "plot " + ", ".join(parts)]
    done = subprocess.run(["gnuplot"], input="\n".join([*script, "unset multiplot", ""]), text=True, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"gnuplot: {done.stderr}")
