"""Many inputs over several processes, memory that does not grow, and the profile."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path

import numpy as np
import pytest

from fastpath import Net
from fastpath.parallel import in_order
from spec.errors import AssayError, UsageError
from spec.formats.param import parse_param
from spec.formats.weights import zero_weights
from spec.graph import Graph

ROOT = Path(__file__).parents[2]

PARAM = """7767517
4 4
Input in 0 1 data
Convolution c 1 1 data x 0=4 1=3 4=1 5=1 6=108
ReLU r 1 1 x y
Pooling p 1 1 y out 1=2 2=2
"""


def network() -> Graph:
    graph = parse_param(PARAM)
    zero_weights(graph)
    random = np.random.default_rng(1)
    for weight in graph.layer("c").weights.values():
        values = weight.floats()
        values[:] = type(values)("f", random.normal(0, 1, len(values)).tolist())
        weight.values = values
    return graph


def images(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.normal(0, 1, (3, 6 + index % 3, 8)).astype(np.float32) for index in range(count)]


class Deadly:
    """Ends the process that makes an array of it."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        os._exit(7)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_inputs(workers: int) -> None:
    net = Net.from_graph(network())
    inputs = images(9)
    alone = [net.infer({"data": image})["out"] for image in inputs]
    mapped = list(net.map(iter(inputs), workers=workers))
    assert [list(blobs) for blobs in mapped] == [["out"]] * 9
    assert [blobs["out"].tobytes() for blobs in mapped] == [blob.tobytes() for blob in alone]


def test_other_blobs_and_named_inputs() -> None:
    net = Net.from_graph(network())
    (blobs,) = net.map([{"data": images(1)[0]}], ["x", "y"], workers=2)
    assert np.array_equal(np.maximum(blobs["x"], 0), blobs["y"])


@pytest.mark.skipif(sys.platform != "linux", reason="the dying input cannot be sent to processes that are not forked")
def test_a_dead_process_is_reported_with_its_input() -> None:
    net = Net.from_graph(network())
    with pytest.raises(AssayError, match="input 2: the process that worked on it ended with exit status 7"):
        list(net.map([*images(2), Deadly(), *images(3)], workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_input_that_cannot_run_is_named(workers: int) -> None:
    net = Net.from_graph(network())
    inputs = [*images(1), np.zeros((5, 6, 8), np.float32)]
    with pytest.raises(AssayError, match=r"input 1: .*weights for 3 channels"):
        list(net.map(inputs, workers=workers))


def test_an_array_is_a_batch_along_its_first_axis() -> None:
    net = Net.from_graph(network())
    batch = np.random.default_rng(3).normal(0, 1, (4, 3, 6, 8)).astype(np.float32)
    expected = [net.infer({"data": image})["out"].tobytes() for image in batch]
    for inputs in (batch, list(batch), {"data": batch}):
        assert [blobs["out"].tobytes() for blobs in net.map(inputs, workers=2)] == expected


def test_a_batch_for_each_input() -> None:
    net = Net.from_graph(parse_param("7767517\n3 3\nInput a 0 1 a\nInput b 0 1 b\nBinaryOp add 2 1 a b out 0=0\n"))
    sums = net.map({"a": np.arange(6.0).reshape(3, 2), "b": [[1, 1], [2, 2], [3, 3]]})
    assert [blobs["out"].tolist() for blobs in sums] == [[1, 2], [4, 5], [7, 8]]
    with pytest.raises(UsageError, match="the batches for a, b differ in length"):
        list(net.map({"a": np.zeros((3, 2)), "b": np.zeros((2, 2))}))
    with pytest.raises(AssayError, match="input 0: the network has 2 inputs: expected a mapping"):
        list(net.map(np.zeros((3, 2))))


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_loaded_where_they_run(workers: int, tmp_path: Path) -> None:
    net = Net.from_graph(network())
    for number, image in enumerate(images(3)):
        np.save(tmp_path / f"{number}.npy", image)
    found = net.map([tmp_path / f"{number}.npy" for number in range(3)], workers=workers, load=np.load)
    assert [blobs["out"].tobytes() for blobs in found] == [
        net.infer({"data": image})["out"].tobytes() for image in images(3)
    ]


def test_workers_come_from_the_options() -> None:
    net = Net.from_graph(network())
    net.opt.num_threads = 2
    pids = {int(pid) for pid in in_order(pid_after_a_while, range(4), 2)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert len(list(net.map(images(3)))) == 3
    net.opt.num_threads = 0
    with pytest.raises(UsageError, match="at least one worker"):
        net.map(images(3))


def pid_after_a_while(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def test_a_net_travels_to_processes_that_share_nothing() -> None:
    net = Net.from_graph(network())
    net.opt.use_compiled_kernels = False
    copy = pickle.loads(pickle.dumps(net))
    assert copy.infer({"data": images(1)[0]})["out"].tobytes() == net.infer({"data": images(1)[0]})["out"].tobytes()
    assert copy.opt == net.opt
    with pytest.raises(UsageError, match="load_param comes first"):
        pickle.loads(pickle.dumps(Net())).input_names()


BIG_PARAM = """7767517
2 2
Input in 0 1 data
InnerProduct big 1 1 data out 0=2048 1=0 2=8388608
"""


def private_megabytes(_: int) -> np.ndarray:
    """What this process shares with no other, as the data of an input."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    pages = [line.split()[1] for line in lines if line.startswith(("Private_Dirty", "Private_Clean"))]
    return np.array([sum(int(kilobytes) for kilobytes in pages) / 1024], np.float32)


def private_megabytes_of_workers() -> list[float]:
    """What two processes that run a network with 32 MB of weights share with nobody."""
    graph = parse_param(BIG_PARAM)
    zero_weights(graph)
    weight = graph.layer("big").weights["weight_data"]
    weight.values = array("f", np.ones(len(weight.values), np.float32).tobytes())
    assert len(weight.values) * 4 == 32 * 2**20
    net = Net.from_graph(graph)
    return [float(blobs["data"][0]) for blobs in net.map(range(4), ["data"], workers=2, load=private_megabytes)]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system does not tell what is shared")
def test_processes_share_the_weights() -> None:
    """In a process of its own: with the threads of other tests around, workers would not be forked."""
    code = "from tests.fastpath.test_map import private_megabytes_of_workers as found; print(*found())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    found = [float(word) for word in done.stdout.split()]
    assert len(found) == 4
    assert all(megabytes < 16 for megabytes in found)


def test_other_threads_make_processes_start_from_nothing() -> None:
    """A fork would copy the locks of the other threads, held for ever."""
    net = Net.from_graph(network())
    idle = threading.Event()
    thread = threading.Thread(target=idle.wait)
    thread.start()
    try:
        (blobs,) = net.map(images(1), workers=2)
    finally:
        idle.set()
        thread.join()
    assert blobs["out"].tobytes() == net.infer({"data": images(1)[0]})["out"].tobytes()


def test_no_workers_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one worker"):
        in_order(abs, [], 0)


def test_a_thousand_inferences_need_no_more_memory_than_a_hundred() -> None:
    net, image = Net.from_graph(network()), np.zeros((3, 64, 64), np.float32)
    for _ in range(100):
        net.infer({"data": image})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        net.infer({"data": image})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048


def test_blobs_that_are_held_keep_their_values() -> None:
    net = Net.from_graph(network())
    first, second = (np.full((3, 96, 96), value, np.float32) for value in (1, 2))
    with net.create_extractor() as extractor:
        extractor.input("data", first)
        held = extractor.extract("x", copy=False)[1]
        kept = held.copy()
        extractor.input("data", second)
        assert not np.array_equal(extractor.extract("x", copy=False)[1], kept)
        assert np.array_equal(held, kept)


def test_profile_counts_products() -> None:
    net = Net.from_graph(network())
    rows = net.profile({"data": np.zeros((3, 6, 8), np.float32)}, runs=2)
    assert [row.layer.name for row in rows] == ["c", "r", "p"]
    assert [row.multiplications for row in rows] == [4 * 3 * 9 * 6 * 8, 0, 0]
    assert all(row.seconds >= 0 for row in rows)


def test_importing_fastpath_does_not_import_what_only_commands_need() -> None:
    code = (
        "import sys, fastpath; print([name for name in ('cv2', 'matplotlib', 'rich', 'click') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
