#!/bin/sh
# Brings Intel's OpenCL runtime for CPUs from PyPI:  sh tools/fetch-intel-opencl.sh FOLDER
# Afterwards FOLDER/vendors is what OCL_ICD_VENDORS, and FOLDER/lib what LD_LIBRARY_PATH wants. It takes 0.8 GB.
# For tests: libttm itself needs no particular runtime.
set -eu
folder=${1:?usage: fetch-intel-opencl.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
if [ ! -s "$folder/vendors/intel.icd" ]; then
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
    # The packages put libraries into the environment's lib; its own libOpenCL would hide the system's loader.
    "$folder/venv/bin/pip" install -q intel-opencl-rt intel-cmplr-lib-rt
    rm -f "$folder"/venv/lib/libOpenCL.so*
    ln -sfn venv/lib "$folder/lib"
    mkdir -p "$folder/vendors"
    echo "$folder/lib/libintelocl.so" >"$folder/vendors/intel.icd"
fi
