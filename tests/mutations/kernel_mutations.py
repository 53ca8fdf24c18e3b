"""Deliberate faults in the OpenCL kernels, as mutations.py has them for the cpu plugin; files are under kernels_cl/."""

KERNEL_MUTATIONS = [
    # Strides and tails
    ("kernel: copy: inner stride of the source ignored", "copy.cl", "CONVERT(x[x_at + i * x_stride])", "CONVERT(x[x_at + i])", "copy"),
    ("kernel: copy: last block of a row taken for a whole one", "copy.cl",
     "min(first_col + EACH, inner);\n    for (long row = get_global_id(1); first_col < end && row < rows; row += get_global_size(1)) {\n        long out_at",
     "first_col + EACH;\n    for (long row = get_global_id(1); first_col < end && row < rows; row += get_global_size(1)) {\n        long out_at", "copy"),
    ("kernel: copy: innermost outer dimension taken for a power of two", "strided.cl", "mul_hi((row) << 1, multipliers.s##n)", "mul_hi((row) << 1, 0x80000001u)", "copy"),
    ("kernel: add: row of the batch off by one", "elementwise.cl", "LOCATE_ROW(row, out_row, a_row, b_row,", "LOCATE_ROW(row > 0 ? row - 1 : row, out_row, a_row, b_row,", "add"),
    ("kernel: softmax: out written with x's row stride", "softmax.cl", "row * strides.s6", "row * strides.s2", "softmax"),
    ("kernel: layer_norm: lanes behind the last column count", "layer_norm.cl",
     "LANE_NUMBERS >= (fvec)((float)min(cols - j, 64L))", "LANE_NUMBERS >= (fvec)(64.0f)", "layer_norm"),
    ("kernel: reduce_rows: last row of each part forgotten", "reduce.cl", "min(first + chunk, rows);\n    if", "min(first + chunk, rows) - 1;\n    if",
     "reduce_rows"),
    ("kernel: matmul: depth cut to whole parts", "matmul_cpu.cl", "min((long)DEPTH, depth - start)", "(long)DEPTH", "matmul"),
    ("kernel: matmul: right half of the last block not written", "matmul_cpu.cl", "if (count > VECTOR) {", "if (count > 2 * VECTOR - 1) {", "matmul"),
    # Flags and parameters
    ("kernel: softmax: scale ignored in the sum", "softmax.cl", "sum += exp(scale * value - maximum);", "sum += exp(value - maximum);", "softmax"),
    ("kernel: add: beta ignored", "elementwise.cl", "sum += beta * load_data", "sum += load_data", "add"),
    ("kernel: dropout: kept elements not numbered from start", "elementwise.cl",
     "const ulong number = start + (ulong)", "const ulong number = (ulong)", "dropout"),
    ("kernel: embedding: position_start ignored", "embedding.cl",
     "const long place = position_start + row %", "const long place = row %", "embedding"),
    ("kernel: attention: keys before the queries not seen", "attention.cl",
     "(causal != 0 ? min(keys, row + before + 1) : keys) - start", "(causal != 0 ? min(keys, row + 1) : keys) - start", "attention"),
    ("kernel: cross_entropy: gradients of ignored rows kept", "cross_entropy.cl",
     "counted ? gradient_scale * p : (fvec)(0.0f)", "gradient_scale * p", "cross_entropy"),
    ("kernel: adamw: decay without the segment's rate", "adamw.cl",
     "const float decay = rate * chunk.decay;", "const float decay = factors.s0 * chunk.decay;", "adamw"),
    ("kernel: adamw: an infinite norm doesn't stop the update", "adamw.cl", "if (!isfinite(squared)) {", "if (squared < 0.0f) {", "adamw"),
    # Constants and accumulation
    ("kernel: layer_norm: epsilon outside the root", "layer_norm.cl", "1.0f / sqrt(variance + epsilon)", "1.0f / (sqrt(variance) + epsilon)",
     "layer_norm"),
    ("kernel: layer_norm_backward: dgamma written, not added to", "layer_norm.cl",
     "sum_gamma += load_result(dgamma,", "(void)load_result(dgamma,", "layer_norm_backward"),
    ("kernel: layer_norm_backward: dx without the mean of g·n", "layer_norm.cl",
     "rstd * (g - mean_g - n * mean_gn)", "rstd * (g - mean_g)", "layer_norm_backward"),
    ("kernel: reduce_rows: first part of the sums forgotten", "reduce.cl",
     "for (long part = get_local_id(1); col < cols", "for (long part = get_local_id(1) + 1; col < cols", "reduce_rows"),
    ("kernel: sum_of_squares: beta ignored", "reduce.cl", "beta != 0.0f ? beta * out[out_start] + total : total", "total", "sum_of_squares"),
    ("kernel: embedding_backward: gradient written, not added to", "embedding.cl",
     "load_result(target, strides.s1, count, 0.0f) + sum);", "sum);", "embedding_backward"),
    # Tokens
    ("kernel: sample: parts of the first row for all", "sample.cl", "parts_start + 2 * PARTS * number", "parts_start + 0 * number", "sample"),
    ("kernel: sample: top_p lets in what top_k left out", "sample.cl", "edge == row->edge ? fmin(last, row->last) : last", "last", "sample"),
    ("kernel: sample: all of equal logits kept", "sample.cl", "if (high == row->vocab - 1 && totals[PARTS - 1] <= wanted)", "if (high == row->vocab - 1)",
     "sample"),
    ("kernel: sample: sums of parts not brought to one scale", "sample.cl", "parts[2 * i + 1] * exp((parts[2 * i] - row.largest) * scale)",
     "parts[2 * i + 1]", "sample"),
    ("kernel: sample: the last of equal logits taken", "sample.cl", "select((fvec)(-INFINITY), -number, found));\n    }\n    return -group_max",
     "select((fvec)(-INFINITY), number, found));\n    }\n    return group_max", "sample"),
]

KERNEL_QUICK = [
    "kernel: softmax: scale ignored in the sum",
    "kernel: layer_norm: lanes behind the last column count",
    "kernel: add: beta ignored",
]
