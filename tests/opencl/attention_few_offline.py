#!/usr/bin/env python3
"""Compiles attention of few queries for GPUs that aren't at hand, and prints what each kernel needs.

    attention_few_offline.py KERNELS_CL

NVIDIA's code is made by clang-15 and CUDA's ptxas (not the driver's compiler: registers are near its, not equal to them), Intel's by
ocloc, AMD's by clang-15. A compiler that isn't installed is reported and passed over. Exit status 1 when a kernel doesn't compile or
spills, or takes more local memory than every NVIDIA group may have; 77 when no compiler is there.
"""
import os
import sys
import tempfile

import matrix_units_offline as units
import nvidia_offline
import offline_compile

LEAST_LOCAL = 48 * 1024
OPTIONS = '-DVECTOR=1 -DGROUP=256 -DLANES=4'


def variants():
    """What the host builds on a GPU: one query and eight, rows in pieces, and the eight element by element too."""
    for head_size, types, counts in ((64, (1, 2, 3), (1, 8)), (80, (1, 2), (8,)), (128, (2,), (1, 8)), (256, (1, 2), (8,))):
        for data in types:
            for queries in counts:
                for width in (min(4 if data == 1 else 8, 32 // queries), 1)[:1 + (queries == 8)]:
                    yield (f'-DDATA={data} -DHEAD_SIZE={head_size} -DQUERIES={queries} -DCHUNK={min(256, 1024 // queries)} '
                           f'-DWIDTH={width}')


def compile_other(compiler):
    return lambda source, options, folder, target: compiler(source, '-cl-std=CL1.2 -cl-mad-enable ' + options, folder, target)


TARGETS = {
    'sm_80': (nvidia_offline.compile_kernels, nvidia_offline.is_installed),
    'dg2': (compile_other(offline_compile.compile_intel), offline_compile.TARGETS['intel'][2]),
    'gfx90a': (compile_other(offline_compile.compile_amd), offline_compile.has_amd_compiler),
    'gfx1030': (compile_other(offline_compile.compile_amd), offline_compile.has_amd_compiler),
}


def write_source(folder, kernels_cl, target):
    source = os.path.join(folder, 'attention_few.cl')
    with open(source, 'w', encoding='utf-8') as joined:
        if target == 'sm_80':
            joined.write(units.read(nvidia_offline.BUILTINS))
        for part in ('types', 'wide', 'attention_few'):  # as in program.c
            joined.write(units.read(os.path.join(kernels_cl, part + '.cl')))
    return source


def check(target, compiler, kernels_cl):
    failures = 0
    most = {}
    for options in variants():
        with tempfile.TemporaryDirectory() as folder:
            try:
                kernels = compiler(write_source(folder, kernels_cl, target), f'{OPTIONS} {options}', folder, target)
            except RuntimeError as error:
                failures += 1
                print(f'  {target} does not compile: {options}\n{error}')
                continue
        for name, registers, local, spilled in kernels:
            bad = spilled > 0 or local > LEAST_LOCAL or registers == 0
            failures += bad
            if bad:
                print(f'  {name} on {target}: {registers} registers, {local} bytes, {spilled} spilled: {options}')
            most[name] = tuple(map(max, most.get(name, (0, 0, 0)), (registers, local, spilled)))
    for name, (registers, local, spilled) in most.items():
        print(f'  {name:24} {target:8} {registers:9} {local:7} {spilled:7}')
    return failures


def main():
    failures = checked = 0
    print(f'  {"kernel, at most":24} {"target":8} {"registers":>9} {"local":>7} {"spilled":>7}')
    for target, (compiler, is_installed) in TARGETS.items():
        if not is_installed():
            print(f'  {target}: its compiler is not installed; passed over')
            continue
        checked += 1
        failures += check(target, compiler, sys.argv[1])
    print(f'{failures} failures on {checked} targets')
    return 1 if failures else (0 if checked else 77)


if __name__ == '__main__':
    sys.exit(main())
