/* What this machine lets the plugin use: processors, instruction sets, memory. */
#ifndef TTM_CPU_MACHINE_H
#define TTM_CPU_MACHINE_H

#include "cpu/kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

/** Writes the processor's name as the kernel gives it ("AMD EPYC 9654 96-Core Processor"). */
void ttm_cpu_name(char *name, size_t bytes);

/** Writes the processor's maker as the kernel gives it ("AuthenticAMD"). */
void ttm_cpu_vendor(char *vendor, size_t bytes);

/** Returns the number of threads to compute with: TTM_THREADS or OMP_NUM_THREADS where set to a
 * positive number, else the processors that affinity and the control group's quota allow. */
int ttm_cpu_thread_count(void);

/** Returns whether TTM_CPU_PIN=1 asks for a processor of its own for each thread. */
int ttm_cpu_pins_threads(void);

/** Returns the kernels of the best level that the processor has, or of the lower one that
 * TTM_CPU_LEVEL names. */
const ttm_cpu_kernels *ttm_cpu_choose_kernels(void);

/** Returns whether large bf16 products go to oneDNN, which is open then: on processors with AMX, or
 * as TTM_CPU_BF16_PRODUCTS says. */
int ttm_cpu_prefers_onednn(void);

/** Returns whether large products go to our own kernel rather than to the BLAS: by TTM_CPU_PRODUCTS
 * ("own" or "blas"), else where our kernel has vectors to work with. */
int ttm_cpu_prefers_own_products(const ttm_cpu_kernels *kernels);

/** Returns whether memory is read fastest as one unbroken run a thread: by TTM_CPU_RUNS ("one" or
 * "several"), else by the maker. So it was measured on AMD's Zen 4; on Intel's Ice Lake four to
 * eight runs side by side were a fifth faster. */
int ttm_cpu_prefers_one_run(void);

/** Returns the bytes that can still be allocated without swapping or being killed: what the kernel
 * calls available, and no more than the control group has left. UINT64_MAX when unknown. */
uint64_t ttm_cpu_memory_available(void);

#endif
