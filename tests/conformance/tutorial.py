"""Writes docs/conformance-tutorial.md: every program in it is run, and what stands there is what came out.

python -m tests.conformance.tutorial > docs/conformance-tutorial.md
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

from conformance.command_line import main

WORDS = Path(__file__).with_name("tutorial_text.md")

SHOWN = 24
"""Lines of an output that are shown."""

MUTE = """import json
import sys

for line in sys.stdin:
    print(json.dumps({"hello": "world"}), flush=True)
"""

FIRST = """import json
import math
import sys
from array import array

IDENTITY = {"name": "mygru", "version": "0.1", "language": "Python", "rounding": "reference", "layers": ["GRU"]}


def f32(value):
    return array("f", [value])[0]


def sigmoid(v):
    return f32(1 / f32(1 + f32(math.exp(-v) if v > -700 else math.inf)))


def quantize(values):
    scale = f32(127 / max(map(abs, values)))
    return [round(f32(v * scale)) for v in values], f32(1 / scale)


def product(values, rows, scales):
    codes, descale = quantize(values)
    sums = [f32(sum(code * weight for code, weight in zip(codes, row))) for row in rows]
    return [f32(total * f32(descale * f32(1 / scale))) for total, scale in zip(sums, scales)]


def chunks(values, size):
    return [values[i : i + size] for i in range(0, len(values), size)]


def records(data, *wanted):
    at = 0
    for tagged, code, count in wanted:
        at += 4 * tagged
        values = array(code, data[at : at + count * array(code).itemsize])
        at += (count * values.itemsize + 3) // 4 * 4
        yield values.tolist()


def run(message):
    _, _, ins, outs, *rest = message["param"].splitlines()[-1].split()
    bottoms, tops, words = rest[: int(ins)], rest[int(ins) :][: int(outs)], rest[int(ins) + int(outs) :]
    params = {int(k): int(v) for k, v in (word.split("=") for word in words)}
    n, direction = params[0], params.get(2, 0)
    count, rows = 2 if direction == 2 else 1, 3 * n
    size = params[1] // (count * rows)
    wx, bias, wh, sx, sh = records(
        bytes.fromhex(message["bin"]),
        (True, "b", count * rows * size),
        (True, "f", count * 4 * n),
        (True, "b", count * rows * n),
        (False, "f", count * rows),
        (False, "f", count * rows),
    )
    x, *states = [array("f", bytes.fromhex(message["inputs"][name]["hex"])).tolist() for name in bottoms]
    x = chunks(x, size)
    out = [[0.0] * (count * n) for _ in x]
    final = []
    for d in range(count):
        hidden = states[0][d * n : d * n + n] if states else [0.0] * n
        b = chunks(bias[d * 4 * n :], n)
        for t in range(len(x)):
            ax = product(x[t], chunks(wx, size)[d * rows :][:rows], sx[d * rows :])
            ah = product(hidden, chunks(wh, n)[d * rows :][:rows], sh[d * rows :])
            new = []
            for q in range(n):
                update = sigmoid(f32(f32(b[0][q] + ax[q]) + ah[q]))
                reset = sigmoid(f32(f32(b[1][q] + ax[n + q]) + ah[n + q]))
                inner = f32(reset * f32(b[3][q] + ah[2 * n + q]))
                value = f32(math.tanh(f32(f32(b[2][q] + inner) + ax[2 * n + q])))
                new.append(f32(f32(f32(1 - update) * value) + f32(update * hidden[q])))
            hidden = new
            out[t][d * n : d * n + n] = hidden
        final += hidden
    shapes = [[len(x), count * n], message["inputs"][bottoms[1]]["shape"] if states else [count, n]]
    values = [sum(out, []), final]
    return {
        name: {"shape": shape, "dtype": "float32", "hex": array("f", v).tobytes().hex()}
        for name, shape, v in zip(tops, shapes, values)
    }


for line in sys.stdin:
    message = json.loads(line)
    if message["cmd"] == "stop":
        break
    if message["cmd"] == "start":
        answer = {"protocol": 1, "identity": IDENTITY}
    else:
        try:
            answer = {"seq": message["seq"], "outputs": run(message)}
        except Exception as error:
            answer = {"seq": message["seq"], "errored": repr(error)}
    print(json.dumps(answer), flush=True)
"""

ZERO_ROWS = (
    """    scale = f32(127 / max(map(abs, values)))
""",
    """    largest = max(map(abs, values))
    scale = f32(127 / largest) if largest else math.inf
    if scale == math.inf:
        return [0] * len(values), 0.0
""",
)
GATES = (
    """                update = sigmoid(f32(f32(b[0][q] + ax[q]) + ah[q]))
                reset = sigmoid(f32(f32(b[1][q] + ax[n + q]) + ah[n + q]))
""",
    """                reset = sigmoid(f32(f32(b[0][q] + ax[q]) + ah[q]))
                update = sigmoid(f32(f32(b[1][q] + ax[n + q]) + ah[n + q]))
""",
)
REVERSE = (
    "        for t in range(len(x)):\n",
    "        for t in reversed(range(len(x))) if direction == 1 or d == 1 else range(len(x)):\n",
)
TIES = (
    "    return [round(f32(v * scale)) for v in values], f32(1 / scale)\n",
    """    codes = [int(math.copysign(math.floor(abs(f32(v * scale)) + 0.5), v)) for v in values]
    return codes, f32(1 / scale)
""",
)

CASES = ("by-hand", "strict-build", "grid", "zero-rows", "swapped-weights", "ties")
ONLY = [word for topic in CASES for word in ("--only", f"recurrent/gru/{topic}/*")]
SHELL = " ".join(f"'{word}'" if "*" in word else word for word in ONLY)


def changed(program: str, change: tuple[str, str]) -> str:
    """The program after one change."""
    assert program.count(change[0]) == 1, change[0]
    return program.replace(*change)


def session(program: str, words: list[str]) -> tuple[int, list[str]]:
    """Exit status and output of a command on a program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gru.py"
        path.write_text(program, encoding="utf-8")
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = main([*words, "--adapter", "subprocess", "--", sys.executable, str(path)])
    return status, [line.replace(folder, ".") for line in output.getvalue().splitlines()]


def block(lines: list[str], language: str = "") -> list[str]:
    """A fenced block."""
    return ["", f"```{language}", *lines, "```", ""]


def shown(command: str, status: int, lines: list[str], limit: int = SHOWN) -> list[str]:
    """A command, what it printed, and its exit status."""
    cut = [*lines[:limit], f"… {len(lines) - limit} more lines"] if len(lines) > limit else lines
    return block([f"$ {command} -- python3 gru.py", *cut, f"(exit status {status})"])


def difference(change: tuple[str, str]) -> list[str]:
    """A change as a diff."""
    return block(
        [*(f"-{line}" for line in change[0].splitlines()), *(f"+{line}" for line in change[1].splitlines())], "diff"
    )


def failure(lines: list[str], kind: str) -> list[str]:
    """The totals, and the first paragraph about a case with this outcome."""
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{kind} "))
    end = next((i for i in range(start, len(lines)) if not lines[i]), len(lines))
    total = next(i for i, line in enumerate(lines) if line.startswith("total"))
    return [*lines[: total + 1], "", *lines[start:end]]


def page() -> str:
    """The tutorial."""
    text_of = texts()
    smoke = ["smoke", "--validate", "--suite", "recurrent"]
    run = ["run", "--diagnose", *ONLY]
    smoke_text = "ncnn-assay conformance smoke --validate --suite recurrent --adapter subprocess"
    run_text = f"ncnn-assay conformance run --diagnose {SHELL} --adapter subprocess"
    guarded = changed(FIRST, ZERO_ROWS)
    ordered = changed(guarded, GATES)
    turned = changed(ordered, REVERSE)
    right = changed(turned, TIES)
    lines = text_of["begin"].splitlines()
    lines += block(MUTE.splitlines(), "python") + shown(smoke_text, *session(MUTE, smoke))
    lines += text_of["first"].splitlines() + block(FIRST.splitlines(), "python")
    for text, program, kind, change in (
        ("errored", FIRST, "errored", ZERO_ROWS),
        ("gates", guarded, "failed", GATES),
        ("reverse", ordered, "failed", REVERSE),
        ("ties", turned, "failed", TIES),
    ):
        status, output = session(program, run)
        lines += text_of[text].splitlines() + shown(run_text, status, failure(output, kind), 40)
        lines += text_of[f"{text}-after"].splitlines() + difference(change)
    lines += text_of["right"].splitlines() + shown(run_text, *session(right, run))
    generated = ["run", "--only", "generated/gru", "--only", "generated/*ties", "--generated", "50"]
    text = (
        "ncnn-assay conformance run --only generated/gru --only 'generated/*ties' --generated 50 --adapter subprocess"
    )
    lines += text_of["generated"].splitlines()
    with tempfile.TemporaryDirectory() as folder:
        status, output = session(turned, [*generated, "--failures", folder])
        output = [line.replace(f"{folder}/", "conformance-failures/") for line in failure(output, "failed")]
    lines += shown(text, status, output, 40) + text_of["end"].splitlines()
    return "\n".join(lines) + "\n"


def texts() -> dict[str, str]:
    """The words between programs and outputs, by name."""
    parts = re.split(r"<!-- (\S+) -->\n", WORDS.read_text(encoding="utf-8"))[1:]
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


if __name__ == "__main__":
    sys.stdout.write(page())
