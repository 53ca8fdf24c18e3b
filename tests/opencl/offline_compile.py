#!/usr/bin/env python3
"""Compiles every kernel of kernels_cl for real GPUs that aren't at hand, and prints what each needs.

    offline_compile.py KERNELS_CL [--target intel|gfx90a|gfx1030|sm_80|sm_90]… [--filter TEXT]

Intel DG2 is compiled by ocloc (Debian: intel-opencl-icd), AMD gfx90a and gfx1030 by clang-15 with
rocm-device-libs, NVIDIA sm_80 and sm_90 by clang-15 and CUDA's ptxas. A compiler that isn't
installed is reported and passed over. Exit status 1 when a kernel doesn't compile or spills
registers to memory in a default shape.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import nvidia_offline

PARTS = {  # as in backends/opencl/program.c
    'copy': ['types', 'strided', 'copy'],
    'elementwise': ['types', 'gelu', 'philox', 'strided', 'elementwise'],
    'matmul': ['types', 'gelu', 'product', 'matmul'],
    'matmul_thin': ['types', 'gelu', 'product', 'matmul_thin'],
    'matmul_thin_wide': ['types', 'wide', 'gelu', 'product', 'matmul_thin_wide'],
    'epilogue': ['types', 'gelu', 'product', 'epilogue'],
    'matmul_pieces': ['types', 'gelu', 'product', 'matmul_pieces'],
    'reduce': ['types', 'group_reduce', 'reduce'],
    'softmax': ['types', 'group_reduce', 'softmax'],
    'layer_norm': ['types', 'group_reduce', 'layer_norm'],
    'attention': ['types', 'philox', 'attention_tile', 'attention'],
    'attention_backward': ['types', 'philox', 'attention_tile', 'attention_backward'],
    'cross_entropy': ['types', 'group_reduce', 'cross_entropy'],
    'sample': ['types', 'group_reduce', 'sample'],
    'embedding': ['types', 'embedding'],
    'adamw': ['types', 'philox', 'adamw'],
}
COMMON = '-cl-std=CL1.2 -cl-mad-enable'
USUAL_SHAPE = '-DVECTOR=1 -DGROUP=256'


def tile(head_size, rows, cols, items=16, dropout=0):
    return (f'-DHEAD_SIZE={head_size} -DCOL_ITEMS={items} -DROW_ITEMS={items} -DEACH_ROWS={rows} '
            f'-DEACH_COLS={cols} -DSTEPS=1 -DDROPOUT={dropout}')


def wide(data, rows):
    """Products with few rows: by rows, with and without a layer norm, and by columns."""
    items, ahead = (512, 8) if rows == 1 else (256, 4)
    common = f'-DDATA={data} -DRESULT={data} -DWIDTH={4 if data == 1 else 8} -DMOST_ROWS={rows} -DAHEAD={ahead}'
    yield 'matmul_thin_wide', f'{common} -DBY_ROWS=1 -DNORM=0 -DCOLS=4 -DPARTS={items // 4}', True
    yield 'matmul_thin_wide', f'{common} -DBY_ROWS=1 -DNORM=1 -DDEPTH=768 -DCOLS=4 -DPARTS={items // 4}', True
    yield 'matmul_thin_wide', f'{common} -DBY_ROWS=0 -DNORM=0 -DCOLS=32 -DPARTS={items // 32}', True


def variants():
    """(family, options, default): what the host builds on a GPU with 256 work-items a group."""
    yield 'copy', '-DRAW_BYTES=4 -DEACH=1 -DWIDE_ROWS=0', True
    yield 'copy', '-DFROM=1 -DTO=2 -DEACH=1 -DWIDE_ROWS=1', True
    yield 'copy', '-DFROM=3 -DTO=1 -DEACH=1 -DWIDE_ROWS=0', True
    for data in (1, 2, 3):
        yield 'elementwise', f'-DDATA={data} -DEACH=1 -DHAS_B=1 -DWIDE_ROWS=0', True
        yield 'matmul', f'-DDATA={data} -DRESULT={data} -DITEMS=16 -DEACH=4 -DDEPTH=16', True
        yield 'matmul_thin', f'-DDATA={data} -DRESULT={data} -DMOST_ROWS=8 -DCOLS=32 -DPARTS=8', True
        for rows in (1, 8):  # 2 and 4 are between these
            yield from wide(data, rows)
        yield 'matmul_pieces', f'-DDATA={data} -DRESULT={data}', True
        yield 'reduce', f'-DDATA={data} -DRESULT=1 -DCOL_ITEMS=32 -DPART_ITEMS=8', True
        yield 'softmax', f'-DDATA={data}', True
        yield 'layer_norm', f'-DDATA={data} -DRESULT=1 -DCOL_ITEMS=32 -DPART_ITEMS=8', True
        yield 'layer_norm', f'-DVECTOR=4 -DGROUP=64 -DWHOLE_ROWS=1 -DDATA={data} -DRESULT=1 -DEACH=3', True
        yield 'cross_entropy', f'-DDATA={data}', True
        yield 'cross_entropy', f'-DVECTOR={4 if data == 1 else 8} -DGROUP=256 -DWHOLE_ROWS=1 -DDATA={data}', True
        yield 'sample', f'-DDATA={data}', True
        yield 'embedding', f'-DDATA={data} -DRESULT=1 -DSORT_ITEMS=256', True
        yield 'adamw', f'-DDATA={data} -DRESULT={data} -DMOMENT=1 -DITEMS=256', True
        yield 'attention', f'-DDATA={data} ' + tile(64, 4, 2), True
        yield 'attention_backward', f'-DDATA={data} ' + tile(64, 2, 2), True
    yield 'matmul', '-DDATA=1 -DRESULT=1 -DITEMS=16 -DEACH=2 -DDEPTH=16', True
    yield 'matmul', '-DDATA=2 -DRESULT=1 -DITEMS=8 -DEACH=4 -DDEPTH=16', True
    yield 'adamw', '-DDATA=1 -DRESULT=2 -DMOMENT=2 -DITEMS=256', True
    yield 'epilogue', '-DDATA=1 -DRESULT=1', True
    yield 'attention', '-DDATA=1 ' + tile(64, 4, 2, dropout=1), True
    yield 'attention', '-DDATA=1 ' + tile(128, 2, 1), True
    yield 'attention', '-DDATA=1 ' + tile(80, 2, 2), True
    yield 'attention_backward', '-DDATA=1 ' + tile(64, 2, 2, dropout=1), True
    yield 'attention_backward', '-DDATA=1 ' + tile(128, 1, 1), True


def run(command, folder=None):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False, cwd=folder)
    return result.returncode, result.stdout


def compile_amd(source, options, folder, chip):
    """[(kernel, registers, local bytes, bytes spilled)] by clang and the code object's notes."""
    output = os.path.join(folder, 'kernel.o')
    code, text = run(['clang-15', '-x', 'cl', '-target', 'amdgcn-amd-amdhsa', f'-mcpu={chip}',
                      '-Xclang', '-finclude-default-header',
                      f'--rocm-device-lib-path={device_library()}', '-O3', *options.split(), '-o',
                      output, source])
    if code != 0:
        raise RuntimeError(text)
    _, notes = run(['llvm-readelf-15', '--notes', output])
    kernels = []
    for block in notes.split('- .agpr_count:')[1:] or notes.split('  - .args:')[1:]:
        def field(name, block=block):
            return int(re.search(r'\.%s:\s+(\d+)' % name, block).group(1))
        name = re.search(r'\.symbol:\s+(\w+)\.kd', block).group(1)
        # Scalars are spilled to lanes of vector registers, which costs no memory.
        spilled = 4 * field('vgpr_spill_count') + field('private_segment_fixed_size')
        kernels.append((name, field('vgpr_count'), field('group_segment_fixed_size'), spilled))
    return kernels


def compile_intel(source, options, folder, _chip):
    """The same by ocloc and the binary's patch tokens (15 local memory, 18 scratch, 23 the rest)."""
    # ocloc leaves a file of its own where it runs.
    code, text = run(['ocloc', 'compile', '-file', os.path.abspath(source), '-device', 'dg2',
                      '-options', options, '-output', 'kernel', '-out_dir', folder], folder)
    binaries = [name for name in os.listdir(folder) if name.endswith('.bin')]
    if code != 0 or not binaries:
        raise RuntimeError(text)
    dump = os.path.join(folder, 'dump')
    os.mkdir(dump)
    run(['ocloc', 'disasm', '-file', os.path.join(folder, binaries[0]), '-dump', dump, '-device',
         'dg2'], folder)
    with open(os.path.join(dump, 'PTM.txt'), encoding='utf-8', errors='replace') as listing:
        blocks = listing.read().split('KernelBinaryHeader:')[1:]
    kernels = []
    for block in blocks:
        def token(number, place, block=block):
            found = re.search(r'Token %d\n\t4 Size \d+\n\tHex ([0-9a-f ]+)' % number, block)
            if not found:
                return 0
            data = [int(byte, 16) for byte in found.group(1).split()]
            return int.from_bytes(bytes(data[4 * place:4 * place + 4]), 'little')
        name = re.search(r'KernelName (\w+)', block).group(1)
        kernels.append((name, token(23, 20), token(15, 1), token(18, 1)))
    return kernels


def device_library():
    for folder in ('/usr/lib/x86_64-linux-gnu/amdgcn/bitcode', '/usr/lib/amdgcn/bitcode'):
        if os.path.isdir(folder):
            return folder
    return ''


def has_amd_compiler():
    return all(shutil.which(tool) for tool in ('clang-15', 'llvm-readelf-15')) and device_library() != ''


TARGETS = {
    'intel': ('Intel DG2', compile_intel, lambda: shutil.which('ocloc') is not None),
    'gfx90a': ('AMD gfx90a', compile_amd, has_amd_compiler),
    'gfx1030': ('AMD gfx1030', compile_amd, has_amd_compiler),
    'sm_80': ('NVIDIA sm_80', nvidia_offline.compile_kernels, nvidia_offline.is_installed),
    'sm_90': ('NVIDIA sm_90', nvidia_offline.compile_kernels, nvidia_offline.is_installed),
}


def write_source(source, kernels_cl, family, target):
    files = [os.path.join(kernels_cl, part + '.cl') for part in PARTS[family]]
    with open(source, 'w', encoding='utf-8') as joined:
        for name in ([nvidia_offline.BUILTINS] if target.startswith('sm_') else []) + files:
            with open(name, encoding='utf-8') as file:
                joined.write(file.read().encode('ascii', 'replace').decode())


def check(target, kernels_cl, text_filter):
    """Prints the target's table; returns the number of failures."""
    title, compiler, _ = TARGETS[target]
    print(f'{title}\n  {"kernel":24} {"registers":>9} {"local":>7} {"spilled":>7}  options')
    failures = 0
    for family, options, default in variants():
        if text_filter not in family:
            continue
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, family + '.cl')
            write_source(source, kernels_cl, family, target)
            try:
                shape = '' if '-DVECTOR=' in options else USUAL_SHAPE
                kernels = compiler(source, f'{COMMON} {shape} {options}', folder, target)
            except RuntimeError as error:
                failures += 1
                print(f'  {family:24} does not compile: {options}\n{error}')
                continue
        for name, registers, local, spilled in kernels:
            failed = default and spilled > 0
            failures += failed
            print(f'  {name:24} {registers:9} {local:7} {spilled:7}  {options}'
                  f'{"  SPILLS" if failed else ""}')
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('kernels_cl')
    parser.add_argument('--target', choices=TARGETS, action='append')
    parser.add_argument('--filter', default='')
    options = parser.parse_args()
    failures = 0
    checked = 0
    for target in options.target or TARGETS:
        title, _, is_installed = TARGETS[target]
        if not is_installed():
            print(f'{title}: its compiler is not installed; passed over')
            continue
        checked += 1
        failures += check(target, options.kernels_cl, options.filter)
    print(f'{failures} failures on {checked} targets')
    return 1 if failures else (0 if checked else 77)


if __name__ == '__main__':
    sys.exit(main())
