#!/usr/bin/env python3
"""Compiles the attention kernels on matrix units to PTX with clang-15, assembles them with CUDA's ptxas, and prints what each needs.

    attention_units_offline.py KERNELS_CL LIST_ATTENTION_SHAPES

Exit status 1 when a shape doesn't compile, spills registers or needs other local memory than the plugin reckons with; 77 without
clang-15 or ptxas. clang isn't the compiler of NVIDIA's driver, so registers are near those of the driver, not equal to them.
"""
import os
import shutil
import sys
import tempfile

import matrix_units_offline as units
import nvidia_offline

# As in program.c.
PARTS = ['matrix_units', 'types', 'philox', 'matrix_units_emulated', 'matrix_units_ptx', 'matrix_units_parts',
         'attention_units', 'attention_units_dropout']


def parts_of(kernel):
    return PARTS + ([] if kernel == 'attention_matrix_units' else ['attention_backward_units']) + [kernel]


def join_sources(source, kernels_cl, parts):
    with open(source, 'w', encoding='utf-8') as joined:
        joined.write(units.read(nvidia_offline.BUILTINS))
        for part in parts:
            joined.write(units.read(os.path.join(kernels_cl, part + '.cl')))


def check_shape(line, kernels_cl):
    kernel, more = line.split(None, 1)
    options, reckoned = more.rsplit(None, 1)
    name = kernel.replace('_matrix_units', '')
    failures = 0
    # Rows in parts that aren't aligned are taken nowhere.
    for aligned in (1, 0) if '-DPARTS=1' in options else (1,):
        with tempfile.TemporaryDirectory() as folder:
            source, ptx = os.path.join(folder, 'kernel.cl'), os.path.join(folder, 'kernel.ptx')
            join_sources(source, kernels_cl, parts_of(kernel))
            try:
                nvidia_offline.compile_ptx(source, f'{options} -DALIGNED={aligned} -DEMULATED=0 -DGROUP=256', ptx)
                for target in ('sm_80', 'sm_90'):
                    registers, local, spilled = units.assemble(ptx, target, None, folder)
                    bad = spilled > 0 or local != int(reckoned) or registers == 0
                    failures += bad
                    print(f'  {name:14} {target:7} {registers:9} {local:7} {spilled:7}  {options} -DALIGNED={aligned}'
                          f'{"  FAILED" if bad else ""}')
            except RuntimeError as error:
                failures += 1
                print(f'  {name:14} does not compile: {options}\n{error}')
    return failures


def main():
    kernels_cl, list_shapes = sys.argv[1:3]
    for tool in ('clang-15', 'ptxas'):
        if shutil.which(tool) is None:
            print(f'skipped: {tool} is not installed')
            return 77
    code, text = units.run([list_shapes])
    if code != 0:
        print(text)
        return 1
    print(f'  {"kernel":14} {"target":7} {"registers":>9} {"local":>7} {"spilled":>7}  options')
    failures = sum(check_shape(line, kernels_cl) for line in text.splitlines())
    print(f'{failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
