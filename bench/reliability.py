"""What faults, kills and hostile files did to Marrow: the tables of docs/reliability.md.

    python3 bench/reliability.py build/release/tests/test_reliability build/release/tests/test_apps_video --write docs/reliability.md

Runs the tests of tests/reliability with many more faults and kills than ./run test does, for about half an hour, and prints the tables,
or writes them into the document. --filter runs a part, by GoogleTest's pattern, and writes its tables alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tables import publish  # noqa: E402

ENDS = ["runs", "all done", "done without it, and said so", "a message", "ended by it", "lost or half"]


SUITES = ["FaultSweep", "KillLoop", "Bounds", "TwoProcesses", "FaultyServer"]


def run(program, faults, pattern, found):
    """Adds the properties of the tests by suite, in order; the exit code is that of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [program, "--gtest_brief=1", f"--gtest_output=json:{report}", f"--gtest_filter={pattern}"]
        code = subprocess.run(words, env={**os.environ, "MARROW_FAULTS": str(faults)}, check=False).returncode
        suites = json.loads(report.read_text())["testsuites"]
    known = {"name", "file", "line", "status", "result", "timestamp", "time", "classname", "failures", "value_param"}
    for suite in suites:
        for test in suite["testsuite"]:
            if suite["name"].split("/")[-1] not in SUITES:
                continue
            values = {key: value for key, value in test.items() if key not in known}
            found.setdefault(suite["name"].split("/")[-1], []).append((test.get("value_param", "").strip('"'), values))
    return code


def numbers(text):
    return [int(word) for word in text.split()]


def ends_table(head, rows):
    lines = ["| " + " | ".join([head] + ENDS) + " |", "| --- |" + " --- |" * len(ENDS)]
    lines += ["| " + " | ".join([name] + [str(count) for count in counts]) + " |" for name, counts in rows]
    return "\n".join(lines)


def summed(rows):
    return [sum(column) for column in zip(*rows)]


def faults_table(tests):
    by_fault = {}
    for _, values in tests:
        for fault, text in values.items():
            by_fault.setdefault(fault, []).append(numbers(text))
    return ends_table("fault", [(fault, summed(rows)) for fault, rows in by_fault.items()])


def commands_table(tests):
    return ends_table("command", [(f"`marrow {name}`", summed([numbers(text) for text in values.values()])) for name, values in tests])


def kills_table(tests):
    rows = [(f"`marrow {name}`", numbers(text)) for _, values in tests for name, text in values.items()]
    return ends_table("command", rows)


def bounds_table(tests):
    lines = ["| file | bytes | peak memory, MB | processor, s | it is |", "| --- | --- | --- | --- | --- |"]
    for _, values in tests:
        for what, text in values.items():
            size, peak, seconds, end = text.split()
            lines.append(f"| {what} | {int(size):,} | {int(peak) / 1e6:.0f} | {seconds} | {end} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--faults", type=int, default=12, help="calls of a command that each fault meets")
    parser.add_argument("--filter", help="by default all of it")
    parser.add_argument("--write", metavar="DOCUMENT", help="put the tables there instead of printing them")
    options = parser.parse_args()
    pattern = options.filter or ":".join(f"*{suite}.*" for suite in SUITES)
    found = {}
    code = max(run(program, options.faults, pattern, found) for program in options.programs)
    tables = [
        ("faults", "FaultSweep", faults_table),
        ("commands", "FaultSweep", commands_table),
        ("kills", "KillLoop", kills_table),
        ("bounds", "Bounds", bounds_table),
    ]
    for name, suite, table in tables:
        if suite in found:
            publish(f"bench/reliability.py, {name}", table(found[suite]), options.write)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
