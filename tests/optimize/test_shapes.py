"""Shapes against the real runtime: one layer at a time, and the pieces of the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec.errors import GraphError
from spec.formats.weights import write_model
from spec.graph import Layer
from spec.optimize.memory_estimate import memory_footprint
from spec.optimize.shape_inference import infer_shapes
from spec.shape_expression import evaluate
from tests.optimize.nets import net, random_inputs
from tests.optimize.runtime import run_wheel

ONE, TWO, THREE, FOUR = "0=12", "0=6 1=5", "0=6 1=8 2=4", "0=3 1=4 11=5 2=2"

LAYERS = (
    *(
        (f"Convolution {p}", THREE)
        for p in ("0=5 1=3 6=180", "0=5 1=3 11=2 2=2 12=1 3=2 13=3 4=1 14=2 15=0 16=1 6=120")
    ),
    *((f"Convolution {p}", THREE) for p in ("0=5 1=3 3=2 4=-233 6=180", "0=5 1=2 3=3 4=-234 6=80")),
    ("Convolution 0=5 1=1 6=60", ONE),
    ("ConvolutionDepthWise 0=4 1=3 3=2 4=1 6=36 7=4", THREE),
    *((f"Convolution1D {p}", TWO) for p in ("0=3 1=2 2=2 3=1 4=1 15=2 6=30", "0=3 1=3 3=2 4=-233 6=45")),
    ("ConvolutionDepthWise1D 0=5 1=2 3=2 6=10 7=5", TWO),
    *(
        (f"Deconvolution {p}", THREE)
        for p in ("0=3 1=3 3=2 6=108", "0=3 1=3 3=2 4=1 18=1 6=108", "0=3 1=2 2=2 3=3 6=48")
    ),
    ("Deconvolution 0=3 1=3 3=2 4=-233 20=12 21=15 6=108", THREE),
    ("DeconvolutionDepthWise 0=4 1=4 3=2 4=1 6=64 7=4", THREE),
    *((f"Pooling {p}", THREE) for p in ("0=1 4=1", "0=0 1=3 3=2", "0=0 1=3 2=2", "0=0 1=3 2=2 3=1 5=1", "1=2 2=3 5=2")),
    *((f"Pooling {p}", THREE) for p in ("1=3 2=4 5=3", "1=3 11=2 2=2 12=3 3=1 13=0", "0=1 7=1 8=3 18=2")),
    ("Pooling 0=1 7=1 8=-233 18=2", THREE),
    *((f"Pooling1D {p}", TWO) for p in ("0=1 4=1", "0=0 1=3 2=2", "0=0 1=2 2=2 5=1")),
    ("InnerProduct 0=7 2=42", TWO),
    *((f"InnerProduct 0=7 2={n}", shape) for n, shape in ((84, ONE), (210, TWO), (1344, THREE))),
    *((f"Permute 0={order}", THREE) for order in range(6)),
    *((f"Permute 0={order}", FOUR) for order in range(24)),
    ("Permute 0=1", TWO),
    *(
        (f"Reshape {p}", THREE)
        for p in ("0=-1", "0=8 1=-1", "0=0 1=-1", "0=2 1=6 2=-1", "0=-1 1=0 2=2", "0=2 1=3 11=4 2=8")
    ),
    *((f'Reshape 6="{e}"', THREE) for e in ("*(0w,0h),-1", "+(0w,2),0h,3", "//(0h,3),-1,0c")),
    *(("Flatten", shape) for shape in (TWO, THREE, FOUR)),
    *((f"Squeeze {p}", "0=1 1=5 2=1") for p in ("0=1 1=1 2=1", "-23303=1,0", "-23303=1,-1", "-23303=2,0,1")),
    *((f"ExpandDims {p}", TWO) for p in ("-23303=1,0", "-23303=1,2", "-23303=1,-1", "-23303=2,0,2")),
    *((f"Tile {p}", THREE) for p in ("0=1 1=3", "-23302=2,2,3", "-23302=3,2,1,3")),
    *((f"Crop {p}", THREE) for p in ("0=1 1=2 2=1 3=3 4=2 5=2", "0=1 3=-233 4=-233 5=-233 6=2", "3=100 4=2 5=-233")),
    *((f"Crop {p}", THREE) for p in ("-23309=2,1,-3 -23310=2,3,-1 -23311=2,0,2", "-23309=1,1 -23310=1,0 -23311=1,1")),
    *((f"Padding {p}", shape) for p, shape in (("2=1 3=2", ONE), ("0=1 2=3", TWO), ("0=1 1=2 2=3 7=1 8=2", THREE))),
    *((f"Interp {p}", THREE) for p in ("0=2 1=2.0 2=1.5", "0=1 3=7 4=9", "0=2 1=0.7 2=0.3")),
    ("Interp 0=1 3=7 4=9", ONE),
    *((f"Reduction 0=3 1=0 -23303=1,{axis} 5=1 4={keep}", THREE) for axis in (0, 1, 2, -1) for keep in (0, 1)),
    *((f"Reduction {p}", THREE) for p in ("0=3 1=1", "0=3 1=1 4=1", "0=0 1=0 -23303=2,0,2 5=1")),
    ("PixelShuffle 0=2", THREE),
    ("Reorg 0=2", THREE),
    *((f"GLU 0={axis}", THREE) for axis in (0, 1, -1)),
    *((f"Unfold {p}", THREE) for p in ("1=3 3=2 4=1", "1=2 11=3 2=2")),
    *((f"{kind} 0=3 1={size} 2={d}", TWO) for kind, size in (("RNN", 18), ("GRU", 54)) for d in (0, 1)),
    ("LSTM 0=3 1=144 2=2", TWO),
    ("LSTM 0=3 1=120 3=5", TWO),
    *((f"Gemm 3=1 5=1 6=1 8=9 9=6 10=-1 {p}", TWO) for p in ("", "14=1", "11=1")),
    ("Gemm 2=1 5=1 6=1 8=9 9=5 10=-1", TWO),
    ("Softmax 0=0", TWO),
    ("MultiHeadAttention 0=6 1=2 2=36", TWO),
    ("PriorBox -23300=1,20.0 -23301=1,40.0 -23302=2,2.0,3.0 9=100 10=100 13=0.5", THREE),
    ("GroupNorm 0=2 1=4", THREE),
)

TWO_BOTTOMS = (
    *(("BinaryOp 0=0", left, right) for left, right in ((THREE, "0=4"), (THREE, "0=6"), (TWO, "0=5"), (TWO, "0=6"))),
    *(("BinaryOp 0=0", left, right) for left, right in ((THREE, "0=8 1=4"), (THREE, "0=1 1=1 2=4"), ("0=1", THREE))),
    ("Concat 0=0", THREE, "0=6 1=8 2=3"),
    ("Concat 0=-1", THREE, "0=2 1=8 2=4"),
    ("Crop 0=1 1=1", THREE, "0=3 1=2"),
    ("Crop 0=1 1=1", THREE, "0=3 1=2 2=2"),
    ("Eltwise 0=1", THREE, THREE),
    ("Interp 0=2 5=1", THREE, "0=9 1=7"),
    ("MatMul", "0=6 1=5 2=4", "0=3 1=6 2=4"),
    ("MatMul 0=1", TWO, "0=6 1=7"),
    ("MatMul", TWO, "0=9 1=6"),
    ("MatMul", FOUR, "0=7 1=3"),
    ("Gemm 3=1", TWO, "0=6 1=7"),
    ('Reshape 6="1w,1h,-1"', THREE, "0=2 1=3"),
)


def check(tmp_path: Path, layer: str, *inputs: str, tops: int = 1) -> None:
    kind, _, params = layer.partition(" ")
    bottoms = [f"in{k}" for k in range(len(inputs))]
    names = [f"out{k}" for k in range(tops)]
    lines = [f"Input {name} 0 1 {name} {shape}" for name, shape in zip(bottoms, inputs, strict=True)]
    graph = net(*lines, f"{kind} layer {len(inputs)} {tops} {' '.join(bottoms + names)} {params}")
    write_model(graph, tmp_path / "net.param", tmp_path / "net.bin", fp16=False)
    outputs = run_wheel(tmp_path / "net.param", tmp_path / "net.bin", random_inputs(graph), names)
    inferred = infer_shapes(graph)
    assert inferred.unknown == {}
    assert {name: inferred.shapes[name] for name in names} == {name: outputs[name].shape for name in names}


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_one_bottom(layer: str, shape: str, tmp_path: Path) -> None:
    check(tmp_path, layer, shape)


@pytest.mark.parametrize(("layer", "left", "right"), TWO_BOTTOMS)
def test_two_bottoms(layer: str, left: str, right: str, tmp_path: Path) -> None:
    check(tmp_path, layer, left, right)


@pytest.mark.parametrize(
    "params", ["-23300=3,1,2,-233", "-23300=3,-233,-233,-233 1=1", "-23302=2,2,-1 1=2", "-23300=3,2,1,1 1=0"]
)
def test_slices(params: str, tmp_path: Path) -> None:
    check(tmp_path, f"Slice {params}", THREE, tops=3)


def test_splits(tmp_path: Path) -> None:
    check(tmp_path, "Split", FOUR, tops=3)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Yolov3DetectionOutput d 1 1 data d", "depends on the data"),
        ("Reshape r 1 1 data r 0=7", "do not fill"),
        ("Concat c 1 1 data c 0=3", "axis 3 of a blob with 3 dims"),
        ("Einsum e 1 1 data e", "no shape rule for Einsum"),
        ('Reshape r 1 1 data r 6="1w"', "1w lacks an operand or a bottom"),
        ("PixelShuffle p 1 1 data p 0=3", "do not divide"),
        ("Convolution c 1 1 data c 0=1 1=9 6=324", "would have shape"),
    ],
)
def test_what_cannot_be_said(line: str, words: str) -> None:
    graph = net(f"Input data 0 1 data {THREE}", line, f"ReLU z 1 1 {line.split()[5]} z")
    inference = infer_shapes(graph)
    assert words in inference.unknown[line.split()[1]]
    assert "is not known" in inference.unknown["z"]
    assert "z" not in inference.shapes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3,-1", [3, -1]),
        ("0w,0h,0c,0d", [5, 4, 3, 1]),
        ("+(*(0w,2),1)", [11]),
        ("//(-7,2)", [-3]),
        ("//(7.5,2)", [3]),
        ("/(0w,2)", [2]),
        ("round(2.5),ceil(2.1),floor(-2.1),neg(3)", [3, 3, -3, -3]),
        ("max(0w,1w),min(0w,1w)", [7, 5]),
        ("sqrt(16),square(3),sign(-2),abs(-4)", [4, 9, -1, 4]),
        ("lshift(1,4),and(6,3),or(6,3),xor(6,3)", [16, 2, 7, 5]),
        ("remainder(-7,3),fmod(-7,3)", [2, -1]),
    ],
)
def test_shape_expressions(text: str, expected: list[int]) -> None:
    assert evaluate(Layer("Reshape", "r", [], []), text, [(3, 4, 5), (7,)]) == expected


@pytest.mark.parametrize("text", ["+(1", "//(1,0)", "2w", "what", "log(0)"])
def test_expressions_that_mean_nothing(text: str) -> None:
    with pytest.raises(GraphError):
        evaluate(Layer("Reshape", "r", [], []), text, [(1,), (1,)])


def test_memory_counts_living_blobs() -> None:
    """The Split shares its bottom, which lives until both readers have run: 4 · (48 + 48 + 48) bytes in the end."""
    graph = net(
        "Input data 0 1 data 0=4 1=4 2=3",
        "Split s 1 2 data a b",
        "ReLU r 1 1 a r",
        "Sigmoid q 1 1 r q",
        "Eltwise e 2 1 q b e 0=1",
        "Pooling p 1 1 e p 0=1 4=1",
    )
    for layer in graph:
        layer.hints = [infer_shapes(graph).shapes[top] for top in layer.tops]
    assert memory_footprint(graph) == 4 * 3 * 48
