/* What an OpenCL device does at most, by programs that share nothing with ttm-bench: CLBlast's own
 * SGEMM, the implementation's own copy and fill, and plain kernels. For checking what
 * `ttm-bench devices --backend opencl` measures (check-opencl-roofs.sh).
 *
 *     cc -O2 bench/opencl-roofs.c -o opencl-roofs -lOpenCL -lclblast
 *     ./opencl-roofs [PLATFORM [MIB [XGEMM [WHAT [PASSES]]]]]
 *
 * PLATFORM is a part of a platform's name (PoCL by itself), MIB the size of an array (256). XGEMM
 * are parameters for CLBlast's Xgemm kernel, as its tuner prints them: "GEMMK=0,KREG=1,KWG=32,…";
 * without them its database decides. WHAT is clblast, copy, triad, read or write, instead of all,
 * PASSES how often each way is taken (8). Prints one line: the fastest of all ways and passes, in
 * operations and bytes a second; bytes count as STREAM counts them. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <clblast_c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARRAYS = 3, MOST_PARAMETERS = 32 };

/* `wide`: neighbouring items take neighbouring vectors, as GPUs like it. `long`: an item passes
 * over a stretch of its own, as processors do. */
static const char source[] =
    "#define WIDE size_t i = get_global_id(0); i < n; i += get_global_size(0)\n"
    "#define LONG size_t i = get_global_id(0) * (n / get_global_size(0)), \\\n"
    "    end = i + n / get_global_size(0); i < end; i++\n"
    "#define LOOPS(NAME, RANGE) \\\n"
    "kernel void copy_##NAME(global float16 *a, global const float16 *b, \\\n"
    "                        global const float16 *c, ulong n) \\\n"
    "{ for (RANGE) a[i] = b[i]; } \\\n"
    "kernel void triad_##NAME(global float16 *a, global const float16 *b, \\\n"
    "                         global const float16 *c, ulong n) \\\n"
    "{ for (RANGE) a[i] = b[i] + 3.0f * c[i]; } \\\n"
    "kernel void write_##NAME(global float16 *a, global const float16 *b, \\\n"
    "                         global const float16 *c, ulong n) \\\n"
    "{ for (RANGE) a[i] = 1.5f; } \\\n"
    "kernel void read_##NAME(global float16 *a, global const float16 *b, \\\n"
    "                        global const float16 *c, ulong n) \\\n"
    "{ float16 sum = 0.0f; for (RANGE) sum += b[i]; a[get_global_id(0)] = sum; }\n"
    "LOOPS(wide, WIDE)\n"
    "LOOPS(long, LONG)\n"
    /* Four streams and four sums: one sum alone waits for its own additions. */
    "kernel void read_four(global float16 *a, global const float16 *b, global const float16 *c,\n"
    "                      ulong n)\n"
    "{\n"
    "    const size_t part = n / get_global_size(0) / 4;\n"
    "    global const float16 *x = b + get_global_id(0) * 4 * part;\n"
    "    float16 s = 0.0f, t = 0.0f, u = 0.0f, v = 0.0f;\n"
    "    for (size_t i = 0; i < part; i++) {\n"
    "        s += x[i]; t += x[part + i]; u += x[2 * part + i]; v += x[3 * part + i];\n"
    "    }\n"
    "    a[get_global_id(0)] = s + t + u + v;\n"
    "}\n";

typedef struct machine {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_mem arrays[ARRAYS];
    size_t bytes; /* Of an array. */
    size_t units;
    int passes;
} machine;

static void check(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "opencl-roofs: %s: error %d\n", what, error);
        exit(1);
    }
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static cl_device_id find_device(const char *wanted)
{
    cl_platform_id platforms[16];
    cl_uint count = 0;
    check(clGetPlatformIDs(16, platforms, &count), "clGetPlatformIDs");
    for (cl_uint k = 0; k < count && k < 16; k++) {
        char name[256] = "";
        char vendor[256] = "";
        cl_device_id device = NULL;
        clGetPlatformInfo(platforms[k], CL_PLATFORM_NAME, sizeof name, name, NULL);
        clGetPlatformInfo(platforms[k], CL_PLATFORM_VENDOR, sizeof vendor, vendor, NULL);
        if ((strcasestr(name, wanted) != NULL || strcasestr(vendor, wanted) != NULL ||
             (strcasecmp(wanted, "PoCL") == 0 && strstr(name, "Portable") != NULL)) &&
            clGetDeviceIDs(platforms[k], CL_DEVICE_TYPE_ALL, 1, &device, NULL) == CL_SUCCESS) {
            return device;
        }
    }
    fprintf(stderr, "opencl-roofs: no platform called '%s' has a device\n", wanted);
    exit(1);
}

static cl_mem random_array(const machine *m, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    const size_t count = bytes / sizeof(float);
    float *values = malloc(bytes);
    unsigned state = 1;
    if (values == NULL) {
        check(1, "malloc");
        exit(1);
    }
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 16777216.0F - 0.5F;
    }
    cl_mem array = clCreateBuffer(m->context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    check(error, "clCreateBuffer");
    check(clEnqueueWriteBuffer(m->queue, array, CL_TRUE, 0, bytes, values, 0, NULL, NULL),
          "clEnqueueWriteBuffer");
    free(values);
    return array;
}

static void open_machine(machine *m, const char *wanted, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    cl_uint units = 1;
    const char *text = source;
    *m = (machine){.device = find_device(wanted), .bytes = bytes};
    m->context = clCreateContext(NULL, 1, &m->device, NULL, NULL, &error);
    check(error, "clCreateContext");
    m->queue = clCreateCommandQueue(m->context, m->device, 0, &error);
    check(error, "clCreateCommandQueue");
    clGetDeviceInfo(m->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    m->units = units;
    m->program = clCreateProgramWithSource(m->context, 1, &text, NULL, &error);
    check(error, "clCreateProgramWithSource");
    check(clBuildProgram(m->program, 1, &m->device, "", NULL, NULL), "clBuildProgram");
    for (int k = 0; k < ARRAYS; k++) {
        m->arrays[k] = random_array(m, bytes);
    }
}

/* ---- Memory ---- */

static double seconds_of_kernel(const machine *m, cl_kernel kernel, size_t global, size_t local)
{
    const cl_ulong vectors = m->bytes / 64;
    double best = 1e30;
    for (cl_uint k = 0; k < ARRAYS; k++) {
        check(clSetKernelArg(kernel, k, sizeof(cl_mem), (const void *)&m->arrays[k]),
              "clSetKernelArg");
    }
    check(clSetKernelArg(kernel, ARRAYS, sizeof vectors, &vectors), "clSetKernelArg");
    for (int pass = 0; pass <= m->passes; pass++) {
        const double began = now_s();
        check(clEnqueueNDRangeKernel(m->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL),
              "clEnqueueNDRangeKernel");
        check(clFinish(m->queue), "clFinish");
        const double seconds = now_s() - began;
        best = pass > 0 && seconds < best ? seconds : best;
    }
    return best;
}

/* The fastest launch of one kernel; stretches are whole for powers of two. */
static double seconds_of_loop(const machine *m, const char *loop, const char *way)
{
    char name[32];
    cl_int error = CL_SUCCESS;
    double best = 1e30;
    snprintf(name, sizeof name, "%s_%s", loop, way);
    cl_kernel kernel = clCreateKernel(m->program, name, &error);
    check(error, name);
    size_t groups = 1;
    while (groups < m->units) {
        groups *= 2;
    }
    for (size_t more = 1; more <= 16; more *= 16) {
        for (size_t local = 1; local <= 64; local *= 64) {
            const double seconds = seconds_of_kernel(m, kernel, groups * more * local, local);
            best = seconds < best ? seconds : best;
        }
    }
    clReleaseKernel(kernel);
    return best;
}

static double seconds_of_command(const machine *m, int fills)
{
    const float value = 1.5F;
    double best = 1e30;
    for (int pass = 0; pass <= m->passes; pass++) {
        const double began = now_s();
        check(fills ? clEnqueueFillBuffer(m->queue, m->arrays[0], &value, sizeof value, 0, m->bytes,
                                          0, NULL, NULL)
                    : clEnqueueCopyBuffer(m->queue, m->arrays[1], m->arrays[0], 0, 0, m->bytes, 0,
                                          NULL, NULL),
              "a command of the implementation's own");
        check(clFinish(m->queue), "clFinish");
        const double seconds = now_s() - began;
        best = pass > 0 && seconds < best ? seconds : best;
    }
    return best;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* The fastest of the ways, each of which is printed too. */
static void measure_memory(const machine *m, const char *loop, double arrays, int fills)
{
    const double wide = seconds_of_loop(m, loop, "wide");
    double kernel = least(wide, seconds_of_loop(m, loop, "long"));
    double best = kernel;
    if (strcmp(loop, "read") == 0) {
        best = kernel = least(kernel, seconds_of_loop(m, loop, "four"));
    }
    if (fills >= 0) {
        const double command = seconds_of_command(m, fills);
        best = least(best, command);
        printf("\"%s_command\": %.4g, \"%s_kernel\": %.4g, ", loop,
               arrays * (double)m->bytes / command, loop, arrays * (double)m->bytes / kernel);
    }
    printf("\"%s\": %.4g", loop, arrays * (double)m->bytes / best);
}

/* ---- Products ---- */

static void override_parameters(const machine *m, char *text)
{
    const char *names[MOST_PARAMETERS];
    size_t values[MOST_PARAMETERS];
    size_t count = 0;
    char *rest = NULL;
    for (char *item = strtok_r(text, ", ", &rest); item != NULL && count < MOST_PARAMETERS;
         item = strtok_r(NULL, ", ", &rest)) {
        char *equals = strchr(item, '=');
        if (equals == NULL) {
            continue;
        }
        *equals = '\0';
        names[count] = item;
        values[count++] = strtoul(equals + 1, NULL, 10);
    }
    check(
        CLBlastOverrideParameters(m->device, "Xgemm", CLBlastPrecisionSingle, count, names, values),
        "CLBlastOverrideParameters");
}

static double seconds_of_product(const machine *m, size_t size)
{
    cl_mem matrices[3];
    cl_command_queue queue = m->queue;
    double best = 1e30;
    double spent = 0.0;
    for (int k = 0; k < 3; k++) {
        matrices[k] = random_array(m, size * size * sizeof(float));
    }
    for (int pass = 0; pass <= m->passes && (pass < 4 || spent < 2.0); pass++) {
        const double began = now_s();
        check(CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeNo, size,
                           size, size, 1.0F, matrices[0], 0, size, matrices[1], 0, size, 0.0F,
                           matrices[2], 0, size, &queue, NULL),
              "CLBlastSgemm");
        check(clFinish(queue), "clFinish");
        const double seconds = now_s() - began;
        best = pass > 0 && seconds < best ? seconds : best;
        spent += pass > 0 ? seconds : 0.0; /* The first builds the kernels. */
    }
    for (int k = 0; k < 3; k++) {
        clReleaseMemObject(matrices[k]);
    }
    return best;
}

static void measure_products(const machine *m)
{
    double fastest = 0.0;
    double seconds = 0.0;
    for (size_t size = 512; size <= 8192 && seconds < 0.05; size *= 2) {
        seconds = seconds_of_product(m, size);
        const double speed = 2.0 * (double)size * (double)size * (double)size / seconds;
        fastest = speed > fastest ? speed : fastest;
    }
    printf("\"clblast\": %.4g", fastest);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double arrays; /* Read and written. */
        int fills;     /* 1 and 0: the implementation's own fill and copy are tried too. */
    } loops[] = {{"copy", 2.0, 0}, {"triad", 3.0, -1}, {"read", 1.0, -1}, {"write", 1.0, 1}};
    machine m;
    const size_t mebibytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 256;
    const char *what = argc > 4 ? argv[4] : "";
    const char *between = "";
    open_machine(&m, argc > 1 ? argv[1] : "PoCL", (mebibytes > 0 ? mebibytes : 256) << 20);
    m.passes = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 8;
    if (argc > 3 && argv[3][0] != '\0') {
        override_parameters(&m, argv[3]);
    }
    printf("{");
    if (what[0] == '\0' || strcmp(what, "clblast") == 0) {
        measure_products(&m);
        between = ", ";
    }
    for (size_t k = 0; k < sizeof loops / sizeof *loops; k++) {
        if (what[0] == '\0' || strcmp(what, loops[k].name) == 0) {
            printf("%s", between);
            measure_memory(&m, loops[k].name, loops[k].arrays, loops[k].fills);
            between = ", ";
        }
    }
    printf("}\n");
    return 0;
}
