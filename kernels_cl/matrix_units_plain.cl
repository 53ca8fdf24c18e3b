/* The interface of matrix_units_ptx.cl for units without copies of their own: everything comes to local memory through registers
 * (ACCESS 0 or 1), and `memory` is the local memory itself. */

#define UNIT_COPIES
#define LOCAL_ADDRESS(p) 0u
#define COPY_CHUNK(target, source, bytes)
#define END_COPIES()
#define WAIT_COPIES(left)
#define STORE_CHUNK(target, value) *(__local ushort8 *)(memory + (target)) = (value)
#define UNIT_PREPARE()
#define UNIT_FINISH(sums)

/* 8 bf16, 4 or 1 of them, at byte `place` of the slices. */
#define READ_8(place) (*(__local const ushort8 *)(memory + (place)))
#define READ_4(place) (*(__local const uint2 *)(memory + (place)))
#define READ_2(place) (*(__local const uint *)(memory + (place)))
#define READ_1(place) ((uint)*(__local const ushort *)(memory + (place)))
