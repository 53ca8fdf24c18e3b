/* A target that there isn't makes no device, and says so. It is read once a process, so that this
 * is a program of its own. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void a_wrong_target_is_no_device(void **state)
{
    char path[] = "/tmp/ptx-device-report-XXXXXX";
    char line[1024] = "";
    cl_platform_id platform = NULL;
    cl_device_id device = NULL;
    const int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    setenv("PTX_DEVICE_TARGET", "8o", 1);
    setenv("PTX_DEVICE_REPORT", path, 1);
    assert_int_equal(clGetPlatformIDs(1, &platform, NULL), CL_SUCCESS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL),
                         CL_OUT_OF_RESOURCES);
    }
    assert_true(read(file, line, sizeof line - 1) > 0);
    assert_string_equal(line, "ptx-device: PTX_DEVICE_TARGET is '8o'; use 80 or 90\n");
    close(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_wrong_target_is_no_device)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
