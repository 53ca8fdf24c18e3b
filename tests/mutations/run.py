#!/usr/bin/env python3
"""Does ttm-conformance see a wrong backend?  python3 tests/mutations/run.py BUILD-FOLDER [--kernels | --ptx] [--quick] [--only TEXT] [--part I/N] [--markdown]

Copies the sources of the cpu plugin, puts one deliberate fault in at a time (mutations.py), recompiles what it touches, links, and
runs the suite against the result. Prints a table of the faults and the case that found each; exit status 1 when one wasn't found, or
when the unchanged copy fails. Nothing of the build folder or the sources is changed. With --kernels the same for the OpenCL kernels
(kernel_mutations.py) on PoCL; with --ptx for their instructions (ptx_mutations.py) on the device of tests/ptx_device, which the build folder has.
"""

import argparse
import concurrent.futures
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from kernel_copy import KernelCopy, PtxCopy
from kernel_mutations import KERNEL_MUTATIONS, KERNEL_QUICK
from mutations import MUTATIONS, QUICK
from ptx_mutations import PTX_MUTATIONS, PTX_QUICK

PLUGIN = "libttm-backend-cpu.so"


def best_level():
    """The instruction set that the plugin chooses on this machine, as meson.build calls it."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        flags = []
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags):
        return "avx512"
    return "avx2" if {"avx2", "fma"} <= set(flags) else "baseline"


class Copy:
    """A copy of the plugin's sources and the commands that build it."""

    device = None

    def __init__(self, build, scratch):
        self.build = os.path.realpath(build)
        self.scratch = scratch
        tree = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
        self.tree_backends = os.path.join(tree, "backends")
        self.backends = os.path.join(scratch, "backends")
        self.folder = self.backends
        for part in ("common", "cpu"):
            shutil.copytree(os.path.join(self.tree_backends, part), os.path.join(self.backends, part))
        self.compile = {}  # object → (source, command)
        self.read_commands(best_level())

    def read_commands(self, level):
        output = subprocess.run(["ninja", "-t", "commands", PLUGIN], cwd=self.build, capture_output=True, text=True, check=True)
        place = os.path.relpath(self.tree_backends, self.build)
        for line in output.stdout.splitlines():
            words = shlex.split(line)
            if words[0] == "ccache":
                words = words[1:]
            source = words[-1]
            if words[0] == "rm" or not source.startswith(place):
                if PLUGIN in words:
                    self.link = words
                continue
            if f"TTM_CPU_LEVEL={level}" not in line and "TTM_CPU_LEVEL=" in line:
                continue  # an instruction set that isn't used here
            target = words[words.index("-o") + 1]
            words = [word.replace(place, self.backends) for word in words if word != "-Werror"]
            words = self.without_dependencies(words)
            # The copy's headers come before the tree's.
            words.insert(1, "-I" + os.path.join(self.scratch))
            words.insert(1, "-I" + self.backends)
            words[words.index("-o") + 1] = self.object(target)
            self.compile[target] = (os.path.relpath(words[-1], self.backends), words)

    @staticmethod
    def without_dependencies(words):
        kept = []
        skip = False
        for word in words:
            if skip or word in ("-MD", "-MQ", "-MF"):
                skip = word in ("-MQ", "-MF")
                continue
            kept.append(word)
        return kept

    def object(self, target):
        return os.path.join(self.scratch, target.replace("/", "_"))

    def affected(self, path):
        """Objects to be made anew when a source, or a header, has changed."""
        if path.endswith(".c"):
            return [target for target, (source, _) in self.compile.items() if source == path]
        header = os.path.basename(path)
        found = set()
        includers = {header}
        texts = {}
        for folder, _, names in os.walk(self.backends):
            for name in names:
                if name.endswith((".c", ".h")):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        texts[os.path.relpath(os.path.join(folder, name), self.backends)] = file.read()
        grown = True
        while grown:
            grown = False
            for name, text in texts.items():
                base = os.path.basename(name)
                if base not in includers and any(f"/{included}\"" in text for included in includers):
                    includers.add(base)
                    grown = True
        for target, (source, _) in self.compile.items():
            if os.path.basename(source) in includers:
                found.add(target)
        return sorted(found)

    def make(self, targets):
        def one(target):
            result = subprocess.run(self.compile[target][1], cwd=self.build, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                raise RuntimeError(result.stderr[-2000:])
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(one, targets))

    def link_plugin(self):
        path = os.path.join(self.scratch, PLUGIN)
        words = []
        kernels = [self.object(target) for target in self.compile if "kernels" in target]
        archives_done = False
        for word in self.link:
            if word in self.compile:
                words.append(self.object(word))
            elif word.endswith(f"libttm-cpu-{best_level()}.a") and not archives_done:
                words += kernels
                archives_done = True
            else:
                words.append(word)
        words[words.index("-o") + 1] = path
        subprocess.run(words, cwd=self.build, check=True, capture_output=True)
        return path


NOTHING_MORE = ([], {})


def run_suite(build, plugin, pattern, device, more=NOTHING_MORE):
    """(number of failed cases, the first of them and what it said)."""
    arguments, variables = more
    environment = dict(os.environ, TTM_BACKEND_PATH=os.path.realpath(build), TTM_THREADS="8", **variables)
    command = [os.path.join(build, "tools", "ttm-conformance"), "--plugin", plugin, "--time-limit", "60"] + arguments
    if device:
        command += ["--device", device]
    if pattern:
        command += ["--filter", pattern]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    last = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""
    match = re.match(r"(\d+) passed, (\d+) failed", last)
    if match is None:
        return 1, "the suite: " + (result.stderr.strip().splitlines() or ["no output"])[-1]
    first = re.search(r"^FAILED (\S+): (.*)$", result.stdout, re.M)
    # The interpreter's own words say more than what becomes of them.
    said = re.search(r"^ptx-device: .*: (.*)$", result.stderr, re.M) or (first and re.match(r"(.*)", first[2]))
    return int(match[2]), f"{first[1]}: {said[1]}" if first else ""


def has_device(build, name):
    """Whether the opencl plugin was built and finds this device."""
    environment = dict(os.environ, TTM_BACKEND_PATH=os.path.realpath(build))
    command = [os.path.join(build, "tools", "ttm-devices"), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    return name in result.stdout


def mutate(copy, mutation):
    name, path, text, replacement = mutation[:4]
    full = os.path.join(copy.folder, path)
    with open(full, encoding="utf-8") as file:
        original = file.read()
    if text not in original:
        raise RuntimeError(f"{name}: {path} no longer contains {text!r}: bring mutations.py up to date")
    with open(full, "w", encoding="utf-8") as file:
        file.write(original.replace(text, replacement, 1))
    return full, original


def try_mutation(copy, build, mutation):
    full, original = mutate(copy, mutation)
    targets = copy.affected(mutation[1])
    kept = {target: copy.object(target) + ".kept" for target in targets}
    for target, place in kept.items():
        shutil.copyfile(copy.object(target), place)
    try:
        copy.make(targets)
        failed, what = run_suite(build, copy.link_plugin(), mutation[4], copy.device, *mutation[5:])
        # A kernel that no compiler takes is no fault that the suite has found.
        return (0, what) if "can't build" in what else (failed, what)
    finally:
        with open(full, "w", encoding="utf-8") as file:
            file.write(original)
        for target, place in kept.items():
            os.replace(place, copy.object(target))


def shorten(text, length):
    return text if len(text) <= length else text[:length - 1] + "…"


def part(text):
    """The numbers of "2/5"."""
    index, _, count = text.partition("/")
    if not 1 <= int(index) <= int(count):
        raise ValueError(text)
    return int(index), int(count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="a build folder with the cpu plugin and ttm-conformance")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--kernels", action="store_true", help="faults of the OpenCL kernels instead of the cpu plugin's")
    kind.add_argument("--ptx", action="store_true", help="faults of the OpenCL kernels' instructions and of their order")
    parser.add_argument("--quick", action="store_true", help="one mutation of each kind")
    parser.add_argument("--only", default="", help="mutations whose name contains this")
    parser.add_argument("--part", type=part, default=(1, 1), metavar="I/N", help="the I-th of N parts of the list")
    parser.add_argument("--markdown", action="store_true", help="print the table for the documentation")
    arguments = parser.parse_args()
    mutations, quick, make_copy = ((PTX_MUTATIONS, PTX_QUICK, PtxCopy) if arguments.ptx else
                                   (KERNEL_MUTATIONS, KERNEL_QUICK, KernelCopy) if arguments.kernels else (MUTATIONS, QUICK, Copy))
    if arguments.ptx:
        os.environ["OCL_ICD_VENDORS"] = os.path.realpath(os.path.join(arguments.build, "tests", "ptx_device", "ptx.icd"))
    chosen = [m for m in mutations if arguments.only in m[0] and (not arguments.quick or m[0] in quick)]
    index, count = arguments.part
    chosen = chosen[len(chosen) * (index - 1) // count:len(chosen) * index // count]
    if make_copy.device and not has_device(arguments.build, make_copy.device):
        print(f"passed over: no {make_copy.device} here, or no opencl plugin in {arguments.build}")
        return 0
    missed = 0
    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        copy = make_copy(arguments.build, scratch)
        copy.make(copy.compile)
        runs = []
        for run in ((m[4], *m[5:]) for m in chosen):
            runs += [] if run in runs else [run]
        for pattern, *more in runs:
            failed, what = run_suite(arguments.build, copy.link_plugin(), pattern, copy.device, *more)
            if failed:
                print(f"the unchanged copy fails {pattern}: {what}", file=sys.stderr)
                return 1
        if arguments.markdown and index == 1:
            print("| fault | found by | cases that fail |\n|---|---|---|")
        for mutation in chosen:
            failed, what = try_mutation(copy, arguments.build, mutation)
            missed += failed == 0
            if arguments.markdown:
                print(f"| {mutation[0]} | {shorten(what, 110).replace('|', chr(92) + '|') or '**not found**'} | {failed} |", flush=True)
            else:
                print(f"{'found ' if failed else 'MISSED'}  {mutation[0]:<58}  {failed:>3}  {shorten(what, 100)}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults found in {time.time() - started:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
