"""The vectors that anyone can make again: recipes for weights and inputs, and outputs that were worked out or printed.

`python -m golden by-hand` writes golden/vectors/by-hand from this page. Two kinds of cases stand side by side: those
whose outputs a strict build of ncnn's portable layers printed with nine digits, and those whose outputs a person can
work out from the comment.
"""

from __future__ import annotations

import math
import struct
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golden.contents import Content, decode, encode
from golden.importer import NOTES, write_family
from golden.vectors import FOLDER, SCHEMA, VERSION

INT8_TAG = 0x000D4B38
FLOAT_TAG = 0

PRINTED = {
    "class": "observed",
    "portable": "a strict build of the portable C++ layers of a4d2ea1d4422c9e849f166fd7a4aefb52f942f6a, nine digits",
}
WORKED = {"class": "by-hand"}

Record = dict[str, Any]


def pattern(n: int, a: int, b: int, m: int) -> list[int]:
    """((a * i + b) mod m) - floor(m / 2) for i below n."""
    return [(a * i + b) % m - m // 2 for i in range(n)]


def codes(n: int, a: int, b: int) -> list[int]:
    """The pattern over all int8 codes."""
    return pattern(n, a, b, 255)


def fractions(n: int, a: int, b: int, m: int, d: int) -> list[float]:
    """The pattern divided by d."""
    return [value / d for value in pattern(n, a, b, m)]


def int8_record(values: Sequence[int]) -> bytes:
    """Tagged int8 weights, padded to a multiple of four bytes."""
    data = struct.pack(f"<{len(values)}b", *values)
    return struct.pack("<I", INT8_TAG) + data + bytes(-len(data) % 4)


def tagged(values: Sequence[float]) -> bytes:
    """Tagged binary32 weights."""
    return struct.pack("<I", FLOAT_TAG) + raw(values)


def raw(values: Sequence[float]) -> bytes:
    """Binary32 numbers without a tag."""
    return struct.pack(f"<{len(values)}f", *values)


def npy(shape: Sequence[int], values: Sequence[float], dtype: str = "float32") -> Content:
    """An array; it is written as numbers or as bytes by the same rule as all others."""
    content = {"npy": {"dtype": dtype, "shape": list(shape), "values": list(values)}}
    return encode(decode(content))


def printed(text: str) -> list[float]:
    """Numbers of a text, rounded to binary32: nine digits identify one."""
    return [struct.unpack("<f", struct.pack("<f", float(word)))[0] for word in text.split()]


def layer_case(
    name: str,
    comment: str,
    layer: tuple[str, str],
    weights: bytes,
    inputs: Sequence[Content],
    output: tuple[Sequence[int], str, str],
    flags: Sequence[str] = (),
) -> Record:
    """A network of one layer: `layer` is its type and parameters; `output` its shape, dtype and values in words."""
    kind, params = layer
    blobs = [f"in{index}" for index in range(len(inputs))]
    lines = ["7767517", f"{len(inputs) + 1} {len(inputs) + 1}"]
    lines += [f"{'Input':<24} {blob:<24} 0 1 {blob}" for blob in blobs]
    lines += [f"{kind:<24} {'layer':<24} {len(blobs)} 1 {' '.join(blobs)} out {params}".rstrip(), ""]
    shape, dtype, text = output
    values = printed(text) if dtype == "float32" else [int(word) for word in text.split()]
    return {
        "id": f"by-hand/{name}",
        "comment": comment,
        "flags": [kind, *flags],
        "layer": {"type": kind, "params": params},
        "inference": [
            {
                "param": "net.param",
                "bin": "net.bin",
                "inputs": {blob: f"{blob}.npy" for blob in blobs},
                "outputs": {
                    "out": {
                        "file": "out.npy",
                        "extract_type": int(dtype == "int8"),
                        "shape": list(shape),
                        "dtype": dtype,
                        "variants": {"generic": "out.npy"},
                    }
                },
            }
        ],
        "inputs": {
            "net.param": {"text": lines},
            "net.bin": encode(weights),
            **{f"{blob}.npy": content for blob, content in zip(blobs, inputs, strict=True)},
        },
        "expected": {"out.npy": npy(shape, values, dtype)},
    }


def printed_layers() -> list[Record]:
    """The ten vectors that a strict build printed."""
    image = npy((2, 4, 4), fractions(32, 5, 2, 13, 4))
    window = "0=2 1=3 3=2 13=1 4=1 5=1 6=36"
    kernel = int8_record(codes(36, 37, 11)) + raw([0.5, -0.25]) + raw([55.5, 61.25]) + raw([40.0])
    convolution = layer_case(
        "v1-convolution",
        "3 x 3, stride 2 across and 1 down, padding 1, float32 output",
        ("Convolution", f"{window} 8=1"),
        kernel,
        [image],
        (
            (2, 4, 2),
            "float32",
            "-2.84684682 -4.27477503 6.09009027 5.98648643 -3.9954958 -5.00450468 5.12162161 6.63513517 "
            "3.77040815 1.20306122 -3.51122451 2.75 1.57857144 5.85612249 -1.60918367 1.08469391",
        ),
    )
    requantized = layer_case(
        "v1-convolution-requantized",
        "the same with leaky ReLU 0.125 and int8 output by top scale 9.5",
        ("Convolution", f"{window} 8=101 9=2 -23310=1,0.125"),
        kernel + raw([9.5]),
        [image],
        ((2, 4, 2), "int8", "-3 -5 58 57 -5 -6 49 63 36 11 -4 26 15 56 -2 10"),
    )
    depthwise = layer_case(
        "v2-depthwise",
        "two groups of one channel with two outputs each; one weight scale a group",
        ("ConvolutionDepthWise", "0=4 1=2 6=16 7=2 8=1"),
        int8_record(codes(16, 41, 7)) + raw([50.0, 70.0]) + raw([42.0]),
        [npy((2, 3, 3), fractions(18, 5, 2, 13, 4))],
        (
            (4, 2, 2),
            "float32",
            "2.41190481 -3.65333319 0.0719047636 -0.839523792 -3.03571415 6.92142868 -1.36571431 3.0461905 "
            "-0.79285717 0.813945591 -0.378571421 1.22619045 2.32857156 -1.4003402 1.96428573 -1.7976191",
        ),
    )
    inner_product = layer_case(
        "v3-inner-product",
        "two rows of four numbers, sigmoid",
        ("InnerProduct", "0=3 1=1 2=12 8=2 9=4"),
        int8_record(codes(12, 29, 5)) + raw([0.1, 0.2, 0.3]) + raw([33.0, 44.0, 55.0]) + raw([40.0]),
        [npy((2, 4), fractions(8, 5, 2, 13, 4))],
        ((2, 3), "float32", "0.67120415 0.789068222 0.0167456847 0.383254409 0.85137856 0.957636535"),
    )
    return [convolution, requantized, depthwise, inner_product, *_recurrent_layers(), *_other_layers()]


def _recurrent_layers() -> list[Record]:
    """Three rows of input, the second of them all zeros."""
    table = [
        ("rnn", "RNN", 0, 2, "0.210430771 0.878964722 -0.768759489 -0.0398952365 0.0160827469 0.545804381"),
        (
            "rnn-both",
            "RNN",
            2,
            2,
            "0.210430771 0.878964722 -0.97008425 0.188590974 -0.768759489 -0.0398952365 0.0202757474 "
            "-0.561798215 0.0160827469 0.545804381 -0.562612236 -0.383590251",
        ),
        ("lstm", "LSTM", 0, 2, "0.0716802105 0.194090158 0.0352816395 0.140865535 -0.0245841015 0.0285716709"),
        (
            "lstm-projection-reverse",
            "LSTM",
            1,
            3,
            "0.140629038 0.102645516 0.0181600321 0.0128823482 -0.0225910079 -0.0135217067",
        ),
        ("gru", "GRU", 0, 2, "-0.77413851 0.19991833 -0.585983515 0.293859571 0.353968799 0.0874539837"),
        (
            "gru-both",
            "GRU",
            2,
            2,
            "-0.77413851 0.19991833 0.210845947 -0.455082268 -0.585983515 0.293859571 0.0981084555 0.347191483 "
            "0.353968799 0.0874539837 0.0511188321 0.528583944",
        ),
    ]
    return [_recurrent(*entry) for entry in table]


def _recurrent(name: str, kind: str, direction: int, hidden: int, expected: str) -> Record:
    gates, bias_rows = {"RNN": (1, 1), "LSTM": (4, 4), "GRU": (3, 4)}[kind]
    directions = 2 if direction == 2 else 1
    rows = directions * gates * hidden
    weights = (
        int8_record(codes(rows * 3, 37, 11))
        + tagged(fractions(directions * bias_rows * hidden, 7, 3, 11, 16))
        + int8_record(codes(rows * 2, 29, 5))
    )
    if hidden != 2:
        weights += tagged(fractions(directions * 2 * hidden, 3, 1, 7, 8))
    weights += raw([100.0 + 10.0 * i for i in range(rows)]) + raw([120.0 + 5.0 * i for i in range(rows)])
    params = f"0=2 1={rows * 3} 2={direction}" + (f" 3={hidden}" if hidden != 2 else "") + " 8=1"
    values = fractions(9, 5, 2, 13, 4)
    values[3:6] = [0.0, 0.0, 0.0]
    return layer_case(
        f"v4-{name}",
        f"two outputs, {hidden} cells, direction {direction}; the second input row is zero",
        (kind, params),
        weights,
        [npy((3, 3), values)],
        ((3, 2 * directions), "float32", expected),
    )


def _other_layers() -> list[Record]:
    embed = layer_case(
        "v5-embed",
        "ids 2, -1, 7, 1 of three rows: -1 becomes 0 and 7 becomes 2. Row 0 begins with the code 9 - 127 = -118: "
        "-118 / 37.5 + 0.125 = -3.02166677.",
        ("Embed", "0=4 1=3 2=1 3=12 18=2"),
        int8_record(codes(12, 31, 9)) + raw([0.125, 0.25, 0.375, 0.5]) + raw([37.5]),
        [npy((4,), [2, -1, 7, 1], "int32")],
        (
            (4, 4),
            "float32",
            "-3.20833349 -2.25666666 -1.30500007 -0.353333354 -3.02166677 -2.07000017 -1.11833334 -0.166666687 "
            "-3.20833349 -2.25666666 -1.30500007 -0.353333354 0.284999996 1.23666668 2.18833351 3.1400001",
        ),
    )
    gemm = layer_case(
        "v6-gemm",
        "0.75 * A * transposed B - 2 * C, C a row. The first row of A is -1, 0.25, 1.5: scale 127 / 1.5, codes -85, "
        "21, 127.",
        ("Gemm", "0=0.75 1=-2.0 3=1 5=1 6=1 8=4 9=3 10=4 18=2"),
        int8_record(codes(12, 31, 9)) + tagged(fractions(4, 7, 3, 11, 16)) + raw([25.5]),
        [npy((2, 3), fractions(6, 5, 2, 13, 4))],
        (
            (2, 4),
            "float32",
            "0.566494882 1.94556212 -6.89412022 1.1854881 2.07436895 -1.32794404 5.67599297 1.45945752",
        ),
    )
    sdpa = layer_case(
        "v7-sdpa",
        "two query heads over one key and value head, with a mask, scale by the width of a head",
        ("SDPA", "5=1 18=2"),
        b"",
        [
            npy((2, 2, 4), fractions(16, 5, 2, 13, 4)),
            npy((1, 3, 4), fractions(12, 7, 1, 17, 8)),
            npy((1, 3, 3), fractions(9, 3, 4, 11, 4)),
            npy((2, 3), fractions(6, 4, 1, 7, 2)),
        ],
        (
            (2, 2, 3),
            "float32",
            "-0.632400632 0.116777748 0.865956128 -0.559683383 0.189330682 0.938344777 "
            "-0.904829383 -0.155106932 0.594615579 -0.575318336 0.170938522 0.91719538",
        ),
    )
    projections = [int8_record(codes(16, 37, 11 + j)) + raw(fractions(4, 7, 3 + j, 11, 16)) for j in range(3)] + [
        int8_record(codes(16, 29, 5)) + raw(fractions(4, 7, 6, 11, 16))
    ]
    scales = [raw([90.0 + j, 100.0 + j, 110.0 + j, 120.0 + j]) for j in range(3)] + [raw([110.0])]
    attention = layer_case(
        "v8-multi-head-attention",
        "self-attention of width 4 with two heads",
        ("MultiHeadAttention", "0=4 1=2 2=16 18=2"),
        b"".join(projections + scales),
        [npy((3, 4), fractions(12, 5, 2, 13, 4))],
        (
            (3, 4),
            "float32",
            "-1.69400489 -0.640401781 -0.809751511 -0.711374819 1.45785606 -1.4041518 3.04099894 -0.698753715 "
            "0.0526448861 0.38785094 1.82939935 0.459318697",
        ),
    )
    requantize = layer_case(
        "v9-requantize",
        "clip to [-3, 4] between the scales. First row: -11600 * 0.001 + 0.5 = -11.1, clipped to -3, times 20 = -60. "
        "Second row, last: 6900 * 0.002 - 0.5 = 13.3, clipped to 4, times 9 = 36.",
        ("Requantize", "0=2 1=2 2=2 3=3 -23304=2,-3.0,4.0"),
        raw([0.001, 0.002]) + raw([20.0, 9.0]) + raw([0.5, -0.5]),
        [npy((2, 3), [100 * value for value in pattern(6, 37, 11, 255)], "int32")],
        ((2, 3), "int8", "-60 -60 -60 -14 36 36"),
    )
    quantize = layer_case(
        "v10-quantize",
        "halves away from zero, clamp to +-127: 0.49999997 -> 0, 0.5 -> 1, 2.5 -> 3, 126.5 -> 127, -128 -> -127",
        ("Quantize", ""),
        raw([1.0]),
        [npy((12,), printed("0.49999997 0.5 -0.5 1.5 2.5 -2.5 126.49999 126.5 127.49 -127.6 -128 200"))],
        ((12,), "int8", "0 1 -1 2 3 -3 126 127 127 -127 -127 127"),
    )
    return [embed, gemm, sdpa, attention, requantize, quantize]


def worked_layers() -> list[Record]:
    """Single rules, each in a case so small that its comment holds the whole working."""

    def convolution(name: str, comment: str, params: str, weights: bytes, image: Content, output: Any) -> Record:
        return layer_case(name, comment, ("Convolution", params), weights, [image], output)

    one = int8_record([10])
    infinite = math.inf
    return [
        convolution(
            "convolution-one-weight",
            "2 * 4 = code 8, 0.1 * 4 = 0.4 = code 0; 8 * 10 = 80; descale 1 / (4 * 20) = 0.0125; 80 * 0.0125 = 1",
            "0=1 1=1 6=1 8=1",
            one + raw([20.0]) + raw([4.0]),
            npy((1, 1, 2), [2.0, 0.1]),
            ((1, 1, 2), "float32", "1 0"),
        ),
        convolution(
            "convolution-pad-value",
            "pad_value 3 is a code and not scaled: 3 * 10 * (1 / (4 * 20)) = 0.375 left and right of 2 -> 1",
            "0=1 1=1 4=1 14=0 15=1 16=0 18=3.0 6=1 8=1",
            one + raw([20.0]) + raw([4.0]),
            npy((1, 1, 1), [2.0]),
            ((1, 1, 3), "float32", "0.375 1 0.375"),
        ),
        convolution(
            "convolution-per-output",
            "each output has its own weight scale: 80 / (4 * 20) = 1 and 80 / (4 * 40) = 0.5",
            "0=2 1=1 6=2 8=1",
            int8_record([10, 10]) + raw([20.0, 40.0]) + raw([4.0]),
            npy((1, 1, 1), [2.0]),
            ((2, 1, 1), "float32", "1 0.5"),
        ),
        convolution(
            "convolution-relu-then-requantize",
            "sum 8 * -10 = -80 -> -1; leaky ReLU 0.5 -> -0.5; top scale 3: -1.5 -> code -2. (Requantized first: -1 -> "
            "-3, then -1.5.)",
            "0=1 1=1 6=1 8=101 9=2 -23310=1,0.5",
            int8_record([-10]) + raw([20.0]) + raw([4.0]) + raw([3.0]),
            npy((1, 1, 1), [2.0]),
            ((1, 1, 1), "int8", "-2"),
        ),
        convolution(
            "convolution-same-upper",
            "SAME_UPPER (-233), kernel 2: one column, after the image. Codes 4, 8, then 0: (4 + 8, 8 + 0) * 10 / 80",
            "0=1 1=2 11=1 4=-233 6=2 8=1",
            int8_record([10, 10]) + raw([20.0]) + raw([4.0]),
            npy((1, 1, 2), [1.0, 2.0]),
            ((1, 1, 2), "float32", "1.5 1"),
        ),
        convolution(
            "convolution-same-lower",
            "SAME_LOWER (-234), kernel 2: one column, before the image: (0 + 4, 4 + 8) * 10 / 80",
            "0=1 1=2 11=1 4=-234 6=2 8=1",
            int8_record([10, 10]) + raw([20.0]) + raw([4.0]),
            npy((1, 1, 2), [1.0, 2.0]),
            ((1, 1, 2), "float32", "0.5 1.5"),
        ),
        convolution(
            "convolution-infinite-bottom-scale",
            "calibration gives a blob of zeros the scale infinity: the output is the bias",
            "0=1 1=1 5=1 6=1 8=1",
            one + raw([0.75]) + raw([20.0]) + raw([infinite]),
            npy((1, 1, 2), [0.0, 0.0]),
            ((1, 1, 2), "float32", "0.75 0.75"),
        ),
        convolution(
            "convolution-weight-scale-zero",
            "weight scale 0 stands for descale 0: the output is the bias",
            "0=1 1=1 5=1 6=1 8=1",
            one + raw([0.75]) + raw([0.0]) + raw([4.0]),
            npy((1, 1, 2), [2.0, 1.0]),
            ((1, 1, 2), "float32", "0.75 0.75"),
        ),
        layer_case(
            "dequantize-two-roundings",
            "3 * 0.33333334 is 1.00000002..., which binary32 rounds to 1; 1 - 1 = 0. (Fused: 2.98e-08.)",
            ("Dequantize", "0=1 1=1"),
            raw([0.3333333432674408]) + raw([-1.0]),
            [npy((1,), [3], "int32")],
            ((1,), "float32", "0"),
        ),
        layer_case(
            "requantize-order",
            "5 * 0.3 = 1.5; + 0.25 = 1.75; ReLU; * 2 = 3.5 -> 4. Negative: -5 * 0.3 + 0.25 = -1.25 -> ReLU 0 -> 0",
            ("Requantize", "2=1 3=1"),
            raw([0.3]) + raw([2.0]) + raw([0.25]),
            [npy((2,), [5, -5], "int32")],
            ((2,), "int8", "4 0"),
        ),
        layer_case(
            "requantize-two-scales",
            "25 * 0.01 = 0.25, * 10 = 2.5 -> 3. (0.01 * 10 is 0.099999994 in binary32; 25 times that is below 2.5.)",
            ("Requantize", ""),
            raw([0.01]) + raw([10.0]),
            [npy((1,), [25], "int32")],
            ((1,), "int8", "3"),
        ),
        layer_case(
            "rnn-one-step",
            "x = 1: scale 127, code 127; sum 127 * 50 = 6350; descale (1 / 127) * (1 / 90), each of the three rounded; "
            "6350 * that = 0.55555558; tanh = 0.504672408. (1 / (127 * 90) gives 0.504672348.)",
            ("RNN", "0=1 1=1 8=1"),
            int8_record([50]) + tagged([0.0]) + int8_record([0]) + raw([90.0]) + raw([1.0]),
            [npy((1, 1), [1.0])],
            ((1, 1), "float32", "0.504672408"),
        ),
        layer_case(
            "quantize-per-channel",
            "each channel has its scale: 1.5 * 1 -> 2, 1.5 * 2 -> 3; -2.5 * 1 -> -3, -2.5 * 2 -> -5",
            ("Quantize", "0=2"),
            raw([1.0, 2.0]),
            [npy((2, 1, 2), [1.5, -2.5, 1.5, -2.5])],
            ((2, 1, 2), "int8", "2 -3 3 -5"),
        ),
        layer_case(
            "inner-product-largest-code",
            "-1.0 * 127 = -127, and -2 is clamped to it too: -127 * 1 / (127 * 1) = -1 both",
            ("InnerProduct", "0=1 2=1 8=1"),
            int8_record([1]) + raw([1.0]) + raw([127.0]),
            [npy((2, 1), [-1.0, -2.0])],
            ((2, 1), "float32", "-1 -1"),
        ),
    ]


def layers() -> Record:
    """The family by-hand/layers."""
    return _family("layers", [{"provenance": PRINTED, "cases": printed_layers()}, _worked(worked_layers())])


def _worked(cases: list[Record]) -> Record:
    return {"provenance": WORKED, "cases": cases}


def formats() -> Record:
    """The family by-hand/formats."""
    return _family("formats", [_worked(format_cases())])


def format_cases() -> list[Record]:
    """Texts and bytes of the formats."""

    def case(name: str, comment: str, flag: str, inputs: Record, expected: Record, **facts: Any) -> Record:
        return {
            "id": f"by-hand/{name}",
            "comment": comment,
            "flags": [flag],
            **facts,
            "inputs": {file: encode(data) for file, data in inputs.items()},
            "expected": {file: encode(data) for file, data in expected.items()},
        }

    def command(tool: str, argv: str, outputs: str) -> list[Record]:
        return [{"tool": tool, "argv": argv.split(), "cwd": ".", "exit": 0, "outputs": outputs.split()}]

    def net(*lines: str, blobs: int | None = None) -> bytes:
        return "\n".join(["7767517", f"{len(lines)} {blobs or len(lines)}", *lines, ""]).encode()

    product = net("Input in 0 1 a 0=5", "InnerProduct ip 1 1 a b 0=1 1=1 2=5")
    floats = struct.pack("<I6f", 0, 1.0, -0.5, 0.1, 2.0, 3.0, 0.25)
    wide = net("Input in 0 1 a 0=7", "InnerProduct ip 1 1 a b 0=1 2=7")
    pair = net("Input in 0 1 a 0=3", "InnerProduct ip 1 1 a b 0=2 2=6")
    hell, o, xy = (int.from_bytes(part, "little") for part in (b"hell", b"o\0\0\0", b"x y\0"))
    foo = [256, 1, 1, 0, 1, -23300, 2, 1, 2, -23301, 2, 0x3FC00000, 0x40000000, -23402, 5, hell, o, -23403, 3, xy]
    foo += [4, 0x40A00000, -23305, 2, 0x3FC00000, 7, -23306, 1, 3, -233]
    relu = [26, 1, 1, 1, 2, 0, 0x3DCCCCCD, -233]
    words = [7767517, 3, 3, 16, 0, 1, 0, 0, 4, -233, *foo, *relu]
    files = "net.param net.bin o.param o.bin"
    return [
        case(
            "param-to-binary",
            "each kind of value as 32-bit words: ints, floats, arrays, strings in words of four bytes; type 256 is the "
            "first custom type",
            "ncnn2mem",
            {
                "net.param": net(
                    "Input in 0 1 a 0=4",
                    'Foo f 1 1 a b 0=1,2 1=1.5,2 2=hello 3="x y" 4=5.0 -23305=2,1.5,7 6=3,',
                    "ReLU r 1 1 b c 0=0.1",
                ),
                "net.bin": b"",
            },
            {"net.param.bin": struct.pack(f"<{len(words)}i", *words)},
            commands=command("ncnn2mem", "net.param net.bin net.id.h net.mem.h", "net.param.bin"),
        ),
        case(
            "weights-binary32",
            "flag 0: a tag of four zero bytes, the weights, the bias without a tag",
            "bin",
            {"net.param": product, "net.bin": floats},
            {"o.bin": floats},
            commands=command("ncnnoptimize", f"{files} 0", "o.bin"),
        ),
        case(
            "weights-binary16",
            "flag 1: the tag 0x01306B47, halves of two bytes, two bytes of padding; 0.1 is 0x2e66 rounded to nearest",
            "bin",
            {"net.param": product, "net.bin": floats},
            {"o.bin": bytes.fromhex("476b3001 003c 00b8 662e 0040 0042 0000 0000803e")},
            commands=command("ncnnoptimize", f"{files} 1", "o.bin"),
        ),
        case(
            "weights-binary16-tail",
            "seven weights: the last three are truncated. 70000 and -70000 are out of range whatever the rule; 65520 "
            "would round to infinity and is truncated to 65504",
            "bin",
            {"net.param": wide, "net.bin": tagged([1.0, 2.0, 3.0, 4.0, 70000.0, -70000.0, 65520.0])},
            {"o.bin": bytes.fromhex("476b3001 003c 0040 0042 0044 007c 00fc ff7b 0000")},
            commands=command("ncnnoptimize", f"{files} 1", "o.bin"),
        ),
        case(
            "weights-to-int8",
            "0.1 * 100 = 10, 0.5 * 100 = 50, -0.25 * 100 = -25; 1 * 127, -1 * 127, 0.3 * 127 = 38.1 -> 38",
            "bin",
            {
                "net.param": pair,
                "net.bin": tagged([0.1, 0.5, -0.25, 1.0, -1.0, 0.3]),
                "net.table": b"ip_param_0 100.0 127.0 \nip 2.0 \n",
            },
            {"o.bin": int8_record([10, 50, -25, 127, -127, 38]) + raw([100.0, 127.0]) + raw([2.0])},
            commands=command("ncnn2int8", "net.param net.bin o.param o.bin net.table", "o.bin"),
        ),
        case(
            "weights-to-int8-halves",
            "0.5 -> 1, 1.5 -> 2, 2.5 -> 3 and the same below zero: halves away from zero",
            "bin",
            {
                "net.param": pair,
                "net.bin": tagged([0.5, 1.5, 2.5, -0.5, -1.5, -2.5]),
                "net.table": b"ip_param_0 1.0 1.0 \nip 2.0 \n",
            },
            {"o.bin": int8_record([1, 2, 3, -1, -2, -3]) + raw([1.0, 1.0]) + raw([2.0])},
            commands=command("ncnn2int8", "net.param net.bin o.param o.bin net.table", "o.bin"),
        ),
        case(
            "writer-convolution",
            "hints first, then parameters that differ from their defaults, floats as %e; 15 follows 4",
            "writer",
            {
                "net.param": net(
                    "Input in 0 1 a 0=4 1=4 2=3",
                    "Convolution conv1 1 1 a b 0=1 1=3 11=3 2=1 3=2 13=2 4=-233 5=1 6=27 9=2 -23310=1,0.1",
                ),
                "net.bin": tagged([0.0] * 27) + raw([0.0]),
            },
            {
                "o.param": net(
                    "Input                    in                       0 1 a -23330=5,3,4,4,1,3 0=4 1=4 2=3",
                    "Convolution              conv1                    1 1 a b -23330=5,3,2,2,1,1 "
                    "0=1 1=3 3=2 4=-233 5=1 6=27 9=2 -23310=1,1.000000e-01",
                )
            },
            commands=command("ncnnoptimize", f"{files} 0", "o.param"),
        ),
        case(
            "float-tokens",
            "what the released runtime makes of numbers as words; the last one is 51713832 if it is rounded correctly",
            "number",
            {},
            {},
            tokens={
                "1.5": 1.5,
                "-2.5e-3": -0.0024999999441206455,
                "1e3": 1000.0,
                ".5": 0.5,
                "5.": 5.0,
                "1E+2": 100.0,
                "0.123456789": 0.12345679104328156,
                "3.4028235e38": 3.4028234663852886e38,
                "1e-45": 1.401298464324817e-45,
                "5.171383e+07": 51713828.0,
            },
        ),
    ]


def _family(name: str, groups: list[Record]) -> Record:
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    flags = sorted({flag for group in groups for case in group["cases"] for flag in case["flags"]})
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "group": "by-hand",
        "family": name,
        "count": sum(len(group["cases"]) for group in groups),
        "header": notes["by-hand"][name],
        "notes": {flag: notes["flags"][flag] for flag in flags},
        "groups": groups,
    }


def write(target: Path = FOLDER) -> None:
    """Write golden/vectors/by-hand."""
    for document in (layers(), formats()):
        write_family(document, target)
