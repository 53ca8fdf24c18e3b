#!/bin/sh
# Makes a Python environment with tiktoken and GPT-2's vocabulary:  sh tools/fetch-gpt2-vocabulary.sh FOLDER
# Afterwards FOLDER/gpt2.tiktoken is the vocabulary (from the package openai-whisper, of which nothing else is used) and
# FOLDER/venv/bin/python has tiktoken. For tests and benchmarks: libttm itself needs neither.
set -eu
folder=${1:?usage: fetch-gpt2-vocabulary.sh FOLDER}
mkdir -p "$folder"
if [ ! -x "$folder/venv/bin/python" ] || ! "$folder/venv/bin/python" -c 'import tiktoken' 2>/dev/null; then
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install -q tiktoken
fi
if [ ! -s "$folder/gpt2.tiktoken" ]; then
    "$folder/venv/bin/pip" download -q --no-deps -d "$folder/download" openai-whisper
    "$folder/venv/bin/python" - "$folder" <<'END'
import glob, os, sys, tarfile, zipfile
folder = sys.argv[1]
archive = glob.glob(folder + "/download/openai*whisper*")[0]
if archive.endswith(".whl"):
    with zipfile.ZipFile(archive) as package:
        name = next(n for n in package.namelist() if n.endswith("assets/gpt2.tiktoken"))
        content = package.read(name)
else:
    with tarfile.open(archive) as package:
        member = next(m for m in package.getmembers() if m.name.endswith("assets/gpt2.tiktoken"))
        content = package.extractfile(member).read()
with open(folder + "/gpt2.tiktoken.new", "wb") as file:
    file.write(content)
os.rename(folder + "/gpt2.tiktoken.new", folder + "/gpt2.tiktoken")
END
    rm -rf "$folder/download"
fi
