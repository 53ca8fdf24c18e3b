/* Symbol visibility. libttm hides everything that isn't marked TTM_API. */
#ifndef TTM_EXPORT_H
#define TTM_EXPORT_H

#if defined(__GNUC__)
#define TTM_API     __attribute__((visibility("default")))
#define TTM_CHECKED __attribute__((warn_unused_result))
#define TTM_PRINTF(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define TTM_API
#define TTM_CHECKED
#define TTM_PRINTF(format_index, first_argument)
#endif

#endif
