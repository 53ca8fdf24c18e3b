#!/usr/bin/env python3
"""Compiles the kernels on matrix units for GPUs that aren't at hand, and prints what each needs.

    matrix_units_offline.py KERNELS_CL LIST_UNIT_VARIANTS RETARGET_PTX [UNIT…]

NVIDIA's are compiled to PTX by clang-15 and assembled by CUDA's ptxas, AMD's by clang-15, Intel's by ocloc. A compiler that isn't
installed is reported and its units are passed over. Exit status 1 when a variant doesn't compile, has none of its unit's instructions,
spills registers, needs more than 48 KiB or, of wgmma, leaves no registers for a second group; 77 when no compiler is there. clang isn't the compiler of NVIDIA's driver, so registers are
near those of the driver, not equal to them.
"""
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import nvidia_offline  # noqa: E402
import offline_compile  # noqa: E402

# As in program.c: what comes before a unit's instructions, and what behind.
SHARED = ['matrix_units', 'types', 'gelu', 'product', 'matrix_units_emulated']
KERNEL = ['matmul_tiles', 'matmul_matrix_units']
PACKED_KERNEL = {'wgmma': ['matrix_units_halves', 'matmul_tiles', 'packed_operands', 'slice_ring', 'matmul_packed'],
                 'mma': ['matrix_units_halves', 'matmul_tiles', 'packed_operands', 'matmul_packed_copies']}
COPIES = {'mma': 'ptx', 'wgmma': 'ptx', 'dpas': 'plain', 'mfma': 'plain'}
# mma.sync is for both; wgmma is only there on sm_90a.
TARGETS = {'mma': ('sm_80', 'sm_90'), 'wgmma': ('sm_90a',), 'dpas': ('dg2',), 'mfma': ('gfx90a', 'gfx940')}
TOOLS = {'mma': ('clang-15', 'ptxas'), 'wgmma': ('clang-15', 'ptxas'), 'dpas': ('ocloc',), 'mfma': ('clang-15', 'llvm-objdump-15')}
# (RESULT, A_RUNS, B_RUNS, A_ACCESS, B_ACCESS, PIECES): the products of a layer's forward pass, its two gradients, unaligned operands, and
# a weight's gradient in pieces. At f32 operands RESULT is 1. Access 2 becomes 1 where there is no copy for it.
WAYS = [(2, 0, 1, 2, 2, 0), (2, 0, 0, 2, 2, 0), (1, 1, 1, 2, 2, 0), (1, 1, 0, 2, 2, 0), (1, 0, 1, 0, 2, 0), (2, 1, 1, 0, 0, 0),
        (1, 1, 1, 2, 2, 1), (1, 1, 1, 0, 0, 1)]


def run(command, **more):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    return result.returncode, result.stdout.decode('ascii', 'replace')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read().encode('ascii', 'replace').decode()


def without_limits(options):
    """Without what is for NVIDIA's compiler alone."""
    return re.sub(r'-cl-nv-\S+', '', options)


def assemble(ptx, target, retarget, folder, options=''):
    """PTX made for sm_80, renamed: (registers, local bytes, bytes spilled)"""
    most_registers = re.findall(r'-cl-nv-(maxrregcount=\d+)', options)
    text = read(ptx).replace('.version 7.5', '.version 8.3').replace('.target sm_80', '.target ' + target.rstrip('a'))
    if target.endswith('a'):
        result = subprocess.run([retarget], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.decode())
        text = result.stdout.decode()
    final = os.path.join(folder, 'final.ptx')
    with open(final, 'w', encoding='utf-8') as file:
        file.write(text)
    code, report = run(['ptxas', '-v', '-arch=' + target, *['--' + option for option in most_registers], final, '-o', os.path.join(folder, 'kernel.cubin')])
    # ptxas warns where it makes wgmma wait for each other.
    if code != 0 or 'serialized' in report:
        raise RuntimeError(report)

    def number(pattern):
        found = re.search(pattern, report)
        return int(found.group(1)) if found else 0
    # Arrays that lie in memory count as spilled.
    return (number(r'Used (\d+) registers'), number(r'(\d+) bytes smem'),
            number(r'(\d+) bytes spill stores') + number(r'(\d+) bytes spill loads') + number(r'(\d+) bytes stack frame'))


def lets_two_run(unit, options, registers):
    """Whether a multiprocessor has registers for two groups of wgmma, one of which multiplies while the other writes; tiles of more than 128
    columns have too many sums for that, and so has a pair of warpgroups with 128 columns in parts, each of which has the units to itself while
    the other adds."""
    macros = {name: int(value) for name, value in re.findall(r'-D(\w+)=(\d+)', options)}
    if unit != 'wgmma' or macros['TILE_COLS'] > 128 or (macros['PARTS'] == 3 and macros['TILE_ROWS'] * macros['TILE_COLS'] > 128 * 96):
        return True
    items = 32 * (macros['TILE_ROWS'] // macros['WARP_ROWS'] + macros.get('PACKED', 0))
    return 2 * items * ((registers + 7) // 8 * 8) <= 65536


def compile_nvidia(source, options, folder, targets, retarget):
    ptx = os.path.join(folder, 'kernel.ptx')
    nvidia_offline.compile_ptx(source, without_limits(options), ptx)
    return [assemble(ptx, target, retarget, folder, options) for target in targets]


def compile_amd(source, options, folder, targets):
    needs = []
    for target in targets:
        inside = tempfile.mkdtemp(dir=folder)
        # 64 lanes is what these chips' waves have.
        [(_, registers, local, spilled)] = offline_compile.compile_amd(source, '-cl-std=CL1.2 -cl-mad-enable ' + options, inside, target)
        _, listing = run(['llvm-objdump-15', '-d', os.path.join(inside, 'kernel.o')])
        if not re.search(r'v_mfma_f32_16x16x16_?bf16', listing):
            raise RuntimeError('no v_mfma_f32_16x16x16_bf16 in what was compiled')
        needs.append((registers, local, spilled))
    return needs


def compile_intel(source, options, folder, targets):
    """IGC's listing says how many registers a thread may use (of 32 bytes) and counts its instructions."""
    needs = []
    for _ in targets:
        dump = os.path.join(folder, 'listing')
        os.mkdir(dump)
        os.environ.update(IGC_ShaderDumpEnable='1', IGC_DumpToCustomDir=dump)
        [(_, _, local, spilled)] = offline_compile.compile_intel(
            source, '-cl-std=CL1.2 -cl-mad-enable ' + options, folder, None)
        # Where the compiler tries twice, the last listing is what counts.
        listings = [read(os.path.join(dump, name)) for name in sorted(os.listdir(dump), key=len) if name.endswith('.asm')]
        if not listings or not re.search(r'^\s+dpas\.8x8 \(8\|M0\)', listings[-1], re.MULTILINE):
            raise RuntimeError('no dpas.8x8 in what was compiled')
        needs.append((int(re.search(r'numGRF=(\d+)', listings[-1]).group(1)), local, spilled))
    return needs


def compile_unit(unit, source, options, folder, retarget):
    """[(registers, local bytes, bytes spilled)] for each of the unit's targets."""
    if unit == 'dpas':
        return compile_intel(source, options, folder, TARGETS[unit])
    if unit == 'mfma':
        return compile_amd(source, options, folder, TARGETS[unit])
    return compile_nvidia(source, options, folder, TARGETS[unit], retarget)


def write_source(folder, kernels_cl, parts):
    source = os.path.join(folder, 'kernel.cl')
    with open(source, 'w', encoding='utf-8') as joined:
        for part in parts:
            joined.write(read(part if os.path.isabs(part) else os.path.join(kernels_cl, part + '.cl')))
    return source


@functools.lru_cache(maxsize=None)
def check_helper(name, target, kernels_cl, parts, way, retarget):
    """A kernel beside that of products, which several variants may share: 1 if it doesn't compile, or spills, else 0."""
    with tempfile.TemporaryDirectory() as folder:
        source = write_source(folder, kernels_cl, (nvidia_offline.BUILTINS,) + parts)
        try:
            [(registers, local, spilled)] = compile_nvidia(source, way, folder, (target,), retarget)
        except RuntimeError as error:
            print(f'  {name:6} does not compile: {way}\n{error}')
            return 1
    bad = spilled > 0 or registers == 0
    print(f'  {name:6} {target:7} {registers:9} {local:7} {spilled:7}  {way}{"  FAILED" if bad else ""}')
    return int(bad)


def check_packing(options, kernels_cl, retarget):
    """The kernels that pack a variant's operands, and find their lines' sizes for that."""
    macros = dict(re.findall(r'-D(\w+)=(\d+)', options))
    parts = ('matrix_units', 'types', 'matrix_units_chunks', 'matrix_units_parts', 'matrix_units_halves', 'pack')
    shape = (f'-DDATA={2 if macros["PARTS"] == "1" else 1} -DPARTS={macros["PARTS"]} -DHALVES={macros.get("HALVES", 0)} -DEMULATED=0 '
             f'-DTILE_DEPTH={macros["TILE_DEPTH"]}')
    tiles = sorted({macros['TILE_ROWS'], macros['TILE_COLS']}, key=int)
    ways = [('pack', parts, 0, 1), ('pack', parts, 1, 1), ('pack', parts, 0, 0)]
    if 'HALVES' in macros:
        pack_lines = parts[:-1] + ('pack_lines',)
        ways = [('lines', pack_lines, 0, 1), ('lines', pack_lines, 0, 0), ('maxima', parts[:2] + ('matrix_units_halves', 'line_maxima'), 1, 0),
                ('pack', parts, 1, 1), ('pack', parts, 1, 0)]
    return sum(check_helper(name, 'sm_90', kernels_cl, sources, f'{shape} -DTILE_LINES={lines} -DRUNS={runs} -DACCESS={access}', retarget)
               for lines in tiles for name, sources, runs, access in ways)


def check_maps(options, kernels_cl, retarget):
    """The kernel that makes tensor maps of a variant's operands."""
    return sum(check_helper('maps', 'sm_90a', kernels_cl, ('matrix_units', 'tensor_maps'), f'{options} -DA_RUNS={a_runs} -DB_RUNS={b_runs} -DEMULATED=0',
                            retarget) for a_runs, b_runs in ((0, 1), (1, 0)))


def check_variant(line, kernels_cl, retarget):
    unit, options = line.split(None, 1)
    packed = '-DPACKED=1' in options
    failures = 0
    if packed:
        failures = (check_maps if '-DMAPPED=1' in options else check_packing)(options, kernels_cl, retarget)
    is_f32 = '-DPARTS=1' not in options
    most_access = 1 if is_f32 or COPIES[unit] == 'plain' else 2
    # Packed operands need no access.
    ways = sorted({way[:3] + (0, 0, way[5]) for way in WAYS}) if packed else WAYS
    for result, a_runs, b_runs, a_access, b_access, pieces in ways:
        if is_f32:
            result = 1
        way = (f'-DRESULT={result} -DA_RUNS={a_runs} -DB_RUNS={b_runs} -DA_ACCESS={min(a_access, most_access)} '
               f'-DB_ACCESS={min(b_access, most_access)} -DPIECES={pieces}')
        with tempfile.TemporaryDirectory() as folder:
            kernel = PACKED_KERNEL[unit] if packed else ['matrix_units_chunks', 'matrix_units_parts'] + KERNEL
            source = write_source(folder, kernels_cl, ([nvidia_offline.BUILTINS] if COPIES[unit] == 'ptx' else []) +
                                  SHARED + ['matrix_units_' + COPIES[unit], 'wgmma', 'matrix_units_' + unit] + kernel)
            try:
                needs = compile_unit(unit, source, f'{options} {way} -DEMULATED=0 -DGROUP=256 -DVECTOR=1', folder, retarget)
            except RuntimeError as error:
                failures += 1
                print(f'  {unit:6} does not compile: {options} {way}\n{error}')
                continue
            for target, (registers, local, spilled) in zip(TARGETS[unit], needs):
                bad = spilled > 0 or local > 49152 or registers == 0 or not lets_two_run(unit, options, registers)
                failures += bad
                print(f'  {unit:6} {target:7} {registers:9} {local:7} {spilled:7}  {options} {way}{"  FAILED" if bad else ""}')
    return failures


def main():
    kernels_cl, list_variants, retarget = sys.argv[1:4]
    missing = {unit: [tool for tool in tools if shutil.which(tool) is None] for unit, tools in TOOLS.items()}
    for unit, tools in missing.items():
        if tools:
            print(f'{unit} is passed over: {" and ".join(tools)} not installed')
    if all(missing.values()):
        return 77
    code, text = run([list_variants])
    if code != 0:
        print(text)
        return 1
    print(f'  {"unit":6} {"target":7} {"registers":>9} {"local":>7} {"spilled":>7}  options')
    only = sys.argv[4:]
    failures = sum(check_variant(line, kernels_cl, retarget) for line in text.splitlines()
                   if not missing[line.split()[0]] and (not only or line.split()[0] in only))
    print(f'{failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
