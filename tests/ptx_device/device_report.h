/* What is found wrong, told to whoever runs the tests. */
#ifndef TESTS_PTX_DEVICE_REPORT_H
#define TESTS_PTX_DEVICE_REPORT_H

/* Prints "ptx-device: " and the message as a line on stderr, and appends it to the file that
 * PTX_DEVICE_REPORT names. */
__attribute__((format(printf, 1, 2))) void device_report(const char *format, ...);

#endif
