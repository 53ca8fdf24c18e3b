#!/usr/bin/env python3
"""Counts what a warp executes for a tile in the attention kernels on matrix units, and what bounds that. By hand, not in the suite.

    attention_units_count.py KERNELS_CL LIST_ATTENTION_SHAPES RETARGET_PTX [TEXT]…

Kernels are compiled as in attention_units_offline.py, for aligned rows, and disassembled by CUDA's nvdisasm. Counted is the loop over
tiles without the masks, which only tiles on the diagonal and at the end go through, and without what is done instead for a tile of which
a warp sees nothing. Bounds are clocks that a scheduler, one of four of a multiprocessor, is kept busy by a warp's tile: the units', issuing
one instruction a clock, and the pipes'. Nothing is measured. Shapes whose options lack a TEXT are left out.

Times are for 16 sequences (8 of f32 tensors) of 1,024 tokens, 12 heads of 64, causal, 12 layers: by the largest bound, and by the units' clocks and all other
instructions' one after the other, as if nothing overlapped. Exit status 77 without clang-15, ptxas or nvdisasm.
"""
import collections
import os
import re
import shutil
import sys
import tempfile

import attention_units_offline as offline
import matrix_units_offline as units
import nvidia_offline

# Multiprocessors, GHz, and clocks of a scheduler for an instruction of a warp: m16n8k16 by mma.sync, multiply-adds of f32. An A100 does
# 1,024 multiply-adds of bf16 a clock and multiprocessor (312 TFLOP/s); an H100 2,048 (989 TFLOP/s), of which mma.sync is taken to reach
# 0.63. wgmma reaches it all, and has a name of its own.
DEVICES = {'sm_80': ('A100', 108, 1.41, 8.0, 2.0), 'sm_90': ('H100', 132, 1.83, 2048 / (2048 * 0.63 / 4), 1.0),
           'sm_90a': ('H100', 132, 1.83, 0.0, 1.0)}
# 16 lanes a clock and multiprocessor for exp2, 64 for integers and comparisons, 128 bytes of local memory.
CLOCKS_MUFU, CLOCKS_INTEGER, CLOCKS_512_BYTES = 8.0, 2.0, 16.0
TOKENS, HEADS, LAYERS = 1024, {1: 16 * 12, 2: 8 * 12, 3: 8 * 12}, 12

CLASSES = ['HMMA', 'HGMMA', 'LDSM', 'LDGSTS', 'MUFU', 'float', 'product', 'integer', 'predicate', 'other']
FLOAT = {'FFMA', 'FADD', 'FMUL'}
PREDICATE = {'ISETP', 'FSETP', 'PLOP3', 'R2P', 'P2R'}
INTEGER = {'FMNMX', 'FSEL', 'SEL', 'LOP3', 'IADD3', 'VIADD', 'SHF', 'LEA', 'IMNMX', 'VIMNMX', 'VIADDMNMX', 'PRMT', 'IABS', 'F2FP'}


def class_of(instruction):
    words = instruction.split()
    name = (words[1] if words[0].startswith('@') else words[0]).split('.')[0]
    if name in CLASSES:
        return name
    for members, kind in ((FLOAT, 'float'), ({'IMAD'}, 'product'), (PREDICATE, 'predicate'), (INTEGER, 'integer')):
        if name in members:
            return kind
    return 'other'


def disassemble(cubin):
    """([instruction], {label: place})"""
    instructions, labels = [], {}
    for line in units.run(['nvdisasm', '-c', cubin])[1].splitlines():
        label = re.match(r'\s*(\.L_x_\w+):', line)
        instruction = re.match(r'\s*/\*[0-9a-f]+\*/\s+(.*?)\s*;', line)
        if label:
            labels[label.group(1)] = len(instructions)
        elif instruction:
            instructions.append(instruction.group(1))
    return instructions, labels


def branches(instructions, labels):
    for place, instruction in enumerate(instructions):
        target = re.search(r'\bBRA\b.*`\((\.L_x_\w+)\)', instruction)
        if target and target.group(1) in labels:
            yield place, labels[target.group(1)]


def is_product(instruction):
    return 'HMMA' in instruction or 'HGMMA' in instruction


def count_loop(instructions, labels):
    """How many of each class the loop over tiles has, without masks and tiles that are left out."""
    jumps = list(branches(instructions, labels))
    begin, end = max(((target, place) for place, target in jumps if target <= place),
                     key=lambda loop: sum(is_product(text) for text in instructions[loop[0]:loop[1] + 1]))
    masks = set()
    for place, target in jumps:
        skipped = instructions[place + 1:target]
        is_rare = sum('-INF' in text for text in skipped) >= 4 or (skipped and skipped[-1].startswith('BRA'))
        if begin <= place < target <= end and is_rare and not any(is_product(text) for text in skipped):
            masks.update(range(place + 1, target))
    kept = [instructions[place] for place in range(begin, end + 1) if place not in masks]
    counts = collections.Counter(class_of(instruction) for instruction in kept)
    counts['columns'] = sum(int(found.group(1)) for found in (re.search(r'HGMMA\.64x(\d+)x16', text) for text in kept) if found)
    return counts


def bounds(counts, target):
    """{what: clocks}. wgmma of 64 rows and N columns, 16 deep, keeps the units busy for N/2, and reads 32·N bytes for four warps."""
    _, _, _, clocks_units, clocks_float = DEVICES[target]
    return {'units': clocks_units * counts['HMMA'] + counts['columns'] / 2, 'issue': sum(counts[kind] for kind in CLASSES), 'exp2': CLOCKS_MUFU * counts['MUFU'],
            'products': clocks_float * counts['float'] + CLOCKS_INTEGER * counts['product'],
            'integers': CLOCKS_INTEGER * (counts['integer'] + counts['predicate']),
            'local memory': CLOCKS_512_BYTES * (counts['LDSM'] + counts['LDGSTS'] + counts['columns'] * 8 / 512)}


def warp_tiles(options, owns_keys):
    """Tiles that the warps of a head multiply, in parts where some slices are left out."""
    rows, warp_rows, cols, width = (options[name] for name in ('TILE_ROWS', 'WARP_ROWS', 'TILE_COLS', 'SLICE'))
    team_rows = 64 if options['UNIT'] == 2 else warp_rows
    seen = 0
    for first in range(0, TOKENS, rows):
        for team in range(first, first + rows, team_rows):
            begin, end = (first // cols * cols, TOKENS) if owns_keys else (0, first + rows)
            seen += sum(start + width > team if owns_keys else start < team + team_rows for start in range(begin, end, width))
    return seen * team_rows / warp_rows * width / cols


def count_shape(line, kernels_cl, retarget):
    kernel, more = line.split(None, 1)
    text, _ = more.rsplit(None, 1)
    options = {name: int(value) for name, value in re.findall(r'-D(\w+)=(\d+)', text)}
    with tempfile.TemporaryDirectory() as folder:
        source, ptx, cubin = (os.path.join(folder, 'kernel' + ending) for ending in ('.cl', '.ptx', '.cubin'))
        offline.join_sources(source, kernels_cl, offline.parts_of(kernel))
        nvidia_offline.compile_ptx(source, f'{units.without_limits(text)} -DALIGNED=1 -DEMULATED=0 -DGROUP=256', ptx)
        for target in offline.targets_of(text):
            device, processors, gigahertz, _, _ = DEVICES[target]
            units.assemble(ptx, target, retarget, folder, text)
            counts = count_loop(*disassemble(cubin))
            clocks = bounds(counts, target)
            name = (f'{kernel.replace("_matrix_units", "")} {options["HEAD_SIZE"]}, {options["TILE_ROWS"]} rows, dropout {options["DROPOUT"]}'
                    f'{["", ", tf32 in two parts", ", f32 in three parts"][options["PARTS"] - 1]}')
            print(f'{name}, {target}: ' + ', '.join(f'{kind} {counts[kind]}' for kind in CLASSES))
            print('    clocks: ' + ', '.join(f'{what} {value:.0f}' for what, value in clocks.items()))
            if options['HEAD_SIZE'] == 64:
                tiles = warp_tiles(options, 'dkdv' in kernel) * HEADS[options['PARTS']] * LAYERS
                apart = clocks['units'] + clocks['issue'] - counts['HMMA'] - counts['HGMMA']
                most, sum_of_both = (1e3 * tiles * value / (4 * processors * gigahertz * 1e9) for value in (max(clocks.values()), apart))
                print(f'    {device}: {most:.2f} ms by the largest, {sum_of_both:.2f} ms by units and others one after the other')


def main():
    kernels_cl, list_shapes, retarget = sys.argv[1:4]
    for tool in ('clang-15', 'ptxas', 'nvdisasm'):
        if shutil.which(tool) is None:
            print(f'skipped: {tool} is not installed')
            return 77
    for line in units.run([list_shapes])[1].splitlines():
        if all(text in line for text in sys.argv[4:]):
            count_shape(line, kernels_cl, retarget)
    return 0


if __name__ == '__main__':
    sys.exit(main())
