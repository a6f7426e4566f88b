"""Build the reference pages into a folder: `python docs/build.py FOLDER`.

pdoc renders the docstrings of the spec; the page of all layer types is rendered from `spec.layer_table`.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import jinja2
import pdoc

from spec.layer_table import LAYER_TYPES, LayerType, Params, ParamSpec

TEMPLATE = Path(__file__).parent / "layer_types.html.jinja"

MODULES = ("spec", "fastpath", "fastpath.net", "fastpath.option", "golden", "conformance", "!golden.__main__")
"""What pdoc renders: the law whole, of the fast path what a program calls."""

ANNOTATIONS = "Error parsing type annotation"
"""What pdoc says of annotations such as array[float], which type checkers read and Python 3.11 does not evaluate."""


def default_text(spec: ParamSpec) -> str:
    """The default of a parameter, in words."""
    if spec.kind in ("ints", "floats"):
        return "empty"
    if spec.kind == "string":
        return "empty string"
    if isinstance(spec.default, str):
        return f"the value of {spec.default}"
    return "computed" if callable(spec.default) else f"{spec.default:g}"


def written_text(spec: ParamSpec) -> str:
    """When the real writer prints a parameter."""
    if spec.lost:
        return "never: the real writer loses it"
    if spec.forced_when is not None:
        return "as 1, when it is needed"
    if spec.unless_same_as is not None:
        return f"unless equal to {spec.unless_same_as}"
    return "unless empty" if spec.kind in ("ints", "floats") else "unless default"


def spec_modules(layer_type: LayerType) -> list[str]:
    """The modules of `spec.layers` that state the rule of a layer type."""
    from spec.layers import FORWARD

    forward = FORWARD.get(layer_type.name)
    return [] if forward is None else [forward.__module__]


def layer_types_page() -> str:
    """The page of all layer types."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        layer_types=sorted(LAYER_TYPES, key=lambda layer_type: layer_type.name),
        empty=lambda layer_type: Params(layer_type, {}),
        default_text=default_text,
        written_text=written_text,
        spec_modules=spec_modules,
    )


def main(folder: Path) -> None:
    """Write all pages below `folder`."""
    warnings.filterwarnings("ignore", ANNOTATIONS)
    pdoc.render.configure(docformat="markdown", footer_text="ncnn-assay")
    pdoc.pdoc(*MODULES, output_directory=folder)
    (folder / "layer_types.html").write_text(layer_types_page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
