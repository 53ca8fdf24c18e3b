/* Making programs of sources and of PTX, and building them. */
#include "device_program.h"

#include "device_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Made, kept, given back ---- */

static cl_program new_program(cl_context context, cl_int *status)
{
    cl_program made = calloc(1, sizeof *made);
    if (made == NULL) {
        *status = CL_OUT_OF_HOST_MEMORY;
        return NULL;
    }
    device_object_start(&made->object, DEVICE_PROGRAM);
    device_retain(context);
    made->context = context;
    made->status = CL_BUILD_NONE;
    *status = CL_SUCCESS;
    return made;
}

void device_program_release(cl_program program)
{
    if (device_release(program)) {
        ptx_module_free(program->module);
        device_context_release(program->context);
        free(program->source);
        free(program->ptx);
        free(program->options);
        free(program->log);
        free(program);
    }
}

/* The strings as one. Without a length a string ends with a 0. */
static char *join(cl_uint count, const char **strings, const size_t *lengths)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *joined = open_memstream(&text, &bytes);
    if (joined == NULL) {
        return NULL;
    }
    for (cl_uint i = 0; i < count; i++) {
        const size_t length = lengths != NULL && lengths[i] != 0 ? lengths[i] : strlen(strings[i]);
        fwrite(strings[i], 1, length, joined);
    }
    if (fclose(joined) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static cl_program create_from_source(cl_context context, cl_uint count, const char **strings,
                                     const size_t *lengths, cl_int *error)
{
    cl_int status = device_is(context, DEVICE_CONTEXT) ? CL_SUCCESS : CL_INVALID_CONTEXT;
    if (status == CL_SUCCESS && (count == 0 || strings == NULL)) {
        status = CL_INVALID_VALUE;
    }
    for (cl_uint i = 0; status == CL_SUCCESS && i < count; i++) {
        if (strings[i] == NULL) {
            status = CL_INVALID_VALUE;
        }
    }
    cl_program made = status == CL_SUCCESS ? new_program(context, &status) : NULL;
    if (made != NULL) {
        made->source = join(count, strings, lengths);
        if (made->source == NULL) {
            device_program_release(made);
            made = NULL;
            status = CL_OUT_OF_HOST_MEMORY;
        }
    }
    device_set_error(error, status);
    return made;
}

/* Whether it looks like PTX; whether it is some, its build says. */
static int looks_like_ptx(const char *text)
{
    return strstr(text, ".version") != NULL && strstr(text, ".target") != NULL;
}

static cl_program create_from_binary(cl_context context, cl_uint count, const cl_device_id *devices,
                                     const size_t *lengths, const unsigned char **binaries,
                                     cl_int *binary_status, cl_int *error)
{
    cl_int status = device_is(context, DEVICE_CONTEXT) ? CL_SUCCESS : CL_INVALID_CONTEXT;
    if (status == CL_SUCCESS &&
        (count != 1 || devices == NULL || lengths == NULL || binaries == NULL)) {
        status = CL_INVALID_VALUE;
    } else if (status == CL_SUCCESS && !device_is(devices[0], DEVICE_DEVICE)) {
        status = CL_INVALID_DEVICE;
    } else if (status == CL_SUCCESS && (lengths[0] == 0 || binaries[0] == NULL)) {
        status = CL_INVALID_VALUE;
        device_set_error(binary_status, status);
    }
    cl_program made = status == CL_SUCCESS ? new_program(context, &status) : NULL;
    if (made != NULL) {
        made->ptx = strndup((const char *)binaries[0], lengths[0]);
        status = made->ptx == NULL           ? CL_OUT_OF_HOST_MEMORY
                 : looks_like_ptx(made->ptx) ? CL_SUCCESS
                                             : CL_INVALID_BINARY;
        device_set_error(binary_status, status);
    }
    if (made != NULL && status != CL_SUCCESS) {
        device_program_release(made);
        made = NULL;
    }
    device_set_error(error, status);
    return made;
}

static cl_int retain_program(cl_program program)
{
    if (!device_is(program, DEVICE_PROGRAM)) {
        return CL_INVALID_PROGRAM;
    }
    device_retain(program);
    return CL_SUCCESS;
}

static cl_int release_program(cl_program program)
{
    if (!device_is(program, DEVICE_PROGRAM)) {
        return CL_INVALID_PROGRAM;
    }
    device_program_release(program);
    return CL_SUCCESS;
}

/* ---- Building ---- */

static void set_log(cl_program program, char *log)
{
    free(program->log);
    program->log = log;
}

/* What ptxas refuses: PTX for a later GPU, or for the features of one GPU on another, and too much
 * shared memory. */
static cl_int check_module(cl_program program)
{
    int is_specific = 0;
    const int target = ptx_module_target(program->module, &is_specific);
    if (target > device_target() || (is_specific && target != device_target())) {
        set_log(program, device_text("PTX for sm_%d%s can't run on sm_%d\n", target,
                                     is_specific ? "a" : "", device_target()));
        return CL_INVALID_BINARY;
    }
    for (int i = 0; i < ptx_module_kernel_count(program->module); i++) {
        const ptx_kernel *kernel = ptx_module_kernel(program->module, i);
        if (ptx_kernel_shared_bytes(kernel) > DEVICE_SHARED_BYTES) {
            set_log(program,
                    device_text("kernel '%s' uses too much shared memory: %zu bytes of %d\n",
                                ptx_kernel_name(kernel), ptx_kernel_shared_bytes(kernel),
                                DEVICE_SHARED_BYTES));
            return CL_BUILD_PROGRAM_FAILURE;
        }
    }
    return CL_SUCCESS;
}

static cl_int read_module(cl_program program)
{
    char message[1024] = "";
    program->module = ptx_module_new(program->ptx, strlen(program->ptx), message, sizeof message);
    if (program->module == NULL) {
        set_log(program, device_text("%s\n", message));
        return program->source != NULL ? CL_BUILD_PROGRAM_FAILURE : CL_INVALID_BINARY;
    }
    return check_module(program);
}

static cl_int build(cl_program program, const char *text)
{
    device_options options;
    char *log = NULL;
    cl_int status = device_options_read(&options, &log, text);
    set_log(program, log);
    if (status == CL_SUCCESS && program->source != NULL) {
        free(program->ptx);
        log = NULL;
        status = device_compile(&program->ptx, &log, program->source, &options);
        set_log(program, log);
    }
    free(options.text);
    return status == CL_SUCCESS ? read_module(program) : status;
}

static cl_int check_build(cl_program program, cl_uint count, const cl_device_id *devices,
                          void(CL_CALLBACK *notify)(cl_program, void *), const void *user_data)
{
    if (!device_is(program, DEVICE_PROGRAM)) {
        return CL_INVALID_PROGRAM;
    }
    if ((count == 0) != (devices == NULL) || (notify == NULL && user_data != NULL)) {
        return CL_INVALID_VALUE;
    }
    for (cl_uint i = 0; i < count; i++) {
        if (!device_is(devices[i], DEVICE_DEVICE)) {
            return CL_INVALID_DEVICE;
        }
    }
    device_lock();
    const int used = program->kernels > 0;
    device_unlock();
    return used ? CL_INVALID_OPERATION : CL_SUCCESS;
}

static cl_int build_program(cl_program program, cl_uint count, const cl_device_id *devices,
                            const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                            void *user_data)
{
    cl_int status = check_build(program, count, devices, notify, user_data);
    if (status != CL_SUCCESS) {
        return status;
    }
    ptx_module_free(program->module);
    program->module = NULL;
    free(program->options);
    program->options = strdup(options != NULL ? options : "");
    status = build(program, options);
    program->status = status == CL_SUCCESS ? CL_BUILD_SUCCESS : CL_BUILD_ERROR;
    if (status != CL_SUCCESS) {
        ptx_module_free(program->module);
        program->module = NULL;
    }
    if (notify != NULL) {
        notify(program, user_data);
    }
    return status;
}

/* ---- Queries ---- */

static cl_int kernel_names(cl_program program, size_t room, void *value, size_t *needed)
{
    char *names = NULL;
    size_t bytes = 0;
    FILE *list = open_memstream(&names, &bytes);
    if (list == NULL) {
        return CL_OUT_OF_HOST_MEMORY;
    }
    for (int i = 0; i < ptx_module_kernel_count(program->module); i++) {
        fprintf(list, "%s%s", i > 0 ? ";" : "",
                ptx_kernel_name(ptx_module_kernel(program->module, i)));
    }
    const cl_int status =
        fclose(list) == 0 ? device_answer_text(room, value, needed, names) : CL_OUT_OF_HOST_MEMORY;
    free(names);
    return status;
}

/* `value` is an array of one pointer to where the PTX goes, which the caller has made large enough.
 */
static cl_int give_binary(cl_program program, size_t bytes, size_t room, void *value,
                          size_t *needed)
{
    unsigned char **places = value;
    if (places != NULL) {
        if (room < sizeof *places) {
            return CL_INVALID_VALUE;
        }
        if (places[0] != NULL && bytes > 0) {
            memcpy(places[0], program->ptx, bytes);
        }
    }
    if (needed != NULL) {
        *needed = sizeof *places;
    }
    return CL_SUCCESS;
}

static cl_int program_info(cl_program program, cl_program_info what, size_t room, void *value,
                           size_t *needed)
{
    const cl_device_id device = device_only();
    cl_uint number = 1;
    if (!device_is(program, DEVICE_PROGRAM)) {
        return CL_INVALID_PROGRAM;
    }
    const size_t kernel_count =
        program->module != NULL ? (size_t)ptx_module_kernel_count(program->module) : 0;
    const size_t bytes = program->ptx != NULL ? strlen(program->ptx) + 1 : 0;
    switch (what) {
    case CL_PROGRAM_REFERENCE_COUNT:
        number = device_references(program);
        return device_answer(room, value, needed, &number, sizeof number);
    case CL_PROGRAM_CONTEXT:
        return device_answer(room, value, needed, (const void *)&program->context,
                             sizeof program->context);
    case CL_PROGRAM_NUM_DEVICES:
        return device_answer(room, value, needed, &number, sizeof number);
    case CL_PROGRAM_DEVICES:
        return device_answer(room, value, needed, (const void *)&device, sizeof device);
    case CL_PROGRAM_SOURCE:
        return device_answer_text(room, value, needed,
                                  program->source != NULL ? program->source : "");
    case CL_PROGRAM_BINARY_SIZES:
        return device_answer(room, value, needed, &bytes, sizeof bytes);
    case CL_PROGRAM_BINARIES:
        return give_binary(program, bytes, room, value, needed);
    case CL_PROGRAM_NUM_KERNELS:
        return program->module == NULL
                   ? CL_INVALID_PROGRAM_EXECUTABLE
                   : device_answer(room, value, needed, &kernel_count, sizeof kernel_count);
    case CL_PROGRAM_KERNEL_NAMES:
        return program->module == NULL ? CL_INVALID_PROGRAM_EXECUTABLE
                                       : kernel_names(program, room, value, needed);
    default:
        return CL_INVALID_VALUE;
    }
}

static cl_int build_info(cl_program program, cl_device_id device, cl_program_build_info what,
                         size_t room, void *value, size_t *needed)
{
    if (!device_is(program, DEVICE_PROGRAM)) {
        return CL_INVALID_PROGRAM;
    }
    if (!device_is(device, DEVICE_DEVICE)) {
        return CL_INVALID_DEVICE;
    }
    const cl_program_binary_type type =
        program->module != NULL ? CL_PROGRAM_BINARY_TYPE_EXECUTABLE : CL_PROGRAM_BINARY_TYPE_NONE;
    switch (what) {
    case CL_PROGRAM_BUILD_STATUS:
        return device_answer(room, value, needed, &program->status, sizeof program->status);
    case CL_PROGRAM_BUILD_OPTIONS:
        return device_answer_text(room, value, needed,
                                  program->options != NULL ? program->options : "");
    case CL_PROGRAM_BUILD_LOG:
        return device_answer_text(room, value, needed, program->log != NULL ? program->log : "");
    case CL_PROGRAM_BINARY_TYPE:
        return device_answer(room, value, needed, &type, sizeof type);
    default:
        return CL_INVALID_VALUE;
    }
}

void device_fill_program(cl_icd_dispatch *table)
{
    table->clCreateProgramWithSource = create_from_source;
    table->clCreateProgramWithBinary = create_from_binary;
    table->clRetainProgram = retain_program;
    table->clReleaseProgram = release_program;
    table->clBuildProgram = build_program;
    table->clGetProgramInfo = program_info;
    table->clGetProgramBuildInfo = build_info;
}
