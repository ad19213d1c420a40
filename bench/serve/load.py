"""Requests that come when they come, whatever the server does: at even distances, or at random as from many people who know nothing of each other."""

import http.client
import queue
import random
import threading
import time

CONNECTIONS = 64


def latencies(port, path, body, rate, seconds, evenly):
    """Milliseconds of each of `rate` requests a second; from when one should have been sent, so that waiting counts."""
    waiting, found, failures = queue.Queue(), [], []

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (due := waiting.get()) is not None:
            try:
                connection.request("POST", path, body, {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                answer.read()
                succeeded = answer.status == 200
            except (OSError, http.client.HTTPException):
                succeeded = False
                connection.close()
            (found if succeeded else failures).append((time.perf_counter() - due) * 1e3)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    chance, due = random.Random(1), time.perf_counter()
    end = due + seconds
    while (due := due + (1 / rate if evenly else chance.expovariate(rate))) < end:
        time.sleep(max(0, due - time.perf_counter()))
        waiting.put(due)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} of {len(failures) + len(found)} requests failed")
    return sorted(found)


def queue_times(load, requests=200_000):
    """What the waiting alone makes of random arrivals: times in a queue before one that takes 1 for each request, without any chance in it (M/D/1)."""
    chance, arrival, free, times = random.Random(1), 0, 0, []
    for _ in range(requests):
        arrival += chance.expovariate(load)
        free = max(free, arrival) + 1
        times.append(free - arrival)
    return sorted(times)


def share(values, part):
    """The value below which so large a part of the sorted ones lies."""
    return values[min(int(part * len(values)), len(values) - 1)]
