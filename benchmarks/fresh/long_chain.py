"""long-chain: a million nodes one after the other: recorded, walked back, freed, without recursion."""

import ctypes
import gc
import itertools
import json
import sys
import time

from benchmarks.fresh.process import Figure, in_fresh_process, peak, resident

NAME = "long-chain"
SUMMARY = "1,000,000 nodes: record, backward, free"
SHORT, LONG = 100_000, 1_000_000
# Linear: a node of the long chain costs at most this many times one of the short chain (caches account for some).
SLOWER_PER_NODE = 1.5
# Back to the start: what is left of the memory that the chain took.
LEFT_OVER = 0.05


def needle():
    import needle as ndl

    return ndl.Tensor([1.0], dtype="float32")


def torch():
    import torch

    return torch.tensor([1.0], requires_grad=True)


CONTENDERS = {"needle": needle, "torch": torch}


def measure(contenders, rounds):
    """Seconds of each phase for both lengths, the growth from one to the other, and the memory left over."""
    del rounds  # a single run is long enough
    for name in contenders:
        short = in_fresh_process(__name__, name, SHORT)
        long = in_fresh_process(__name__, name, LONG)
        for phase in ("record", "backward", "free"):
            yield Figure(NAME, name, f"{phase}, 10⁵ nodes", short[phase], "s")
            yield Figure(NAME, name, f"{phase}, 10⁶ nodes", long[phase], "s")
        growth = sum(long[phase] / short[phase] for phase in ("record", "backward", "free")) / 3 / (LONG / SHORT)
        of_needle = name == "needle"
        yield Figure(NAME, name, "time per node, 10⁶ : 10⁵", growth, "×", SLOWER_PER_NODE if of_needle else None)
        yield Figure(NAME, name, "memory at the peak", long["peak"] - long["start"], "MB")
        left, limit = long["end"] - long["start"], LEFT_OVER * (long["peak"] - long["start"])
        yield Figure(NAME, name, "memory left over", left, "MB", limit if of_needle else None)


def give_back_free_memory():
    """Have the allocator return what it keeps for later, so that only what is still in use remains."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def main(contender, length):
    # Reference counts must be enough to free the graph: the collector stays off while it exists.
    x = CONTENDERS[contender]()
    (x * 1.0).sum().backward()  # whatever the first call loads
    x.grad = None
    gc.collect()
    gc.disable()
    times = [time.perf_counter()]
    start = resident()
    y = x
    for _ in range(int(length)):
        y = y * 1.000001
    times.append(time.perf_counter())
    y.backward()
    times.append(time.perf_counter())
    x.grad = None
    del y
    times.append(time.perf_counter())
    record, backward, free = (b - a for a, b in itertools.pairwise(times))
    give_back_free_memory()
    figures = {"record": record, "backward": backward, "free": free}
    print(json.dumps({**figures, "start": start, "peak": peak(), "end": resident()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
