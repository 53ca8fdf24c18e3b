/* Profiles: what every op of a stream did, when the host queued it and when the device did it.
 *
 *     ttm_profile *profile = NULL;
 *     status = ttm_profile_create(&profile, stream, TTM_PROFILE_CALLS);
 *     status = ttm_profile_start(profile);
 *     … work on the stream …
 *     status = ttm_profile_stop(profile);
 *     const ttm_profile_call *calls = ttm_profile_calls(profile, &count);
 *
 * Nothing is waited for between ops: times come from the device's own clock through events, and are
 * read when the profile stops. Where a plugin has no events each op is waited for instead. Times
 * are nanoseconds since ttm_profile_start, on the host's clock and on the device's; both begin at a
 * moment at which the stream had nothing to do. A profile is used by the thread of its stream. */
#ifndef TTM_PROFILE_H
#define TTM_PROFILE_H

#include <ttm/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A recorder of one stream. */
typedef struct ttm_profile ttm_profile;

/** What a profile keeps. */
typedef enum ttm_profile_detail {
    TTM_PROFILE_CALLS = 0, /**< Every call with its times, and sums by kind of call. */
    TTM_PROFILE_TOTALS = 1 /**< The sums only: memory doesn't grow with the number of calls, so that
                              runs of any length can be profiled. Every few thousand calls the
                              device is waited for. */
} ttm_profile_detail;

/** How a call was done. */
typedef enum ttm_profile_route {
    TTM_PROFILE_NATIVE = 0,     /**< By the backend, as one op. */
    TTM_PROFILE_DECOMPOSED = 1, /**< By the calls that follow it with a larger depth, which lie
                                   within its times: it isn't counted besides them. */
    TTM_PROFILE_HOST = 2,       /**< On the host, with staging copies. */
    TTM_PROFILE_TRANSFER = 3    /**< No op: a copy between host and device. */
} ttm_profile_route;

/** What calls that do the same have in common: op, label, types, shapes. */
typedef struct ttm_profile_op {
    const char *name;  /**< "matmul"; of transfers "write", "read" or "zero". */
    int32_t opcode;    /**< ttm_opcode; TTM_OP_COUNT for transfers. */
    int32_t layer;     /**< Layer of the model as ttm_stream_set_layer said, −1 outside. */
    char label[64];    /**< What it was for, "" for nothing. */
    char shapes[192];  /**< Types and shapes of its tensors, outputs first, for people:
                          "f32 [64, 128] [64, 32] [32, 128]". */
    double operations; /**< Additions and multiplications of one call, by the op's definition. */
    double bytes;      /**< Bytes that one call must read and write. */
    uint64_t calls;    /**< Calls that ended, */
    uint64_t decomposed_calls; /**< of these decomposed, */
    uint64_t host_calls;       /**< of these on the host. */
    uint64_t device_ns;        /**< Device time of all of them but the decomposed ones. */
} ttm_profile_op;

/** One call. */
typedef struct ttm_profile_call {
    uint32_t op;            /**< Index in ttm_profile_ops. */
    uint16_t depth;         /**< > 0: part of a decomposed call before it. */
    uint16_t route;         /**< ttm_profile_route. */
    uint64_t host_start_ns; /**< The host began to queue it, */
    uint64_t host_end_ns;   /**< and had queued it. */
    uint64_t start_ns;      /**< The device began it (at the earliest: all before it was done), */
    uint64_t end_ns;        /**< and had done it. */
} ttm_profile_call;

/** *profile = a recorder for `stream`, which must outlive it. The caller frees it with
 * ttm_profile_destroy. TTM_ERROR_ARGUMENT for a planning stream. */
TTM_API TTM_CHECKED ttm_status ttm_profile_create(ttm_profile **profile, ttm_stream *stream,
                                                  ttm_profile_detail detail);

/** Stops recording and frees a profile; NULL is allowed. */
TTM_API void ttm_profile_destroy(ttm_profile *profile);

/** Waits for the stream, forgets what was recorded and begins to record. TTM_ERROR_ARGUMENT when
 * another profile records the stream. */
TTM_API TTM_CHECKED ttm_status ttm_profile_start(ttm_profile *profile);

/** Ends recording, waits for the stream and reads the times. A failure to record any call (memory,
 * the plugin's events) is reported here; the work itself was done. */
TTM_API TTM_CHECKED ttm_status ttm_profile_stop(ttm_profile *profile);

/** Returns the calls in the order in which they were queued, *count of them (none with
 * TTM_PROFILE_TOTALS); valid until the profile starts again or is destroyed. */
TTM_API const ttm_profile_call *ttm_profile_calls(const ttm_profile *profile, size_t *count);

/** Returns the kinds of calls, *count of them; as long as the calls. Their sums and shapes are
 * there once the profile has stopped. */
TTM_API const ttm_profile_op *ttm_profile_ops(const ttm_profile *profile, size_t *count);

/** Returns device time from start to stop. */
TTM_API uint64_t ttm_profile_device_ns(const ttm_profile *profile);

/** Returns host time from start until the device had finished. */
TTM_API uint64_t ttm_profile_host_ns(const ttm_profile *profile);

/** *operations, *bytes = what the definition of an op needs: additions and multiplications; bytes
 * that must be read and written at least. The op must be valid; its tensors need no memory. */
TTM_API void ttm_op_cost(double *operations, double *bytes, const ttm_op *op);

#ifdef __cplusplus
}
#endif

#endif
