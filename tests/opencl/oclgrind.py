#!/usr/bin/env python3
"""Runs small cases of every op under Oclgrind: out-of-bounds accesses, races, uninitialised reads.

    oclgrind.py TTM_CONFORMANCE PLUGIN.so [--cases N] [--filter OP]

Oclgrind interprets kernels, so small cases of each op are taken, and groups are kept to the 64
work-items that the kernels need at least: their tiles are then the smallest too. Exit status 1 when a case fails or Oclgrind reports anything, 77 without Oclgrind.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

LEAST, MOST = 8, 6000
# Attention's operations are many for its elements.
MOST_ATTENTION = 700


def elements(description):
    """The elements of all tensors of a listed case."""
    total = 0
    for shape in re.findall(r'\[([0-9, ]*)\]', description):
        count = 1
        for extent in filter(None, re.split(r'[ ,]+', shape)):
            count *= int(extent)
        total += count
    return total


def small_cases(conformance, op, wanted, most, pattern, cases):
    listing = subprocess.run([conformance, '--list', '--filter', op, '--cases', str(cases)],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    found = []
    unsupported = ' (f64|bf16|f16) ' if op.startswith('tt_') else ' f64 '
    for line in listing.splitlines():
        name, description = line.split(None, 1)
        size = elements(description)
        if LEAST <= size <= most and not re.search(unsupported, description) and \
                re.search(pattern, description):
            found.append((size, name))
    # The smallest, and the largest of the small, which have more than one group.
    found.sort()
    return [name for _, name in found[:wanted // 2] + found[len(found) - (wanted - wanted // 2):]]


# Few queries and many keys, split over three groups, for the kernel of their own: (op, most elements, pattern, environment).
FEW = ('attention', 4000, r' q \S+ \[\d+, \d+, [1-8], \d+\]  k \S+ \[\d+, \d+, \d\d', {'TTM_OPENCL_ATTENTION_FEW': '3'})

# Few rows, and a matrix whose rows or columns may be whole chunks of 16 bytes: what isn't is left out, and the op decomposed.
WIDE_B = r' b (f32|bf16) \[(1[6-9]|[2-9]\d|\d\d\d), \d*[02468][08]\]'
WIDE = [('norm_matmul', 4000, WIDE_B, {}), ('matmul', 110000, r'out \S+ \[[1-8], .*' + WIDE_B, {})]
MANY = 600

OPS = ['copy', 'fill', 'add', 'matmul', 'reduce_rows', 'sum_of_squares', 'gelu', 'gelu_backward',
       'dropout', 'softmax', 'layer_norm', 'layer_norm_backward', 'attention', 'attention_backward',
       'cross_entropy', 'embedding', 'embedding_backward', 'adamw', 'tt_build', 'tt_gradient', 'sample']


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('conformance')
    parser.add_argument('plugin')
    parser.add_argument('--cases', type=int, default=2)
    parser.add_argument('--filter', default='')
    options = parser.parse_args()
    if shutil.which('oclgrind') is None:
        print('skipped: oclgrind is not installed')
        return 77
    failures = 0
    # The optimiser makes `freeze` instructions, which Oclgrind 21.10 doesn't know.
    environment = dict(os.environ, TTM_OPENCL_PRODUCTS='own', TTM_LOG='error',
                       TTM_OPENCL_OPTIONS='-cl-opt-disable')
    runs = [(op, MOST_ATTENTION if op.startswith('attention') else MOST, '', {}) for op in OPS]
    for op, most, pattern, more in runs + [FEW] + WIDE:
        if options.filter not in op:
            continue
        passed = 0
        listed = MANY if (op, most, pattern, more) in WIDE else 60
        wanted = 4 * options.cases if op == 'norm_matmul' else options.cases
        for name in small_cases(options.conformance, op, wanted, most, pattern, listed):
            result = subprocess.run(
                ['oclgrind', '--max-wgsize', '64', '--data-races', '--uninitialized',
                 options.conformance, '--in-process',
                 '--plugin', options.plugin, '--filter', name, '--cases', str(listed)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                env={**environment, **more}, timeout=900)
            if op == 'norm_matmul' and result.returncode == 0 and '1 skipped' in result.stdout:
                continue
            good = (result.returncode == 0 and '1 passed, 0 failed' in result.stdout and
                    'OCLGRIND' not in result.stdout and 'Invalid' not in result.stdout and
                    'race' not in result.stdout and 'Uninitialized' not in result.stdout)
            passed += good
            if not good:
                failures += 1
                print(f'{name} fails:\n{result.stdout[:1500]}')
        print(f'{op:24} {passed} cases', flush=True)
        failures += passed == 0
    print(f'{failures} failures under Oclgrind')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
