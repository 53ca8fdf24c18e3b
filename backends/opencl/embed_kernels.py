#!/usr/bin/env python3
"""Writes OpenCL C sources as C strings: embed_kernels.py OUTPUT.c SOURCE.cl…"""
import os
import sys

output, sources = sys.argv[1], sys.argv[2:]
lines = ['/* Made from kernels_cl by embed_kernels.py. */', '#include "opencl/kernel_sources.h"', '']
names = []
for path in sources:
    name = os.path.basename(path)
    variable = 'source_' + name.replace('.', '_')
    names.append((name, variable))
    lines.append('static const char %s[] =' % variable)
    with open(path, encoding='utf-8') as source:
        for line in source.read().splitlines():
            # The comments' signs outside ASCII are no business of a driver's parser.
            text = line.encode('ascii', 'replace').decode()
            text = text.replace('\\', '\\\\').replace('"', '\\"').replace('?', '\\?')
            lines.append('    "%s\\n"' % text)
    lines[-1] += ';'
    lines.append('')
lines.append('const opencl_kernel_source opencl_kernel_sources[] = {')
lines += ['    {"%s", %s},' % pair for pair in names]
lines += ['    {0, 0},', '};', '']
with open(output, 'w', encoding='utf-8') as target:
    target.write('\n'.join(lines))
