"""Cases made of the golden data: what the real tools wrote, what the real loaders took, what the real runtime computed.

formats        parse: every model file of the group formats; infer: what the real runtime computed after loading
tables         table: every calibration of the real ncnn2table that made a table
int8-layers    infer: one layer each; quantize: every run of the real ncnn2int8
recurrent      quantize: the runs of the real ncnn2int8 on networks with recurrent layers
models         infer, quantize, table: the carried networks
"""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from conformance.case import Case, Refusal, Source
from conformance.runner import SMOKE_FLAG
from conformance.tensor import Dtype, Tensor, tensor
from golden import manifest, vectors

VALUES = Path(__file__).resolve().parent.parent / "vectors" / "formats.json"
"""Loaded values, from the spec."""

REAL = "the real tool"
REFERENCE = "reference"

LAST_DECIMAL = 1.01e-6
"""Tables have six decimals."""

SCALE_SHARE = 2e-6
"""The last bits of float layers differ between builds, and so do ranges and thresholds, relatively by this."""

UNCLEAR = {
    "number-comma-float": "an array for a scalar: the runtimes silently use the default",
    "number-float-for-int": "a float for an int: one runtime uses the default, the other the bits",
    "number-inf-word": "a word for a float: the runtimes silently use the default or 0",
    "number-nan-word": "a word for a float: the runtimes silently use the default or 0",
    "string-empty": "a valid string; whether Reshape can use the expression is not a matter of the file",
    "string-len-240": "a valid string; whether Reshape can use the expression is not a matter of the file",
    "graph-duplicate-top": "the second blob of a name cannot be reached",
    "graph-undefined-bottom": "the blob can never be computed; the runtime notices at the first extract",
}
"""Files that may be taken or refused, with the reason; the runtimes themselves do not agree, or go on silently."""

OUTSIDE = ("quantize-nonfinite",)
"""NaN and infinities have no int8 codes: no two machines agree."""

TIED = ("eq-conv-dw-fc", "eq-fc")
"""The cosines of a search agree in all but the last bit, and the order of a sum decides."""

NOT_ARRAYS = ("args-npy-fortran", "args-npy-trunc")
"""Samples that the real tool reads wrongly and in silence."""

NOT_COMPARED = ("array-old-mixed", "string-len-255")
"""An int in a float array, whose bits the runtimes take for a float; a string that Reshape cannot use."""

TOLERANCES = {
    "RNN": "rnn",
    "GRU": "gru",
    "LSTM": "lstm",
    "Gemm": "gemm",
    "SDPA": "attention",
    "MultiHeadAttention": "attention",
}
"""Tolerance by layer type; `elementwise` for others."""

EXPONENTIAL = ("9=4", "9=5")
"""Fused sigmoid and mish: exp, tanh and log come in."""

FP16_TAG = (0x01306B47).to_bytes(4, "little")
"""Before records of binary16 numbers: biases, as the real tool writes them."""

INEXACT_ROOT, EXACT_ROOT = b" 6=7.071067e-01", b" 6=7.071068e-01"
"""1 / sqrt(2) as the real tool prints it, from an approximate reciprocal root, and correctly rounded."""


def formats() -> Iterator[Case]:
    """Model files to load or to refuse, and what the real runtime computed with those it took."""
    for record in vectors.cases("formats"):
        if "observed" in record.facts and "accepted" in record.facts["observed"]:
            yield parse_case(record)
            if record.facts.get("results") and "net.param" in record.files and record.name not in NOT_COMPARED:
                yield from loaded_case(record)


def parse_case(record: vectors.Case) -> Case:
    """To be taken, refused, or either, with the loaded values where the file is beyond doubt."""
    binary = "net.param.bin" in record.files
    names = ("net.param.bin" if binary else "net.param", "net.bin")
    refusal = refusal_of(record)
    values = _loaded_values().get(record.id, {}) if refusal == "wrong" else {}
    return Case(
        id=f"formats/parse/{record.family}/{record.name}",
        note=record.comment,
        flags=(*record.flags, *([SMOKE_FLAG] if record.name in ("syntax-blank-lines", "header-bad-magic") else [])),
        layers=(),
        param="",
        bin=b"",
        inputs={},
        expected={name: {REFERENCE: Tensor.from_json(value)} for name, value in values.items()},
        level="exact",
        tolerance="",
        source=Source("observed", _detail(record) + ("; loaded values: the spec" if values else "")),
        operation="parse",
        formats=(*(["param.bin"] if binary else []), *(["values"] if values else [])),
        files={name: record.data(name) for name in names},
        refusal=refusal,
    )


def refusal_of(record: vectors.Case) -> Refusal:
    """Required where both real loaders refuse, wrong where both take a file that is not damaged."""
    observed, source = record.facts["observed"], record.facts.get("observed_source_build", {})
    released = bool(observed["accepted"])
    built = bool(source.get("loads", released)) and not any(
        source.get(step, 0) for step in ("load_param", "load_model")
    )
    if not released and not built:
        return "required"
    damaged = {"malformed", "fuzz"} & set(record.flags)
    return "allowed" if released != built or damaged or record.name in UNCLEAR else "wrong"


def loaded_case(record: vectors.Case) -> Iterator[Case]:
    """What the real runtime computed after loading; nothing where the text is no text."""
    try:
        param = record.text("net.param")
    except UnicodeDecodeError:
        return
    if not param.startswith("7767517\n") or refusal_of(record) != "wrong":
        return
    feeds, results = record.facts["feeds"], record.facts["results"]
    yield Case(
        id=f"formats/values/{record.family}/{record.name}",
        note=record.comment,
        flags=record.flags,
        layers=layer_types(param),
        param=param,
        bin=record.data("net.bin"),
        inputs={blob: array_tensor(record.data(file)) for blob, file in feeds.items()},
        expected={blob: {REAL: array_tensor(record.data(file))} for blob, file in results.items()},
        level="near:float-layers",
        tolerance="float-layers",
        source=Source("observed", _detail(record)),
    )


@cache
def _loaded_values() -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = (
        json.loads(VALUES.read_text(encoding="utf-8"))["cases"] if VALUES.exists() else {}
    )
    return values


def tables() -> Iterator[Case]:
    """Calibrations of the real ncnn2table."""
    for record in vectors.cases("tables"):
        for command in record.commands:
            if command["tool"] == "ncnn2table" and command.get("exit") == 0 and command.get("outputs"):
                yield from table_case(record, command)


def table_case(record: vectors.Case, command: Mapping[str, Any]) -> Iterator[Case]:
    """One call; nothing where it speaks of files that are not there, or its table is of no use."""
    words = list(command["argv"])
    output = command["outputs"][0]
    position = words.index(output)
    options = {key: value for key, _, value in (word.partition("=") for word in words if "=" in word)}
    method = options.get("method", "kl")
    if any("=" not in word for word in words[position + 1 :]) or set(options) - TABLE_KEYS or position not in (2, 3):
        return
    if record.name in TIED and method == "eq":
        return
    needed = [name for name in record.inputs if name != "net.table"]
    if not {"net.param", "net.bin"} <= set(needed) or words[:2] != ["net.param", "net.bin"]:
        return
    options = {key: value for key, value in options.items() if key != "thread"}
    if position == 3:
        options["list"] = words[2]
    suffix = f"-{Path(output).stem}" if len(record.commands) > 1 else ""
    if record.name in NOT_ARRAYS:
        return
    yield from _table(
        f"tables/{record.family}/{record.name}{suffix}",
        record.comment,
        (*record.flags, method),
        {name: record.data(name) for name in needed},
        options,
        record.text(output),
        _detail(record),
    )


TABLE_KEYS = {"mean", "norm", "shape", "pixel", "thread", "method", "type"}
"""Options of a calibration."""


def _table(
    case_id: str,
    note: str,
    flags: Sequence[str],
    files: dict[str, bytes],
    options: dict[str, str],
    text: str,
    detail: str,
) -> Iterator[Case]:
    rows = table_rows(text)
    if not rows or any(not np.isfinite(values).all() for values in rows.values()):
        return
    expected = {name: {REAL: tensor((len(values),), values)} for name, values in rows.items()}
    images = options.get("type", "0") == "0" and "list" in options
    yield Case(
        id=case_id,
        note=note,
        flags=tuple(dict.fromkeys(flags)),
        layers=(),
        param="",
        bin=b"",
        inputs={},
        expected=expected,
        level="exact",
        tolerance="",
        source=Source("observed", detail),
        operation="table",
        formats=("images",) if images else (),
        files=files,
        options=options,
        levels={name: scale_level(values[0]) for name, values in rows.items() if "_param_" not in name},
    )


def scale_level(scale: float) -> str:
    """How closely the scale of an activation agrees: relatively, but never closer than the last decimal."""
    return f"stat:{max(SCALE_SHARE, LAST_DECIMAL / abs(scale)) if scale else SCALE_SHARE:.2g}"


def table_rows(text: str) -> dict[str, list[float]]:
    """The rows of a table by key."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {words[0]: [float(word) for word in words[1:]] for words in lines if len(words) > 1}


def layers() -> Iterator[Case]:
    """One layer each, as the real tools quantized it and the real runtime ran it; then the quantizing itself."""
    yield from _inference_cases(recurrent=False)
    yield from _quantize_cases(recurrent=False)


def recurrent_layers() -> Iterator[Case]:
    """The same for recurrent layers, with a table, without, with rows commented out or missing."""
    yield from _inference_cases(recurrent=True)
    yield from _quantize_cases(recurrent=True)


def _inference_cases(*, recurrent: bool) -> Iterator[Case]:
    suite = "recurrent" if recurrent else "int8-layers"
    for record in vectors.cases("layers-int8"):
        for run in record.facts.get("inference") or []:
            names = [output["file"] for output in run["outputs"].values()]
            float_run = any(name.startswith("float_") for name in names)
            if record.name in OUTSIDE or "wheel" in run or float_run:
                continue
            if has_recurrent(record.data(run["param"])) == recurrent:
                yield inference_case(record, run, suite)


def _quantize_cases(*, recurrent: bool) -> Iterator[Case]:
    suite = "recurrent" if recurrent else "int8-layers"
    for group in ("layers-int8", "int8"):
        for record in vectors.cases(group):
            for command in record.commands:
                if command["tool"] == "ncnn2int8":
                    for case in quantize_case(record, command, suite):
                        if has_recurrent(case.files["net.param"]) == recurrent:
                            yield case


def has_recurrent(param: bytes) -> bool:
    """Whether a network has an RNN, an LSTM or a GRU."""
    words = {line.split()[0] for line in param.splitlines() if line.strip()}
    return bool(words & {b"RNN", b"LSTM", b"GRU"})


def inference_case(record: vectors.Case, run: Mapping[str, Any], suite: str) -> Case:
    """What the released runtime computed without packing; where the portable layers have the same bits, exactly."""
    param = record.text(run["param"])
    types = layer_types(param)
    outputs = run["outputs"]
    portable = {blob: _portable(output) for blob, output in outputs.items()}
    same = all(output["variants"].get("generic") == "same as plain" for output in outputs.values())
    tolerance = next((TOLERANCES[name] for name in types if name in TOLERANCES), "elementwise")
    if tolerance == "elementwise" and any(word in param for word in EXPONENTIAL):
        tolerance = "activation"
    integers = all(output["dtype"] == "int8" for output in outputs.values())
    return Case(
        id=f"{suite}/real/{record.family}/{record.name}",
        note=record.comment,
        flags=record.flags,
        layers=types,
        param=param,
        bin=record.data(run["bin"]),
        inputs={blob: array_tensor(record.data(file)) for blob, file in run["inputs"].items()},
        expected={blob: {REAL: array_tensor(record.data(file))} for blob, file in portable.items()},
        level="exact" if integers or (same and tolerance == "elementwise") else f"near:{tolerance}",
        tolerance="" if integers else tolerance,
        source=Source("observed", _detail(record)),
        formats=("fp16",) if FP16_TAG in record.data(run["bin"]) else (),
    )


def _portable(output: Mapping[str, Any]) -> str:
    """The file of the portable layers where they give other codes, which the vector forms round wrongly."""
    variant = output["variants"].get("generic")
    return str(variant["file"] if isinstance(variant, dict) and "file" in variant else output["file"])


def quantize_case(record: vectors.Case, command: Mapping[str, Any], suite: str) -> Iterator[Case]:
    """One call of the real ncnn2int8; nothing where it speaks of files that are not there."""
    words = list(command["argv"])
    if len(words) not in (4, 5) or words[0] == words[2]:
        return
    sources = dict(zip(("net.param", "net.bin", "net.table"), (*words[:2], *words[4:])))
    try:
        files = {name: _file(record, path) for name, path in sources.items() if path != "null"}
        results = {name: _file(record, path) for name, path in zip(("int8.param", "int8.bin"), words[2:4])}
    except KeyError:
        if command.get("exit") == 0 or any(not _has(record, path) for path in sources.values()):
            return
        results = {}
    suffix = f"-{Path(words[2]).stem}" if len(record.commands) > 1 else ""
    yield quantizing(
        f"{suite}/ncnn2int8/{record.family}/{record.name}{suffix}",
        record.comment,
        record.flags,
        files,
        results if command.get("exit") == 0 else {},
        _detail(record),
    )


def quantizing(
    case_id: str, note: str, flags: Sequence[str], files: dict[str, bytes], results: dict[str, bytes], detail: str
) -> Case:
    """The files that quantizing makes, byte for byte; without `results` it must be refused."""
    expected = {name: {REAL: _bytes(data)} for name, data in results.items()}
    if INEXACT_ROOT in results.get("int8.param", b""):
        exact = results["int8.param"].replace(INEXACT_ROOT, EXACT_ROOT)
        expected["int8.param"]["correctly rounded root"] = _bytes(exact)
    return Case(
        id=case_id,
        note=note,
        flags=tuple(flags),
        layers=(),
        param="",
        bin=b"",
        inputs={},
        expected=expected,
        level="one-of",
        tolerance="",
        source=Source("observed", detail),
        operation="quantize",
        files=files,
        refusal="wrong" if results else "required",
    )


def _file(record: vectors.Case, path: str) -> bytes:
    """A file of a case, or of one that it needs."""
    if path.startswith("../../"):
        group, name, file = posixpath.normpath(path).split("/")[2:5]
        return vectors.case(f"{group}/{name}").data(file)
    return record.data(path)


def _has(record: vectors.Case, path: str) -> bool:
    try:
        return path == "null" or bool(_file(record, path)) or True
    except KeyError:
        return False


MODELS = manifest.ROOT / "models"

SHAPES = {"digits-cnn": "[8,8,1]", "digits-cnn16-bn": "[16,16,1]", "digits-gru64": "[1,64]"}
"""What calibration says of the samples, `[w,h,c]`; other networks take `DEFAULT_SHAPE`."""

DEFAULT_SHAPE = "[8,8]"

MODEL_DETAIL = "ncnn wheel 1.0.20261020 and the tools of ncnn a4d2ea1d"


def models() -> Iterator[Case]:
    """The carried networks: calibrated, quantized, and run on held-out samples."""
    for folder in sorted(MODELS.glob("digits-*")):
        param = folder / ("opt.param" if (folder / "opt.param").exists() else "float.param")
        data = folder / ("opt.bin" if (folder / "opt.bin").exists() else "float.bin")
        files = {"net.param": param.read_bytes(), "net.bin": data.read_bytes()}
        for method in ("kl", "aciq"):
            yield from _model_table(folder, files, method)
        results = {f"int8.{kind}": (folder / f"int8-kl.{kind}").read_bytes() for kind in ("param", "bin")}
        files["net.table"] = (folder / "kl.table").read_bytes()
        note = "Quantized by the table of the real tool."
        yield quantizing(f"models/{folder.name}/quantize", note, (), files, results, MODEL_DETAIL)
        yield from _model_runs(folder)


def _model_table(folder: Path, files: dict[str, bytes], method: str) -> Iterator[Case]:
    """A calibration with 32 samples, which lie beside the list here."""
    listed = (folder / "calib.txt").read_text(encoding="utf-8").split()
    samples = {Path(name).name: (folder / name).read_bytes() for name in listed}
    yield from _table(
        f"models/{folder.name}/table-{method}",
        f"Calibrated by {method} with {len(samples)} samples.",
        (method,),
        {**files, **samples, "list.txt": "".join(f"{name}\n" for name in samples).encode()},
        {"shape": SHAPES.get(folder.name, DEFAULT_SHAPE), "type": "1", "method": method, "list": "list.txt"},
        (folder / f"{method}.table").read_text(encoding="utf-8"),
        MODEL_DETAIL,
    )


def _model_runs(folder: Path) -> Iterator[Case]:
    """The int8 network on held-out samples."""
    param = (folder / "int8-kl.param").read_text(encoding="utf-8")
    for path in sorted(folder.glob("input-*.npy")):
        _, index, blob = path.stem.split("-", 2)
        (output,) = folder.glob(f"output-int8-{index}-*.npy")
        result = output.stem.split("-", 3)[3]
        yield Case(
            id=f"models/{folder.name}/int8-kl/sample-{index}",
            note=f"A held-out digit through {folder.name}.",
            flags=(SMOKE_FLAG,) if (folder.name, index) == ("digits-rnn", "0") else (),
            layers=layer_types(param),
            param=param,
            bin=(folder / "int8-kl.bin").read_bytes(),
            inputs={blob: array_tensor(path.read_bytes())},
            expected={result: {REAL: array_tensor(output.read_bytes())}},
            level="near:models",
            tolerance="models",
            source=Source("observed", MODEL_DETAIL),
            formats=("fp16", "nets"),
        )


def layer_types(param: str) -> tuple[str, ...]:
    """The types of a network's layers, without Input."""
    lines = [line.split() for line in param.splitlines()[2:] if line.strip()]
    return tuple(sorted({words[0] for words in lines} - {"Input"}))


def array_tensor(data: bytes) -> Tensor:
    """The content of a .npy file."""
    array = np.load(io.BytesIO(data))
    dtypes: dict[str, Dtype] = {"float32": "float32", "int8": "int8", "int32": "int32"}
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return Tensor(array.shape, dtypes[array.dtype.name], little.tobytes())


def _bytes(data: bytes) -> Tensor:
    return Tensor((len(data),), "uint8", data)


def _detail(record: vectors.Case) -> str:
    return "; ".join(str(value) for name, value in record.provenance.items() if name != "class")
