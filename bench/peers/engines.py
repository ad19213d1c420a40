"""The processes that bench/peers/compare.py talks to: one an engine, standing still unless it is its turn."""

import os
import select
import signal
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = "marrow"
PEERS = ["onnxruntime", "openvino", "mnn", "ncnn", "opencv", "torch"]


class Failed(Exception):
    pass


class Engine:
    """Between turns the process is stopped, so that no pool of threads spins beside the engine that is timed."""

    def __init__(self, name, command, limit_s, log):
        self.name, self.limit_s = name, limit_s
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=log, process_group=0)
        self.pending = b""

    def line(self):
        """What the process says next; a process that says nothing for too long is ended."""
        until = time.monotonic() + self.limit_s
        while b"\n" not in self.pending:
            ready = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))[0]
            some = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not some:
                self.end()
                raise Failed("ended early" if ready else f"no answer within {self.limit_s} s")
            self.pending += some
        line, self.pending = self.pending.split(b"\n", 1)
        answer = line.decode(errors="replace")
        if answer.startswith("error"):
            raise Failed(answer.removeprefix("error: "))
        return answer

    def ask(self, *words):
        if self.process.poll() is not None:
            raise Failed("ended early")
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            self.process.stdin.write((" ".join(str(word) for word in words) + "\n").encode())
            self.process.stdin.flush()
            return self.line()
        except BrokenPipeError:
            self.end()
            raise Failed("ended early") from None
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGSTOP)

    def run(self, count):
        return [float(ms) for ms in self.ask("run", count).split()]

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_ours(program, limit_s, log):
    return Engine(OURS, [program], limit_s, log)


def start_peer(name, python, folder, limit_s, log):
    """The engine and its version. Raises Failed where it is not installed."""
    engine = Engine(name, [python, HERE / "peer.py", name, folder], limit_s, log)
    return engine, engine.line().removeprefix("ready ")
