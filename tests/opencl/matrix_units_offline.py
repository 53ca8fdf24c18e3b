#!/usr/bin/env python3
"""Compiles the kernels on matrix units to PTX with clang and assembles them with CUDA's ptxas, and prints what each needs.

    matrix_units_offline.py KERNELS_CL LIST_UNIT_VARIANTS RETARGET_PTX

Exit status 1 when a variant doesn't compile, spills registers or needs more than 48 KiB, 77 without clang-15 or ptxas. clang isn't
NVIDIA's compiler, so registers are near those of the driver, not equal to them.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

PARTS = ['matrix_units', 'types', 'gelu', 'product', 'matrix_units_emulated', 'matrix_units_ptx']  # as in program.c
# mma.sync is for both; wgmma is only there on sm_90a.
TARGETS = {'mma': ('sm_80', 'sm_90'), 'wgmma': ('sm_90a',)}
# (RESULT, A_RUNS, B_RUNS, A_ACCESS, B_ACCESS): the products of a layer's forward pass, its two gradients, and unaligned operands. At
# f32 operands RESULT is 1, and access 2 becomes 1.
WAYS = [(2, 0, 1, 2, 2), (2, 0, 0, 2, 2), (1, 1, 1, 2, 2), (1, 1, 0, 2, 2), (1, 0, 1, 0, 2), (2, 1, 1, 0, 0)]


def run(command, **more):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    return result.returncode, result.stdout.decode('ascii', 'replace')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read().encode('ascii', 'replace').decode()


def compile_ptx(source, options, ptx):
    """clang 15 knows no sm_90: the PTX is made for sm_80, of which sm_90 has everything, and renamed."""
    code, text = run(['clang-15', '-x', 'cl', '-target', 'nvptx64-nvidia-nvcl', '-cl-std=CL1.2', '-w', '-O3', '-cl-mad-enable',
                      '-Xclang', '-finclude-default-header', '-march=sm_80', '-Xclang', '-target-feature', '-Xclang', '+ptx75',
                      *options.split(), '-S', '-o', ptx, source])
    if code != 0:
        raise RuntimeError(text)


def assemble(ptx, target, retarget, folder):
    """(registers, bytes spilled, local bytes)"""
    text = read(ptx).replace('.version 7.5', '.version 8.0').replace('.target sm_80', '.target ' + target.rstrip('a'))
    if target.endswith('a'):
        result = subprocess.run([retarget], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.decode())
        text = result.stdout.decode()
    final = os.path.join(folder, 'final.ptx')
    with open(final, 'w', encoding='utf-8') as file:
        file.write(text)
    code, report = run(['ptxas', '-v', '-arch=' + target, final, '-o', os.path.join(folder, 'kernel.cubin')])
    if code != 0:
        raise RuntimeError(report)

    def number(pattern):
        found = re.search(pattern, report)
        return int(found.group(1)) if found else 0
    return (number(r'Used (\d+) registers'), number(r'(\d+) bytes spill stores') + number(r'(\d+) bytes spill loads'),
            number(r'(\d+) bytes smem'))


def check_variant(line, kernels_cl, retarget):
    unit, options = line.split(None, 1)
    failures = 0
    for result, a_runs, b_runs, a_access, b_access in WAYS:
        if '-DPARTS=3' in options:
            result, a_access, b_access = 1, min(a_access, 1), min(b_access, 1)
        way = (f'-DRESULT={result} -DA_RUNS={a_runs} -DB_RUNS={b_runs} -DA_ACCESS={a_access} -DB_ACCESS={b_access}')
        with tempfile.TemporaryDirectory() as folder:
            source, ptx = os.path.join(folder, 'kernel.cl'), os.path.join(folder, 'kernel.ptx')
            with open(source, 'w', encoding='utf-8') as joined:
                joined.write(read(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'nvptx_builtins.cl')))
                for part in PARTS + ['matrix_units_' + unit, 'matmul_matrix_units']:
                    joined.write(read(os.path.join(kernels_cl, part + '.cl')))
            try:
                compile_ptx(source, f'{options} {way} -DEMULATED=0 -DGROUP=256', ptx)
                for target in TARGETS[unit]:
                    registers, spilled, local = assemble(ptx, target, retarget, folder)
                    bad = spilled > 0 or local > 49152 or registers == 0
                    failures += bad
                    print(f'  {unit:6} {target:7} {registers:9} {local:7} {spilled:7}  {options} {way}{"  FAILED" if bad else ""}')
            except RuntimeError as error:
                failures += 1
                print(f'  {unit:6} does not compile: {options} {way}\n{error}')
    return failures


def main():
    kernels_cl, list_variants, retarget = sys.argv[1:4]
    for tool in ('clang-15', 'ptxas'):
        if shutil.which(tool) is None:
            print(f'skipped: {tool} is not installed')
            return 77
    code, text = run([list_variants])
    if code != 0:
        print(text)
        return 1
    print(f'  {"unit":6} {"target":7} {"registers":>9} {"local":>7} {"spilled":>7}  options')
    failures = sum(check_variant(line, kernels_cl, retarget) for line in text.splitlines())
    print(f'{failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
