/* What the interpreter's parts share: instructions as they are kept, and the state of a cluster of
 * groups of work-items that runs.
 *
 * A warp's registers are one block of memory. A register of 64 bits has 32 times 8 bytes, every
 * other one 32 times 4: numbers of 16 and 8 bits in the lower part, a predicate as 0 or 1.
 * Constants and special registers have places there, too, so that an instruction knows registers
 * alone. */
#ifndef TESTS_PTX_DEVICE_PTX_MACHINE_H
#define TESTS_PTX_DEVICE_PTX_MACHINE_H

#include "ptx.h"
#include "ptx_shadow.h"
#include "ptx_traffic.h"

enum { PTX_LANES = 32, PTX_MOST_BARRIERS = 16, PTX_NONE = 0xffffffffu };

/* Generic addresses of an item's own memory begin here: no process has addresses so high. */
#define PTX_LOCAL_BASE ((uint64_t)1 << 62)

typedef struct ptx_warp ptx_warp;
typedef struct ptx_instruction ptx_instruction;
typedef void (*ptx_execute)(ptx_warp *warp, const ptx_instruction *instruction);

struct ptx_instruction {
    ptx_execute execute;
    uint32_t d, a, b, c;  /* places of registers */
    const uint32_t *list; /* and of the registers of vectors, or NULL; the kernel's */
    int32_t list_count;
    uint8_t written_count; /* registers of the list, from the first on, that are results */
    int32_t target;        /* of a branch: an instruction's number */
    int64_t immediate;     /* added to an address; a number that is part of the instruction */
    uint32_t guard;        /* a predicate, or PTX_NONE */
    uint8_t guard_is_negated;
    uint8_t bytes;          /* of an element that is loaded or stored */
    uint8_t is_together;    /* lanes wait for each other before it */
    uint8_t is_signed;      /* whether a loaded element is widened with its sign */
    uint8_t variant;        /* what its execute function says */
    uint8_t register_bytes; /* that an element is loaded to or stored from */
    uint8_t address_bytes;  /* of an address's register: 4 or 8 */
    int line;
    const char *text; /* its statement in the module's text */
};

/* Places of the special registers, by their order in ptx_special_names. */
enum {
    PTX_TID,
    PTX_NTID = PTX_TID + 3,
    PTX_CTAID = PTX_NTID + 3,
    PTX_NCTAID = PTX_CTAID + 3,
    PTX_LANEID = PTX_NCTAID + 3,
    PTX_WARPID,
    PTX_CLUSTER_SPECIALS, /* from here on those of clusters */
    PTX_CLUSTERID = PTX_CLUSTER_SPECIALS,
    PTX_NCLUSTERID = PTX_CLUSTERID + 3,
    PTX_CLUSTER_CTAID = PTX_NCLUSTERID + 3,
    PTX_CLUSTER_NCTAID = PTX_CLUSTER_CTAID + 3,
    PTX_CLUSTER_CTARANK = PTX_CLUSTER_NCTAID + 3,
    PTX_CLUSTER_NCTARANK,
    PTX_IS_EXPLICIT_CLUSTER,
    PTX_SPECIAL_COUNT
};
extern const char *const ptx_special_names[PTX_SPECIAL_COUNT];

typedef struct ptx_constant {
    uint64_t value;
    uint32_t place;
    uint32_t bytes; /* 4 or 8 */
} ptx_constant;

struct ptx_kernel {
    const ptx_module *module;
    char *name;
    ptx_parameter *parameters;
    int parameter_count;
    size_t argument_bytes;
    size_t shared_bytes;
    size_t local_bytes;
    uint32_t required_items[3];
    uint32_t required_cluster[3]; /* groups; 0s where the kernel says nothing */
    int is_explicit_cluster;
    ptx_instruction *code;
    int code_count;
    uint32_t **lists; /* what `list` of instructions points to */
    int list_count;
    ptx_constant *constants;
    int constant_count;
    uint32_t special[PTX_SPECIAL_COUNT]; /* places of 4 bytes a lane, PTX_NONE where unused */
    size_t register_bytes;
};

/* Memory that a module declares (.const, .global): its addresses are the process's. */
typedef struct ptx_data {
    struct ptx_data *next;
    char *name;
    size_t bytes;
    size_t alignment;
    unsigned char *memory; /* NULL for shared memory */
} ptx_data;

struct ptx_module {
    char *text;
    int version; /* 83: PTX 8.3 */
    int target;
    int is_specific;
    ptx_data *data;
    ptx_kernel *kernels;
    int kernel_count;
};

typedef struct ptx_barrier {
    uint32_t arrived; /* a bit for each warp */
    uint32_t items;   /* that are awaited; 0: all of the group */
} ptx_barrier;

/* Who is ordered by an arrival and a wait. */
enum { PTX_SCOPE_GROUP, PTX_SCOPE_CLUSTER, PTX_SCOPE_COUNT };

/* An mbarrier object, found by its address. */
typedef struct ptx_mbarrier {
    uint32_t address;
    uint32_t arrivals; /* of each phase */
    uint32_t awaited;  /* in this one */
    int64_t bytes;     /* of copies that were announced and haven't come */
    uint32_t parity;   /* of the phase that isn't complete */
    int agent;
    uint32_t copied; /* the agent's number */
    int maker;       /* the agent that initialised it, and its number then */
    uint32_t made;
    int is_init_fenced; /* by fence.mbarrier_init, which a relaxed arrival makes known */
    /* What those who arrived have seen, for waits of a scope: of the group or of the cluster; and
     * as it was when the last phase ended. */
    ptx_clock collected[PTX_SCOPE_COUNT];
    ptx_clock released[PTX_SCOPE_COUNT];
} ptx_mbarrier;

/* What a wgmma or a cp.async has in hand: words of shared memory, of the set with this number. */
typedef struct ptx_pending {
    uint32_t word;
    uint32_t set;
    uint8_t lane;
} ptx_pending;

typedef struct ptx_pending_list {
    ptx_pending *items;
    size_t count;
    size_t room;
    uint32_t set; /* the one that is open */
} ptx_pending_list;

/* A lane has written a tensor map, or lanes of a warp have acquired it. */
typedef struct ptx_map_note {
    uint64_t address;
    uint64_t check; /* acquired: the map as it was */
    uint32_t lanes; /* a bit each */
    uint32_t at;    /* written: the warp's number at the release behind it; 0: none yet */
    uint16_t agent; /* the warp */
} ptx_map_note;

typedef struct ptx_map_notes {
    ptx_map_note *items;
    size_t count;
    size_t room;
} ptx_map_notes;

typedef struct ptx_maps {
    ptx_map_notes written;
    ptx_map_notes acquired;
} ptx_maps;

typedef struct ptx_cluster ptx_cluster;

typedef struct ptx_group {
    const ptx_kernel *kernel;
    const ptx_launch *launch;
    ptx_cluster *cluster;
    int rank; /* in the cluster */
    uint32_t index[3];
    uint32_t number; /* from 0, among all of the launch */
    uint32_t items;
    ptx_traffic *traffic; /* the launch's */
    ptx_warp *warps;
    int warp_count;
    int left_count;    /* warps that have left the kernel */
    int first_agent;   /* its first warp */
    int agents;        /* of the cluster */
    ptx_clock touched; /* what other groups, and copies, have done to its shared memory */
    unsigned char *shared;
    ptx_shadow shadow;
    ptx_barrier barriers[PTX_MOST_BARRIERS];
    ptx_mbarrier mbarriers[PTX_MOST_MBARRIERS];
    int mbarrier_count;
    ptx_maps maps;
    uint64_t executed;  /* instructions, by all of its warps */
    size_t last_region; /* the one that was found last */
    int failed;
    char *message;
    size_t message_bytes;
} ptx_group;

/* Groups that run at the same time, by their ranks, and the barrier of all of their items. */
struct ptx_cluster {
    ptx_group *groups;
    int group_count;
    uint32_t phase;
    ptx_clock collected; /* of the arrivals in this phase, and in those before; */
    ptx_clock released;  /* in those before */
};

typedef enum { PTX_RUNS, PTX_WAITS, PTX_LEFT } ptx_state;

struct ptx_warp {
    ptx_group *group;
    unsigned char *registers;
    unsigned char *local; /* kernel->local_bytes for each lane */
    int number;           /* in its group, */
    int agent;            /* in its cluster */
    ptx_state state;
    int has_arrived; /* at the cluster's barrier, in this phase, without a wait since; */
    uint32_t arrived_phase;
    int waits_for_cluster;
    int pc;
    uint32_t active; /* lanes that execute; */
    uint32_t live;   /* that haven't left the kernel; */
    uint32_t exists; /* that there are */
    uint32_t asking; /* of those that are parked: that asked an mbarrier in vain */
    uint32_t parked; /* that wait for the others before an instruction for all; */
    int join;        /* where other lanes wait to go on */
    int lane_pc[PTX_LANES];
    int is_yielding; /* it has asked in vain: others first */
    ptx_clock clock;
    ptx_pending_list copies;
    ptx_pending_list multiplications;
    uint32_t *unfenced; /* words written since the last fence of the proxies */
    size_t unfenced_count;
    size_t unfenced_room;
    /* By register, in units of 4 bytes a lane: whether a wgmma still writes it; still reads it; and
     * whether anything else has written it since the last wgmma.fence. */
    uint8_t *in_flight;
    uint8_t *held;
    uint8_t *changed;
    int unit_count;
    int has_fenced_sums;       /* wgmma.fence since the last wait */
    uint64_t multiplied;       /* which wgmma it has executed, in their order */
    uint32_t multiplied_count; /* and how many */
};

static inline uint32_t *ptx_words(const ptx_warp *warp, uint32_t place)
{
    return (uint32_t *)(void *)(warp->registers + place);
}

static inline uint64_t *ptx_longs(const ptx_warp *warp, uint32_t place)
{
    return (uint64_t *)(void *)(warp->registers + place);
}

static inline float *ptx_floats(const ptx_warp *warp, uint32_t place)
{
    return (float *)(void *)(warp->registers + place);
}

/* A register of 4 bytes or of 8. */
static inline uint64_t ptx_value(const ptx_warp *warp, uint32_t place, uint32_t bytes, int lane)
{
    return bytes == 4 ? ptx_words(warp, place)[lane] : ptx_longs(warp, place)[lane];
}

/* Ends the launch with what is wrong; the first word counts. */
void ptx_fail(ptx_warp *warp, const ptx_instruction *instruction, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether all lanes of a whole warp execute this; fails otherwise. */
int ptx_is_whole(ptx_warp *warp, const ptx_instruction *instruction);

/* The place in memory of a global address, of which `bytes` are used; NULL, having failed, where
 * that isn't a buffer's or isn't a multiple of the alignment. */
unsigned char *ptx_global(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address,
                          uint32_t bytes, uint32_t alignment, int is_write);

/* The offset of a shared address in the group's memory, or −1, having failed. */
int64_t ptx_shared(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address,
                   uint32_t bytes, uint32_t alignment);

#endif
