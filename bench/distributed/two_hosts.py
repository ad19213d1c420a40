"""Two hosts in one machine, with a link between them: starts a program as two workers of mpirun, one a host.

    python3 bench/distributed/two_hosts.py --gbit 1 --ms 1 build/release/bench/workers_bench model=yolov8n

A host is a network namespace with a name of its own and one core. The link is a pair of TUN devices, between which this program
carries packets: so many bits a second in each direction, and so much later. As root; a kernel needs no shaper for it.
"""

import argparse
import collections
import contextlib
import fcntl
import os
import select
import shlex
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HOSTS = ["marrow-host-1", "marrow-host-2"]
NETWORK = "10.213.7.0/24"
ADDRESSES = ["10.213.7.1", "10.213.7.2"]
DEVICE = "marrowlink{}"
LARGEST_PACKET = 60000  # bytes; few large packets cost this program little
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def ip(*words, check=True):
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


def open_device(name):
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return file


@contextlib.contextmanager
def two_namespaces():
    """The two hosts and the ends of the link between them, as files of packets."""
    ends = []
    try:
        for number, (host, address) in enumerate(zip(HOSTS, ADDRESSES)):
            device = DEVICE.format(number)
            ip("netns", "add", host)
            ends.append(open_device(device))
            ip("link", "set", device, "netns", host)
            ip("-n", host, "link", "set", "lo", "up")
            ip("-n", host, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", host, "link", "set", device, "mtu", str(LARGEST_PACKET), "txqueuelen", "1000", "up")
        yield ends
    finally:
        for file in ends:
            os.close(file)
        for host in HOSTS:
            ip("netns", "del", host, check=False)


class Link(threading.Thread):
    """Carries packets both ways until stop()."""

    def __init__(self, ends, bits_a_second, seconds):
        super().__init__(daemon=True)
        self.ends, self.bits_a_second, self.seconds = ends, bits_a_second, seconds
        self.under_way = [collections.deque(), collections.deque()]  # (when it arrives, packet), by the end that sent it
        self.busy_until = [0.0, 0.0]
        self.stopped = threading.Event()

    def stop(self):
        self.stopped.set()
        self.join()

    def run(self):
        while not self.stopped.is_set():
            now = time.monotonic()
            arrivals = [queue[0][0] for queue in self.under_way if queue]
            wait = max(0.0, min(arrivals) - now) if arrivals else 0.1
            ready, _, _ = select.select(self.ends, [], [], wait)
            for end in ready:
                self.take(self.ends.index(end))
            self.deliver()

    def take(self, side):
        packet = os.read(self.ends[side], LARGEST_PACKET + 100)
        self.busy_until[side] = max(self.busy_until[side], time.monotonic()) + 8 * len(packet) / self.bits_a_second
        self.under_way[side].append((self.busy_until[side] + self.seconds, packet))

    def deliver(self):
        now = time.monotonic()
        for side, queue in enumerate(self.under_way):
            while queue and queue[0][0] <= now:
                with contextlib.suppress(OSError):  # a device that is not up yet; TCP sends again
                    os.write(self.ends[1 - side], queue.popleft()[1])


def enter(number, words):
    """The command that runs another on that host, on its core."""
    named = f"hostname {HOSTS[number]}; exec taskset -c {number} {words}"
    return ["ip", "netns", "exec", HOSTS[number], "unshare", "--uts", "sh", "-c", named]


def run_workers(program, arguments):
    with tempfile.TemporaryDirectory() as folder:
        # mpirun starts its daemon on the other host by a program like ssh, which is given the host and a command.
        agent = Path(folder) / "agent"
        agent.write_text('#!/bin/sh\nshift\nexec ' + " ".join(shlex.quote(word) for word in enter(1, "sh -c")[:-1])
                         + f' "hostname {HOSTS[1]}; exec taskset -c 1 $*"\n', encoding="utf-8")
        agent.chmod(0o755)
        words = ["mpirun", "-np", "2", "--host", ",".join(ADDRESSES), "--map-by", "node", "--bind-to", "none"]
        words += ["--allow-run-as-root", "--mca", "plm_rsh_agent", str(agent), "--mca", "btl", "tcp,self"]
        words += ["--mca", "btl_tcp_if_include", NETWORK, "--mca", "oob_tcp_if_include", NETWORK]
        words += [str(Path(program).resolve()), *arguments]
        return subprocess.run(enter(0, shlex.join(words)), check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gbit", type=float, default=1, help="a second, in each direction")
    parser.add_argument("--ms", type=float, default=1, help="that every packet is under way")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("two_hosts.py: makes network namespaces, for which it must be root")
    with two_namespaces() as ends:
        link = Link(ends, 1e9 * options.gbit, 1e-3 * options.ms)
        link.start()
        try:
            return run_workers(options.program, options.arguments)
        finally:
            link.stop()


if __name__ == "__main__":
    sys.exit(main())
