"""One network, many inferences: plans are made once a shape, memory is used again, outputs stay what they were."""

from __future__ import annotations

import gc
import resource
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from fastpath import Net, planner
from fastpath.planner import MOST_PLANS
from tests.kernels.levels import require_compiled
from tests.models import model_folder

Floats = NDArray[np.float32]

KINDS = ("int8-kl", "float")


def loaded(kind: str) -> Net:
    folder = model_folder("digits-cnn")
    net = Net()
    net.load_param(folder / f"{kind}.param")
    net.load_model(folder / f"{kind}.bin")
    return net


def image(width: int = 8, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(0, 16, (1, 8, width)).astype(np.float32)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that plans were made for."""
    shapes: list[tuple[int, ...]] = []
    make_plan = planner.make_plan

    def counted(graph, operators, fed):  # type: ignore[no-untyped-def]
        shapes.append(fed["in0"].shape)
        return make_plan(graph, operators, fed)

    monkeypatch.setattr(planner, "make_plan", counted)
    return shapes


def test_each_shape_is_planned_once(made: list[tuple[int, ...]]) -> None:
    require_compiled()
    net = loaded("int8-kl")
    for width in (8, 16, 8, 24, 16, 8):
        for _ in range(3):
            net.infer({"in0": image(width)})
    assert made == [(1, 8, 8), (1, 8, 16), (1, 8, 24)]


def test_shapes_in_turn_are_planned_too(made: list[tuple[int, ...]]) -> None:
    require_compiled()
    net = loaded("int8-kl")
    for width in (8, 16) * 3:
        net.infer({"in0": image(width)})
    assert made == [(1, 8, 8), (1, 8, 16)]


def test_more_shapes_in_turn_than_plans_are_not_planned_again_and_again(
    made: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_compiled()
    monkeypatch.setattr(planner, "MOST_PLANS", 2)
    net = loaded("int8-kl")
    for width in (8, 16, 24, 32) * 4:
        net.infer({"in0": image(width)})
    assert made == [(1, 8, 8), (1, 8, 16)]
    for _ in range(2):
        net.infer({"in0": image(40)})
    assert made[2:] == [(1, 8, 40)]


def test_so_many_plans_are_kept_and_no_more(made: list[tuple[int, ...]]) -> None:
    """The plan that was not used for longest goes first, and its memory with it."""
    require_compiled()
    net = loaded("int8-kl")
    widths = [8 * count for count in range(1, MOST_PLANS + 2)]
    for width in widths[:MOST_PLANS]:
        net.prepare({"in0": image(width)})
    net.prepare({"in0": image(widths[0])})
    net.prepare({"in0": image(widths[-1])})
    assert len(net._plans._plans) == MOST_PLANS
    made.clear()
    net.prepare({"in0": image(widths[0])})
    assert made == []
    net.prepare({"in0": image(widths[1])})
    assert made == [(1, 8, widths[1])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_that_goes_gives_its_memory_back(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require_compiled()
    monkeypatch.setattr(planner, "MOST_PLANS", 2)
    net = loaded(kind)
    resident = []
    for count in range(1, 12):
        net.prepare({"in0": image(8 * count)})
        gc.collect()
        resident.append(resident_bytes())
    assert max(resident[6:]) < max(resident[3:6]) + 16e6, "a plan holds more than that"


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_inferences_hold_no_more_memory(kind: str) -> None:
    net, data = loaded(kind), image()
    with net.create_extractor() as extractor:
        for _ in range(50):
            extractor.input("in0", data)
            extractor.extract("out0")
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(1000):
                extractor.input("in0", data)
                extractor.extract("out0")
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 64 * 1024


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copy", [True, False])
def test_outputs_that_are_held_keep_their_values(kind: str, copy: bool) -> None:
    """Also after the same extractor has computed something else, by a plan from the second inference on."""
    net = loaded(kind)
    with net.create_extractor() as extractor:
        held = []
        for seed in range(6):
            extractor.input("in0", image(64, seed))
            held.append(extractor.extract("out0", copy=copy)[1])
    for seed, found in enumerate(held):
        assert found.tobytes() == net.infer({"in0": image(64, seed)})["out0"].tobytes()


def test_a_copy_belongs_to_the_caller_and_a_view_does_not() -> None:
    net, data = loaded("float"), image()
    with net.create_extractor() as extractor:
        extractor.input("in0", data)
        assert not np.shares_memory(extractor.extract("in0")[1], data)
        assert np.shares_memory(extractor.extract("in0", copy=False)[1], data)
        first, again = extractor.extract("out0")[1], extractor.extract("out0")[1]
        assert not np.shares_memory(first, again)


def test_processes_start_with_the_plan(made: list[tuple[int, ...]]) -> None:
    require_compiled()
    net = loaded("int8-kl")
    batch = np.stack([image(8, seed) for seed in range(4)])
    found = list(net.map(batch, workers=2))
    assert made == [(1, 8, 8)]
    assert [blobs["out0"].tobytes() for blobs in found] == [blobs["out0"].tobytes() for blobs in net.map(batch)]
