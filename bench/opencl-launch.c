/* What an OpenCL implementation takes for a launch by itself: kernels that do nothing, by number of
 * work-groups and of arguments, each waited for, and many in a queue.
 *
 *     cc -O2 bench/opencl-launch.c -o opencl-launch -lOpenCL
 *     OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd ./opencl-launch
 *
 * Microseconds a launch on the first device of the first platform: the median of 31 rounds of 200
 * launches, and the least. "Waited for" is enqueue to finish of one; "queued" is 200 enqueued
 * without a word and one wait for all, as a training step does it. Sixteen arguments are set anew
 * before each launch, as the backend does it. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 31, LAUNCHES = 200, MOST_ARGUMENTS = 16 };

static const char source[] =
    "kernel void nothing(global float *a) {}\n"
    "kernel void arguments(global float *a, long b, global float *c, long d, global float *e,\n"
    "    long f, global float *g, long h, global float *i, long j, global float *k, long l,\n"
    "    global float *m, long n, global float *o, long p) {}\n"
    "kernel void local_memory(global float *a) { local float tile[4096]; tile[0] = 0; }\n";

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int by_size(const void *a, const void *b)
{
    const double difference = *(const double *)a - *(const double *)b;
    return (difference > 0.0) - (difference < 0.0);
}

static void check(cl_int error, const char *what)
{
    if (error != CL_SUCCESS) {
        fprintf(stderr, "opencl-launch: %s: error %d\n", what, (int)error);
        exit(1);
    }
}

static void set_arguments(cl_kernel kernel, int count, cl_mem buffer)
{
    const cl_long number = 3;
    for (int i = 0; i < count; i++) {
        check(i % 2 == 0 ? clSetKernelArg(kernel, (cl_uint)i, sizeof buffer, (const void *)&buffer)
                         : clSetKernelArg(kernel, (cl_uint)i, sizeof number, &number),
              "clSetKernelArg");
    }
}

/* One round: microseconds a launch. */
static double round_us(cl_command_queue queue, cl_kernel kernel, int arguments, cl_mem buffer,
                       size_t groups, size_t items, int waits)
{
    const size_t global = groups * items;
    const double began = now_us();
    for (int i = 0; i < LAUNCHES; i++) {
        if (arguments > 1) {
            set_arguments(kernel, arguments, buffer);
        }
        check(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &items, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
        if (waits) {
            check(clFinish(queue), "clFinish");
        }
    }
    check(clFinish(queue), "clFinish");
    return (now_us() - began) / LAUNCHES;
}

static void measure(cl_command_queue queue, cl_program program, const char *name, int arguments,
                    cl_mem buffer, size_t groups, size_t items)
{
    cl_int error = CL_SUCCESS;
    cl_kernel kernel = clCreateKernel(program, name, &error);
    check(error, "clCreateKernel");
    set_arguments(kernel, arguments, buffer);
    printf("%-14s %8zu %8zu %9d", name, groups, items, arguments);
    for (int waits = 1; waits >= 0; waits--) {
        double times[ROUNDS];
        (void)round_us(queue, kernel, arguments, buffer, groups, items, waits);
        for (int i = 0; i < ROUNDS; i++) {
            times[i] = round_us(queue, kernel, arguments, buffer, groups, items, waits);
        }
        qsort(times, ROUNDS, sizeof times[0], by_size);
        printf("   %8.2f (%.2f)", times[ROUNDS / 2], times[0]);
    }
    printf("\n");
    clReleaseKernel(kernel);
}

int main(void)
{
    cl_platform_id platform = NULL;
    cl_device_id device = NULL;
    cl_int error = CL_SUCCESS;
    char name[256] = "";
    const char *text = source;
    check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
    check(clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL), "clGetDeviceInfo");
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    check(error, "clCreateContext");
    cl_command_queue queue =
        clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &error);
    check(error, "clCreateCommandQueue");
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &error);
    check(error, "clCreateProgramWithSource");
    check(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, 4096, NULL, &error);
    check(error, "clCreateBuffer");
    printf("%s: microseconds a launch, median (least)\n", name);
    printf("%-14s %8s %8s %9s   %-16s %s\n", "kernel", "groups", "items", "arguments", "waited for",
           "queued");
    for (size_t groups = 1; groups <= 4096; groups *= 4) {
        measure(queue, program, "nothing", 1, buffer, groups, 1);
    }
    measure(queue, program, "nothing", 1, buffer, 64, 64);
    measure(queue, program, "arguments", MOST_ARGUMENTS, buffer, 16, 1);
    measure(queue, program, "local_memory", 1, buffer, 16, 1);
    clReleaseMemObject(buffer);
    clReleaseProgram(program);
    clReleaseCommandQueue(queue);
    clReleaseContext(context);
    return 0;
}
