"""The vectors of the other int8 layers, and where their expected values come from.

python -m conformance.suites.layer_cases check     compare the stored file with what would be written
python -m conformance.suites.layer_cases regen     write it
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.adapters import open_adapter
from conformance.runner import SMOKE_FLAG
from conformance.suites.layers import FILE, build
from conformance.suites.recipe import Fill
from conformance.suites.recurrent_cases import SEED, coprime
from conformance.suites.regeneration import check_or_write
from conformance.tensor import Dtype, tensor

SCHEMA = "ncnn-assay-layer-vectors-1"
STRICT = "ncnn a4d2ea1d, portable C++ layers, -O2 without fast-math and FMA, glibc 2.36; printed with nine digits"
SPEC = "python -m conformance.suites.layer_cases, spec, reference profile, seed 20261020"

Record = tuple[str, int, Fill]
Input = tuple[Sequence[int], Dtype, Fill]

FLAGS = {
    "smoke": "one of the few cases that tell whether an adapter works",
    "tie": "scaled values lie exactly between two codes, or one step beside: halves go away from zero",
    "activation": "a fused activation",
    "int8-output": "the output is quantized again",
    "zero-scale": "a weight scale of zero leaves the bias alone",
    "zero-row": "rows of zeros under a dynamic scale",
    "padding": "padding by numbers, or SAME",
    "group": "groups of channels, with a multiple of 8 outputs each",
    "reciprocal": "a factor that fast kernels approximate",
    "big-sum": "sums beyond what a Winograd transform holds",
    "lowest-code": "int8 data or weights of -128",
    "rows": "scales of their own, in blobs that are packed by 4 or by 8",
    "observed": "seen in a real ncnn",
}

ACTIVATIONS = {
    "none": "",
    "relu": "9=1",
    "leaky": "9=2 -23310=1,1.25e-1",
    "clip": "9=3 -23310=2,-5.0e-1,7.5e-1",
    "sigmoid": "9=4",
    "mish": "9=5",
    "hardswish": "9=6 -23310=2,1.666667e-1,5.0e-1",
}
"""Fused activations, as parameters of Convolution, ConvolutionDepthWise and InnerProduct."""

REQUANTIZE_ACTIVATIONS = {
    name: text.replace("9=", "3=", 1).replace("-23310=", "-23304=") for name, text in ACTIVATIONS.items()
}
SMOOTH = ("sigmoid", "mish", "hardswish")
"""Activations that implementations approximate."""


@dataclass
class Draft:
    """A case before its expected values are known."""

    id: str
    note: str
    layer: str
    records: list[Record]
    inputs: dict[str, Input]
    tolerance: str
    flags: list[str] = field(default_factory=list)
    outputs: tuple[str, ...] = ("out0",)
    expected: dict[str, Any] = field(default_factory=dict)
    level: str = ""
    working: str = ""
    source: str = "derived"


class Patterns:
    """Patterns of a case's own."""

    def __init__(self, case_id: str) -> None:
        self.random = random.Random(f"{SEED}/{case_id.removeprefix('int8-')}")

    def fill(self, modulus: int, divisor: float) -> list[float]:
        """A pattern that visits every residue."""
        return [coprime(self.random, modulus), self.random.randrange(modulus), modulus, divisor]

    def codes(self, count: int) -> Record:
        """int8 weights."""
        return ("int8", count, self.fill(255, 1))

    def scales(self, count: int, plus: float = 60) -> Record:
        """Positive scales."""
        return ("raw", count, {"p": self.fill(37, 1), "plus": plus})

    def bias(self, count: int) -> Record:
        """A bias."""
        return ("raw", count, self.fill(61, 16))

    def floats(self, *shape: int) -> Input:
        """An input between -2 and 2."""
        return (shape, "float32", self.fill(4099, 1024))


def strict_build() -> Iterator[Draft]:
    """Cases of the portable layers, strictly compiled."""

    def observed(name: str, layer: str, records: list[Record], inputs: dict[str, Input], **rest: Any) -> Draft:
        flags = ["observed", SMOKE_FLAG]
        note = "The portable layer, strictly compiled."
        return Draft(f"int8-layers/{name}", note, layer, records, inputs, flags=flags, source="strict", **rest)

    weights: list[Record] = [
        ("int8", 36, [37, 11, 255, 1]),
        ("raw", 2, {"v": [0.5, -0.25]}),
        ("raw", 2, {"v": [55.5, 61.25]}),
        ("raw", 1, {"v": [40]}),
    ]
    convolution = "Convolution 0=2 1=3 3=2 13=1 4=1 5=1 6=36"
    image: dict[str, Input] = {"in0": ((2, 4, 4), "float32", [5, 2, 13, 4])}
    yield observed(
        "convolution/strict-build/float-output",
        f"{convolution} 8=1",
        weights,
        image,
        tolerance="elementwise",
        expected=floats(
            (2, 4, 2),
            "-2.84684682 -4.27477503 6.09009027 5.98648643 -3.9954958 -5.00450468 5.12162161 6.63513517 3.77040815"
            " 1.20306122 -3.51122451 2.75 1.57857144 5.85612249 -1.60918367 1.08469391",
        ),
    )
    yield observed(
        "convolution/strict-build/int8-output",
        f"{convolution} 8=101 9=2 -23310=1,1.25e-1",
        [*weights, ("raw", 1, {"v": [9.5]})],
        image,
        tolerance="",
        expected=codes((2, 4, 2), "-3 -5 58 57 -5 -6 49 63 36 11 -4 26 15 56 -2 10"),
    )
    yield observed(
        "convolutiondepthwise/strict-build/group",
        "ConvolutionDepthWise 0=4 1=2 6=16 7=2 8=1",
        [("int8", 16, [41, 7, 255, 1]), ("raw", 2, {"v": [50, 70]}), ("raw", 1, {"v": [42]})],
        {"in0": ((2, 3, 3), "float32", [5, 2, 13, 4])},
        tolerance="elementwise",
        expected=floats(
            (4, 2, 2),
            "2.41190481 -3.65333319 0.0719047636 -0.839523792 -3.03571415 6.92142868 -1.36571431 3.0461905 -0.79285717"
            " 0.813945591 -0.378571421 1.22619045 2.32857156 -1.4003402 1.96428573 -1.7976191",
        ),
    )
    yield observed(
        "innerproduct/strict-build/rows",
        "InnerProduct 0=3 1=1 2=12 8=2 9=4",
        [
            ("int8", 12, [29, 5, 255, 1]),
            ("raw", 3, {"v": [0.1, 0.2, 0.3]}),
            ("raw", 3, {"v": [33, 44, 55]}),
            ("raw", 1, {"v": [40]}),
        ],
        {"in0": ((2, 4), "float32", [5, 2, 13, 4])},
        tolerance="activation",
        level="ulp:2",
        expected=floats((2, 3), "0.67120415 0.789068222 0.0167456847 0.383254409 0.85137856 0.957636535"),
    )
    yield observed(
        "embed/strict-build/clamped-ids",
        "Embed 0=4 1=3 2=1 3=12 18=2",
        [
            ("int8", 12, [31, 9, 255, 1]),
            ("raw", 4, {"v": [0.125, 0.25, 0.375, 0.5]}),
            ("raw", 1, {"v": [37.5]}),
        ],
        {"in0": ((4,), "int32", {"v": [2, -1, 7, 1]})},
        tolerance="elementwise",
        expected=floats(
            (4, 4),
            "-3.20833349 -2.25666666 -1.30500007 -0.353333354 -3.02166677 -2.07000017 -1.11833334 -0.166666687"
            " -3.20833349 -2.25666666 -1.30500007 -0.353333354 0.284999996 1.23666668 2.18833351 3.1400001",
        ),
    )
    yield observed(
        "gemm/strict-build/constant-b",
        "Gemm 0=7.5e-1 1=-2.0 3=1 5=1 6=1 8=4 9=3 10=4 18=2",
        [("int8", 12, [31, 9, 255, 1]), ("tagged", 4, [7, 3, 11, 16]), ("raw", 1, {"v": [25.5]})],
        {"in0": ((2, 3), "float32", [5, 2, 13, 4])},
        tolerance="gemm",
        expected=floats(
            (2, 4),
            "0.566494882 1.94556212 -6.89412022 1.1854881 2.07436895 -1.32794404 5.67599297 1.45945752",
        ),
    )
    yield observed(
        "sdpa/strict-build/grouped",
        "SDPA 5=1 18=2",
        [],
        {
            "in0": ((2, 2, 4), "float32", [5, 2, 13, 4]),
            "in1": ((1, 3, 4), "float32", [7, 1, 17, 8]),
            "in2": ((1, 3, 3), "float32", [3, 4, 11, 4]),
            "in3": ((2, 3), "float32", [4, 1, 7, 2]),
        },
        tolerance="attention",
        level="near:attention",
        expected=floats(
            (2, 2, 3),
            "-0.632400632 0.116777748 0.865956128 -0.559683383 0.189330682 0.938344777 -0.904829383 -0.155106932"
            " 0.594615579 -0.575318336 0.170938522 0.91719538",
        ),
    )
    matrices: list[Record] = []
    for j in range(3):
        matrices += [("int8", 16, [37, 11 + j, 255, 1]), ("raw", 4, [7, 3 + j, 11, 16])]
    scales: list[Record] = [("raw", 4, {"v": [90 + j, 100 + j, 110 + j, 120 + j]}) for j in range(3)]
    yield observed(
        "multiheadattention/strict-build/self",
        "MultiHeadAttention 0=4 1=2 2=16 18=2",
        [*matrices, ("int8", 16, [29, 5, 255, 1]), ("raw", 4, [7, 6, 11, 16]), *scales, ("raw", 1, {"v": [110]})],
        {"in0": ((3, 4), "float32", [5, 2, 13, 4])},
        tolerance="attention",
        level="near:attention",
        expected=floats(
            (3, 4),
            "-1.69400489 -0.640401781 -0.809751511 -0.711374819 1.45785606 -1.4041518 3.04099894 -0.698753715"
            " 0.0526448861 0.38785094 1.82939935 0.459318697",
        ),
    )
    yield observed(
        "requantize/strict-build/clip",
        "Requantize 0=2 1=2 2=2 3=3 -23304=2,-3.0,4.0",
        [("raw", 2, {"v": [0.001, 0.002]}), ("raw", 2, {"v": [20, 9]}), ("raw", 2, {"v": [0.5, -0.5]})],
        {"in0": ((2, 3), "int32", {"p": [37, 11, 255, 1], "times": 100})},
        tolerance="",
        expected=codes((2, 3), "-60 -60 -60 -14 36 36"),
    )
    yield observed(
        "quantize/strict-build/rounding",
        "Quantize 0=1",
        [("raw", 1, {"v": [1]})],
        {
            "in0": (
                (12,),
                "float32",
                {"v": ["0x1.fffffep-2", 0.5, -0.5, 1.5, 2.5, -2.5, 126.49999, 126.5, 127.49, -127.6, -128, 200]},
            )
        },
        tolerance="",
        expected=codes((12,), "0 1 -1 2 3 -3 126 127 127 -127 -127 127"),
    )


def floats(shape: Sequence[int], text: str) -> dict[str, Any]:
    """An expected float32 blob."""
    return {"out0": tensor(shape, map(float, text.split())).to_json()}


def codes(shape: Sequence[int], text: str) -> dict[str, Any]:
    """An expected int8 blob."""
    return {"out0": tensor(shape, map(int, text.split()), "int8").to_json()}


def steps() -> Iterator[Draft]:
    """Quantize, Dequantize and Requantize."""
    for shape in ((7,), (3, 5), (4, 2, 3), (2, 3, 2, 2)):
        name = "x".join(map(str, shape))
        for per_axis in (False, True):
            if per_axis and len(shape) == 1:
                continue
            count = shape[0] if per_axis else 1
            suffix = f"{name}-{'each' if per_axis else 'one'}"
            note = f"Shape {shape}, {'a scale for each outermost slice' if per_axis else 'one scale'}."
            case_id = f"int8-layers/quantize/shape/{suffix}"
            make = Patterns(case_id)
            yield Draft(
                case_id,
                note,
                f"Quantize 0={count}",
                [make.scales(count)],
                {"in0": make.floats(*shape)},
                "",
                ["int8-output"],
            )
            case_id = f"int8-layers/dequantize/shape/{suffix}"
            make = Patterns(case_id)
            records = [("raw", count, {"p": make.fill(37, 4096), "plus": 0.01}), make.bias(count)]
            sums: Input = (shape, "int32", make.fill(4099, 1))
            yield Draft(case_id, note, f"Dequantize 0={count} 1={count}", records, {"in0": sums}, "elementwise")
            for activation, text in REQUANTIZE_ACTIVATIONS.items():
                case_id = f"int8-layers/requantize/{activation}/{suffix}"
                make = Patterns(case_id)
                records = [
                    ("raw", count, {"p": make.fill(37, 65536), "plus": 0.001}),
                    make.scales(count, 40),
                    make.bias(count),
                ]
                sums = (shape, "int32", make.fill(4099, 1))
                line = f"Requantize 0={count} 1={count} 2={count} {text}".strip()
                yield Draft(case_id, note, line, records, {"in0": sums}, "", ["activation", "int8-output"])
    for power in (0, -7, 5):
        case_id = f"int8-layers/quantize/ties/2^{power}"
        values: Fill = {"p": [1, 0, 512, 2], "times": float(2**power)}
        records = [("raw", 1, {"v": [2.0**-power]})]
        note = "Every half from -128 to 127.5."
        yield Draft(case_id, note, "Quantize 0=1", records, {"in0": ((512,), "float32", values)}, "", ["tie"])


GEOMETRIES = {
    "k1": ("1=1", 1),
    "k3": ("1=3", 9),
    "k3-s2": ("1=3 3=2 4=1", 9),
    "k3-d2": ("1=3 2=2 4=2", 9),
    "k3x1": ("1=3 11=1 4=1 14=0", 3),
    "pad-asymmetric": ("1=3 4=0 15=2 14=1 16=0", 9),
    "same-upper": ("1=3 3=2 4=-233 15=-233 14=-233 16=-233", 9),
    "same-lower": ("1=2 3=2 4=-234 15=-234 14=-234 16=-234", 4),
}
"""Parameters and kernel area."""


def convolutions() -> Iterator[Draft]:
    """Convolution and ConvolutionDepthWise: geometries with every kind of output, activations, zero scales."""
    for geometry, (params, area) in GEOMETRIES.items():
        for term in (2, 102):
            yield convolution(geometry, params, area, term, "none", 3, 4)
            for group, channels, outputs in ((3, 3, 3), (2, 4, 6)):
                yield depthwise(geometry, params, area, 1 if term == 2 else 101, "none", group, channels, outputs)
    for activation in list(ACTIVATIONS)[1:]:
        for term in (2, 102):
            yield convolution("k3", *GEOMETRIES["k3"], term, activation, 3, 4)
            yield depthwise("k3", *GEOMETRIES["k3"], 1 if term == 2 else 101, activation, 3, 3, 3)


def convolution(
    geometry: str, params: str, area: int, term: int, activation: str, channels: int, outputs: int
) -> Draft:
    """One Convolution."""
    kind = "int8" if term > 100 else "float"
    case_id = f"int8-layers/convolution/{activation if activation != 'none' else 'geometry'}/{geometry}-{kind}"
    make = Patterns(case_id)
    size = outputs * channels * area
    scales = {"p": make.fill(37, 1), "plus": 60, "rows": {"1": 0}}
    records = [make.codes(size), make.bias(outputs), ("raw", outputs, scales), make.scales(1)]
    records += [("raw", 1, {"v": [9.5]})] if term > 100 else []
    line = f"Convolution 0={outputs} {params} 5=1 6={size} 8={term} {ACTIVATIONS[activation]}".strip()
    note = f"{params}; the scale of output 1 is zero."
    return finished(case_id, note, line, records, make.floats(channels, 6, 7), activation, term)


def depthwise(
    geometry: str, params: str, area: int, term: int, activation: str, group: int, channels: int, outputs: int
) -> Draft:
    """One ConvolutionDepthWise; `outputs` of them in `group` groups."""
    kind = "int8" if term > 100 else "float"
    topic = activation if activation != "none" else "geometry"
    case_id = f"int8-layers/convolutiondepthwise/{topic}/{geometry}-g{group}-{kind}"
    make = Patterns(case_id)
    size = outputs * (channels // group) * area
    records = [make.codes(size), make.bias(outputs), make.scales(group), make.scales(1)]
    records += [("raw", 1, {"v": [9.5]})] if term > 100 else []
    line = (
        f"ConvolutionDepthWise 0={outputs} {params} 5=1 6={size} 7={group} 8={term} {ACTIVATIONS[activation]}".strip()
    )
    return finished(case_id, f"{params}, {group} groups.", line, records, make.floats(channels, 6, 7), activation, term)


def finished(
    case_id: str, note: str, line: str, records: list[Record], image: Input, activation: str, term: int
) -> Draft:
    """The common rest of both."""
    flags = [
        *(["activation"] if activation != "none" else []),
        *(["int8-output"] if term > 100 else []),
        *(["padding"] if "4=" in note else []),
        *(["zero-scale"] if "zero" in note else []),
    ]
    tolerance = "" if term > 100 else "activation" if activation in SMOOTH else "elementwise"
    return Draft(case_id, note, line, records, {"in0": image}, tolerance, flags)


def products() -> Iterator[Draft]:
    """InnerProduct, Embed and Gemm."""
    for activation, text in ACTIVATIONS.items():
        for shape in ((12,), (3, 12), (3, 2, 2)):
            name = "x".join(map(str, shape))
            case_id = f"int8-layers/innerproduct/{activation}/{name}"
            make = Patterns(case_id)
            records = [make.codes(60), make.bias(5), make.scales(5, 100), make.scales(1)]
            line = f"InnerProduct 0=5 1=1 2=60 8=2 {text}".strip()
            tolerance = "activation" if activation in SMOOTH else "elementwise"
            note = "Rows of num_input values are samples." if shape == (3, 12) else "The blob is one sample."
            yield Draft(case_id, note, line, records, {"in0": make.floats(*shape)}, tolerance, ["activation"])
    for bias in (0, 1):
        case_id = f"int8-layers/embed/ids/bias{bias}"
        make = Patterns(case_id)
        records = [make.codes(35), *([make.bias(5)] if bias else []), make.scales(1)]
        ids: Input = ((9,), "int32", {"p": [4, 1, 11, 1], "plus": 3})
        yield Draft(
            case_id,
            "Ids outside are clamped.",
            f"Embed 0=5 1=7 2={bias} 3=35 18=2",
            records,
            {"in0": ids},
            "elementwise",
        )
    for trans_a in (0, 1):
        for trans_b in (0, 1):
            for constants in ("none", "a", "b"):
                yield gemm(trans_a, trans_b, constants)
    for kind, count in ((0, 1), (1, 3), (2, 3), (3, 12), (4, 4)):
        case_id = f"int8-layers/gemm/c/type{kind}"
        make = Patterns(case_id)
        records = [make.codes(20), ("tagged", count, make.fill(61, 16)), make.scales(1)]
        line = f"Gemm 0=7.5e-1 1=-2.0 3=1 5=1 6=1 7=3 8=4 9=5 10={kind} 18=2"
        yield Draft(case_id, f"C of type {kind}.", line, records, {"in0": make.floats(3, 5)}, "gemm")


def gemm(trans_a: int, trans_b: int, constants: str) -> Draft:
    """3 x 5 times 5 x 4, with a row of zeros where A comes at run time."""
    case_id = f"int8-layers/gemm/operands/a{trans_a}-b{trans_b}-{constants}"
    make = Patterns(case_id)
    records: list[Record] = []
    inputs: dict[str, Input] = {}
    line = f"Gemm 2={trans_a} 3={trans_b} 4={int(constants == 'a')} 5={int(constants == 'b')} 7=3 8=4 9=5 18=2"
    if constants == "a":
        records.append(make.codes(15))
    else:
        shape = (5, 3) if trans_a else (3, 5)
        fill: Fill = make.fill(4099, 1024) if trans_a else {"p": make.fill(4099, 1024), "rows": {"1": 0}}
        inputs["in0"] = (shape, "float32", fill)
    if constants == "b":
        records.append(make.codes(20))
    else:
        inputs[f"in{len(inputs)}"] = make.floats(*((4, 5) if trans_b else (5, 4)))
    if constants != "none":
        records.append(make.scales(3 if constants == "a" else 1))
    flags = ["zero-row"] if constants != "a" and not trans_a else []
    note = f"transA {trans_a}, transB {trans_b}, constant operand: {constants}."
    return Draft(case_id, note, line, records, inputs, "gemm", flags)


def attention() -> Iterator[Draft]:
    """SDPA and MultiHeadAttention."""
    for heads, groups, length, keys, width, value_width in (
        (1, 1, 1, 1, 1, 1),
        (2, 2, 3, 3, 4, 4),
        (4, 2, 2, 5, 3, 2),
        (3, 1, 4, 2, 5, 3),
    ):
        for mask in (0, 1):
            case_id = f"int8-layers/sdpa/shape/h{heads}-g{groups}-s{length}-l{keys}-mask{mask}"
            make = Patterns(case_id)
            inputs = {
                "in0": make.floats(heads, length, width),
                "in1": make.floats(groups, keys, width),
                "in2": make.floats(groups, keys, value_width),
            }
            if mask:
                inputs["in3"] = make.floats(length, keys)
            note = f"{heads} heads read {groups} groups."
            yield Draft(case_id, note, f"SDPA 5={mask} 18=2", [], inputs, "attention")
    for embed_dim, heads, length, keys in ((4, 1, 2, 2), (6, 3, 3, 5), (8, 2, 5, 1), (5, 5, 4, 3)):
        for mask in (0, 1):
            case_id = f"int8-layers/multiheadattention/shape/e{embed_dim}-h{heads}-s{length}-l{keys}-mask{mask}"
            make = Patterns(case_id)
            size = embed_dim * embed_dim
            records = [record for _ in range(4) for record in (make.codes(size), make.bias(embed_dim))]
            records += [make.scales(embed_dim) for _ in range(3)] + [make.scales(1)]
            inputs = {"in0": make.floats(length, embed_dim), "in1": make.floats(keys, embed_dim)}
            if mask:
                inputs["in2"] = make.floats(length, keys)
            line = f"MultiHeadAttention 0={embed_dim} 1={heads} 2={size} 5={mask} 18=2"
            yield Draft(case_id, "Keys and values are one blob.", line, records, inputs, "attention")


def pitfalls() -> Iterator[Draft]:
    """Where fast kernels go wrong: each case is named after the fault that it shows."""
    wide = "3=1 5=0 8=2"

    def case(name: str, note: str, line: str, records: list[Record], image: Input, flag: str) -> Draft:
        case_id = f"int8-layers/pitfalls/{name}"
        return Draft(case_id, note, line, records, {"in0": image}, "elementwise", [flag])

    for outputs in (8, 16, 32):
        make = Patterns(f"pitfalls/group-{outputs}")
        size = 2 * outputs * 3
        line = f"ConvolutionDepthWise 0={2 * outputs} 1=1 5=0 6={size} 7=2 8=1"
        records = [make.codes(size), make.scales(2), make.scales(1)]
        note = f"Two groups of three channels with {outputs} outputs each: every output is written."
        yield case(f"group-outputs-{outputs}", note, line, records, make.floats(6, 3, 4), "group")
    for channels in (8, 16):
        make = Patterns(f"pitfalls/depthwise-{channels}")
        size = channels * 9
        line = f"ConvolutionDepthWise 0={channels} 1=3 4=1 5=0 6={size} 7={channels} 8=1"
        records = [make.codes(size), make.scales(channels), make.scales(1)]
        note = "1 / (scale · weight scale) is a division, not the approximate reciprocal of the hardware."
        yield case(f"depthwise-reciprocal-{channels}", note, line, records, make.floats(channels, 5, 6), "reciprocal")
    ones: Fill = {"p": [1, 0, 1, 1], "plus": 127}
    for channels in (4, 8, 12, 26):
        size = 9 * channels * 9
        line = f"Convolution 0=9 1=3 {wide} 6={size}"
        records = [("int8", size, ones), ("raw", 9, {"p": [1, 0, 1, 1], "plus": 100}), ("raw", 1, {"v": [1]})]
        image: Input = ((channels, 8, 8), "float32", ones)
        note = f"All codes are 127: the sums are {127 * 127 * 9 * channels}."
        yield case(f"winograd-sum-{channels}", note, line, records, image, "big-sum")
    line, size = f"Convolution 0=9 1=3 {wide} 6=1377", 1377
    weights: Fill = {"p": [1, 0, 1, 1], "plus": 103}
    records = [("int8", size, weights), ("raw", 9, {"p": [1, 0, 1, 1], "plus": 1}), ("raw", 1, {"v": [1]})]
    note = "The sum is 17 * 9 * 127 * 103 = 2001393, and not one less."
    yield case("winograd-one-less", note, line, records, ((17, 8, 8), "float32", ones), "big-sum")
    lowest: Fill = {"p": [1, 0, 1, 1], "plus": -128}
    unit: Fill = {"p": [1, 0, 1, 1], "plus": 1}
    records = [("int8", 64, unit), ("raw", 8, unit), ("raw", 1, {"v": [1]})]
    note = "int8 data of -128, which no quantization makes: eight of them are -1024."
    line = "Convolution 0=8 1=1 5=0 8=2 6=64"
    yield case("lowest-code-convolution", note, line, records, ((8, 4, 4), "int8", lowest), "lowest-code")
    records = [("int8", 32, lowest), ("raw", 1, {"v": [1]})]
    note = "Weights of -128 in a constant matrix."
    line = "Gemm 3=1 5=1 6=1 8=4 9=8 10=-1 18=2"
    yield Draft(
        "int8-layers/pitfalls/lowest-code-gemm",
        note,
        line,
        records,
        {"in0": ((3, 8), "float32", ones)},
        "gemm",
        ["lowest-code"],
    )
    for pad in (-3, 0, 5):
        make = Patterns(f"pitfalls/pad-{pad}")
        size = 4 * 8 * 9
        line = f"Convolution 0=4 1=3 4=1 18={pad}.0 5=0 8=2 6={size}"
        records = [make.codes(size), make.scales(4), ("raw", 1, {"v": [1]})]
        note = f"The border is the code {pad} in all eight channels."
        yield case(f"pad-value-{pad}", note, line, records, ((8, 4, 4), "float32", [37, 11, 255, 1]), "padding")
    for count in (4, 8, 12):
        make = Patterns(f"pitfalls/requantize-{count}")
        line = f"Requantize 0={count} 1={count} 2={count}"
        scales: list[Record] = [("raw", count, {"p": make.fill(37, 4000), "plus": 0.01}) for _ in range(2)]
        scales[1] = ("raw", count, {"p": make.fill(37, 1), "plus": 60})
        records = [*scales, ("raw", count, make.fill(61, 64))]
        note = "Every row has scales and a bias of its own."
        blob: Input = ((count, 3, 3), "int32", {"p": [37, 11, 255, 1], "times": 4})
        yield Draft(
            f"int8-layers/pitfalls/requantize-{count}-channels", note, line, records, {"in0": blob}, "", ["rows"]
        )


def drafts() -> list[Draft]:
    """All cases."""
    makers = (strict_build, steps, convolutions, products, attention, pitfalls)
    return [case for maker in makers for case in maker()]


def entry_of(case: Draft) -> dict[str, Any]:
    """The stored form, without expected values."""
    entry: dict[str, Any] = {
        "id": case.id,
        "note": case.note,
        "flags": case.flags,
        "layer": case.layer,
        "records": case.records,
        "inputs": case.inputs,
        "outputs": case.outputs,
        "tolerance": case.tolerance,
    }
    return {**entry, "level": case.level} if case.level else entry


def content() -> str:
    """The vector file."""
    spec = open_adapter("spec")
    groups = []
    for name, kind, detail in (("strict", "observed", STRICT), ("derived", "derived", SPEC)):
        group = {"source": {"kind": kind, "detail": detail}, "level": "exact"}
        entries = []
        for case in drafts():
            if case.source == name:
                entry = entry_of(case)
                results = case.expected or {
                    blob: value.to_json() for blob, value in spec.run(build(entry, group)).items()
                }
                entries.append(json.dumps({**entry, "expected": results}, separators=(",", ":")))
        groups.append(f' {json.dumps(group)[:-1]}, "cases": [\n' + ",\n".join(entries) + "\n ]}")
    count = sum(text.count('"id":') for text in groups)
    header = {"schema": SCHEMA, "suite": "int8-layers", "count": count, "notes": FLAGS}
    return json.dumps(header, indent=1)[:-2] + ',\n "groups": [\n' + ",\n".join(groups) + "\n]}\n"


if __name__ == "__main__":
    sys.exit(check_or_write(FILE, content(), __doc__))
