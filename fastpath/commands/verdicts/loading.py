"""Files and what the real loaders make of them: what they accept we accept, and what they loaded we compute with."""

from __future__ import annotations

import warnings
from pathlib import Path

from fastpath.commands.verdicts.inference import NETWORK_LEVEL, Output, Run, judge_run
from fastpath.commands.verdicts.verdict import Verdict
from golden.vectors import Case
from spec.errors import AssayError
from spec.formats.param import parse_param, read_param
from spec.formats.param_bin import read_param_bin
from spec.formats.weights import read_weights, write_model
from spec.graph import Graph


def judge_loading(case: Case, folder: Path, engine: str, verdict: Verdict) -> None:
    """Load the case's network; note another verdict than the released runtime's, and other outputs."""
    accepted = bool(case.facts["observed"]["accepted"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph = load(folder)
        except AssayError as error:
            verdict.said += f"{error}\n"
            if accepted:
                verdict.differ("verdict", f"the runtime accepts it: {error}")
            elif str(folder) not in str(error):
                verdict.differ("message", f"does not name the file: {error}")
            else:
                verdict.how["refused by both"] += 1
            return
        if not accepted:
            verdict.differ("verdict", "the runtime refuses it")
            return
        verdict.how["accepted by both"] += 1
        if case.facts.get("results"):
            write_model(graph, folder / "again.param", folder / "again.bin", fp16=False)
            wanted = [Output(blob, 0, file, portable=False) for blob, file in case.facts["results"].items()]
            run = Run(folder, engine, "again.param", "again.bin", case.facts["feeds"])
            judge_run(run, wanted, NETWORK_LEVEL, verdict)


def load(folder: Path) -> Graph:
    """The network of a case's folder, from its text or its binary form."""
    text = (folder / "net.param").exists()
    graph = read_param(folder / "net.param") if text else read_param_bin(folder / "net.param.bin")
    read_weights(graph, folder / "net.bin")
    return graph


def judge_tokens(case: Case, verdict: Verdict) -> None:
    """Read each recorded word as a float parameter."""
    for token, expected in case.facts["tokens"].items():
        graph = parse_param(f"7767517\n2 2\nInput a 0 1 a\nReLU r 1 1 a b 0={token}\n")
        value = graph.layers[1].get.number("slope")
        if value == expected:
            verdict.how["equal"] += 1
        else:
            verdict.differ("number", f"{token} is {value!r}, but the runtime reads {expected!r}")
