#!/usr/bin/env python3
"""Searches for inputs that break a reader, with libFuzzer, for so many seconds of processor time each; what is found stays below the build.

    tests/fuzz/search.py build/fuzz/tests/fuzz image pickle --seconds 1200 --json docs/fuzzing.json
    tests/fuzz/search.py build/fuzz/tests/fuzz --json docs/fuzzing.json --write docs/reliability.md

Without readers and without --write all of them in turn. --json adds to what that file says of earlier searches, and --write makes the table
of docs/reliability.md of it. Ends with 1 where something was found. Processor time, so that a busy machine makes a search longer and not worse.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench"))
from tables import publish  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(process):
    """So far, user and system, of all its threads; nothing once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else (int(fields[11]) + int(fields[12])) / TICKS


def search(options, reader, folder):
    """One reader's search; the numbers that libFuzzer ends with."""
    found = folder / "found" / reader
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    command = [options.program, reader, str(folder / "inputs" / reader), f"-timeout={options.timeout}", "-rss_limit_mb=2048", "-malloc_limit_mb=1024"]
    # Slow by the clock is no finding where other programs go first; an input past the timeout is one.
    command += ["-print_final_stats=1", f"-report_slow_units={options.timeout}", f"-artifact_prefix={found}/"]
    log = folder / f"{reader}.log"
    spent = 0.0
    with open(log, "w", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            while (now := processor_seconds(process.pid)) is not None:
                spent = now
                if spent >= options.seconds:
                    process.send_signal(signal.SIGINT)
                    break
                time.sleep(min(1.0, max(0.1, options.seconds - spent)))
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
        process.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    stats = {name: int(value) for name, value in re.findall(r"^stat::(\w+): *(\d+)", text, re.M)}
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", text)
    findings = sorted(path.name for path in set(found.iterdir()) - before)
    if findings:
        print(f"{reader}: {', '.join(findings)} in {found}; what it said is in {log}", file=sys.stderr, flush=True)
    return {
        "seconds": spent,
        "executions": stats.get("number_of_executed_units", 0),
        "edges": int(coverage[-1][0]) if coverage else 0,
        "features": int(coverage[-1][1]) if coverage else 0,
        "slowest_seconds": stats.get("slowest_unit_time_sec", 0),
        "peak_mb": stats.get("peak_rss_mb", 0),
        "findings": findings,
    }


def together(earlier, later):
    """Two searches of a reader, the second going on from the inputs of the first."""
    if earlier is None:
        return later
    sums = {key: earlier[key] + later[key] for key in ("seconds", "executions", "findings")}
    return sums | {key: max(earlier[key], later[key]) for key in ("edges", "features", "slowest_seconds", "peak_mb")}


def table(measured):
    lines = ["| reader | processor, s | inputs tried | edges | features | slowest input, s | most memory, MB |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| `{reader}` | {row['seconds']:.0f} | {row['executions']:,} | {row['edges']} | {row['features']} "
        f"| {row['slowest_seconds'] or 'under 1'} | {row['peak_mb']} |"
        for reader, row in sorted(measured.items(), key=lambda item: -item[1]["seconds"])
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time, each")
    parser.add_argument("--timeout", type=int, default=60, help="seconds for one input, by the clock: more where other programs go first")
    parser.add_argument("--json", help="where the numbers are kept")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the table there")
    options = parser.parse_args()
    folder = Path(options.program).resolve().parent.parent
    kept = Path(options.json) if options.json else None
    measured = json.loads(kept.read_text()) if kept and kept.exists() else {}
    readers = options.readers
    if not readers and not options.write:
        readers = subprocess.run([options.program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    found = 0
    for reader in readers:
        print(reader, file=sys.stderr, flush=True)
        row = search(options, reader, folder)
        found += len(row["findings"])
        measured = json.loads(kept.read_text()) if kept and kept.exists() else measured
        measured[reader] = together(measured.get(reader), row)
        if kept:
            kept.write_text(json.dumps(measured, indent=1))
    publish("tests/fuzz/search.py", table(measured), options.write)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
