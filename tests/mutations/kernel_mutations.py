"""Deliberate faults in the OpenCL kernels, as mutations.py has them for the cpu plugin; files are under kernels_cl/. A sixth element is what
else the suite is told: arguments, and the environment."""

# Products of bf16 by emulated matrix units with packed operands, without the proof that they give elsewhere, which these faults fail too.
PACKED = (["--dtype", "bf16", "--cases", "16"], {"TTM_OPENCL_MATRIX_UNITS": "emulated-wgmma:18", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})

# The same of f32 in parts, and with operands as they are.
PRODUCTS_SPLIT = (["--dtype", "f32", "--cases", "16"],
         {"TTM_OPENCL_MATRIX_UNITS": "emulated-wgmma:24", "TTM_OPENCL_FP32": "split", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
HALVES = (PRODUCTS_SPLIT[0], {**PRODUCTS_SPLIT[1], "TTM_OPENCL_MATRIX_UNITS": "emulated-wgmma:43"})
HALVES_BY_MMA = (PRODUCTS_SPLIT[0], {**PRODUCTS_SPLIT[1], "TTM_OPENCL_MATRIX_UNITS": "emulated-mma:46"})
READ_AHEAD = (["--dtype", "f32", "--cases", "5"],
               {"TTM_OPENCL_MATRIX_UNITS": "emulated-wgmma:20", "TTM_OPENCL_FP32": "split", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})

# Slices that overlap, with two barriers a step, and with one.
OVERLAPPING = (["--dtype", "bf16", "--cases", "16"], {"TTM_OPENCL_MATRIX_UNITS": "emulated-wgmma:34", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
DEEP = (OVERLAPPING[0], {"TTM_OPENCL_MATRIX_UNITS": "emulated-wgmma:33", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})

# TF32 in two parts.
TF32 = (["--dtype", "tf32", "--cases", "16"], {"TTM_OPENCL_MATRIX_UNITS": "emulated-mma", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})

# Attention on emulated matrix units, likewise. A causal case, one with dropout of a multiple of 4 keys and one of another number.
UNITS = (["--dtype", "bf16", "--cases", "150"], {"TTM_OPENCL_ATTENTION": "emulated-mma:0", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
BY_WGMMA = (UNITS[0], {"TTM_OPENCL_ATTENTION": "emulated-wgmma:0", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
FORWARD, FORWARD_FOURS, FORWARD_ANY = "attention/41", "attention/22", "attention/54"
BACKWARD, BACKWARD_FOURS, BACKWARD_ANY = "attention_backward/37", "attention_backward/11", "attention_backward/36"

# Attention of f32 tensors split into parts, likewise: one tile, causal; more keys than queries, several tiles.
SPLIT = (["--dtype", "f32", "--cases", "1300"],
         {"TTM_OPENCL_ATTENTION": "emulated-mma", "TTM_OPENCL_FP32": "split", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
SPLIT_FORWARD, SPLIT_FORWARD_TILES = "attention/122", "attention/128"
SPLIT_BACKWARD, SPLIT_BACKWARD_TILES, SPLIT_BACKWARD_FOURS = "attention_backward/421", "attention_backward/631", "attention_backward/680"

# Attention of TF32 tensors, likewise; a query of the second case sees one key alone. Second parts that sums of more are made of are below
# what the contract allows: opencl-units-attention-split-error asks for them.
ROUNDED = (["--dtype", "tf32", "--cases", "1300"],
           {"TTM_OPENCL_MATRIX_UNITS": "emulated-mma", "TTM_OPENCL_ATTENTION": "emulated-mma", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
ROUNDED_BY_WGMMA = (ROUNDED[0], {**ROUNDED[1], "TTM_OPENCL_ATTENTION": "emulated-wgmma"})
ROUNDED_FORWARD, ROUNDED_TILES = "attention/304", "attention/41"

# Products by emulated mma with operands as they are; and kernels in the shape of GPUs.
PRODUCTS = (["--dtype", "bf16", "--cases", "16"], {"TTM_OPENCL_MATRIX_UNITS": "emulated-mma", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
GPU = ([], {"TTM_OPENCL_STYLE": "gpu"})

SPACED = (["--dtype", "bf16", "--cases", "60"], PRODUCTS[1])

# Few rows in whole chunks, as on a GPU.
WIDE = (["--cases", "60"], {"TTM_OPENCL_STYLE": "gpu", "TTM_OPENCL_MATRIX_UNITS": "off"})

KERNEL_MUTATIONS = [
    # Strides and tails
    ("kernel: copy: inner stride of the source ignored", "copy.cl", "CONVERT(x[x_at + i * x_stride])", "CONVERT(x[x_at + i])", "copy"),
    ("kernel: copy: last block of a row taken for a whole one", "copy.cl",
     "min(first_col + EACH, inner);\n    for (long row = get_global_id(1); first_col < end && row < rows; row += get_global_size(1)) {\n        long out_at",
     "first_col + EACH;\n    for (long row = get_global_id(1); first_col < end && row < rows; row += get_global_size(1)) {\n        long out_at", "copy"),
    ("kernel: copy: innermost outer dimension taken for a power of two", "strided.cl", "mul_hi((row) << 1, multipliers.s##n)", "mul_hi((row) << 1, 0x80000001u)", "copy"),
    ("kernel: copy_flat: elements before the first vector forgotten", "copy_flat.cl", "long i = number == 0 ? 0 :", "long i = number == 0 ? head :", "memory/copy"),
    ("kernel: copy_flat: elements behind the last vector forgotten", "copy_flat.cl", "for (; i < end; i++) {", "for (; i < i; i++) {", "copy"),
    ("kernel: copy_flat: stretches beside each other for unaligned memory", "copy_flat.cl", "0 : head + number * stretch;", "0 : number * stretch + 1;", "fill"),
    ("kernel: copy_flat: one vector too many past the caches", "copy_flat.cl", "if (GOES_PAST_CACHES(past_caches)) {                                            \\\n        for (; i + LANES <= end;",
     "if (GOES_PAST_CACHES(past_caches)) {                                            \\\n        for (; i < end;", "memory/copy",
     ([], {"TTM_OPENCL_OPTIONS": "-DALWAYS_PAST_CACHES"})),
    ("kernel: add: row of the batch off by one", "elementwise.cl", "LOCATE_ROW(row, out_row, a_row, b_row,", "LOCATE_ROW(row > 0 ? row - 1 : row, out_row, a_row, b_row,", "add"),
    ("kernel: softmax: out written with x's row stride", "softmax.cl", "row * strides.s6", "row * strides.s2", "softmax"),
    ("kernel: layer_norm: lanes behind the last column count", "layer_norm.cl",
     "LANE_NUMBERS >= (fvec)((float)min(cols - j, 64L))", "LANE_NUMBERS >= (fvec)(64.0f)", "layer_norm"),
    ("kernel: reduce_rows: last row of each part forgotten", "reduce.cl", "min(first + chunk, rows);\n    if", "min(first + chunk, rows) - 1;\n    if",
     "reduce_rows"),
    ("kernel: matmul: depth cut to whole parts", "matmul_cpu.cl", "min((long)DEPTH, depth - start)", "(long)DEPTH", "matmul"),
    ("kernel: matrix units: elements behind the depth read", "matmul_matrix_units.cl", "clamp(RUNS == 0 ? (depth_left)-chunk * 8 :", "clamp(RUNS == 0 ? 8 :",
     "matmul", PRODUCTS),
    ("kernel: matrix units: rows that don't exist written in wide accesses", "matmul_tiles.cl",
     "if ((turn + i) * ROWS_AT_ONCE < rows_left) {\n                fvec", "if (rows_left > 0) {\n                fvec", "matmul", PRODUCTS),
    ("kernel: matrix units: a residual with rows of its own read like out", "matmul_tiles.cl", "more_strides.s1 == 1 && more_strides.s0 == strides.s4 &&",
     "more_strides.s1 == 1 &&", "matmul/9", PRODUCTS),
    ("kernel: matrix units: an input of GELU with rows of its own read like out", "matmul_tiles.cl", "more_strides.s3 == 1 && more_strides.s2 == strides.s4 &&",
     "more_strides.s3 == 1 &&", "matmul/41", SPACED),
    ("kernel: cross_entropy: logits behind the last whole vector forgotten", "cross_entropy.cl", "if (rest < vocab) {\n        const float value",
     "if (rest < end) {\n        const float value", "cross_entropy", GPU),
    ("kernel: pack: what lies behind the depth not zeroed", "pack.cl", "raw_chunk chunk = ZERO_CHUNK;\n    if (count > 0) {",
     "raw_chunk chunk = ZERO_CHUNK + (raw_chunk)(0x3f80);\n    if (count > 0) {", "matmul/12", PACKED),
    ("kernel: pack: chunks not swizzled", "pack.cl", "PLACE_ALONG_DEPTH(line, (int)(k % TILE_DEPTH) / 8)",
     "(line * TILE_DEPTH + (int)(k % TILE_DEPTH)) * 2", "matmul/12", PACKED),
    ("kernel: matmul_packed: copies not waited for", "matmul_packed.cl", "if (PASSES(FULL(used.stage), used.parity)) {", "if (used.step < filled.step) {",
     "matmul/12", PACKED),
    ("kernel: matmul_packed: stages filled while they are read", "matmul_packed.cl", "if (!PASSES(EMPTY(base, at->stage), at->parity ^ 1)) {",
     "if (at->step < 0) {", "matmul/12", PACKED),
    ("kernel: matmul_packed: a stage left before its product has ended", "matmul_packed.cl",
     "STAGE_BEFORE(LEFT_BEHIND + left)", "STAGE_BEFORE(left)", "matmul/12", PACKED),
    ("kernel: matmul_packed: parity not changed with the round", "slice_ring.cl", "at->parity ^= 1;", "at->parity ^= 0;", "matmul/12", PACKED),
    ("kernel: matmul_packed: b's slice expected, not a's too", "matmul_packed.cl", "EXPECT_BYTES(FULL(at->stage), STAGE_BYTES);",
     "EXPECT_BYTES(FULL(at->stage), B_BYTES);", "matmul/12", PACKED),
    ("kernel: wgmma: with one barrier, a slice overwritten that is multiplied", "matmul_matrix_units.cl",
     "#define AHEAD (OVERLAPS && !HAS_TWO_BARRIERS ? STAGES - 2 : STAGES - 1)", "#define AHEAD (STAGES - 1)", "matmul/12", DEEP),
    ("kernel: wgmma: the last slice that overlaps not waited for", "matmul_matrix_units.cl",
     "    if (OVERLAPS) {\n        WAIT_SLICES(0)\n    }", "", "matmul/2", OVERLAPPING),
    ("kernel: wgmma: of f32 in parts, sums of the 16 of depth before counted again", "matrix_units_wgmma.cl",
     "SUMS_APART && number == 0 && step == 0 && order == PARTS - 1 && part == 0", "0", "matmul/12", PRODUCTS_SPLIT),
    ("kernel: halves: of two slices whose sums are apart the second one's alone", "matrix_units_wgmma.cl", "SUMS_APART && number == 0 && step == 0",
     "SUMS_APART && step == 0", "matmul/12", HALVES),
    ("kernel: halves: the first of two slices left with the sums of neither", "matmul_packed.cl", "if ((number) == SLICES_APART - 1) {",
     "if ((number) == 0) {", "matmul/12", HALVES),
    ("kernel: halves: one stage left where two were read", "matmul_packed.cl", "left < SLICES_APART; left++", "left < 1; left++", "matmul/12", HALVES),
    ("kernel: halves: an odd number of slices packed", "pack.cl", "const long slices = SLICES_OF(depth);",
     "const long slices = (depth + TILE_DEPTH - 1) / TILE_DEPTH;", "matmul/12", HALVES),
    ("kernel: halves: columns don't get their size back", "matrix_units_halves.cl", " * fmax(row_size, col_size)", "", "matmul/12", HALVES),
    ("kernel: halves: all lines get the size of the first one back", "pack.cl", "sizes[line + i] = size;", "sizes[line + i] = line_sizes[0];", "matmul/12", HALVES),
    ("kernel: halves: each item's own numbers make the size of its line", "pack_lines.cl", "for (int i = 0; i < LINE_ITEMS; i++) {", "for (int i = 0; i < 0; i++) {",
     "matmul/12", HALVES),
    ("kernel: halves: sizes of the tile's first columns for all", "matmul_tiles.cl",
     "first_col + warp_col + s * SEGMENT + j * FRAGMENT_COLS, lane)", "first_col, lane)", "matmul/12", HALVES),
    ("kernel: halves by mma: a slice too few is waited for", "matmul_packed_copies.cl", "WAIT_COPIES(AHEAD - 1);", "WAIT_COPIES(AHEAD);", "matmul/12", HALVES_BY_MMA),
    ("kernel: halves by mma: b's slices fetched to where a's are", "matmul_packed_copies.cl", "(stage)*STAGE_BYTES + A_SLICE_BYTES", "(stage)*STAGE_BYTES", "matmul/12",
     HALVES_BY_MMA),
    ("kernel: halves: the second part of the whole number", "matrix_units_halves.cl", "? *low - low_half : 0.0f", "? *low : 0.0f", "matmul/12", HALVES),
    ("kernel: halves: the products of second parts left out", "matrix_units_wgmma.cl", "for (int order = PARTS - 1; order >= 0", "for (int order = 0; order >= 0",
     "matmul/3", HALVES),
    ("kernel: parts: the second part of all of the number", "matrix_units_parts.cl", "parts[1] = round_to_pairs(rest)", "parts[1] = parts[0]", "matmul/12", PRODUCTS_SPLIT),
    ("kernel: parts: the third part forgotten", "matrix_units_parts.cl", "cut_to_pairs(as_uint4(rest - widen_pairs(parts[1])))", "(uint2)(0u)",
     "matmul/3", PRODUCTS_SPLIT),
    ("kernel: mma: of tf32 in two parts the first alone multiplied", "matrix_units_mma.cl", "for (int order = PARTS - 1; order >= 0", "for (int order = 0; order >= 0",
     "matmul/7", TF32),
    ("kernel: mma: of tf32 the second part of b left out", "matrix_units_mma.cl", "for (int part = 0; part <= order; part++)",
     "for (int part = order; part <= order; part++)", "matmul/7", TF32),
    ("kernel: parts: of tf32 the second part rounded from the number", "matrix_units_parts.cl", "parts[1] = round_to_pairs(rest)", "parts[1] = round_to_pairs(x)",
     "matmul/7", TF32),
    ("kernel: matrix units: slices not read ahead", "matmul_matrix_units.cl", "FETCH_NEXT(next + 1, base)", "further_a += 1;", "matmul/1", READ_AHEAD),
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
    ("kernel: attention on units: all warps leave out what the first one doesn't see", "attention_matrix_units.cl",
     "first_row + TEAM_ROW(warp_row) + TEAM_ROWS + before : keys", "first_row + TEAM_ROWS + before : keys", FORWARD, UNITS),
    ("kernel: attention on units: dq's warps leave out the last keys that they see", "attention_dq_matrix_units.cl",
     "first_row + TEAM_ROW(warp_row) + TEAM_ROWS + before : keys", "first_row + TEAM_ROW(warp_row) + before : keys", BACKWARD, UNITS),
    ("kernel: attention on units: dk's and dv's warps leave out a slice too many", "attention_dkdv_matrix_units.cl",
     "first_row + TEAM_ROW(warp_row) - before : -(1", "first_row + TEAM_ROW(warp_row) - before + SLICE : -(1", BACKWARD, UNITS),
    ("kernel: attention on units: a warp's rows by the place of its warpgroup's first", "attention_dkdv_matrix_units.cl",
     "const int warp_begin = causal != 0 ? warp_first - before", "const int warp_begin = causal != 0 ? first_row + TEAM_ROW(warp_row) - before", BACKWARD, BY_WGMMA),
    ("kernel: attention by wgmma: eight walked rows further by the bytes of four", "attention_wgmma.cl",
     "WGMMA_DESCRIPTOR(place, 16, 8 * ROW_BYTES, 64)", "WGMMA_DESCRIPTOR(place, 16, 4 * ROW_BYTES, 64)", FORWARD, BY_WGMMA),
    ("kernel: attention by wgmma: the next 64 of a head where the first are", "attention_wgmma.cl",
     "WGMMA_DESCRIPTOR(place, 8 * LINE_BYTES,", "WGMMA_DESCRIPTOR(place, 16,", FORWARD_FOURS, BY_WGMMA),
    ("kernel: attention by wgmma: scores of the first 64 of a head twice", "attention_wgmma.cl",
     "(step) / 4 * (8 * LINE_BYTES) + (step) % 4 * 32", "(step) % 4 * 32", FORWARD_FOURS, BY_WGMMA),
    ("kernel: attention by wgmma: the same 16 walked rows for all weights", "attention_wgmma.cl",
     "(k * 16 * ROW_BYTES + ", "(", FORWARD, BY_WGMMA),
    ("kernel: attention by wgmma: TF32 without the parts of second order", "attention_wgmma.cl",
     "for (int order = PARTS - 1; order >= 0", "for (int order = 0; order >= 0", ROUNDED_FORWARD, ROUNDED_BY_WGMMA),
    ("kernel: attention on units: the last part of f32 rows left out", "matrix_units_parts.cl",
     "cut_to_pairs(as_uint4(rest - widen_pairs(parts[1])))", "(uint2)(0u)", SPLIT_FORWARD, SPLIT),
    ("kernel: attention on units: the smallest products of parts left out", "attention_mma.cl",
     "for (int order = PARTS - 1; order >= 0", "for (int order = PARTS - 2; order >= 0", SPLIT_FORWARD, SPLIT),
    ("kernel: attention on units: split products of the last 16 of a head alone", "attention_mma.cl",
     "is_first ? target[j][e] : sums[j][e] + target[j][e]", "target[j][e]", SPLIT_FORWARD, SPLIT),
    ("kernel: attention on units: deltas of f32 with dropout by those of other queries", "attention_dkdv_matrix_units.cl",
     "READ_STATISTICS(two_queries, again)", "READ_STATISTICS(two_queries, again / 2)", SPLIT_BACKWARD_FOURS, SPLIT),
    ("kernel: attention on units: TF32 by first parts alone", "attention_mma.cl",
     "for (int order = PARTS - 1; order >= 0", "for (int order = PARTS == 2 ? 0 : PARTS - 1; order >= 0", ROUNDED_FORWARD, ROUNDED),
    ("kernel: attention on units: second parts of TF32 tiles left out", "attention_units.cl",
     "STORE_CHUNK(FETCHED_PLACE(target, i) + part * (lines)*ROW_BYTES, parts[part]);", "STORE_CHUNK(FETCHED_PLACE(target, i) + part * (lines)*ROW_BYTES, part == 0 ? parts[part] : (ushort8)(0));",
     ROUNDED_TILES, ROUNDED),
    ("kernel: attention on units: split keys put where others are read", "attention_matrix_units.cl",
     "PUT_ROWS(raw, next_tile, TILE_COLS) ", "PUT_ROWS(raw, k_tile, TILE_COLS) ", SPLIT_FORWARD_TILES, SPLIT),
    ("kernel: attention on units: the first values of f32 for all tiles", "attention_matrix_units.cl",
     "next_v += TILE_COLS * more.s2;                                                                  \\\n", "\\\n", SPLIT_FORWARD_TILES, SPLIT),
    ("kernel: attention on units: first rows of f32 for all tiles of the backward pass", "attention_backward_units.cl",
     "next_b + next * stride_b", "next_b", SPLIT_BACKWARD_TILES, SPLIT),
    ("kernel: attention on units: one part of split values for all", "attention_mma.cl",
     "owned + i % PARTS * OWNED_BYTES", "owned", SPLIT_BACKWARD, SPLIT),
    ("kernel: attention on units: f32 results of all rows in the first eight", "attention_units.cl",
     "(to + ROW_OF(i, lower) * stride", "(to + ROW_OF(i, 0) * stride", SPLIT_BACKWARD, SPLIT),
    ("kernel: attention on units: dropout masks the same for every head", "attention_units_dropout.cl",
     "(ulong)head_number * queries + first", "(ulong)first", FORWARD_FOURS, UNITS),
    ("kernel: attention on units: two lanes keep by the same two words", "attention_units_dropout.cl",
     "other) >> lane % 4 * 2;", "other) >> lane % 4 / 2 * 4;", FORWARD_FOURS, UNITS),
    ("kernel: attention on units: what is kept isn't scaled up", "attention_matrix_units.cl",
     "totals[i][lower] *= keep_scale;", "", FORWARD_FOURS, UNITS),
    ("kernel: attention on units: a row's first word taken for a block's", "attention_units_dropout.cl",
     "(int)(first_weight & 3) + lane % 4 * 2", "lane % 4 * 2", FORWARD_ANY, UNITS),
    ("kernel: attention on units: lse of what is kept alone", "attention_matrix_units.cl",
     "total += weight;", "total += DROPOUT && weight < 0.5f ? 0.0f : weight;", FORWARD_FOURS, UNITS),
    ("kernel: attention on units: dp not scaled up", "attention_backward_units.cl",
     "MULTIPLY_ADD(keep_scale, dp, -(delta))", "((dp) - (delta))", BACKWARD_FOURS, UNITS),
    ("kernel: attention on units: dk and dv by the mask of the transposed weight", "attention_dkdv_matrix_units.cl",
     "* queries + start + slice) * keys + warp_first, keys", "* queries + warp_first) * keys + start + slice, keys", BACKWARD_FOURS, UNITS),
    ("kernel: attention on units: dk and dv by the word of the key before", "attention_units_dropout.cl",
     "kept[i][lower][e] = word >> (place & 3);", "kept[i][lower][e] = word >> ((place + 3) & 3);", BACKWARD_FOURS, UNITS),
    ("kernel: attention on units: dv of all weights", "attention_dkdv_matrix_units.cl",
     "add_weighted_rows(dv_sums, left,", "add_weighted_rows(dv_sums, p,", BACKWARD_FOURS, UNITS),
    ("kernel: attention on units: dv not scaled up", "attention_dkdv_matrix_units.cl",
     "DROPOUT ? keep_scale : 1.0f", "1.0f", BACKWARD_FOURS, UNITS),
    ("kernel: attention on units: keys of the block behind the last by the first block", "attention_units_dropout.cl",
     "word = place >= 16 ? word_behind : word;", "", BACKWARD_ANY, UNITS),
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
    ("kernel: matmul_thin_wide: last slot of the sums forgotten", "matmul_thin_wide.cl", "slot < SLOTS; slot++", "slot < SLOTS - 1; slot++",
     "matmul", WIDE),
    ("kernel: norm_matmul: mean of the first row for all", "matmul_thin_wide.cl", "const float sum = scratch[item - first];", "const float sum = scratch[0];",
     "norm_matmul", WIDE),
    ("kernel: norm_matmul: the variance isn't that of centred values", "matmul_thin_wide.cl", "LOAD_DATA(x, k * stride) - mean;", "LOAD_DATA(x, k * stride);",
     "norm_matmul", WIDE),
    # Tokens
    ("kernel: sample: parts of the first row for all", "sample.cl", "parts_start + 2 * PARTS * ROW_NUMBER", "parts_start", "sample"),
    ("kernel: sample: all of equal logits kept", "sample.cl", "if (state->high < row->vocab - 1 || totals[PARTS - 1] > state->wanted)",
     "if (state->high < row->vocab - 1)", "sample"),
    ("kernel: sample: top_p forgotten behind top_k", "sample.cl", "search_limit(state, row, state->top_p < 1.0f ? WEIGHTS : NOTHING, state->top_p);",
     "search_limit(state, row, NOTHING, state->top_p);", "sample"),
    ("kernel: sample: sums of parts not brought to one scale", "sample.cl", "ROW_PARTS[2 * i + 1] * exp((ROW_PARTS[2 * i] - row.largest) * scale)",
     "ROW_PARTS[2 * i + 1]", "sample"),
    ("kernel: sample: the last of equal logits taken", "sample.cl", "select((fvec)(-INFINITY), -number, found));\n    }\n    return -group_max",
     "select((fvec)(-INFINITY), number, found));\n    }\n    return group_max", "sample"),
]

KERNEL_QUICK = [
    "kernel: softmax: scale ignored in the sum",
    "kernel: layer_norm: lanes behind the last column count",
    "kernel: add: beta ignored",
    "kernel: pack: what lies behind the depth not zeroed",
    "kernel: pack: chunks not swizzled",
    "kernel: matmul_packed: copies not waited for",
    "kernel: matmul_packed: stages filled while they are read",
]
