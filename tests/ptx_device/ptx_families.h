/* Families of instructions that a table doesn't describe: each knows its own names. A function
 * returns whether the name is one of its family, having filled the instruction or failed. */
#ifndef TESTS_PTX_DEVICE_PTX_FAMILIES_H
#define TESTS_PTX_DEVICE_PTX_FAMILIES_H

#include "ptx_reader.h"

/* ld and st. */
int ptx_decode_memory(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                      ptx_instruction *instruction);
/* bra, ret and barriers. */
int ptx_decode_control(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                       ptx_instruction *instruction);
/* shfl, ldmatrix and mma. */
int ptx_decode_warp(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                    ptx_instruction *instruction);
/* mbarriers. */
int ptx_decode_mbarrier(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                        ptx_instruction *instruction);
/* cp.async and fences. */
int ptx_decode_async(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                     ptx_instruction *instruction);
/* mapa and the barriers of clusters. */
int ptx_decode_cluster(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                       ptx_instruction *instruction);
/* Tensor maps, their fences, and copies by them. */
int ptx_decode_tensor_map(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                          ptx_instruction *instruction);
/* wgmma. */
int ptx_decode_wgmma(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                     ptx_instruction *instruction);

/* Gives the instruction a list of places; its kernel owns it. */
void ptx_keep_list(ptx_reader *reader, ptx_instruction *instruction, const uint32_t *places,
                   int count);
/* The same, where none of them may be "_". */
void ptx_keep_registers(ptx_reader *reader, ptx_instruction *instruction, const uint32_t *places,
                        int count);

/* Notes the lanes' access to `bytes` of shared memory at `offset`; returns 0, having failed, where
 * that is a race. */
int ptx_use_shared(ptx_warp *warp, const ptx_instruction *instruction, int64_t offset,
                   uint32_t bytes, int lane, int is_write);

/* A function `name` that executes an instruction for one active lane after another. */
#define FOR_EACH_LANE(name, one)                                               \
    static void name(ptx_warp *warp, const ptx_instruction *instruction)       \
    {                                                                          \
        for (int lane = 0; lane < PTX_LANES && !warp->group->failed; lane++) { \
            if (warp->active >> lane & 1) {                                    \
                one(warp, instruction, lane);                                  \
            }                                                                  \
        }                                                                      \
    }

/* Adds a word to what is in hand. */
void ptx_add_pending(ptx_warp *warp, const ptx_instruction *instruction, ptx_pending_list *list,
                     size_t word, int lane);

#endif
