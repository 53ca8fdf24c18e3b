"""Compiling OpenCL C for NVIDIA's GPUs without one: to PTX by clang-15, and from there by CUDA's ptxas.

clang isn't the compiler of NVIDIA's driver, so registers are near those of the driver, not equal to them. Its target brings no library:
sources begin with the text of BUILTINS.
"""
import os
import re
import shutil
import subprocess

BUILTINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'nvptx_builtins.cl')


def is_installed():
    return all(shutil.which(tool) for tool in ('clang-15', 'ptxas'))


def run(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return result.returncode, result.stdout.decode('ascii', 'replace')


def compile_ptx(source, options, ptx):
    """For sm_80: clang 15 knows no sm_90, which has everything of it."""
    code, text = run(['clang-15', '-x', 'cl', '-target', 'nvptx64-nvidia-nvcl', '-cl-std=CL1.2', '-w', '-O3', '-cl-mad-enable',
                      '-Xclang', '-finclude-default-header', '-march=sm_80', '-Xclang', '-target-feature', '-Xclang', '+ptx75',
                      *options.split(), '-S', '-o', ptx, source])
    if code != 0:
        raise RuntimeError(text)


def compile_kernels(source, options, folder, target):
    """[(kernel, registers, local bytes, bytes spilled)]; arrays that lie in memory count as spilled."""
    ptx, binary = os.path.join(folder, 'kernel.ptx'), os.path.join(folder, 'kernel.cubin')
    compile_ptx(source, options, ptx)
    code, report = run(['ptxas', '-v', '-arch=' + target, ptx, '-o', binary])
    if code != 0:
        raise RuntimeError(report)
    kernels = []
    for block in report.split('Compiling entry function')[1:]:
        def number(pattern, block=block):
            found = re.search(pattern, block)
            return int(found.group(1)) if found else 0
        kernels.append((re.search(r"'(\w+)'", block).group(1), number(r'Used (\d+) registers'), number(r'(\d+) bytes smem'),
                        number(r'(\d+) bytes spill stores') + number(r'(\d+) bytes spill loads') +
                        number(r'(\d+) bytes stack frame')))
    return kernels
