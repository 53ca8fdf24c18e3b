/* ttm-devices: which devices there are, which one would be taken, and which plugins can't be used.
 */
#include "common/tool_json.h"
#include "common/tool_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <ttm/device.h>

/* What opening a device with this command line takes. */
typedef struct device_choice {
    bool found;
    char backend[64];
    int32_t index;
    char problem[1024]; /* Why nothing was found. */
} device_choice;

static const char *kind_name(ttm_device_kind kind)
{
    switch (kind) {
    case TTM_DEVICE_GPU:
        return "gpu";
    case TTM_DEVICE_ACCELERATOR:
        return "accelerator";
    case TTM_DEVICE_CPU:
        break;
    }
    return "cpu";
}

/* Only opening it proves that a device works. */
static device_choice find_choice(const tool_program *program)
{
    device_choice choice = {0};
    ttm_device *device = NULL;
    if (ttm_device_open(&device, program->backend, program->device) != TTM_OK) {
        snprintf(choice.problem, sizeof choice.problem, "%s", ttm_error_message());
        return choice;
    }
    choice.found = true;
    choice.index = ttm_device_index(device);
    snprintf(choice.backend, sizeof choice.backend, "%s", ttm_device_backend_name(device));
    ttm_device_close(device);
    return choice;
}

static bool is_chosen(const device_choice *choice, const ttm_device_entry *entry)
{
    return choice->found && choice->index == entry->index &&
           strcmp(choice->backend, entry->backend) == 0;
}

static bool has_dtype(uint32_t mask, int dtype)
{
    return (mask & (1u << dtype)) != 0;
}

/* ---- For people ---- */

static const char *print_memory(char *text, size_t text_bytes, const ttm_device_info *info)
{
    const double gib = 1024.0 * 1024.0 * 1024.0;
    if (info->memory_bytes == 0) {
        snprintf(text, text_bytes, "-");
    } else if (info->memory_free_bytes == 0) {
        snprintf(text, text_bytes, "%.1f GiB", (double)info->memory_bytes / gib);
    } else {
        snprintf(text, text_bytes, "%.1f GiB, %.1f free", (double)info->memory_bytes / gib,
                 (double)info->memory_free_bytes / gib);
    }
    return text;
}

static void print_remark(int indent, const char *label, const char *text)
{
    if (text[0] != '\0') {
        printf("%*s%s%s\n", indent, "", label, text);
    }
}

/* "f32, bf16, i32": what --json lists. */
static void print_dtypes(char *text, size_t text_bytes, uint32_t mask)
{
    size_t used = 0;
    text[0] = '\0';
    for (int dtype = TTM_F32; dtype <= TTM_TF32 && used < text_bytes; dtype++) {
        if (has_dtype(mask, dtype)) {
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? ", " : "",
                                     ttm_dtype_name((ttm_dtype)dtype));
        }
    }
}

static void print_devices(const ttm_device_list *list, const device_choice *choice)
{
    int name_width = (int)strlen("NAME");
    int place_width = (int)strlen("DEVICE");
    for (size_t k = 0; k < list->device_count; k++) {
        const ttm_device_entry *entry = &list->devices[k];
        const int name = (int)strlen(entry->info.name);
        const int place = snprintf(NULL, 0, "%s:%d", entry->backend, entry->index);
        name_width = name > name_width ? name : name_width;
        place_width = place > place_width ? place : place_width;
    }
    printf("  %-*s  %-*s  %-11s  %s\n", place_width, "DEVICE", name_width, "NAME", "KIND",
           "MEMORY");
    for (size_t k = 0; k < list->device_count; k++) {
        const ttm_device_entry *entry = &list->devices[k];
        char place[96];
        char memory[64];
        char dtypes[64];
        snprintf(place, sizeof place, "%s:%d", entry->backend, entry->index);
        printf("%c %-*s  %-*s  %-11s  %s\n", is_chosen(choice, entry) ? '*' : ' ', place_width,
               place, name_width, entry->info.name, kind_name(entry->info.kind),
               print_memory(memory, sizeof memory, &entry->info));
        print_remark(place_width + 4, "driver: ", entry->info.driver);
        print_dtypes(dtypes, sizeof dtypes, entry->info.dtype_mask);
        print_remark(place_width + 4, "dtypes: ", dtypes);
        print_remark(place_width + 4, "", entry->info.details);
        if ((entry->info.capabilities & TTM_DEVICE_CHECKING_ONLY) != 0) {
            print_remark(place_width + 4, "",
                         "for checking: right but slow, taken only when named");
        }
    }
}

static void print_table(const ttm_device_list *list, const device_choice *choice,
                        const tool_program *program)
{
    const bool asked = program->backend != NULL || program->device != NULL;
    if (list->device_count > 0) {
        print_devices(list, choice);
    } else {
        printf("No device was found.\n");
    }
    if (choice->found) {
        printf("\n* is taken %s.\n", asked ? "with these options" : "when no option names another");
    } else if (!asked) {
        printf("\nNone is taken automatically: %s.\n", choice->problem);
    }
    if (list->failure_count > 0) {
        printf("\nPlugins that aren't used:\n");
    }
    for (size_t k = 0; k < list->failure_count; k++) {
        printf("  %s\n      %s\n", list->failures[k].plugin_path, list->failures[k].message);
    }
}

/* ---- For programs ---- */

static void write_dtypes(ttm_json_writer *writer, uint32_t mask)
{
    ttm_json_key(writer, "dtypes");
    ttm_json_begin_array(writer);
    for (int dtype = TTM_F32; dtype <= TTM_TF32; dtype++) {
        if (has_dtype(mask, dtype)) {
            ttm_json_write_string(writer, ttm_dtype_name((ttm_dtype)dtype));
        }
    }
    ttm_json_end_array(writer);
}

static void write_device(ttm_json_writer *writer, const ttm_device_entry *entry, bool chosen)
{
    const ttm_device_info *info = &entry->info;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "backend", entry->backend);
    ttm_json_member_int(writer, "index", entry->index);
    ttm_json_member_string(writer, "name", info->name);
    ttm_json_member_string(writer, "vendor", info->vendor);
    ttm_json_member_string(writer, "kind", kind_name(info->kind));
    ttm_json_member_string(writer, "driver", info->driver);
    ttm_json_member_string(writer, "details", info->details);
    ttm_json_member_uint(writer, "memory_bytes", info->memory_bytes);
    ttm_json_member_uint(writer, "memory_free_bytes", info->memory_free_bytes);
    ttm_json_member_uint(writer, "max_allocation_bytes", info->max_allocation_bytes);
    ttm_json_member_uint(writer, "alignment_bytes", info->alignment_bytes);
    ttm_json_member_uint(writer, "compute_units", info->compute_units);
    write_dtypes(writer, info->dtype_mask);
    ttm_json_member_bool(writer, "can_map", (info->capabilities & TTM_DEVICE_CAN_MAP) != 0);
    ttm_json_member_bool(writer, "checking_only",
                         (info->capabilities & TTM_DEVICE_CHECKING_ONLY) != 0);
    ttm_json_member_string(writer, "plugin", entry->plugin_path);
    ttm_json_member_bool(writer, "chosen", chosen);
    ttm_json_end_object(writer);
}

/* What is printed. */
typedef struct device_report {
    const ttm_device_list *list;
    const device_choice *choice;
} device_report;

static void write_report(ttm_json_writer *writer, const void *result)
{
    const device_report *report = result;
    const ttm_device_list *list = report->list;
    ttm_json_begin_object(writer);
    ttm_json_key(writer, "devices");
    ttm_json_begin_array(writer);
    for (size_t k = 0; k < list->device_count; k++) {
        write_device(writer, &list->devices[k], is_chosen(report->choice, &list->devices[k]));
    }
    ttm_json_end_array(writer);
    ttm_json_key(writer, "failures");
    ttm_json_begin_array(writer);
    for (size_t k = 0; k < list->failure_count; k++) {
        ttm_json_begin_object(writer);
        ttm_json_member_string(writer, "plugin", list->failures[k].plugin_path);
        ttm_json_member_string(writer, "message", list->failures[k].message);
        ttm_json_end_object(writer);
    }
    ttm_json_end_array(writer);
    ttm_json_end_object(writer);
}

/* ---- */

static int run(const tool_program *program)
{
    ttm_device_list *list = NULL;
    const ttm_status status = ttm_device_list_new(&list);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    const device_choice choice = find_choice(program);
    int code = TOOL_EXIT_DONE;
    if (program->json) {
        const device_report report = {list, &choice};
        code = tool_print_json(TTM_JSON_INDENTED, write_report, &report);
    } else {
        print_table(list, &choice, program);
        code = tool_done();
    }
    ttm_device_list_free(list);
    if (code == TOOL_EXIT_DONE && !choice.found &&
        (program->backend != NULL || program->device != NULL)) {
        return tool_fail_text("%s", choice.problem);
    }
    return code;
}

int main(int argc, char **argv)
{
    const tool_example examples[] = {
        {"ttm-devices", "list all devices; a star marks the one that is taken"},
        {"ttm-devices --backend opencl:1", "check that a device can be opened"},
        {"TTM_LOG=debug ttm-devices", "see where plugins are looked for, and what is loaded"},
    };
    tool_program program = {
        .name = "ttm-devices",
        .summary = "list the devices that libttm can compute on",
        .usage = "[--json] [--backend NAME[:DEVICE]] [--device INDEX|NAME]",
        .description =
            "Lists the devices of every backend plugin, the best choice first, and the plugins "
            "that can't be used with the reason. Plugins are files named libttm-backend-NAME.so; "
            "they are looked for in the folders of TTM_BACKEND_PATH, beside libttm, and in the "
            "installed plugin folder. A device's dtypes are the types that its ops take: f32 is "
            "what --dtype of other tools calls fp32, i32 is for token ids.",
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        .examples = examples,
        .example_count = sizeof examples / sizeof *examples,
    };
    int code = tool_parse(&program, argc, argv);
    if (code == TOOL_GO_ON) {
        code = run(&program);
    }
    tool_free(&program);
    return code;
}
