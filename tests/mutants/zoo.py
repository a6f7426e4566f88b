"""The zoo: the spec with one rule broken at a time."""

from __future__ import annotations

from tests.mutants.mutation import Mutant

LAYERS = ("by-hand", "layers-int8", "int8")
BYTES = ("by-hand", "int8", "optimize")
TABLES = ("tables",)

LSTM = "spec.layers.lstm:step"
GRU = "spec.layers.gru:step"
CONVOLUTION = "spec.layers.convolution"
GATES = "input_sum, forget_sum, output_sum, candidate_sum = split(gates, 4)"


def layer(name: str, fault: str, target: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, fault, target, changes, LAYERS)


def files(name: str, fault: str, target: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, fault, target, changes, BYTES)


def table(name: str, fault: str, target: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, fault, target, changes, TABLES)


def swapped_gates(first: str, second: str) -> Mutant:
    names = {"i": "input_sum", "f": "forget_sum", "o": "output_sum", "g": "candidate_sum"}
    order = ["input_sum", "forget_sum", "output_sum", "candidate_sum"]
    a, b = order.index(names[first]), order.index(names[second])
    order[a], order[b] = order[b], order[a]
    fault = f"LSTM gates {first.upper()} and {second.upper()} exchanged"
    return layer(f"lstm-swap-{first}-{second}", fault, LSTM, (GATES, f"{', '.join(order)} = split(gates, 4)"))


ROUND = "return math.floor(value + 0.5) if value >= 0.0 else -math.floor(0.5 - value)"
FLOAT_TO_INT8 = "spec.rounding:float_to_int8"

ROUNDING = (
    layer("ties-to-even", "halves go to the even neighbour", FLOAT_TO_INT8, (ROUND, "return round(value)")),
    layer("half-up", "halves go up", FLOAT_TO_INT8, (ROUND, "return math.floor(value + 0.5)")),
    layer("truncates", "float to int8 truncates", FLOAT_TO_INT8, (ROUND, "return math.trunc(value)")),
    layer(
        "signed-half-added",
        "a signed half is added in binary32: 0.49999997 becomes 1",
        FLOAT_TO_INT8,
        ("if profile.vector_rounding:", "if True:"),
    ),
    layer(
        "clamps-at-minus-128",
        "codes go down to -128",
        FLOAT_TO_INT8,
        ("        return -INT8_MAX", "        return max(-128, -math.floor(0.5 - value))"),
    ),
    layer(
        "wraps",
        "codes wrap around instead of being clamped",
        FLOAT_TO_INT8,
        ("        return INT8_MAX", "        return (math.floor(value + 0.5) + 128) % 256 - 128"),
    ),
    layer(
        "scale-128",
        "dynamic scales are 128 / absmax",
        "spec.rounding:dynamic_scale",
        ("INT8_MAX / largest", "128 / largest"),
    ),
)

STATIC_LAYERS = (
    layer(
        "fused",
        "a * b + c is rounded once",
        "spec.binary32:multiply_add",
        ("fma(a, b, c) if profile.fused_multiply_add else f32(f32(a * b) + c)", "fma(a, b, c)"),
    ),
    layer(
        "binary64",
        "a * b + c is computed in binary64",
        "spec.binary32:multiply_add",
        ("fma(a, b, c) if profile.fused_multiply_add else f32(f32(a * b) + c)", "f32(a * b + c)"),
    ),
    layer(
        "scale-per-tensor",
        "one weight scale for all outputs",
        f"{CONVOLUTION}:forward_int8",
        ("descale_of(bottom_scale, weight_scale)", "descale_of(bottom_scale, weight_scales[0])"),
    ),
    layer(
        "scale-per-tensor-depthwise",
        "one weight scale for all groups",
        "spec.layers.convolution_depthwise:forward_int8",
        ("descale_of(bottom_scale, weight_scale)", "descale_of(bottom_scale, weight_scales[0])"),
    ),
    layer(
        "descale-in-two-divisions",
        "1 / bottom_scale times 1 / weight_scale",
        "spec.layers.static_scales:descale_of",
        (
            "divide(1.0, f32(bottom_scale * weight_scale))",
            "f32(divide(1.0, bottom_scale) * divide(1.0, weight_scale))",
        ),
    ),
    layer(
        "weight-scale-zero-unguarded",
        "a weight scale of 0 is divided by",
        "spec.layers.static_scales:descale_of",
        ("if weight_scale == 0.0:", "if False:"),
    ),
    layer(
        "requantizes-before-activation",
        "the activation runs on codes",
        f"{CONVOLUTION}:forward_int8",
        ("values.extend(activate(plane, activation_type, activation_params))", "values.extend(plane)"),
        (
            "return requantized(layer, out_shape, values, profile)",
            "blob = requantized(layer, out_shape, values, profile)\n"
            "    after = activate([float(v) for v in blob.values], activation_type, activation_params)\n"
            "    return Blob(blob.shape, blob.dtype, [int(v) for v in after] if blob.dtype == 'int8' else after)",
        ),
    ),
    layer(
        "bias-after-activation",
        "the bias is added after the activation",
        f"{CONVOLUTION}:forward_int8",
        ("plane = descaled(sums, descale, channel_bias, profile)", "plane = descaled(sums, descale, None, profile)"),
        (
            "values.extend(activate(plane, activation_type, activation_params))",
            "active = activate(plane, activation_type, activation_params)\n"
            "        values.extend(f32(v + (channel_bias or 0.0)) for v in active)",
        ),
    ),
    layer(
        "pad-value-scaled",
        "pad_value is multiplied by the bottom scale: padded before quantizing",
        f"{CONVOLUTION}:convolve_int8",
        (
            'math.trunc(layer.get.number("pad_value"))',
            'round(layer.get.number("pad_value") * min(layer.weight("bottom_blob_int8_scales").floats()[0], 9.0))',
        ),
    ),
    layer(
        "same-upper-lower-exchanged",
        "SAME_UPPER and SAME_LOWER exchanged",
        "spec.layers.window:same_padding",
        ("kind == SAME_UPPER", "kind != SAME_UPPER"),
    ),
    layer(
        "dilation-ignored",
        "the taps of a dilated kernel are neighbours",
        f"{CONVOLUTION}:_taps",
        ("j * window.dilation_w", "j"),
    ),
    layer(
        "groups-interleaved",
        "outputs go to the groups in turn",
        f"{CONVOLUTION}:_groups",
        ("kernels[first : first + outputs]", "kernels[group::groups]"),
    ),
    layer(
        "scales-in-one",
        "scale_in and scale_out are multiplied beforehand",
        "spec.layers.requantize:forward",
        (
            "multiply_add(f32(total), scales_in[index], biases[index], profile) for total in sums",
            "f32(multiply_add(f32(total), f32(scales_in[index] * scales_out[index]), "
            "f32(biases[index] * scales_out[index]), profile) / scales_out[index]) for total in sums",
        ),
    ),
    layer(
        "embed-scale-multiplied",
        "codes are multiplied by the scale",
        "spec.layers.embed:forward_int8",
        (
            'f32(1.0 / layer.weight("weight_data_int8_scale").floats()[0])',
            'layer.weight("weight_data_int8_scale").floats()[0]',
        ),
    ),
    layer(
        "embed-negative-ids-wrap",
        "negative ids count from the end",
        "spec.layers.embed:forward",
        (
            'min(max(word, 0), layer.get.integer("input_dim") - 1)',
            'min(word, layer.get.integer("input_dim") - 1)',
        ),
    ),
)

RECURRENT_LAYERS = (
    *(swapped_gates(a, b) for a, b in ("if", "io", "ig", "fo", "fg", "og")),
    layer(
        "gru-swap-r-u",
        "GRU gates R and U exchanged",
        GRU,
        (
            "reset = [logistic(value) for value in gates[: len(reset_bias)]]",
            "update = [logistic(value) for value in gates[: len(reset_bias)]]",
        ),
        (
            "update = [logistic(value) for value in gates[len(reset_bias) :]]",
            "reset = [logistic(value) for value in gates[len(reset_bias) :]]",
        ),
    ),
    layer(
        "gru-new-takes-first-rows",
        "the new state of a GRU takes the rows of the reset gate",
        GRU,
        ("first_of_new = 2 * len(reset_bias)", "first_of_new = 0"),
    ),
    layer(
        "gru-update-inverted",
        "U mixes in the new state instead of the old",
        GRU,
        ("f32(f32(f32(1.0 - u) * n) + f32(u * old))", "f32(f32(u * n) + f32(f32(1.0 - u) * old))"),
    ),
    layer(
        "gru-biases-exchanged",
        "the two biases of the new state exchanged",
        GRU,
        (
            "reset_bias, update_bias, input_bias, hidden_bias = direction.bias",
            "reset_bias, update_bias, hidden_bias, input_bias = direction.bias",
        ),
    ),
    layer(
        "lstm-tanh-of-cell-missing",
        "the cell is shown without tanh",
        LSTM,
        ("f32(o * tanh(c))", "f32(o * c)"),
    ),
    layer(
        "lstm-projection-transposed",
        "weight_hr is read column by column",
        "spec.layers.recurrent:_directions",
        (
            "split(split(projections, count)[index], num_output) if projections else []",
            "[list(row) for row in zip(*split(split(projections, count)[index], units))] if projections else []",
        ),
    ),
    layer(
        "reverse-not-reversed",
        "the reverse direction runs forward",
        "spec.layers.recurrent:trace",
        ("reversed(range(len(rows))) if backwards else range(len(rows))", "range(len(rows))"),
    ),
    layer(
        "state-carried-over",
        "the second direction starts from the final state of the first",
        "spec.layers.recurrent:trace",
        ("state = states[index]", "state = states[index] if index == 0 else state"),
    ),
    layer(
        "recurrent-scale-per-tensor",
        "one weight scale for all rows of a matrix",
        "spec.layers.recurrent:Int8Matrix.add_to",
        ("self.scales[unit]", "self.scales[0]"),
    ),
    layer(
        "recurrent-descale-in-one-division",
        "1 / (row scale * weight scale)",
        "spec.layers.recurrent:Int8Matrix.add_to",
        (
            "f32(f32(1.0 / row.scale) * f32(1.0 / self.scales[unit]))",
            "f32(1.0 / f32(row.scale * self.scales[unit]))",
        ),
    ),
)

ATTENTION_LAYERS = (
    layer(
        "gemm-beta-dropped",
        "C is added as it is",
        "spec.layers.gemm:_addend",
        ("f32(value * beta)", "value"),
    ),
    layer(
        "gemm-alpha-before-c",
        "alpha does not reach C",
        "spec.layers.gemm:forward_int8",
        (
            "rows = int8_product(layer, a, b, profile, _addend(layer, operands.c, len(a.rows), len(b.rows)))",
            "rows = int8_product(layer, a, b, profile)\n    c = _addend(layer, operands.c, len(a.rows), len(b.rows))",
        ),
        (
            "return [[f32(value * alpha) for value in row] for row in rows]",
            "scaled = [[f32(value * alpha) for value in row] for row in rows]\n"
            "    return scaled if c is None else "
            "[[f32(x + y) for x, y in zip(row, other)] for row, other in zip(scaled, c)]",
        ),
    ),
    layer(
        "sdpa-scale-after-mask",
        "the mask is scaled with the scores",
        "spec.layers.sdpa:forward_int8",
        ("    scores = [[f32(score * scale) for score in row] for row in scores]\n", ""),
        ("add_mask(scores, mask)", "[[f32(score * scale) for score in row] for row in add_mask(scores, mask)]"),
    ),
    layer(
        "sdpa-key-scale-per-row",
        "every key has a scale of its own",
        "spec.layers.sdpa:forward_int8",
        ("quantize_matrix(layer, key, profile)", "quantize_rows(layer, key, profile)"),
    ),
)

QUANTIZATION = (
    files(
        "gemm-scale-of-all-of-b",
        "the scale of a stored B looks at all its rows, not at the first as the real tool does",
        "spec.quantization.gemm:quantize_gemm",
        ("seen = b[:k] if source.upstream else b", "seen = b"),
    ),
    files(
        "requantize-by-own-scale",
        "the top scale is the layer's own bottom scale",
        "spec.quantization.fusion:_hand_over",
        ('consumer.weight("bottom_blob_int8_scales")', 'producer.weight("bottom_blob_int8_scales")'),
    ),
    files(
        "weights-rounded-to-even",
        "int8 weights are rounded half to even",
        "spec.quantization.arithmetic:_x86_code",
        ("return float_to_int8(product)", "return max(-127, min(127, round(product)))"),
    ),
    files(
        "infinite-scale-codes-zero",
        "0 times an infinite scale is the code 0, where the real tool makes -127",
        "spec.quantization.arithmetic:_x86_code",
        ("return -INT8_MAX", "return 0"),
    ),
    files(
        "weight-scales-rounded",
        "scales of recurrent layers are rounded to six decimals on the way",
        "spec.quantization.arithmetic:SpecArithmetic.static_scales",
        (
            "dynamic_scale(absmax(values[row * size : (row + 1) * size]))",
            "f32(round(dynamic_scale(absmax(values[row * size : (row + 1) * size])), 4))",
        ),
    ),
)

FILES = (
    files(
        "binary16-tail-rounded",
        "the last size % 4 halves are rounded to nearest",
        "spec.formats.weights:narrow_as_x86",
        ("truncate_to_half(value) for value in values[whole:]", "*narrow_to_nearest(values[whole:])"),
    ),
    files(
        "binary16-truncated",
        "all halves are truncated",
        "spec.formats.weights:narrow_as_x86",
        ("whole = len(values) // 4 * 4", "whole = 0"),
    ),
    files(
        "denormals-kept",
        "magnitudes below 1e-30 are written as they are",
        "spec.formats.weights:without_tiny_values",
        ("if not tiny:", "if True:"),
    ),
    files(
        "random-draws-not-rounded-up",
        "random weights take as many draws as they need, not multiples of 16 bytes",
        "spec.formats.random_weights:_rounded_up",
        ("return -(-count // multiple) * multiple", "return count"),
    ),
    files(
        "batchnorm-fused",
        "folding a BatchNorm rounds bias * b + a once",
        "spec.optimize.fold:fold_batchnorm",
        (
            "arithmetic.add(arithmetic.multiply(bias, b), a)",
            'array("f", [x * y + z for x, y, z in zip(bias, b, a)])',
        ),
    ),
    files(
        "batchnorm-eps-outside",
        "eps is added to the root of the variance",
        "spec.optimize.fold:fold_batchnorm",
        (
            'arithmetic.square_root(arithmetic.add(net.floats(norm, "var_data"), eps))',
            'arithmetic.add(arithmetic.square_root(net.floats(norm, "var_data")), eps)',
        ),
    ),
    Mutant(
        "tokens-rounded-correctly",
        "float tokens are rounded once from the decimal, not digit by digit",
        "spec.formats.param:parse_float",
        (("return -value if sign", "value = f32(abs(float(word)))\n    return -value if sign"),),
        ("formats", "by-hand", "optimize"),
    ),
    Mutant(
        "blank-line-skipped",
        "a blank line in a table is skipped, where the real reader stops",
        "spec.formats.table:_parse_upstream",
        (("            break\n", "            continue\n"),),
        ("int8",),
    ),
)

CALIBRATION = (
    table(
        "best-of-equals-last",
        "of equal divergences the last wins",
        "spec.calibration.kl:kl_threshold",
        ("if divergence < best:", "if divergence <= best:"),
    ),
    table(
        "threshold-at-the-edge",
        "the threshold is the lower edge of its bin",
        "spec.calibration.kl:threshold_of",
        ("length + 0.5", "length"),
    ),
    table(
        "target-bins-not-shared",
        "a source bin between two target bins counts for the right one only",
        "spec.calibration.kl:target_bin",
        ("return first, last, first - low, high - last", "return first, last, 0.0, high - last"),
    ),
    table(
        "zeros-counted",
        "zeros go into the first bin",
        "spec.calibration.statistics:blob_histogram",
        ("zeros += 1", "counts[0] += 1"),
    ),
    table(
        "histogram-edge",
        "magnitudes are rounded to the nearest bin",
        "spec.calibration.statistics:blob_histogram",
        ("math.trunc(f32(f32(abs(value) / absmax) * BINS))", "round(f32(f32(abs(value) / absmax) * BINS))"),
    ),
    table(
        "signed-absmax",
        "the range looks at positive activations only",
        "spec.calibration.statistics:blob_range",
        ("max(largest, abs(value))", "max(largest, value)"),
    ),
    table(
        "count-accumulated",
        "aciq's N is the sum over the samples",
        "spec.calibration.statistics:Range.merge",
        ("later.count, later.last_sample", "self.count + other.count, later.last_sample"),
    ),
    table(
        "aciq-six-bit",
        "aciq clips activations with the factor of 6 bits",
        "spec.calibration.calibrate:aciq_calibration",
        ("bits=8", "bits=6"),
    ),
    table(
        "six-bit-rule-dropped",
        "3 x 3 kernels get 127 like all others",
        "spec.calibration.weight_scales:is_six_bit",
        ("return kernel == (3, 3) and steps == (1, 1, 1, 1)", "return False"),
    ),
    table(
        "six-bit-rule-for-any-stride",
        "31 also for 3 x 3 kernels with strides or dilation",
        "spec.calibration.weight_scales:is_six_bit",
        ("return kernel == (3, 3) and steps == (1, 1, 1, 1)", "return kernel == (3, 3)"),
    ),
    table(
        "static-zero-row-infinite",
        "a recurrent row of zeros has an infinite scale",
        "spec.rounding:dynamic_scale",
        ("if largest > 0.0 else 1.0", "if largest > 0.0 else math.inf"),
    ),
    table(
        "five-decimals",
        "tables have five decimals",
        "spec.formats.table:format_table",
        ("{value:f} ", "{value:.5f} "),
    ),
    table(
        "resize-rounds-side",
        "a side that follows from the other is rounded, not truncated",
        "spec.calibration.pixels:target_size",
        (
            "return width, math.trunc(image.height / f32(image.width / width))",
            "return width, round(image.height / f32(image.width / width))",
        ),
    ),
    table(
        "resize-in-one-shift",
        "the two rows of the bilinear interpolation are added before they are shifted",
        "spec.calibration.pixels:resized",
        ("(((upper * c0) >> 16) + ((lower * c1) >> 16) + 2) >> 2", "(((upper * c0 + lower * c1) >> 16) + 2) >> 2"),
    ),
    table(
        "normalise-unfused",
        "pixel * norm is rounded before the mean is taken off",
        "spec.calibration.pixels:normalised",
        ("fma(float(byte), factor, bias)", "f32(f32(float(byte) * factor) + bias)"),
    ),
    table(
        "gray-weights-exchanged",
        "red and blue exchanged in gray values",
        "spec.calibration.pixels:planes",
        ("(77 * r + 150 * g + 29 * b) >> 8", "(29 * r + 150 * g + 77 * b) >> 8"),
    ),
)

ZOO = {
    mutant.name: mutant
    for mutant in (
        *ROUNDING,
        *STATIC_LAYERS,
        *RECURRENT_LAYERS,
        *ATTENTION_LAYERS,
        *QUANTIZATION,
        *FILES,
        *CALIBRATION,
    )
}
