"""What is compared with the wheel: for each layer type, parameters and small bottoms that fit them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from tests.layers_float.runtime import Agreement, Array, Case, raw, tagged

Draw = st.DrawFn

EXACT = Agreement(0.0, "values only move, or are compared, or take one correctly rounded step")
LAST_BITS = Agreement(5e-7, "the wheel may fuse, reorder and approximate divisions")
FUNCTION = Agreement(1e-6, "the wheel's exp, log, tanh and their like are vector approximations, 1 to 4 ulp")
SUM = Agreement(2e-6, "the wheel adds in another order and fuses")
SAMPLED = Agreement(5e-5, "coordinates far from 0 lose bits, and the weights of cubics cancel")
LONG = Agreement(1e-5, "sums of sums, or approximated functions of approximated functions")

small = st.integers(1, 5)
flag = st.integers(0, 1)


def uniform(draw: Draw, shape: tuple[int, ...], low: float = -3.0, high: float = 3.0) -> Array:
    """Numbers of all kinds of mantissas."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.uniform(low, high, shape).astype(np.float32)


def eighths(draw: Draw, shape: tuple[int, ...]) -> Array:
    """Few numbers, so that some are equal and some are zero; their sums are exact."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return (rng.integers(-16, 17, shape) / 8).astype(np.float32)


def shapes(low: int = 1, high: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(small, min_size=low, max_size=high).map(tuple)


def axis_of(draw: Draw, rank: int) -> int:
    return draw(st.integers(-rank, rank - 1))


def ints(id: int, values: list[int]) -> str:
    return f"-{23300 + id}={len(values)}," + ",".join(map(str, values))


def numbers(id: int, values: list[float]) -> str:
    return f"-{23300 + id}={len(values)}," + ",".join(f"{value:.6f}" for value in values)


CASES: dict[str, tuple[st.SearchStrategy[Case], Agreement]] = {}


def compared(agreement: Agreement) -> Callable[[Callable[[Draw], Case]], Callable[[Draw], Case]]:
    """Register a function that draws cases, under its own name."""

    def register(function: Callable[[Draw], Case]) -> Callable[[Draw], Case]:
        CASES[function.__name__] = (st.composite(function)(), agreement)
        return function

    return register


# values that move


@compared(EXACT)
def split(draw: Draw) -> Case:
    return Case("Split", "", [uniform(draw, draw(shapes()))], tops=draw(st.integers(1, 3)))


@compared(EXACT)
def noop_and_copy(draw: Draw) -> Case:
    return Case(draw(st.sampled_from(["Noop", "DeepCopy", "Flatten"])), "", [uniform(draw, draw(shapes()))])


@compared(EXACT)
def concat(draw: Draw) -> Case:
    shape = draw(shapes())
    axis = axis_of(draw, len(shape))
    extents = draw(st.lists(small, min_size=1, max_size=3))
    place = axis % len(shape)
    bottoms = [uniform(draw, (*shape[:place], extent, *shape[place + 1 :])) for extent in extents]
    return Case("Concat", f"0={axis}", bottoms)


@compared(EXACT)
def slices(draw: Draw) -> Case:
    shape = draw(shapes())
    axis = axis_of(draw, len(shape))
    sizes = draw(st.lists(small, min_size=1, max_size=3))
    place = axis % len(shape)
    blob = uniform(draw, (*shape[:place], sum(sizes), *shape[place + 1 :]))
    if draw(st.booleans()):
        return Case("Slice", f"1={axis} {ints(0, [*sizes[:-1], -233])}", [blob], tops=len(sizes))
    if len(sizes) == 1:
        return Case("Slice", f"1={axis} {ints(0, sizes)}", [blob])
    cuts = np.cumsum(sizes).tolist()[:-1]
    return Case("Slice", f"1={axis} {ints(2, [*cuts[:-1], cuts[-1] - sum(sizes)])}", [blob], tops=len(sizes))


@compared(EXACT)
def crop_between(draw: Draw) -> Case:
    shape = draw(shapes())
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    starts = [draw(st.integers(0, shape[axis] - 1)) for axis in axes]
    ends = [draw(st.integers(start + 1, shape[axis])) for axis, start in zip(axes, starts, strict=True)]
    if draw(st.booleans()):
        ends = [end - shape[axis] if end < shape[axis] else -233 for axis, end in zip(axes, ends, strict=True)]
    params = f"{ints(9, starts)} {ints(10, ends)} {ints(11, axes)}"
    return Case("Crop", params, [uniform(draw, shape)])


@compared(EXACT)
def crop_by_offset(draw: Draw) -> Case:
    shape = draw(shapes())
    words = []
    for extent, (offset, size, tail) in zip(
        reversed(shape),
        {1: [(0, 3, 6)], 2: [(0, 3, 6), (1, 4, 7)], 3: [(0, 3, 6), (1, 4, 7), (2, 5, 8)]}.get(
            len(shape), [(0, 3, 6), (1, 4, 7), (13, 14, 15), (2, 5, 8)]
        ),
        strict=True,
    ):
        start = draw(st.integers(0, extent - 1))
        after = draw(st.integers(0, extent - start - 1))
        length = draw(st.sampled_from([-233, draw(st.integers(1, extent))]))
        words.append(f"{offset}={start} {size}={length} {tail}={after}")
    return Case("Crop", " ".join(words), [uniform(draw, shape)])


@compared(EXACT)
def crop_like(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    other = tuple(draw(st.integers(1, extent)) for extent in shape)
    offsets = [draw(st.integers(0, have - want)) for have, want in zip(shape, other, strict=True)]
    params = " ".join(f"{id}={offset}" for id, offset in zip((0, 1, 2), reversed(offsets), strict=False))
    return Case("Crop", params, [uniform(draw, shape), uniform(draw, other)])


@compared(EXACT)
def crop_by_expression(draw: Draw) -> Case:
    c, h, w = draw(st.tuples(small, st.integers(2, 5), st.integers(2, 5)))
    return Case("Crop", '19="0,1" 20="0w,-(0h,0)" 21="2,1"', [uniform(draw, (c, h, w))])


@compared(EXACT)
def copy_to(draw: Draw) -> Case:
    shape = draw(shapes())
    patch = tuple(draw(st.integers(1, extent)) for extent in shape)
    starts = [draw(st.integers(0, have - want)) for have, want in zip(shape, patch, strict=True)]
    names = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 13, 1, 0)}[len(shape)]
    params = " ".join(f"{id}={start}" for id, start in zip(names, starts, strict=True))
    return Case("CopyTo", params, [uniform(draw, shape), uniform(draw, patch)])


@compared(EXACT)
def permute(draw: Draw) -> Case:
    shape = draw(shapes())
    order = draw(st.integers(0, (1, 2, 6, 24)[len(shape) - 1] - 1))
    return Case("Permute", f"0={order}", [uniform(draw, shape)])


@compared(EXACT)
def flip(draw: Draw) -> Case:
    shape = draw(shapes())
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    return Case("Flip", ints(0, axes), [uniform(draw, shape)])


@compared(EXACT)
def reshape(draw: Draw) -> Case:
    shape = draw(shapes())
    wanted = draw(st.permutations(shape))
    extents = [-1 if index == 0 else extent for index, extent in enumerate(wanted)]
    names = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(shape)]
    params = " ".join(f"{id}={extent}" for id, extent in zip(names, extents, strict=True))
    return Case("Reshape", params, [uniform(draw, shape)])


@compared(EXACT)
def reshape_copying(draw: Draw) -> Case:
    params = draw(st.sampled_from(["0=0 1=-1", "0=-1 1=0", "0=0 1=0 2=-1", "0=-1 1=1 2=0", "0=-1 1=0 11=1 2=0"]))
    return Case("Reshape", params, [uniform(draw, draw(shapes()))])


@compared(EXACT)
def reshape_by_expression(draw: Draw) -> Case:
    expression = draw(st.sampled_from(["*(0w,0h),-1", "0h,0w,0c", "//(*(0w,4),4),-1,1", "+(0w,0),max(0h,1),min(0c,9)"]))
    return Case("Reshape", f'6="{expression}"', [uniform(draw, draw(shapes(3, 3)))])


@compared(EXACT)
def squeeze(draw: Draw) -> Case:
    shape = tuple(draw(st.lists(st.sampled_from([1, 1, 2, 3]), min_size=1, max_size=4)))
    if draw(st.booleans()):
        axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
        return Case("Squeeze", ints(3, axes), [uniform(draw, shape)])
    return Case("Squeeze", " ".join(f"{id}={draw(flag)}" for id in (0, 1, 2, 11)), [uniform(draw, shape)])


@compared(EXACT)
def expand_dims(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    rank = draw(st.integers(len(shape) + 1, 4))
    axes = sorted(draw(st.permutations(range(rank)))[: rank - len(shape)])
    return Case("ExpandDims", ints(3, axes), [uniform(draw, shape)])


@compared(EXACT)
def pixel_shuffle(draw: Draw) -> Case:
    r, c, h, w = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
    mode = draw(flag)
    if draw(st.booleans()):
        return Case("PixelShuffle", f"0={r} 1={mode}", [uniform(draw, (c * r * r, h, w))])
    return Case("Reorg", f"0={r} 1={mode}", [uniform(draw, (c, h * r, w * r))])


@compared(EXACT)
def shuffle_channel(draw: Draw) -> Case:
    group, rest = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Case("ShuffleChannel", f"0={group} 1={draw(flag)}", [uniform(draw, (group * rest, *draw(shapes(2, 3))))])


@compared(EXACT)
def tile(draw: Draw) -> Case:
    shape = draw(shapes())
    if draw(st.booleans()):
        return Case(
            "Tile", f"0={draw(st.integers(0, len(shape) - 1))} 1={draw(st.integers(1, 3))}", [uniform(draw, shape)]
        )
    repeats = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    return Case("Tile", ints(2, repeats), [uniform(draw, shape)])


@compared(EXACT)
def diag(draw: Draw) -> Case:
    shape = draw(shapes(1, 2))
    low, high = (-3, 3) if len(shape) == 1 else (1 - shape[0], shape[1] - 1)
    return Case("Diag", f"0={draw(st.integers(low, high))}", [uniform(draw, shape)])


@compared(EXACT)
def unfold(draw: Draw) -> Case:
    pads = draw(st.sampled_from(["4=0", "4=1 14=2", "4=-233", "4=-234"]))
    params = f"1=3 11=2 2=1 12={draw(st.integers(1, 2))} 3={draw(st.integers(1, 2))} 13=1 18=0.5 {pads}"
    return Case("Unfold", params, [uniform(draw, (draw(small), draw(st.integers(3, 6)), draw(st.integers(3, 6))))])


@compared(EXACT)
def memory_data(draw: Draw) -> Case:
    shape = draw(shapes())
    names = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(shape)]
    params = " ".join(f"{id}={extent}" for id, extent in zip(names, shape, strict=True))
    return Case("MemoryData", params, [], weights=raw(uniform(draw, shape)))


# pieces of lines


@compared(EXACT)
def straight_activations(draw: Draw) -> Case:
    words = st.sampled_from(
        ["ReLU", "ReLU 0=0.25", "Clip 0=-1.0 1=0.5", "Clip 1=0.5", "Threshold 0=0.5", "AbsVal", "Shrink 0=0.5 1=1.0"]
    )
    type, _, params = draw(words).partition(" ")
    return Case(type, params, [eighths(draw, draw(shapes()))])


@compared(LAST_BITS)
def prelu(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    count = draw(st.sampled_from([1, shape[0]]))
    return Case("PReLU", f"0={count}", [uniform(draw, shape)], weights=raw(uniform(draw, (count,))))


@compared(LAST_BITS)
def hard_activations(draw: Draw) -> Case:
    params = f"0={draw(st.sampled_from([0.1666667, 0.2, 0.5]))} 1={draw(st.sampled_from([0.5, 0.25]))}"
    return Case(draw(st.sampled_from(["HardSwish", "HardSigmoid"])), params, [uniform(draw, draw(shapes()))])


# functions


@compared(FUNCTION)
def smooth_activations(draw: Draw) -> Case:
    words = st.sampled_from(
        ["Sigmoid", "TanH", "Swish", "Mish", "Softplus", "BNLL", "Erf", "GELU", "GELU 0=1", "ELU", "ELU 0=1.5", "SELU"]
    ) | st.sampled_from(["SELU 0=1.5 1=0.5", "CELU", "CELU 0=0.5"])
    type, _, params = draw(words).partition(" ")
    return Case(type, params, [uniform(draw, draw(shapes()), -8.0, 8.0)])


@compared(FUNCTION)
def glu(draw: Draw) -> Case:
    shape = draw(shapes())
    axis = axis_of(draw, len(shape))
    place = axis % len(shape)
    return Case("GLU", f"0={axis}", [uniform(draw, (*shape[:place], 2 * shape[place], *shape[place + 1 :]))])


@compared(LONG)
def unary_op(draw: Draw) -> Case:
    op = draw(st.integers(0, 27))
    low, high = {
        5: (0.0, 4.0), 6: (0.1, 4.0), 8: (0.1, 4.0), 11: (-1.2, 1.2), 12: (-1.0, 1.0), 13: (-1.0, 1.0),
        15: (0.5, 2.0), 17: (0.1, 4.0), 25: (1.1, 4.0), 26: (-0.9, 0.9), 27: (-0.9, 4.0),
    }.get(op, (-3.0, 3.0))  # fmt: skip
    return Case("UnaryOp", f"0={op}", [uniform(draw, draw(shapes()), low, high)])


@compared(EXACT)
def unary_op_of_halves(draw: Draw) -> Case:
    """Where rounding decides: whole numbers and halves."""
    halves = (uniform(draw, draw(shapes()), -9.0, 9.0).round() / 2).astype(np.float32)
    return Case("UnaryOp", f"0={draw(st.sampled_from([0, 1, 2, 3, 4, 18, 19, 20]))}", [halves])


@compared(LONG)
def power_exp_log(draw: Draw) -> Case:
    words = ["Power 0=2.0 1=0.5 2=0.25", "Power 0=-0.5 1=1.5", "Exp", "Exp 0=2.0 1=0.5 2=0.25"]
    type, _, params = draw(st.sampled_from([*words, "Log", "Log 0=10.0 1=0.5 2=0.25"])).partition(" ")
    return Case(type, params, [uniform(draw, draw(shapes()), 0.25, 3.0)])


@compared(FUNCTION)
def softmax(draw: Draw) -> Case:
    shape = draw(shapes())
    return Case("Softmax", f"0={axis_of(draw, len(shape))} 1=1", [uniform(draw, shape)])


# two blobs


@compared(LONG)
def binary_op_with_scalar(draw: Draw) -> Case:
    b = draw(st.sampled_from([0.5, 1.5, 2.0, -0.75]))
    op = draw(st.integers(0, 16).filter(lambda op: b > 0.0 or op not in (6, 9, 12, 13, 15, 16)))
    return Case("BinaryOp", f"0={op} 1=1 2={b}", [uniform(draw, draw(shapes()), 0.3, 3.0)])


@compared(LAST_BITS)
def binary_op_broadcast(draw: Draw) -> Case:
    """Every rank with every other: a lower rank lies along the outer axes, a 1-D blob on the outermost or on w."""
    larger = draw(shapes())
    rank = draw(st.integers(1, len(larger)))
    if rank == 1:
        shape: tuple[int, ...] = (draw(st.sampled_from([1, larger[0], larger[-1]])),)
    else:
        shape = tuple(draw(st.sampled_from([1, extent])) for extent in larger[:rank])
    bottoms = [uniform(draw, larger, 0.5, 3.0), uniform(draw, shape, 0.5, 3.0)]
    if draw(st.booleans()):
        bottoms.reverse()
    return Case("BinaryOp", f"0={draw(st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8]))}", bottoms)


@compared(LAST_BITS)
def eltwise(draw: Draw) -> Case:
    shape, count = draw(shapes()), draw(st.integers(2, 4))
    op = draw(st.integers(0, 2))
    coeffs = numbers(1, [0.5, -1.25, 0.3, 2.0][:count]) if op == 1 and draw(st.booleans()) else ""
    return Case("Eltwise", f"0={op} {coeffs}", [uniform(draw, shape) for _ in range(count)])


@compared(SUM)
def mat_mul(draw: Draw) -> Case:
    rows, count, columns = draw(st.tuples(small, small, small))
    transposed = draw(flag)
    b = (columns, count) if transposed else (count, columns)
    batch = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    kind = draw(st.sampled_from(["matrices", "vector left", "vector right", "vectors", "batch right"]))
    if kind == "vectors":
        return Case("MatMul", "", [uniform(draw, (count,)), uniform(draw, (count,))])
    left = (count,) if kind == "vector left" else (*batch, rows, count)
    right = (count,) if kind == "vector right" else (*(batch if kind == "batch right" else ()), *b)
    return Case(
        "MatMul", f"0={transposed if kind != 'vector right' else 0}", [uniform(draw, left), uniform(draw, right)]
    )


# windows

POOL_SIZES = st.tuples(st.integers(1, 3), st.integers(3, 7), st.integers(3, 7))


@compared(SUM)
def pooling(draw: Draw) -> Case:
    """A stride beyond the kernel gives a negative total in the modes 2 and 3, and upstream an undefined result."""
    mode = draw(st.integers(0, 3))
    kernel_w, kernel_h = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride_w, stride_h = (draw(st.integers(1, 3 if mode < 2 else kernel)) for kernel in (kernel_w, kernel_h))
    left, right = (draw(st.integers(0, kernel_w - 1)) for _ in range(2))
    params = (
        f"0={draw(flag)} 1={kernel_w} 11={kernel_h} 2={stride_w} 12={stride_h} 3={left} 13=0 14={right} 15=0"
        f" 5={mode} 6={draw(flag)}"
    )
    return Case("Pooling", params, [eighths(draw, draw(POOL_SIZES))])


@compared(SUM)
def pooling_of_regions(draw: Draw) -> Case:
    size = st.sampled_from([-233, 1, 2, 3, 7])
    params = draw(st.sampled_from(["4=1", f"7=1 8={draw(size)} 18={draw(size)}", f"7=1 8={draw(size)}"]))
    return Case("Pooling", f"0={draw(flag)} {params}", [uniform(draw, draw(POOL_SIZES))])


@compared(SUM)
def pooling1d(draw: Draw) -> Case:
    kernel, mode = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    stride = draw(st.integers(1, 3 if mode < 2 else kernel))
    windows = f"1={kernel} 2={stride} 3={draw(st.integers(0, kernel - 1))} 14=0 5={mode} 6={draw(flag)}"
    params = draw(st.sampled_from(["4=1", f"7=1 8={draw(st.integers(1, 5))}", windows]))
    return Case("Pooling1D", f"0={draw(flag)} {params}", [uniform(draw, (draw(small), draw(st.integers(3, 8))))])


PADS = st.sampled_from(["4=0", "4=1", "4=1 15=2", "4=-233", "4=-234"])


@compared(SUM)
def convolution1d(draw: Draw) -> Case:
    groups, inputs, outputs, kernel = draw(st.tuples(st.integers(1, 2), small, st.integers(1, 3), st.integers(1, 3)))
    count = groups * outputs * inputs * kernel
    params = (
        f"0={groups * outputs} 1={kernel} 2={draw(st.integers(1, 2))} 3={draw(st.integers(1, 2))} {draw(PADS)}"
        f" 18=0.5 5=1 6={count} 9=2 -23310=1,0.125"
    )
    type, group = ("ConvolutionDepthWise1D", f" 7={groups}") if groups > 1 else ("Convolution1D", "")
    weights = tagged(uniform(draw, (count,))) + raw(uniform(draw, (groups * outputs,)))
    blob = uniform(draw, (groups * inputs, draw(st.integers(5, 9))))
    return Case(type, params + group, [blob], weights=weights)


@compared(SUM)
def deconvolution(draw: Draw) -> Case:
    groups, inputs, outputs = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)))
    kernel_w, kernel_h = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    rows = draw(st.booleans())
    area = kernel_w if rows else kernel_w * kernel_h
    count = groups * outputs * inputs * area
    cut = draw(st.sampled_from(["4=0", "4=1 15=0", "18=1", "4=-233 20=5", "4=-234 20=5"]))
    kernel = f"1={kernel_w}" if rows else f"1={kernel_w} 11={kernel_h} 13=2"
    params = f"0={groups * outputs} {kernel} 2={draw(st.integers(1, 2))} 3=2 {cut} 5=1 6={count} 9=1"
    type = "Deconvolution" + ("DepthWise" if groups > 1 else "") + ("1D" if rows else "")
    weights = tagged(uniform(draw, (count,))) + raw(uniform(draw, (groups * outputs,)))
    size = (draw(st.integers(4, 5)),) if rows else (draw(st.integers(4, 5)), draw(st.integers(4, 5)))
    return Case(
        type,
        params + (f" 7={groups}" if groups > 1 else ""),
        [uniform(draw, (groups * inputs, *size))],
        weights=weights,
    )


@compared(SUM)
def deconvolution_with_dynamic_weights(draw: Draw) -> Case:
    groups, inputs, outputs = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)))
    bottoms = [
        uniform(draw, (groups * inputs, 3, 4)),
        uniform(draw, (groups * inputs, outputs, 2, 2)),
        uniform(draw, (groups * outputs,)),
    ]
    type, group = ("DeconvolutionDepthWise", f" 7={groups}") if groups > 1 else ("Deconvolution", "")
    return Case(type, f"0={groups * outputs} 1=2 3=2 5=1 28=1{group}", bottoms)


@compared(SUM)
def fold(draw: Draw) -> Case:
    windows = {"4=0": 2 * 2, "4=1": 3 * 3}
    pads = draw(st.sampled_from(sorted(windows)))
    blob = uniform(draw, (draw(small) * 6, windows[pads]))
    return Case("Fold", f"1=3 11=2 3=2 13=2 20=5 21=4 {pads}", [blob])


# statistics


@compared(LAST_BITS)
def batch_norm(draw: Draw) -> Case:
    shape = draw(shapes())
    c = (shape[0],)
    weights = raw(uniform(draw, c), uniform(draw, c), uniform(draw, c, 0.25, 2.0), uniform(draw, c))
    return Case("BatchNorm", f"0={shape[0]} 1=0.001", [uniform(draw, shape)], weights=weights)


@compared(LAST_BITS)
def scale(draw: Draw) -> Case:
    shape = draw(shapes())
    c = (shape[0],)
    if draw(st.booleans()):
        return Case("Scale", "0=-233", [uniform(draw, shape), uniform(draw, c)])
    bias = draw(flag)
    weights = raw(uniform(draw, c), *([uniform(draw, c)] if bias else []))
    return Case("Scale", f"0={shape[0]} 1={bias}", [uniform(draw, shape)], weights=weights)


@compared(EXACT)
def bias(draw: Draw) -> Case:
    shape = draw(shapes())
    return Case("Bias", f"0={shape[0]}", [uniform(draw, shape)], weights=raw(uniform(draw, (shape[0],))))


@compared(EXACT)
def dropout(draw: Draw) -> Case:
    return Case("Dropout", f"0={draw(st.sampled_from([1.0, 0.7]))}", [uniform(draw, draw(shapes()))])


@compared(LONG)
def norms_of_blocks(draw: Draw) -> Case:
    shape = draw(st.lists(st.integers(2, 4), min_size=1, max_size=3).map(tuple))
    size = draw(st.sampled_from([shape[-1], int(np.prod(shape[-2:]))] if len(shape) == 3 else [shape[-1]]))
    affine = draw(flag)
    type = draw(st.sampled_from(["LayerNorm", "RMSNorm"]))
    arrays = [uniform(draw, (size,)) for _ in range(2 if type == "LayerNorm" else 1)]
    weights = raw(*arrays) if affine else b""
    return Case(type, f"0={size} 1=0.01 2={affine}", [uniform(draw, shape)], weights=weights)


@compared(LONG)
def group_norm(draw: Draw) -> Case:
    group, each = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    affine, channels = draw(flag), group * each
    shape = (channels, *draw(st.lists(st.integers(2, 4), min_size=1, max_size=3)))
    weights = raw(uniform(draw, (channels,)), uniform(draw, (channels,))) if affine else b""
    return Case("GroupNorm", f"0={group} 1={channels} 2=0.01 3={affine}", [uniform(draw, shape)], weights=weights)


@compared(LONG)
def instance_norm(draw: Draw) -> Case:
    shape = tuple(draw(st.lists(st.integers(2, 4), min_size=3, max_size=3)))
    affine = draw(flag)
    weights = raw(uniform(draw, shape[:1]), uniform(draw, shape[:1])) if affine else b""
    return Case("InstanceNorm", f"0={shape[0]} 1=0.01 2={affine}", [uniform(draw, shape)], weights=weights)


@compared(LONG)
def mvn(draw: Draw) -> Case:
    shape = tuple(draw(st.lists(st.integers(2, 4), min_size=3, max_size=3)))
    return Case("MVN", f"0={draw(flag)} 1={draw(flag)} 2=0.01", [uniform(draw, shape)])


@compared(LONG)
def normalize(draw: Draw) -> Case:
    shape = tuple(draw(st.lists(st.integers(2, 4), min_size=3, max_size=3)))
    shared = draw(flag)
    count = 1 if shared else shape[0]
    params = f"0={draw(flag)} 4={draw(flag)} 1={shared} 2=0.01 9={draw(st.integers(0, 2))} 3={count}"
    return Case("Normalize", params, [uniform(draw, shape)], weights=raw(uniform(draw, (count,))))


@compared(LONG)
def lrn_of_odd_sizes(draw: Draw) -> Case:
    """The wheel is newer than the commit, and sums another number of channels for even sizes."""
    params = f"0={draw(flag)} 1={draw(st.sampled_from([1, 3, 5]))} 2=0.5 3=0.75 4={draw(st.sampled_from([1.0, 2.0]))}"
    return Case("LRN", params, [uniform(draw, draw(shapes(3, 3)))])


@compared(LONG)
def reduction(draw: Draw) -> Case:
    shape = draw(shapes())
    operation = draw(st.integers(0, 10))
    low = 0.5 if operation in (9, 10) else -2.0
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    chosen = draw(st.sampled_from(["1=1", f"1=0 5=1 {ints(3, axes)}"]))
    params = f"0={operation} 2={draw(st.sampled_from([1.0, 0.5]))} 4={draw(flag)} {chosen}"
    return Case("Reduction", params, [uniform(draw, shape, low, 2.0)])


@compared(SUM)
def cumulative_sum(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    return Case("CumulativeSum", f"0={axis_of(draw, len(shape))}", [uniform(draw, shape)])


# resizing and sampling


@compared(LONG)
def interp(draw: Draw) -> Case:
    kind = draw(st.integers(1, 3))
    shape = (draw(small), draw(st.integers(4, 7)), draw(st.integers(4, 7)))
    size = f"3={draw(st.integers(2, 9))} 4={draw(st.integers(2, 9))}"
    how = draw(st.sampled_from([size, "1=2.0 2=2.0", "1=3.0 2=2.0"]))
    return Case("Interp", f"0={kind} {how} 6={draw(flag) if kind > 1 else 0}", [uniform(draw, shape)])


@compared(LONG)
def interp_of_other_ranks(draw: Draw) -> Case:
    kind = draw(st.integers(1, 3))
    shape = draw(st.sampled_from([(3,), (2, 5), (1, 6)]))
    return Case("Interp", f"0={kind} 3=3 4=7", [uniform(draw, shape)])


@compared(LONG)
def interp_like(draw: Draw) -> Case:
    bottoms = [uniform(draw, (2, 4, 5)), uniform(draw, (1, draw(st.integers(2, 9)), draw(st.integers(2, 9))))]
    if draw(st.booleans()):
        return Case("Interp", f'0={draw(st.integers(2, 3))} 9="1w,1h"', bottoms)
    return Case("Interp", f"0={draw(st.integers(2, 3))} 5=1", bottoms)


@compared(SAMPLED)
def grid_sample(draw: Draw) -> Case:
    kind, fused = draw(st.integers(1, 3)), draw(flag)
    space = draw(st.sampled_from([(4, 5), (3, 4, 5)] if kind != 3 else [(4, 5)]))
    out = draw(st.lists(st.integers(1, 4), min_size=len(space), max_size=len(space)))
    grid = (len(space), *out) if fused else (*out, len(space))
    params = f"0={kind} 1={draw(st.integers(1, 3))} 2={draw(flag)} 3={fused}"
    return Case("GridSample", params, [uniform(draw, (2, *space)), uniform(draw, grid, -1.7, 1.7)])


# detection


@compared(LONG)
def prior_box(draw: Draw) -> Case:
    options = ["", "7=0", "8=1", "14=1", "15=1", "11=8.0 12=9.0", "-23301=2,20.0,30.0"]
    params = f"-23300=2,10.0,15.0 -23302=2,2.0,3.0 13=0.5 9=-233 10=-233 {draw(st.sampled_from(options))}"
    return Case("PriorBox", params, [uniform(draw, (2, 3, 4)), uniform(draw, (3, 30, 40))])


@compared(LONG)
def prior_box_of_fractions(draw: Draw) -> Case:
    params = f"-23300=2,0.2,0.3 -23302=3,1.0,2.0,0.5 13=0.5 9=-233 10=-233 8={draw(flag)}"
    return Case("PriorBox", params, [uniform(draw, (2, draw(small), draw(small)))])


@compared(LONG)
def detection_output(draw: Draw) -> Case:
    count = draw(st.integers(1, 20))
    corners = np.sort(uniform(draw, (count, 2, 2), 0.0, 1.0), axis=1).reshape(count, 4)
    odds = np.exp(uniform(draw, (count, 4)))
    confidence = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    location = uniform(draw, (4 * count,), -1.0, 1.0)
    limits = f"1={draw(st.sampled_from([0.2, 0.45]))} 2={draw(st.sampled_from([3, 100]))} 3=20 4=0.25"
    if draw(st.booleans()):
        return Case("DetectionOutput", f"0=-233 {limits}", [location, confidence.T, corners])
    prior = np.stack([corners.reshape(-1), np.tile(np.array([0.1, 0.1, 0.2, 0.2], np.float32), count)])
    return Case("DetectionOutput", f"0=4 {limits}", [location, confidence.reshape(-1), prior])


@compared(LONG)
def yolov3_detection_output(draw: Draw) -> Case:
    mask = ints(5, [struct.unpack("<i", struct.pack("<f", anchor))[0] for anchor in (2.0, 3.0, 0.0, 1.0)])
    biases = numbers(4, [10.0, 14.0, 23.0, 27.0, 37.0, 58.0, 81.0, 82.0])
    params = f"0=3 1=2 2={draw(st.sampled_from([0.3, 0.6]))} 3=0.45 {biases} {mask} {numbers(6, [16.0, 8.0])}"
    return Case("Yolov3DetectionOutput", params, [uniform(draw, (16, 2, 3)), uniform(draw, (16, 4, 6))])


@compared(LONG)
def yolo_detection_output(draw: Draw) -> Case:
    params = f"0=3 1=2 2={draw(st.sampled_from([0.3, 0.999]))} 3=0.45 {numbers(4, [1.08, 1.19, 3.42, 4.41])}"
    return Case("YoloDetectionOutput", params, [uniform(draw, (16, 3, 4))])
