"""Text param files: the vectors of the reference, the rules of the strict reader, and what the writer keeps."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec.binary32 import f32
from spec.errors import FormatError, FormatWarning, GraphError
from spec.formats.param import format_float, format_param, parse_float, parse_param, read_param
from spec.graph import Graph, Layer
from tests.formats.strategies import FLOATS, graphs

SMALL = "7767517\n2 2\nInput in 0 1 a 0=4\n{}\n"


def layer_of(line: str, *, allow_custom: bool = False) -> Layer:
    """The layer that a line describes, behind an Input that makes blob a."""
    return parse_param(SMALL.format(line), allow_custom=allow_custom).layers[1]


def written(*lines: str, upstream: bool) -> list[str]:
    """The lines that the writer makes of layer lines, without header and padding."""
    text = "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines])
    output = format_param(parse_param(text), upstream=upstream).splitlines()[2:]
    return [" ".join(line.split()) for line in output]


# Vectors, observed with the real tools.


def test_layers_as_the_real_writer_prints_them() -> None:
    text = (
        "7767517\n2 2\n"
        "Input in 0 1 a -23330=4,3,4,4,3 0=4 1=4 2=3\n"
        "Convolution conv1 1 1 a b -23330=5,3,2,2,1,1 0=1 1=3 11=3 2=1 3=2 13=2 4=-233 5=1 6=27 9=2 -23310=1,0.1\n"
    )
    assert format_param(parse_param(text), upstream=True) == (
        "7767517\n2 2\n"
        "Input                    in                       0 1 a -23330=5,3,4,4,1,3 0=4 1=4 2=3\n"
        "Convolution              conv1                    1 1 a b -23330=5,3,2,2,1,1 0=1 1=3 3=2 4=-233 5=1 6=27 9=2"
        " -23310=1,1.000000e-01\n"
    )


def test_parameters_that_the_real_writer_prints() -> None:
    lines = written(
        "Input i 0 1 a",
        "Reduction r 1 1 a b 0=3 1=0 -23303=1,-1 4=1 5=1",
        "Softmax s 1 1 b c 0=1 1=1",
        "Softmax s2 1 1 c d 0=0 1=1",
        "Pooling p 1 1 d e 1=3 2=2 3=1 13=0 14=-233 15=2 5=1 8=7 18=3",
        "BinaryOp bo 1 1 e h 0=2 1=1 2=3.14159265",
        upstream=True,
    )
    assert lines == [
        "Input i 0 1 a",
        "Reduction r 1 1 a b 0=3 1=0 -23303=1,-1 4=1 5=1",
        "Softmax s 1 1 b c 0=1 1=1",
        "Softmax s2 1 1 c d",
        "Pooling p 1 1 d e 1=3 2=2 3=1 13=0 14=-233 15=2 5=1 8=7 18=3",
        "BinaryOp bo 1 1 e h 0=2 1=1 2=3.141593e+00",
    ]


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("1.5", 1.5),
        ("-2.5e-3", -0.00249999994),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1E+2", 100.0),
        ("0.123456789", 0.123456791),
        ("3.4028235e38", 3.40282347e38),
        ("1e-45", 1.40129846e-45),
        ("5.171383e+07", 51713828.0),
        ("+0.25", 0.25),
    ],
)
def test_float_tokens_as_ncnn_reads_them(token: str, value: float) -> None:
    assert parse_float(token.encode()) == f32(value)


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0.1234567890", 0.12345679),
        ("0.3333333333", 0.33333334),
        ("4294967296.0", 4294967296.0),
        ("1.409635450e+07", 14096355.0),
        ("4.349453600e+08", 434945376.0),
        ("2.8162681000e+07", 28162682.0),
        ("1.52623915000e+07", 15262391.0),
        ("1.00000005960464477539062500000000001", 1.0),
        ("9007199791611905.0", 9007199254740992.0),
        ("0.0e400", 0.0),
        ("5.54583706342463052e-33", 5.545836879753638e-33),
        ("4.21533670770900774e+33", 4.2153368624515127e33),
    ],
)
def test_long_tokens_as_the_released_runtime_reads_them(token: str, value: float) -> None:
    """Where the old routine wraps, this one goes on; several of these are not the nearest numbers."""
    assert parse_float(token.encode()) == f32(value)


def test_that_the_runtime_reads_tokens_the_same(tmp_path: Path) -> None:
    """Tokens of many lengths, half of them a step beside the middle of two numbers, where the sums decide."""
    ncnn = pytest.importorskip("ncnn")
    random = Random(20)
    tokens = [_token(random, digits) for digits in (1, 6, 9, 12, 18, 20, 25, 40) for _ in range(60)]
    lines = [
        line
        for i, token in enumerate(tokens)
        for line in (f"Input i{i} 0 1 a{i}", f"BinaryOp m{i} 1 1 a{i} b{i} 0=2 1=1 2={token}")
    ]
    (tmp_path / "net.param").write_text("\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines]))
    (tmp_path / "net.bin").write_bytes(b"")
    net = ncnn.Net()
    assert net.load_param(str(tmp_path / "net.param")) == 0
    assert net.load_model(str(tmp_path / "net.bin")) == 0
    one = ncnn.Mat(numpy.ones(1, dtype=numpy.float32)).clone()
    for i, token in enumerate(tokens):
        extractor = net.create_extractor()
        extractor.input(f"a{i}", one)
        _, product = extractor.extract(f"b{i}")
        assert parse_float(token.encode()) == float(numpy.array(product)[0]), token


def _token(random: Random, digits: int) -> str:
    """A float with so many fraction digits."""
    middle = str(random.randrange(2**24, 2**25) | 1)
    tail = "".join(random.choice("0123456789") for _ in range(digits))
    if random.random() < 0.5:
        return f"{middle[0]}.{(middle[1:] + '0' * digits)[:digits]}e{len(middle) - 1:+03d}"
    return f"{random.choice('-+')}{random.randrange(10**6)}.{tail}e{random.randrange(-40, 20):+03d}"


@pytest.mark.parametrize("token", ["1e39", "1e999", "-1e4000000000", "1e99999999999999999999", "9" * 60 + ".0"])
def test_floats_beyond_the_range(token: str) -> None:
    with pytest.raises(ValueError, match="beyond the range"):
        parse_float(token.encode())


# The strict reader.


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "line 1", "expected the magic number 7767517"),
        ("\n\nabc", "line 3", "but got 'abc'"),
        ("7767516\n1 1\n", "line 1", "but got '7767516'"),
        ("7767517\n1\n", "line 2", "expected layer count and blob count"),
        ("7767517\n1 1 Input in 0 1 a\n", "line 2", "expected a line end after the counts, but got 'Input'"),
        ("7767517\n0 1\n", "line 2", "expected counts of at least 1, but got 0 layers and 1 blobs"),
        ("7767517\n1 -1\n", "line 2", "expected counts of at least 1"),
        ("7767517\n1 x\n", "line 2", "blob count: expected a 32-bit integer, but got 'x'"),
        ("7767517\n1 99999999999\n", "line 2", "blob count: expected a 32-bit integer"),
        ("7767517\n1 2000000000\nInput in 0 1 a\n", "line 2", "more than the file can hold"),
        ("7767517\n2 1\nInput in 0 1 a\n", "line 3", "expected 2 layers as the header announces, but the file ends"),
        ("7767517\n1 1\nInput in 0 2 a b\n", "line 3", "the header announces 1 blobs, but there are more"),
        ("7767517\n1 1\nInput in\n", "line 3", "expected type, name, bottom count and top count"),
        ("7767517\n1 1\nInput in 0 1\n", "line 3", "expected 1 blob names, but the line holds 0"),
        ("7767517\n1 1\nInput in 1 1 a b\n", "line 3", "layer in: reads blob a, which no earlier layer makes"),
        ("7767517\n1 1\nInput in 0 2 a a\n", "line 3", "layer in: makes blob a, which is made already"),
        ("7767517\n1 1\nInput in -1 1 a\n", "line 3", "expected counts of at least 0"),
        ("7767517\n1 1\nInput in 0 1.0 a\n", "line 3", "top count: expected a 32-bit integer, but got '1.0'"),
        ("7767517\n1 1\nNoSuch in 0 1 a\n", "line 3", "ncnn has no layer type NoSuch"),
        ("7767517\n1 1\nInput " + "n" * 256 + " 0 1 a\n", "line 3", "layer name: expected at most 255 bytes"),
        ("7767517\n1 1\nInput in 0 2000000000 a\n", "line 3", "expected 2000000000 blob names"),
        ("\ufeff7767517\n1 1\n", "line 1", "expected the magic number"),
    ],
)
def test_malformed_files(text: str, place: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_param(text, "net.param")
    assert caught.value.file == "net.param"
    assert message in caught.value.message
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ReLU r 1 1 a b 0", "expected key=value, but got '0'"),
        ("ReLU r 1 1 a b 0=", "expected a value right after the equals sign"),
        ("ReLU r 1 1 a b 0= 5.0", "expected a value right after the equals sign"),
        ("ReLU r 1 1 a b x=5", "expected key=value, but got 'x=5'"),
        ("ReLU r 1 1 a b 32=5", "key 32: expected an id from 0 to 31"),
        ("ReLU r 1 1 a b -1=5", "key -1: expected an id from 0 to 31"),
        ("ReLU r 1 1 a b -23332=1,5", "key -23332: expected an id from 0 to 31"),
        ("ReLU r 1 1 a b 0=1.5x", "expected a number, but got '1.5x'"),
        ("ReLU r 1 1 a b 0=1e", "expected a number, but got '1e'"),
        ("ReLU r 1 1 a b 0=.", "expected a number, but got '.'"),
        ("ReLU r 1 1 a b 0=1.2.3", "expected a number, but got '1.2.3'"),
        ("ReLU r 1 1 a b 0=-inf", "expected a 32-bit integer, but got '-inf'"),
        ("ReLU r 1 1 a b 0=nan", "parameter 0 (slope): expected a float, but got 'nan'"),
        ("ReLU r 1 1 a b 0=1e40", "beyond the range of binary32"),
        ("ReLU r 1 1 a b 0=1.0,2.0", "parameter 0 (slope): expected a float, but got [1.0, 2.0]"),
        ("Concat c 1 1 a b 0=1.0", "parameter 0 (axis): expected an int, but got 1.0"),
        ("Concat c 1 1 a b 0=0x10", "expected a 32-bit integer, but got '0x10'"),
        ("Concat c 1 1 a b 0=2147483648", "expected a 32-bit integer, but got '2147483648'"),
        ("Concat c 1 1 a b 0=" + "9" * 5000, "expected a 32-bit integer"),
        ("Slice s 1 1 a b 0=5", "parameter 0 (slices): expected an int array, but got 5"),
        ("Slice s 1 1 a b 0=1,2.5", "begins with an int, but holds floats too"),
        ("Slice s 1 1 a b -23300=2,1", "expected 2 array elements, but got 1"),
        ("Slice s 1 1 a b -23300=1,1,2", "expected 1 array elements, but got 2"),
        ("Slice s 1 1 a b -23300=-1", "expected -1 array elements, but got 0"),
        ("Slice s 1 1 a b -23300=2000000000,1", "expected 2000000000 array elements, but got 1"),
        ("Slice s 1 1 a b -23300=2,1, 2", "expected a value"),
        ("Slice s 1 1 a b 0=1,,2", "expected a value"),
        ('Reshape r 1 1 a b 6="abc', "expected a closing quote"),
        ('Reshape r 1 1 a b 6="abc"0=1', "expected a closing quote and a blank behind it"),
        ("Reshape r 1 1 a b 6=5", "parameter 6 (shape_expr): expected a string, but got 5"),
        ('Reshape r 1 1 a b 6="' + "x" * 256 + '"', "expected at most 255 bytes"),
        ("ReLU r 1 1 a b -23330=3,1,2,3", "expected 4 or 5 ints for each of 1 tops, but got 3"),
        ("ReLU r 1 1 a b -23330=5,5,1,1,1,1", "is not a shape"),
        ("ReLU r 1 1 a b -23330=4,4,1,1,1", "is not a shape"),
        ("ReLU r 1 1 a b -23330=4,1,-3,1,1", "is not a shape"),
        ("Noop n 1 0 a -23330=4,1,3,1,1", "expected 4 or 5 ints for each of 0 tops"),
        ("ReLU r 1 1 a b 31=1.0", "feature mask"),
        ("Softmax s 1 1 a b 0=1", "expected 1=1 beside an axis other than 0"),
        ("Reduction r 1 1 a b -23303=1,0", "expected 5=1 beside axes"),
        ("Interp i 1 1 a b 0=4", "expected resize_type from 0 to 3, but got 4"),
        ("Flip f 1 1 a b -23300=5,0,1,2,3,4", "expected at most 4 axes"),
        (
            "ConvolutionDepthWise c 1 1 a b 0=4 1=1 6=4 7=3",
            "expected num_output to be a multiple of group 3, but got 4",
        ),
        ("Convolution c 1 1 a b 0=2 1=3 6=17", "expected weight_data_size to be a multiple of 18, but got 17"),
        ("Convolution c 1 1 a b 0=2 1=3 3=0 6=18", "expected stride_w of at least 1, but got 0"),
        ("InnerProduct i 1 1 a b 0=2 2=4 9=6 -23310=1,0.2", "activation_type 6 needs 2 activation_params, but got 1"),
        ("LSTM l 1 1 a b 0=2 1=12", "expected weight_data_size to be a multiple of 8, but got 12"),
        ("LSTM l 1 1 a b 0=2 1=24 2=2", "expected weight_data_size to be a multiple of 16, but got 24"),
        ("Gemm g 1 1 a b 5=1 8=2 9=2 18=400", "needs a constant, transposed B"),
        ("InnerProduct i 1 1 a b 0=2 2=4 9=3", "activation_type 3 needs 2 activation_params, but got 0"),
        ("LSTM l 1 1 a b 0=2 1=8 2=3", "expected direction 0, 1 or 2, but got 3"),
        ("Gemm g 1 1 a b 18=5", "quantize_term 5 is no form of quantization"),
        ("Gemm g 1 1 a b 5=1", "expected constantN of at least 1, but got 0"),
        ("MultiHeadAttention m 1 1 a b 0=2 1=3 2=4", "expected num_heads of at most embed_dim 2, but got 3"),
    ],
)
def test_malformed_layers(line: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_param(SMALL.format(line), "net.param")
    assert caught.value.place == "line 4"
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ("Slice s 1 1 a b 0=1,2", {0: [1, 2]}),
        ("Slice s 1 1 a b 0=1,", {0: [1]}),
        ("Slice s 1 1 a b -23300=2,1,2", {0: [1, 2]}),
        ("Slice s 1 1 a b -23300=0", {0: []}),
        ("Slice s 1 1 a b 1=+2\t0=3,", {1: 2, 0: [3]}),
        ("Slice s 1 1 a b 1=1 1=2", {1: 2}),
        ("Eltwise e 1 1 a b 1=0.5,2", {1: [0.5, 2.0]}),
        ("Eltwise e 1 1 a b -23301=2,0,6.0", {1: [0.0, 6.0]}),
        ("ReLU r 1 1 a b 0=0", {0: 0.0}),
        ("ReLU r 1 1 a b 0=-0.0", {0: -0.0}),
        ('Reshape r 1 1 a b 6="0w,1h, -1" 0=2', {6: "0w,1h, -1", 0: 2}),
        ('Reshape r 1 1 a b 6=""', {6: ""}),
        ("Reshape r 1 1 a b 6=w,h 0=2", {6: "w,h", 0: 2}),
        ('Reshape r 1 1 a b 6=ab" 0=2', {6: "ab", 0: 2}),
        ("ReLU r 1 1 a b 0=0.5 17=3 31=8", {0: 0.5, 17: 3, 31: 8}),
    ],
)
def test_values(line: str, params: dict[int, object]) -> None:
    layer = layer_of(line)
    assert layer.params == params
    assert [str(value) for value in layer.params.values()] == [str(value) for value in params.values()]


@pytest.mark.parametrize("line", ["ReLU r 1 1 a b 0=5", "Eltwise e 1 1 a b -23301=2,1,0.5", "Eltwise e 1 1 a b 1=1,2"])
def test_that_ints_for_floats_are_converted_with_a_warning(line: str) -> None:
    with pytest.warns(FormatWarning, match=r"line 4: layer .: parameter . holds ints for floats"):
        parse_param(SMALL.format(line))


@pytest.mark.parametrize(
    ("hint", "shapes"),
    [
        ("-23330=4,3,4,5,6", [(6, 5, 4)]),
        ("-23330=5,3,4,5,1,6", [(6, 5, 4)]),
        ("-23330=5,4,4,5,7,6", [(6, 7, 5, 4)]),
        ("30=1,8,1,1", [(8,)]),
        ("-23330=4,2,4,5,1", [(5, 4)]),
        ("-23330=4,0,0,0,0", [None]),
        ("-23330=0", []),
    ],
)
def test_shape_hints(hint: str, shapes: list[object]) -> None:
    layer = layer_of(f"ReLU r 1 1 a b {hint}")
    assert layer.hints == shapes
    assert layer.params == {}


def test_line_ends_and_blanks() -> None:
    text = "\r\n \t7767517 \r\n\r\n2  2\t\r\n\v Input\tin 0 1 a 0=4\r\n\r\n  ReLU r 1 1 a b 0=0.5\r"
    graph = parse_param(text)
    assert [(layer.type, layer.name, layer.params) for layer in graph] == [
        ("Input", "in", {0: 4}),
        ("ReLU", "r", {0: 0.5}),
    ]


def test_names_are_bytes() -> None:
    """Names that are not UTF-8 survive, and blanks beyond ASCII do not separate."""
    text = b"7767517\n1 1\nInput a\xff\xc2\xa0b 0 1 \x85\n"
    graph = parse_param(text)
    assert graph.layers[0].name.encode("utf-8", "surrogateescape") == b"a\xff\xc2\xa0b"
    assert format_param(graph).encode("utf-8", "surrogateescape").split() == text.split()


def test_custom_layers() -> None:
    line = 'MyOp m 1 1 a b 0=5 1=0.5 -23302=2,1,2 3="a b"'
    with pytest.raises(FormatError, match="no layer type MyOp"):
        layer_of(line)
    layer = layer_of(line, allow_custom=True)
    assert layer.params == {0: 5, 1: 0.5, 2: [1, 2], 3: "a b"}
    again = format_param(Graph([Layer("Input", "in", [], ["a"]), layer]))
    assert parse_param(again, allow_custom=True).layers[1] == layer
    assert " 3=" not in format_param(Graph([layer]), upstream=True)
    with pytest.raises(GraphError, match="not a built-in"):
        _ = layer.get


def test_a_file_that_is_not_there(tmp_path: object) -> None:
    with pytest.raises(FormatError, match=r"missing\.param: cannot be read"):
        read_param(f"{tmp_path}/missing.param")


# The writer.


@given(graphs())
def test_that_nothing_is_lost(graph: Graph) -> None:
    """Names, wiring, shapes, and every parameter's value, read back; so does the text of what was read back."""
    text = format_param(graph)
    again = parse_param(text)
    assert len(again.layers) == len(graph.layers)
    for ours, theirs in zip(again, graph, strict=True):
        assert (ours.type, ours.name, ours.bottoms, ours.tops) == (
            theirs.type,
            theirs.name,
            theirs.bottoms,
            theirs.tops,
        )
        assert ours.hints == theirs.hints
        assert dict(ours.get) == dict(theirs.get)
    assert format_param(again) == text


@given(FLOATS)
def test_that_floats_read_back(value: float) -> None:
    text = format_float(value)
    assert parse_float(text.encode()) == value
    assert len(text) <= 15


@given(st.floats(2.0**-126, 2.0**126, width=32))
def test_that_the_real_writer_rounds_once(value: float) -> None:
    """Seven digits change a number at most once."""
    layer = Layer("ReLU", "r", [], ["b"], {0: value})
    once = parse_param(format_param(Graph([layer]), upstream=True))
    twice = parse_param(format_param(once, upstream=True))
    assert once.layers == twice.layers


def test_what_the_real_writer_forgets() -> None:
    line = "SELU s 1 1 a b 0=1.5"
    assert written("Input i 0 1 a 11=3", line, upstream=True) == ["Input i 0 1 a", "SELU s 1 1 a b"]
    assert written("Input i 0 1 a 11=3", line, upstream=False) == [
        "Input i 0 1 a 11=3",
        "SELU s 1 1 a b 0=1.500000e+00",
    ]


def test_shapes_that_only_some_tops_have() -> None:
    """The real writer gives no hint then."""
    layer = Layer("Split", "s", [], ["b", "c"], {}, [(2, 3), None])
    assert " -23330=10,2,3,2,1,1,0,0,0,0,0\n" in format_param(Graph([layer]))
    assert "-23330" not in format_param(Graph([layer]), upstream=True)


def test_parameters_that_no_table_names() -> None:
    layer = Layer("ReLU", "r", [], ["b"], {0: 0.5, 17: 3, 31: 8})
    assert format_param(Graph([layer])).endswith(" 0=5.000000e-01 17=3 31=8\n")
    assert format_param(Graph([layer]), upstream=True).endswith(" 0=5.000000e-01\n")


def test_kernels_that_arrive_at_run_time() -> None:
    assert layer_of("Convolution c 1 1 a b 19=1").get.integer("kernel_w") == 0
    with pytest.raises(FormatError, match="expected kernel_w of at least 1"):
        layer_of("Convolution c 1 1 a b 0=2 6=18")


def test_values_that_only_matter_beside_others() -> None:
    """kdim 0 is the root default, but without it kdim would be embed_dim."""
    line = "MultiHeadAttention m 1 1 a b 0=4 2=16 3=0 6=0.5"
    assert "3=0" in written("Input i 0 1 a", line, upstream=False)[1].split()
    assert "3=0" not in written("Input i 0 1 a", line, upstream=True)[1].split()


@pytest.mark.parametrize("text", ["0w,1h,-1", "abcdefghijklmn", "0bcdefghijklmn", " a", "", "a b"])
def test_strings(text: str) -> None:
    layer = Layer("Reshape", "r", [], ["b"], {6: text})
    assert parse_param(format_param(Graph([layer]))).layers[0].get.text("shape_expr") == text


def test_that_a_string_of_14_bytes_goes_without_quotes() -> None:
    """Ncnn's reader would leave the closing quote behind."""
    layer = Layer("Reshape", "r", [], ["b"], {6: "abcdefghijklmn"})
    assert " 6=abcdefghijklmn\n" in format_param(Graph([layer]))
    assert ' 6="abcdefghijklmn"\n' in format_param(Graph([layer]), upstream=True)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("ReLU", "r", [], ["b"], {0: float("inf")}),
        Layer("ReLU", "r", [], ["b"], {0: float("nan")}),
        Layer("Concat", "c", [], ["b"], {0: 2**31}),
        Layer("Reshape", "r", [], ["b"], {6: 'a"b'}),
        Layer("Reshape", "r", [], ["b"], {6: "a\nb"}),
        Layer("Reshape", "r", [], ["b"], {6: "x" * 256}),
        Layer("ReLU", "two words", [], ["b"]),
        Layer("ReLU", "", [], ["b"]),
        Layer("ReLU", "r", [], ["n" * 256]),
    ],
)
def test_what_cannot_be_written(layer: Layer) -> None:
    with pytest.raises(GraphError):
        format_param(Graph([layer]))
