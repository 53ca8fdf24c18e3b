/* The device that runs PTX by an interpreter, through the loader: what it says of itself, its
 * buffers, programs and kernels, and what it refuses. Skipped without clang-15 and libclc for
 * NVIDIA's GPUs. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SKIPPED = 77, LOG_BYTES = 2000, COUNT = 1000 };

static cl_platform_id platform;
static cl_device_id device;
static cl_context context;
static cl_command_queue queue;

static cl_mem make_buffer(size_t bytes)
{
    cl_int error = CL_SUCCESS;
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    return buffer;
}

static void write_to(cl_mem buffer, const void *source, size_t bytes)
{
    assert_int_equal(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, bytes, source, 0, NULL, NULL),
                     CL_SUCCESS);
}

static void read_from(void *target, cl_mem buffer, size_t bytes)
{
    assert_int_equal(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, bytes, target, 0, NULL, NULL),
                     CL_SUCCESS);
}

static cl_program make_program(const char *source)
{
    cl_int error = CL_SUCCESS;
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    return program;
}

static cl_int build(cl_program program, const char *options)
{
    return clBuildProgram(program, 1, &device, options, NULL, NULL);
}

/* Fails with the log where it isn't built. */
static cl_kernel build_kernel(const char *source, const char *name)
{
    cl_int error = CL_SUCCESS;
    cl_program program = make_program(source);
    if (build(program, "-cl-mad-enable -cl-nv-verbose") != CL_SUCCESS) {
        char log[LOG_BYTES] = "";
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
        fail_msg("%s", log);
    }
    cl_kernel kernel = clCreateKernel(program, name, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(clReleaseProgram(program), CL_SUCCESS);
    return kernel;
}

static int setup(void **state)
{
    cl_int error = CL_SUCCESS;
    (void)state;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    queue = clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &error);
    assert_int_equal(error, CL_SUCCESS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(clReleaseCommandQueue(queue), CL_SUCCESS);
    assert_int_equal(clReleaseContext(context), CL_SUCCESS);
    return 0;
}

/* ---- Queries ---- */

static int wanted_target(void)
{
    const char *wish = getenv("PTX_DEVICE_TARGET");
    return wish != NULL ? atoi(wish) : 90;
}

static void the_device_is_a_gpu_of_nvidia(void **state)
{
    cl_device_type type = 0;
    cl_uint major = 0;
    cl_uint warp = 0;
    cl_bool shared = CL_TRUE;
    size_t needed = 0;
    char text[1024];
    (void)state;
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL), CL_SUCCESS);
    assert_int_equal(type, CL_DEVICE_TYPE_GPU);
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_VENDOR, sizeof text, text, NULL),
                     CL_SUCCESS);
    assert_string_equal(text, "NVIDIA Corporation");
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, sizeof text, text, NULL),
                     CL_SUCCESS);
    assert_non_null(strstr(text, "cl_nv_device_attribute_query"));
    assert_int_equal(clGetDeviceInfo(device, 0x4000, sizeof major, &major, NULL), CL_SUCCESS);
    assert_int_equal(major, wanted_target() / 10);
    assert_int_equal(clGetDeviceInfo(device, 0x4003, sizeof warp, &warp, NULL), CL_SUCCESS);
    assert_int_equal(warp, 32);
    assert_int_equal(
        clGetDeviceInfo(device, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof shared, &shared, NULL),
        CL_SUCCESS);
    assert_int_equal(shared, CL_FALSE);
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_NAME, 0, NULL, &needed), CL_SUCCESS);
    assert_int_equal(clGetDeviceInfo(device, CL_DEVICE_NAME, needed - 1, text, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceInfo(device, 0x7777, sizeof text, text, NULL), CL_INVALID_VALUE);
    assert_int_equal(clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, &device, NULL),
                     CL_DEVICE_NOT_FOUND);
}

/* ---- Buffers ---- */

static void what_was_never_written_reads_as_nan(void **state)
{
    float values[4] = {0};
    cl_mem buffer = make_buffer(sizeof values);
    (void)state;
    read_from(values, buffer, sizeof values);
    assert_true(isnan(values[0]) && isnan(values[3]));
    clReleaseMemObject(buffer);
}

static void fills_and_copies_are_kept(void **state)
{
    const uint32_t pattern = 0x01020304;
    uint32_t values[8] = {0};
    cl_mem first = make_buffer(sizeof values);
    cl_mem second = make_buffer(sizeof values);
    (void)state;
    write_to(first, values, sizeof values);
    assert_int_equal(clEnqueueFillBuffer(queue, first, &pattern, 4, 8, 16, 0, NULL, NULL),
                     CL_SUCCESS);
    assert_int_equal(clEnqueueCopyBuffer(queue, first, second, 4, 0, 28, 0, NULL, NULL),
                     CL_SUCCESS);
    read_from(values, second, 28);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(values[i], i >= 1 && i < 5 ? pattern : 0);
    }
    clReleaseMemObject(first);
    clReleaseMemObject(second);
}

static void transfers_that_dont_fit_are_refused(void **state)
{
    unsigned char bytes[64] = {0};
    cl_int error = CL_SUCCESS;
    cl_mem buffer = make_buffer(64);
    (void)state;
    assert_int_equal(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 32, 33, bytes, 0, NULL, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 65, 1, bytes, 0, NULL, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, 0, bytes, 0, NULL, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clEnqueueFillBuffer(queue, buffer, bytes, 4, 2, 4, 0, NULL, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clEnqueueFillBuffer(queue, buffer, bytes, 3, 0, 3, 0, NULL, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clEnqueueCopyBuffer(queue, buffer, buffer, 0, 8, 16, 0, NULL, NULL),
                     CL_MEM_COPY_OVERLAP);
    assert_int_equal(clEnqueueCopyBuffer(queue, buffer, buffer, 0, 16, 16, 0, NULL, NULL),
                     CL_SUCCESS);
    clReleaseMemObject(buffer);
    assert_null(clCreateBuffer(context, CL_MEM_READ_WRITE, 0, NULL, &error));
    assert_int_equal(error, CL_INVALID_BUFFER_SIZE);
    assert_null(clCreateBuffer(context, CL_MEM_READ_WRITE, (size_t)1 << 40, NULL, &error));
    assert_int_equal(error, CL_INVALID_BUFFER_SIZE);
    assert_null(clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 8, NULL, &error));
    assert_int_equal(error, CL_INVALID_HOST_PTR);
}

static void sub_buffers_lie_in_their_buffer_and_keep_it(void **state)
{
    const cl_buffer_region misaligned = {.origin = 256, .size = 256};
    const cl_buffer_region outside = {.origin = 512, .size = 1024};
    const cl_buffer_region region = {.origin = 512, .size = 512};
    float values[256];
    float half[128] = {0};
    cl_int error = CL_SUCCESS;
    (void)state;
    for (int i = 0; i < 256; i++) {
        values[i] = (float)i;
    }
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof values,
                                   values, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_null(clCreateSubBuffer(buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &misaligned, &error));
    assert_int_equal(error, CL_MISALIGNED_SUB_BUFFER_OFFSET);
    assert_null(clCreateSubBuffer(buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &outside, &error));
    assert_int_equal(error, CL_INVALID_VALUE);
    cl_mem part = clCreateSubBuffer(buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_null(clCreateSubBuffer(part, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error));
    assert_int_equal(error, CL_INVALID_MEM_OBJECT);
    assert_int_equal(clReleaseMemObject(buffer), CL_SUCCESS);
    read_from(half, part, sizeof half);
    assert_memory_equal(half, values + 128, sizeof half);
    assert_int_equal(clReleaseMemObject(part), CL_SUCCESS);
}

static void what_is_mapped_goes_to_the_buffer_when_it_is_unmapped(void **state)
{
    uint32_t values[4] = {1, 2, 3, 4};
    uint32_t now[4] = {0};
    cl_int error = CL_SUCCESS;
    cl_mem buffer = make_buffer(sizeof values);
    (void)state;
    write_to(buffer, values, sizeof values);
    uint32_t *mapped = clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 4, 8,
                                          0, NULL, NULL, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(mapped[0], 2);
    mapped[1] = 33;
    read_from(now, buffer, sizeof now);
    assert_int_equal(now[2], 3);
    assert_int_equal(clEnqueueUnmapMemObject(queue, buffer, values, 0, NULL, NULL),
                     CL_INVALID_VALUE);
    assert_int_equal(clEnqueueUnmapMemObject(queue, buffer, mapped, 0, NULL, NULL), CL_SUCCESS);
    read_from(now, buffer, sizeof now);
    assert_int_equal(now[2], 33);
    /* What is still mapped goes with the buffer. */
    assert_non_null(
        clEnqueueMapBuffer(queue, buffer, CL_TRUE, CL_MAP_READ, 0, 8, 0, NULL, NULL, &error));
    assert_int_equal(clReleaseMemObject(buffer), CL_SUCCESS);
}

/* ---- Events ---- */

static void events_are_complete_and_carry_times(void **state)
{
    cl_event event = NULL;
    cl_int progress = CL_QUEUED;
    cl_ulong times[2] = {0};
    (void)state;
    assert_int_equal(clEnqueueMarkerWithWaitList(queue, 0, NULL, &event), CL_SUCCESS);
    assert_int_equal(clEnqueueBarrierWithWaitList(queue, 1, &event, NULL), CL_SUCCESS);
    assert_int_equal(clEnqueueBarrierWithWaitList(queue, 1, NULL, NULL),
                     CL_INVALID_EVENT_WAIT_LIST);
    assert_int_equal(clWaitForEvents(1, &event), CL_SUCCESS);
    assert_int_equal(
        clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof progress, &progress, NULL),
        CL_SUCCESS);
    assert_int_equal(progress, CL_COMPLETE);
    assert_int_equal(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof times[0],
                                             &times[0], NULL),
                     CL_SUCCESS);
    assert_int_equal(
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof times[1], &times[1], NULL),
        CL_SUCCESS);
    assert_true(times[0] > 0 && times[1] >= times[0]);
    assert_int_equal(clReleaseEvent(event), CL_SUCCESS);
}

/* ---- Programs ---- */

static void assert_log_has(cl_program program, const char *part)
{
    char log[LOG_BYTES] = "";
    assert_int_equal(
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL),
        CL_SUCCESS);
    if (strstr(log, part) == NULL) {
        fail_msg("no '%s' in the log: %s", part, log);
    }
}

static void a_failed_build_says_why(void **state)
{
    cl_int error = CL_SUCCESS;
    (void)state;
    cl_program program =
        make_program("kernel void f(global float *a)\n{\n    a[0] = missing;\n}\n");
    assert_int_equal(build(program, "-w"), CL_BUILD_PROGRAM_FAILURE);
    assert_log_has(program, "kernels.cl:3");
    assert_null(clCreateKernel(program, "f", &error));
    assert_int_equal(error, CL_INVALID_PROGRAM_EXECUTABLE);
    assert_int_equal(build(program, "-Dmissing=1.0f -cl-nv-maxrregcount=many"),
                     CL_INVALID_BUILD_OPTIONS);
    assert_int_equal(build(program, "-cl-intel-256-GRF-per-thread"), CL_INVALID_BUILD_OPTIONS);
    assert_log_has(program, "-cl-intel-256-GRF-per-thread");
    clReleaseProgram(program);
    program = make_program("float g(float x); kernel void f(global float *a) { a[0] = g(a[1]); }");
    assert_int_equal(build(program, NULL), CL_BUILD_PROGRAM_FAILURE);
    assert_log_has(program, "unresolved function 'g'");
    clReleaseProgram(program);
}

/* The program's PTX; the caller frees it. */
static char *read_ptx(size_t *bytes, cl_program program)
{
    assert_int_equal(clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof *bytes, bytes, NULL),
                     CL_SUCCESS);
    char *ptx = malloc(*bytes);
    unsigned char *binaries[1] = {(unsigned char *)ptx};
    assert_int_equal(
        clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binaries, binaries, NULL),
        CL_SUCCESS);
    return ptx;
}

static cl_program program_of_ptx(const char *ptx, size_t bytes, cl_int *error)
{
    const unsigned char *binaries[1] = {(const unsigned char *)ptx};
    cl_int status = CL_SUCCESS;
    return clCreateProgramWithBinary(context, 1, &device, &bytes, binaries, &status, error);
}

static void ptx_comes_back_and_is_built_again(void **state)
{
    char target[32];
    size_t bytes = 0;
    cl_int error = CL_SUCCESS;
    cl_program program =
        make_program("kernel void f(global float *a) { a[get_global_id(0)] *= 2.0f; }");
    (void)state;
    assert_int_equal(build(program, "-cl-std=CL1.2"), CL_SUCCESS);
    char *ptx = read_ptx(&bytes, program);
    clReleaseProgram(program);
    snprintf(target, sizeof target, ".target sm_%d", wanted_target());
    char *place = strstr(ptx, target);
    assert_non_null(place);
    program = program_of_ptx(ptx, bytes, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(build(program, "-cl-nv-verbose"), CL_SUCCESS);
    cl_kernel kernel = clCreateKernel(program, "f", &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_equal(build(program, ""), CL_INVALID_OPERATION);
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    /* For a GPU that came later. */
    place[strlen(".target sm_")] = '9';
    place[strlen(".target sm_") + 1] = '9';
    program = program_of_ptx(ptx, bytes, &error);
    assert_int_equal(error, CL_SUCCESS);
    assert_int_not_equal(build(program, ""), CL_SUCCESS);
    clReleaseProgram(program);
    assert_null(program_of_ptx("nonsense", 8, &error));
    assert_int_equal(error, CL_INVALID_BINARY);
    free(ptx);
}

/* ---- Kernels ---- */

static const char scale_source[] = "kernel void scale(global float *out, global const float *in, "
                                   "local float *kept, float factor, int count)\n"
                                   "{\n"
                                   "    const int i = get_global_id(0), k = get_local_id(0);\n"
                                   "    kept[k] = i < count ? in[i] : 0.0f;\n"
                                   "    barrier(CLK_LOCAL_MEM_FENCE);\n"
                                   "    if (i < count) {\n"
                                   "        out[i] = factor * kept[k] + kept[k ^ 1];\n"
                                   "    }\n"
                                   "}\n";

static void set_arguments(cl_kernel kernel, cl_mem out, cl_mem in, cl_int count)
{
    const cl_float factor = 3.0f;
    assert_int_equal(clSetKernelArg(kernel, 0, sizeof out, (const void *)&out), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 1, sizeof in, (const void *)&in), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 2, 128 * sizeof(float), NULL), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 3, sizeof factor, &factor), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 4, sizeof count, &count), CL_SUCCESS);
}

static cl_int launch(cl_kernel kernel, size_t global, size_t local)
{
    return clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL);
}

static void a_kernel_runs(void **state)
{
    float values[COUNT];
    float results[COUNT];
    cl_kernel kernel = build_kernel(scale_source, "scale");
    cl_mem in = make_buffer(sizeof values);
    cl_mem out = make_buffer(sizeof results);
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        values[i] = (float)i;
    }
    write_to(in, values, sizeof values);
    set_arguments(kernel, out, in, COUNT);
    assert_int_equal(launch(kernel, 1024, 128), CL_SUCCESS);
    assert_int_equal(clFinish(queue), CL_SUCCESS);
    read_from(results, out, sizeof results);
    for (int i = 0; i < COUNT; i++) {
        assert_true(results[i] == 3.0f * values[i] + values[i ^ 1]);
    }
    clReleaseMemObject(in);
    clReleaseMemObject(out);
    clReleaseKernel(kernel);
}

/* f16 as OpenCL C without cl_khr_fp16 has it, and by inline assembly. */
static void halves_are_kept(void **state)
{
    static const char source[] =
        "kernel void keep(global float *out, global half *kept, global const float *in)\n"
        "{\n"
        "    const int i = get_global_id(0);\n"
        "    global ushort *bits = (global ushort *)kept + 4 * i;\n"
        "    uint pair;\n"
        "    asm(\"cvt.rn.f16x2.f32 %0, %1, %2;\" : \"=r\"(pair) : \"f\"(-in[i]), \"f\"(in[i]));\n"
        "    bits[0] = pair;\n"
        "    bits[1] = pair >> 16;\n"
        "    asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(bits[2]) : \"f\"(2.0f * in[i]));\n"
        "    vstore_half(0.5f * in[i], 4 * i + 3, kept);\n"
        "    barrier(CLK_GLOBAL_MEM_FENCE);\n"
        "    vstore4(vload_half4(i, kept) + vload_half(4 * i, kept), i, out);\n"
        "    vstore_half4(vload4(i, out), i, kept);\n"
        "}\n";
    float values[128];
    float results[4 * 128];
    uint16_t kept[4 * 128];
    cl_kernel kernel = build_kernel(source, "keep");
    cl_mem buffers[] = {make_buffer(sizeof results), make_buffer(sizeof kept),
                        make_buffer(sizeof values)};
    (void)state;
    for (int i = 0; i < 128; i++) {
        values[i] = (float)(i - 60);
    }
    write_to(buffers[2], values, sizeof values);
    for (cl_uint i = 0; i < 3; i++) {
        assert_int_equal(clSetKernelArg(kernel, i, sizeof buffers[i], &buffers[i]), CL_SUCCESS);
    }
    assert_int_equal(launch(kernel, 128, 128), CL_SUCCESS);
    read_from(results, buffers[0], sizeof results);
    read_from(kept, buffers[1], sizeof kept);
    static const float factors[] = {2.0f, 0.0f, 3.0f, 1.5f};
    for (int i = 0; i < 4 * 128; i++) {
        assert_true(results[i] == factors[i % 4] * values[i / 4]);
    }
    assert_int_equal(kept[4 * 61], 0x4000);     /* 2 */
    assert_int_equal(kept[4 * 61 + 3], 0x3e00); /* 1.5 */
    for (int i = 0; i < 3; i++) {
        clReleaseMemObject(buffers[i]);
    }
    clReleaseKernel(kernel);
}

/* Launches of clusters, and of what isn't made of them, which doesn't end the context. */
static void clusters_are_launched_whole(void **state)
{
    static const char text[] = ".version 8.0\n.target sm_90\n.address_size 64\n"
                               ".visible .entry f(.param .u64 .ptr .global .align 4 f_param_0)\n"
                               ".explicitcluster .reqnctapercluster 2, 1, 1\n"
                               "{ .reg .b32 %r<4>; .reg .b64 %rd<4>; ld.param.u64 %rd1, "
                               "[f_param_0]; mov.u32 %r1, %cluster_nctarank; mov.u32 %r2, %ctaid.x;"
                               "mul.wide.u32 %rd2, %r2, 4; add.s64 %rd2, %rd1, %rd2;"
                               "st.global.u32 [%rd2], %r1; ret; }\n";
    cl_int error = CL_SUCCESS;
    cl_program program = program_of_ptx(text, sizeof text, &error);
    (void)state;
    assert_int_equal(error, CL_SUCCESS);
    if (wanted_target() < 90) {
        assert_int_not_equal(build(program, ""), CL_SUCCESS);
        clReleaseProgram(program);
        return;
    }
    assert_int_equal(build(program, ""), CL_SUCCESS);
    cl_kernel kernel = clCreateKernel(program, "f", &error);
    assert_int_equal(error, CL_SUCCESS);
    uint32_t found[4] = {0};
    cl_mem buffer = make_buffer(sizeof found);
    assert_int_equal(clSetKernelArg(kernel, 0, sizeof buffer, (const void *)&buffer), CL_SUCCESS);
    assert_int_equal(launch(kernel, 3, 1), CL_INVALID_WORK_GROUP_SIZE);
    assert_int_equal(launch(kernel, 4, 1), CL_SUCCESS);
    assert_int_equal(clFinish(queue), CL_SUCCESS);
    read_from(found, buffer, sizeof found);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found[i], 2);
    }
    clReleaseMemObject(buffer);
    clReleaseKernel(kernel);
    clReleaseProgram(program);
}

static void wrong_arguments_and_launches_are_refused(void **state)
{
    const cl_float factor = 1.0f;
    const size_t offset = 128;
    size_t global = 2048;
    size_t local = 128;
    size_t items = 0;
    cl_kernel kernel = build_kernel(scale_source, "scale");
    cl_mem buffer = make_buffer(8192);
    (void)state;
    assert_int_equal(launch(kernel, global, local), CL_INVALID_KERNEL_ARGS);
    assert_int_equal(clSetKernelArg(kernel, 5, sizeof factor, &factor), CL_INVALID_ARG_INDEX);
    assert_int_equal(clSetKernelArg(kernel, 3, 8, &factor), CL_INVALID_ARG_SIZE);
    assert_int_equal(clSetKernelArg(kernel, 3, sizeof factor, NULL), CL_INVALID_ARG_VALUE);
    assert_int_equal(clSetKernelArg(kernel, 2, 64, &factor), CL_INVALID_ARG_VALUE);
    assert_int_equal(clSetKernelArg(kernel, 0, 4, (const void *)&buffer), CL_INVALID_ARG_SIZE);
    set_arguments(kernel, buffer, buffer, 0);
    assert_int_equal(launch(kernel, 1000, local), CL_INVALID_WORK_GROUP_SIZE);
    assert_int_equal(launch(kernel, global, 2048), CL_INVALID_WORK_ITEM_SIZE);
    assert_int_equal(launch(kernel, 0, local), CL_INVALID_GLOBAL_WORK_SIZE);
    assert_int_equal(
        clEnqueueNDRangeKernel(queue, kernel, 1, &offset, &global, &local, 0, NULL, NULL),
        CL_INVALID_GLOBAL_OFFSET);
    assert_int_equal(clEnqueueNDRangeKernel(queue, kernel, 4, NULL, &global, &local, 0, NULL, NULL),
                     CL_INVALID_WORK_DIMENSION);
    assert_int_equal(clGetKernelWorkGroupInfo(kernel, device, CL_KERNEL_WORK_GROUP_SIZE,
                                              sizeof items, &items, NULL),
                     CL_SUCCESS);
    assert_int_equal(items, 1024);
    assert_int_equal(clSetKernelArg(kernel, 2, 48 * 1024 + 4, NULL), CL_SUCCESS);
    assert_int_equal(launch(kernel, global, local), CL_OUT_OF_RESOURCES);
    /* None of that was an error of the kernel: the context lives on. */
    assert_int_equal(clSetKernelArg(kernel, 2, 48 * 1024, NULL), CL_SUCCESS);
    assert_int_equal(launch(kernel, global, local), CL_SUCCESS);
    assert_int_equal(clFinish(queue), CL_SUCCESS);
    clReleaseMemObject(buffer);
    clReleaseKernel(kernel);
}

/* Launches what must fail, and finds the words in the report. */
static void fails_and_says(cl_kernel kernel, const char *words, cl_int context_then)
{
    char path[] = "/tmp/ptx-device-report-XXXXXX";
    char line[1024] = "";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    setenv("PTX_DEVICE_REPORT", path, 1);
    assert_int_equal(launch(kernel, 1024, 128), CL_OUT_OF_RESOURCES);
    unsetenv("PTX_DEVICE_REPORT");
    assert_true(read(file, line, sizeof line - 1) > 0);
    assert_int_equal(strncmp(line, "ptx-device: ", 12), 0);
    assert_non_null(strstr(line, words));
    if (context_then != CL_SUCCESS) {
        assert_non_null(strstr(line, "scale")); /* it was the kernel */
    }
    assert_int_equal(clFinish(queue), context_then);
    close(file);
    unlink(path);
}

static void an_access_outside_ends_the_context(void **state)
{
    float value = 0.0f;
    cl_kernel kernel = build_kernel(scale_source, "scale");
    cl_mem in = make_buffer(1024 * sizeof value);
    cl_mem out = make_buffer(1023 * sizeof value);
    (void)state;
    set_arguments(kernel, out, in, 1024);
    fails_and_says(kernel, "aren't in a live buffer", CL_OUT_OF_RESOURCES);
    assert_int_equal(clEnqueueReadBuffer(queue, in, CL_TRUE, 0, 4, &value, 0, NULL, NULL),
                     CL_OUT_OF_RESOURCES);
    clReleaseMemObject(in);
    clReleaseMemObject(out);
    clReleaseKernel(kernel);
}

static void a_limit_of_instructions_may_be_set(void **state)
{
    static const char *const wrong[] = {"8x", "-8", "0", "99999999999999999999"};
    cl_kernel kernel = build_kernel(scale_source, "scale");
    cl_mem buffer = make_buffer(8192);
    (void)state;
    set_arguments(kernel, buffer, buffer, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("PTX_DEVICE_MOST_INSTRUCTIONS", wrong[i], 1);
        fails_and_says(kernel, "; use a number from 1 on", CL_SUCCESS);
    }
    setenv("PTX_DEVICE_MOST_INSTRUCTIONS", "8", 1);
    fails_and_says(kernel, "executed 8 instructions", CL_OUT_OF_RESOURCES);
    unsetenv("PTX_DEVICE_MOST_INSTRUCTIONS");
    clReleaseMemObject(buffer);
    clReleaseKernel(kernel);
}

/* ---- Whether there is all that it takes ---- */

static int is_installed(void)
{
    const char *compiler = getenv("PTX_DEVICE_CLANG");
    const char *library = getenv("PTX_DEVICE_LIBCLC");
    char command[1024];
    snprintf(command, sizeof command, "%s --version >/dev/null 2>&1",
             compiler != NULL ? compiler : "clang-15");
    return system(command) == 0 && access(library != NULL ? library : PTX_DEVICE_LIBCLC, R_OK) == 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_is_a_gpu_of_nvidia),
        cmocka_unit_test_setup_teardown(what_was_never_written_reads_as_nan, setup, teardown),
        cmocka_unit_test_setup_teardown(fills_and_copies_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(transfers_that_dont_fit_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(sub_buffers_lie_in_their_buffer_and_keep_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_mapped_goes_to_the_buffer_when_it_is_unmapped,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(events_are_complete_and_carry_times, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_build_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(ptx_comes_back_and_is_built_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kernel_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(halves_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(clusters_are_launched_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_arguments_and_launches_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_access_outside_ends_the_context, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_of_instructions_may_be_set, setup, teardown),
    };
    if (!is_installed()) {
        printf("skipped: clang-15 or libclc-15 isn't installed\n");
        return SKIPPED;
    }
    if (clGetPlatformIDs(1, &platform, NULL) != CL_SUCCESS ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_GPU, 1, &device, NULL) != CL_SUCCESS) {
        fprintf(stderr,
                "the loader doesn't find the device; OCL_ICD_VENDORS should name its .icd file\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
