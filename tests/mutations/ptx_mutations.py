"""Deliberate faults of the instructions themselves and of their order, for kernels that run as PTX on the device of tests/ptx_device: what
emulated units can't show. As kernel_mutations.py has them."""

def products(variant, **more):
    """Products by this variant, without the proof that it gives elsewhere, which these faults fail too."""
    return (["--dtype", more.pop("dtype", "bf16"), "--cases", "16"],
            {"TTM_OPENCL_MATRIX_UNITS": variant, "TTM_OPENCL_MATRIX_UNITS_PROBE": "1", **more})

MMA = products("mma:0")
WGMMA = products("wgmma:6")
OVERLAPPING = products("wgmma:34")
PACKED = products("wgmma:18")
CLUSTERS = products("wgmma:37")
# Maps want aligned operands: of these cases 31 has neighbours along the depth, 41 rows of a.
MAPS = (["--dtype", "bf16", "--cases", "60"], products("wgmma:42")[1])
SPLIT = products("wgmma:20", dtype="f32", TTM_OPENCL_FP32="split")

HALVES = products("wgmma:43", dtype="f32", TTM_OPENCL_FP32="split")
HALVES_BY_MMA = products("mma:46", dtype="f32", TTM_OPENCL_FP32="split")

ATTENTION = (["--dtype", "bf16", "--cases", "150"], {"TTM_OPENCL_ATTENTION": "mma:0", "TTM_OPENCL_MATRIX_UNITS_PROBE": "1"})
BY_WGMMA = (ATTENTION[0], {**ATTENTION[1], "TTM_OPENCL_ATTENTION": "wgmma:0"})
# Of one tile; of several, an odd number of them; with dropout.
FORWARD, BACKWARD = "attention/41", "attention_backward/37"
FORWARD_TILES, BACKWARD_TILES, DROPOUT = "attention/129", "attention_backward/70", "attention/22"

STEP_BARRIER = "        UNIT_PREPARE();\n        barrier(CLK_LOCAL_MEM_FENCE);"
TILE_BARRIER = "        WAIT_COPIES(0);\n        UNIT_PREPARE();\n        barrier(CLK_LOCAL_MEM_FENCE);"
LAST_BARRIER = "    WAIT_COPIES(0);\n    barrier(CLK_LOCAL_MEM_FENCE);\n    /*"

PTX_MUTATIONS = [
    # Products: who waits for whom
    ("ptx: product: no barrier between a slice's arrival and its use", "matmul_matrix_units.cl", STEP_BARRIER, "        UNIT_PREPARE();", "matmul/12", MMA),
    ("ptx: product: a set of copies too few is waited for", "matmul_matrix_units.cl", "WAIT_COPIES(AHEAD - 1);", "WAIT_COPIES(AHEAD);", "matmul/12", MMA),
    ("ptx: product: sums leave through local memory that others still read", "matmul_matrix_units.cl",
     "    WAIT_COPIES(0);\n    barrier(CLK_LOCAL_MEM_FENCE);", "    WAIT_COPIES(0);", "matmul/12", MMA),
    ("ptx: product: lanes read a segment before all have written it", "matmul_tiles.cl",
     "            WARP_BARRIER();\n            const long segment_row", "            const long segment_row", "matmul/12", MMA),
    ("ptx: product: lanes write a segment before all have read it", "matmul_tiles.cl",
     "            WARP_BARRIER();\n            UNROLL\n            for (int j = 0; j < SEGMENT", "            UNROLL\n            for (int j = 0; j < SEGMENT",
     "matmul/12", MMA),
    ("ptx: wgmma: slices aren't fenced for the asynchronous proxy", "matmul_matrix_units.cl", STEP_BARRIER,
     "        barrier(CLK_LOCAL_MEM_FENCE);", "matmul/12", WGMMA),
    ("ptx: wgmma: slices are fenced behind the barrier", "matmul_matrix_units.cl", STEP_BARRIER,
     "        barrier(CLK_LOCAL_MEM_FENCE);\n        UNIT_PREPARE();", "matmul/12", WGMMA),
    ("ptx: wgmma: the second barrier of overlapping slices is missing", "matmul_matrix_units.cl",
     "            WAIT_SLICES(1)\n            barrier(CLK_LOCAL_MEM_FENCE);", "            WAIT_SLICES(1)", "matmul/12", OVERLAPPING),
    ("ptx: wgmma: sums are used before they are there", "matrix_units_wgmma.cl", "wait_group.sync.aligned 0;", "wait_group.sync.aligned 1;", "matmul/12", WGMMA),
    ("ptx: wgmma: sums aren't fenced", "wgmma.cl", "#define BEGIN_MULTIPLY() asm volatile(\"//@ wgmma.fence.sync.aligned;\" ::: \"memory\")",
     "#define BEGIN_MULTIPLY()", "matmul/12", WGMMA),
    ("ptx: wgmma: sums of a depth of 16 begin with the last ones", "matrix_units_wgmma.cl", "        WGMMA(\"ne\");", "        WGMMA(\"eq\");", "matmul/12", SPLIT),
    # Products: what instructions are told
    ("ptx: ldmatrix: a transposed operand isn't", "matrix_units_ptx.cl", "LOAD_MATRICES_AS(\".trans\", r, address)", "LOAD_MATRICES_AS(\"\", r, address)",
     "matmul", MMA),
    ("ptx: mma: halves of b exchanged", "matrix_units_ptx.cl", "\"r\"((b)[0]), \"r\"((b)[1])", "\"r\"((b)[1]), \"r\"((b)[0])", "matmul", MMA),
    ("ptx: cp.async: what lies outside is read", "matrix_units_ptx.cl", "\"r\"(target), \"l\"(source), \"r\"(bytes)", "\"r\"(target), \"l\"(source), \"n\"(16)",
     "matmul", MMA),
    ("ptx: wgmma: another swizzle", "wgmma.cl", "((width) == 64 ? 1ul : (width) == 32 ? 2ul : 3ul)", "((width) == 64 ? 2ul : (width) == 32 ? 1ul : 3ul)",
     "matmul/12", WGMMA),
    ("ptx: wgmma: eight rows further by the bytes of four", "matrix_units_wgmma.cl", "LEADING_BYTES(runs, width), 8 * (width)*2", "LEADING_BYTES(runs, width), 4 * (width)*2", "matmul/12", WGMMA),
    ("ptx: wgmma: blocks of lines next to each other", "matrix_units_wgmma.cl", "((runs) == 0 ? 16 : TILE_DEPTH * (width)*2)", "16", "matmul", products("wgmma:8")),
    # Packed operands
    ("ptx: packed: mbarriers are used before all know of them", "matmul_packed.cl", "    MEET_CLUSTER();\n", "", "matmul/12", PACKED),
    ("ptx: packed: mbarriers aren't fenced for copies", "matmul_packed.cl", "        FENCE_BARRIERS();\n", "", "matmul/12", PACKED),
    ("ptx: packed: one warp's arrival stands for four", "matmul_packed.cl", "ARRIVE(EMPTY(sharer_base, STAGE_BEFORE(LEFT_BEHIND + left)));",
     "if (warp % 4 == 0) for (int i = 0; i < 4; i++) ARRIVE(EMPTY(sharer_base, STAGE_BEFORE(LEFT_BEHIND + left)));",
     "matmul/12", PACKED),
    ("ptx: packed: a stage is left before it was multiplied", "matmul_packed.cl", "WAIT_SLICES(LEFT_BEHIND)", "", "matmul/12", PACKED),
    ("ptx: packed: one arrival too few is awaited", "matmul_packed.cl", "START_BARRIER(EMPTY(base, stage), WARPS * SHARERS);", "START_BARRIER(EMPTY(base, stage), WARPS - 1);", "matmul/12", PACKED),
    ("ptx: packed: fewer bytes are announced than come", "matmul_packed.cl", "EXPECT_BYTES(FULL(at->stage), STAGE_BYTES);", "EXPECT_BYTES(FULL(at->stage), STAGE_BYTES - 16);",
     "matmul/12", PACKED),
    ("ptx: packed: sums leave where others still multiply", "matmul_packed.cl", "    MEET_CONSUMERS();\n", "", "matmul/12", PACKED),
    # Halves
    ("ptx: halves: multiplied as bf16", "wgmma.cl", "\"f16.f16\"", "\"bf16.bf16\"", "matmul/12", HALVES),
    ("ptx: halves: of two numbers exchanged", "matrix_units_halves.cl", "\"f\"(*high), \"f\"(*low)", "\"f\"(*low), \"f\"(*high)", "matmul/12", HALVES),
    ("ptx: halves: of two numbers taken off the other", "matrix_units_halves.cl", "cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;", "cvt.f32.f16 %0, h; cvt.f32.f16 %1, l;",
     "matmul/12", HALVES),
    ("ptx: halves: the first of two slices left while it is multiplied", "matmul_packed.cl", "if ((number) == SLICES_APART - 1) {",
     "if ((number) == 0 && lane == 0) { ARRIVE(EMPTY(base, used.stage)); } if ((number) != 0) {", "matmul/12", HALVES),
    ("ptx: halves: sums begin anew with each slice", "matrix_units_wgmma.cl", "SUMS_APART && number == 0 && step == 0", "SUMS_APART && step == 0", "matmul/12", HALVES),
    ("ptx: halves: sizes are used before all have found theirs", "pack.cl", "    barrier(CLK_LOCAL_MEM_FENCE);\n}", "}", "matmul/12", HALVES),
    ("ptx: halves: largest numbers are compared before all are there", "line_maxima.cl", "    barrier(CLK_LOCAL_MEM_FENCE);\n", "", "matmul/12", HALVES),
    ("ptx: halves: items of a line don't wait for each other's largest numbers", "pack_lines.cl", "    barrier(CLK_LOCAL_MEM_FENCE);\n", "", "matmul/12", HALVES),
    ("ptx: halves: a tile's place isn't kept", "matmul_packed.cl", "        KEEP_TILE();\n", "", "matmul/12", HALVES),
    ("ptx: halves by mma: multiplied as bf16", "matrix_units_ptx.cl", "\"f16.f16\"", "\"bf16.bf16\"", "matmul/12", HALVES_BY_MMA),
    ("ptx: halves by mma: no barrier between a slice's arrival and its use", "matmul_packed_copies.cl",
     "        WAIT_COPIES(AHEAD - 1);\n        barrier(CLK_LOCAL_MEM_FENCE);", "        WAIT_COPIES(AHEAD - 1);", "matmul/12", HALVES_BY_MMA),
    ("ptx: halves by mma: sums leave through local memory that others still read", "matmul_packed_copies.cl",
     "    WAIT_COPIES(0);\n    barrier(CLK_LOCAL_MEM_FENCE);", "    WAIT_COPIES(0);", "matmul/12", HALVES_BY_MMA),
    # Clusters of groups
    ("ptx: clusters: groups use each other's memory before all have begun", "matmul_packed.cl", "    MEET_CLUSTER();", "    barrier(CLK_LOCAL_MEM_FENCE);", "matmul/12", CLUSTERS),
    ("ptx: clusters: a stage is filled that another group still reads", "matmul_packed.cl", "lane < SHARERS && (LEFT", "lane == ROW_IN_CLUSTER && (LEFT", "matmul/12", CLUSTERS),
    ("ptx: clusters: only the group's own consumers are waited for", "matmul_packed.cl", "WARPS * SHARERS", "WARPS", "matmul/12", CLUSTERS),
    ("ptx: clusters: arrivals of another group aren't acquired", "slice_ring.cl", ".acquire.cluster.shared::cta", ".shared::cta", "matmul/12", CLUSTERS),
    ("ptx: clusters: arrivals aren't released to other groups", "slice_ring.cl", "mbarrier.arrive.release.cluster.shared", "mbarrier.arrive.release.cta.shared", "matmul/12", CLUSTERS),
    ("ptx: clusters: a group ends while others arrive on its mbarriers", "matmul_packed.cl",
     "    ARRIVE_AT_CLUSTER();\n    finish_tile(sums, memory, warp, lane, warp_row, 0, IS_CONSUMER ? TILE_ROW : rows, TILE_COL,\n                PRODUCT_ARGUMENTS SUMS_ARGUMENTS SIZES_ARGUMENTS);\n    WAIT_FOR_CLUSTER();",
     "    finish_tile(sums, memory, warp, lane, warp_row, 0, IS_CONSUMER ? TILE_ROW : rows, TILE_COL,\n                PRODUCT_ARGUMENTS SUMS_ARGUMENTS SIZES_ARGUMENTS);", "matmul/12", CLUSTERS),
    ("ptx: clusters: all groups fetch the same share", "matmul_packed.cl", "TILE_COLS, ROW_IN_CLUSTER, CLUSTER_ROWS", "TILE_COLS, 0, CLUSTER_ROWS", "matmul/12", CLUSTERS),
    ("ptx: clusters: a's slices go to those who read b's", "matmul_packed.cl", "CLUSTER_COLS, SHARERS_OF_A", "CLUSTER_COLS, SHARERS_OF_B", "matmul/12", CLUSTERS),
    ("ptx: clusters: consumers tell the wrong groups", "slice_ring.cl", "COL_IN_CLUSTER + 1 + (i)-CLUSTER_ROWS", "COL_IN_CLUSTER + 2 + (i)-CLUSTER_ROWS", "matmul/12", CLUSTERS),
    # Tensor maps
    ("ptx: maps: aren't released to copies", "tensor_maps.cl", "    asm volatile(\"//@ fence.proxy.tensormap::generic.release.gpu;\" ::: \"memory\");\n", "", "matmul/31", MAPS),
    ("ptx: maps: aren't acquired before they are used", "matmul_packed.cl", "        FENCE_MAP(b_slices.start);\n", "", "matmul/31", MAPS),
    ("ptx: maps: don't begin with zeros", "tensor_maps.cl", "i < 8; i++", "i < 7; i++", "matmul/31", MAPS),
    ("ptx: maps: a field is left out", "tensor_maps.cl", "    REPLACE_OF(\"element_stride\", \"b32\", \"r\", \"1\", 1);\n", "", "matmul/31", MAPS),
    ("ptx: maps: a stride in elements", "tensor_maps.cl", "shape->stride * 2", "shape->stride", "matmul/31", MAPS),
    ("ptx: maps: another swizzle", "tensor_maps.cl", "REPLACE(\"swizzle_mode\", \"b32\", \"n\", 1)", "REPLACE(\"swizzle_mode\", \"b32\", \"n\", 0)", "matmul/31", MAPS),
    ("ptx: maps: coordinates exchanged", "slice_ring.cl", "COPY_BOX(target, map, k, line,", "COPY_BOX(target, map, line, k,", "matmul/31", MAPS),
    ("ptx: maps: boxes of a whole slice, not of a share", "tensor_maps.cl", "is_b ? B_SHARE_LINES : A_SHARE_LINES", "is_b ? TILE_COLS : TILE_ROWS", "matmul/31", MAPS),
    ("ptx: maps: one block of two", "slice_ring.cl", "done < lines; done += block", "done < block; done += block", "matmul/1", (MAPS[0], {**MAPS[1], "TTM_OPENCL_MATRIX_UNITS": "wgmma:39"})),
    ("ptx: maps: the second operand's lies where the first one's does", "tensor_maps.cl", "(is_b ? b_place : a_place)", "a_place", "matmul/31", MAPS),
    # Attention
    ("ptx: attention: no barrier between a tile's arrival and its use", "attention_matrix_units.cl", TILE_BARRIER, "        WAIT_COPIES(0);\n        UNIT_PREPARE();", FORWARD, ATTENTION),
    ("ptx: attention: copies of a tile aren't waited for", "attention_matrix_units.cl", TILE_BARRIER, "        barrier(CLK_LOCAL_MEM_FENCE);", FORWARD, ATTENTION),
    ("ptx: attention: results lie where others still read values", "attention_matrix_units.cl", LAST_BARRIER, "    WAIT_COPIES(0);\n    /*", FORWARD_TILES, ATTENTION),
    ("ptx: attention: results are read before all lanes have written them", "attention_units.cl",
     "    WARP_BARRIER();\n    for (int place = lane;", "    for (int place = lane;", FORWARD, ATTENTION),
    ("ptx: dq: no barrier between a tile's arrival and its use", "attention_dq_matrix_units.cl", TILE_BARRIER, "        WAIT_COPIES(0);\n        UNIT_PREPARE();", BACKWARD, ATTENTION),
    ("ptx: dk, dv: copies of a tile aren't waited for", "attention_dkdv_matrix_units.cl", TILE_BARRIER, "        barrier(CLK_LOCAL_MEM_FENCE);", BACKWARD_TILES, ATTENTION),
    ("ptx: dk, dv: results lie where others still read queries", "attention_dkdv_matrix_units.cl", LAST_BARRIER, "    WAIT_COPIES(0);\n    /*", BACKWARD, ATTENTION),
    ("ptx: attention: halves of a pair of weights exchanged", "matrix_units_ptx.cl", ": \"f\"(high), \"f\"(low))", ": \"f\"(low), \"f\"(high))", FORWARD, ATTENTION),
    ("ptx: attention: a row's largest score from other lanes", "matrix_units_ptx.cl", "\"f\"(value), \"n\"(mask)", "\"f\"(value), \"n\"(16)", FORWARD, ATTENTION),
    ("ptx: attention: random words of another lane", "matrix_units_ptx.cl", "\"r\"(word), \"r\"(from)", "\"r\"(word), \"r\"((from) ^ 1)", DROPOUT, ATTENTION),
    # Attention by wgmma
    ("ptx: attention by wgmma: tiles aren't fenced for the asynchronous proxy", "attention_matrix_units.cl", TILE_BARRIER,
     "        WAIT_COPIES(0);\n        barrier(CLK_LOCAL_MEM_FENCE);", FORWARD, BY_WGMMA),
    ("ptx: attention by wgmma: dq's tiles are fenced behind the barrier", "attention_dq_matrix_units.cl", TILE_BARRIER,
     "        WAIT_COPIES(0);\n        barrier(CLK_LOCAL_MEM_FENCE);\n        UNIT_PREPARE();", BACKWARD, BY_WGMMA),
    ("ptx: attention by wgmma: no barrier between a tile's arrival and its use", "attention_dkdv_matrix_units.cl", TILE_BARRIER,
     "        WAIT_COPIES(0);\n        UNIT_PREPARE();", BACKWARD_TILES, BY_WGMMA),
    ("ptx: attention by wgmma: scores are used before they are there", "attention_matrix_units.cl", "FINISH_SCORES(scores, 0)", "FINISH_SCORES(scores, 1)", FORWARD, BY_WGMMA),
    ("ptx: attention by wgmma: dq's second product isn't waited for", "attention_dq_matrix_units.cl", "FINISH_SCORES(ds, 0)", "FINISH_SCORES(ds, 1)", BACKWARD, BY_WGMMA),
    ("ptx: attention by wgmma: dk's and dv's second product isn't waited for", "attention_dkdv_matrix_units.cl", "            FINISH_SCORES(ds, 1)\n", "", BACKWARD, BY_WGMMA),
    ("ptx: attention by wgmma: a tile is left before its values were read", "attention_matrix_units.cl", "        FINISH_SUMS(sums)\n", "", FORWARD_TILES, BY_WGMMA),
    ("ptx: attention by wgmma: registers aren't fenced", "wgmma.cl", "#define BEGIN_MULTIPLY() asm volatile(\"//@ wgmma.fence.sync.aligned;\" ::: \"memory\")",
     "#define BEGIN_MULTIPLY()", FORWARD, BY_WGMMA),
    ("ptx: attention by wgmma: weights are packed behind the fence", "attention_wgmma.cl", "    uint left[SLICE / 16][PARTS][4];\n",
     "    uint left[SLICE / 16][PARTS][4];\n    BEGIN_MULTIPLY();\n#undef BEGIN_MULTIPLY\n#define BEGIN_MULTIPLY()\n", FORWARD, BY_WGMMA),
    ("ptx: attention by wgmma: warps leave out tiles by themselves", "attention_units.cl", "#define TEAM_ROWS (UNIT == 2 ? 64 : WARP_ROWS)", "#define TEAM_ROWS WARP_ROWS", "attention_backward/21", BY_WGMMA),
    ("ptx: attention by wgmma: halves of weights exchanged", "attention_wgmma.cl", "\"r\"(a[1]), \"r\"(a[2])", "\"r\"(a[2]), \"r\"(a[1])", FORWARD, BY_WGMMA),
    ("ptx: attention by wgmma: walked rows as if they were columns", "attention_wgmma.cl", "WGMMA_KEPT(\"eq\", HEAD_SIZE, \"1\")", "WGMMA_KEPT(\"eq\", HEAD_SIZE, \"0\")", FORWARD, BY_WGMMA),
    ("ptx: attention by wgmma: scores begin with those of the tile before", "attention_wgmma.cl", "WGMMA_KEPT(\"ne\", SLICE", "WGMMA_KEPT(\"eq\", SLICE", FORWARD_TILES, BY_WGMMA),
]

PTX_QUICK = [
    "ptx: product: no barrier between a slice's arrival and its use",
    "ptx: wgmma: slices are fenced behind the barrier",
    "ptx: wgmma: the second barrier of overlapping slices is missing",
    "ptx: cp.async: what lies outside is read",
    "ptx: packed: one warp's arrival stands for four",
    "ptx: attention: results are read before all lanes have written them",
    "ptx: attention by wgmma: dk's and dv's second product isn't waited for",
    "ptx: attention by wgmma: warps leave out tiles by themselves",
]
