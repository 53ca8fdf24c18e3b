"""A copy of the OpenCL kernels, and the opencl plugin with them in place of the tree's."""

import os
import shlex
import shutil
import subprocess
import sys

PLUGIN = "libttm-backend-opencl.so"
TARGET = "kernel_sources"


class KernelCopy:
    """Like run.py's Copy: one object to make anew, that of the embedded sources."""

    device = "PoCL"

    def __init__(self, build, scratch):
        self.build = os.path.realpath(build)
        self.scratch = scratch
        tree = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
        self.embed = os.path.join(tree, "backends", "opencl", "embed_kernels.py")
        self.folder = os.path.join(scratch, "kernels_cl")
        shutil.copytree(os.path.join(tree, "kernels_cl"), self.folder)
        self.compile = [TARGET]
        output = subprocess.run(["ninja", "-t", "commands", PLUGIN], cwd=self.build, capture_output=True, text=True, check=True)
        for line in output.stdout.splitlines():
            words = shlex.split(line)
            words = words[1:] if words[0] == "ccache" else words
            if words[-1].endswith("kernel_sources.c") and "-c" in words:
                self.command = words
            elif PLUGIN in words and "-shared" in words:
                self.link = words

    def affected(self, _path):
        return [TARGET]

    def object(self, target):
        return os.path.join(self.scratch, target + ".o")

    def make(self, _targets):
        source = os.path.join(self.scratch, "kernel_sources.c")
        kernels = sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".cl"))
        subprocess.run([sys.executable, self.embed, source] + kernels, check=True)
        words = list(self.command)
        self.replaced = words[words.index("-o") + 1]
        words[words.index("-o") + 1] = self.object(TARGET)
        words[words.index("-MF") + 1] = self.object(TARGET) + ".d"
        subprocess.run(words[:-1] + [source], cwd=self.build, check=True, capture_output=True)

    def link_plugin(self):
        words = [self.object(TARGET) if word == self.replaced else word for word in self.link]
        path = os.path.join(self.scratch, PLUGIN)
        words[words.index("-o") + 1] = path
        subprocess.run(words, cwd=self.build, check=True, capture_output=True)
        return path


class PtxCopy(KernelCopy):
    """For the device that runs PTX by an interpreter."""

    device = "PTX"
