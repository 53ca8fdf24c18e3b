#!/usr/bin/env python3
"""Compiles the attention kernels on matrix units to PTX with clang-15, assembles them with CUDA's ptxas, and prints what each needs.

    attention_units_offline.py KERNELS_CL LIST_ATTENTION_SHAPES RETARGET_PTX

Exit status 1 when a shape doesn't compile, spills registers, makes wgmma wait for each other or needs other local memory than the plugin reckons with; 77 without
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
         'wgmma', 'attention_units', 'attention_units_dropout', 'attention_mma', 'attention_wgmma']


def parts_of(kernel):
    return PARTS + ([] if kernel == 'attention_matrix_units' else ['attention_backward_units']) + [kernel]


def join_sources(source, kernels_cl, parts):
    with open(source, 'w', encoding='utf-8') as joined:
        joined.write(units.read(nvidia_offline.BUILTINS))
        for part in parts:
            joined.write(units.read(os.path.join(kernels_cl, part + '.cl')))


def targets_of(options):
    return ('sm_90a',) if '-DUNIT=2' in options else ('sm_80', 'sm_90')


def check_shape(line, kernels_cl, retarget):
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
                nvidia_offline.compile_ptx(source, f'{units.without_limits(options)} -DALIGNED={aligned} -DEMULATED=0 -DGROUP=256', ptx)
                for target in targets_of(options):
                    registers, local, spilled = units.assemble(ptx, target, retarget, folder, options)
                    bad = spilled > 0 or local != int(reckoned) or registers == 0
                    failures += bad
                    print(f'  {name:14} {target:7} {registers:9} {local:7} {spilled:7}  {options} -DALIGNED={aligned}'
                          f'{"  FAILED" if bad else ""}')
            except RuntimeError as error:
                failures += 1
                print(f'  {name:14} does not compile: {options}\n{error}')
    return failures


def main():
    kernels_cl, list_shapes, retarget = sys.argv[1:4]
    for tool in ('clang-15', 'ptxas'):
        if shutil.which(tool) is None:
            print(f'skipped: {tool} is not installed')
            return 77
    code, text = units.run([list_shapes])
    if code != 0:
        print(text)
        return 1
    print(f'  {"kernel":14} {"target":7} {"registers":>9} {"local":>7} {"spilled":>7}  options')
    failures = sum(check_shape(line, kernels_cl, retarget) for line in text.splitlines())
    print(f'{failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
