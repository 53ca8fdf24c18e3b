/* Tuned settings on disk: they come back, they are used, and damaged ones are ignored. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/tensor.h>
#include <ttm/tune.h>
#include <unistd.h>

#include "tt/tune_file.h"

#include <cmocka.h>

static char folder[] = "/tmp/ttm-tune-XXXXXX";
static char path[4096];
static ttm_device *device;

static const ttm_tuned_plan plans[] = {
    {TTM_TT_FORWARD, 7, "4x4,4x4,2x8:8", "((x G1) G2) G3"},
    {TTM_TT_INPUT_GRADIENT, 7, "4x4,4x4,2x8:8", "x ((G1 G2) G3)"},
};
static const ttm_tuning tuning = {
    .struct_size = sizeof tuning,
    .model = {sizeof(ttm_tt_cost_model), 3e11, 2e10, 1.5e-6, 4.0},
    .plans = plans,
    .plan_count = 2,
};

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    setenv("TTM_TUNE_DIR", folder, 1);
    assert_int_equal(ttm_device_open(&device, "reference", NULL), TTM_OK);
    assert_int_equal(ttm_tuning_path(path, sizeof path, device), TTM_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    rmdir(folder);
    ttm_device_close(device);
    return 0;
}

static void untuned_devices_get_the_guess(void **state)
{
    (void)state;
    ttm_tt_cost_model model;
    assert_false(ttm_tt_cost_model_for_device(&model, device, TTM_F64));
    assert_float_equal(model.product_flops, 1e11, 0.0);
    assert_float_equal(model.element_bytes, 8.0, 0.0);
}

static void a_file_comes_back_as_it_was_written(void **state)
{
    (void)state;
    ttm_tuning read;
    assert_int_equal(ttm_tune_file_read(&read, path, device), TTM_ERROR_NOT_FOUND);
    assert_int_equal(ttm_tune_file_write(path, &tuning, device), TTM_OK);
    assert_int_equal(ttm_tune_file_read(&read, path, device), TTM_OK);
    assert_float_equal(read.model.product_flops, 3e11, 0.0);
    assert_float_equal(read.model.copy_bytes, 2e10, 0.0);
    assert_float_equal(read.model.launch_seconds, 1.5e-6, 1e-18);
    assert_int_equal(read.plan_count, 2);
    assert_int_equal(read.plans[1].direction, TTM_TT_INPUT_GRADIENT);
    assert_int_equal(read.plans[1].rows, 7);
    assert_string_equal(read.plans[0].shape, plans[0].shape);
    assert_string_equal(read.plans[1].tree, plans[1].tree);
    free((void *)read.plans);
}

static void write_text(const char *text, size_t bytes)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* Cut anywhere, or with any byte changed, a file is read as it is or refused, never half used. */
static void damaged_files_are_refused(void **state)
{
    (void)state;
    static char whole[4096];
    static char damaged[4096];
    ttm_tuning read;
    assert_int_equal(ttm_tune_file_write(path, &tuning, device), TTM_OK);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    const size_t bytes = fread(whole, 1, sizeof whole, file);
    fclose(file);
    for (size_t cut = 0; cut + 1 < bytes; cut++) {
        write_text(whole, cut);
        if (cut + 2 < bytes) { /* Without its last newline alone it is whole. */
            assert_int_equal(ttm_tune_file_read(&read, path, device), TTM_ERROR_FORMAT);
        }
    }
    for (size_t place = 0; place < bytes; place++) {
        memcpy(damaged, whole, bytes);
        damaged[place] = '\1';
        write_text(damaged, bytes);
        if (ttm_tune_file_read(&read, path, device) == TTM_OK) {
            free((void *)read.plans);
        }
    }
    static const char *const wrong[] = {"product_flops -1\n", "product_flops nan\n",
                                        "plan forward 0 4x4:1 x G1\n",
                                        "plan sideways 1 4x4 x G1\n"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        const char *end = strstr(whole, "end\n");
        assert_non_null(end);
        const int length =
            snprintf(damaged, sizeof damaged, "%.*s%send\n", (int)(end - whole), whole, wrong[k]);
        write_text(damaged, (size_t)length);
        assert_int_equal(ttm_tune_file_read(&read, path, device), TTM_ERROR_FORMAT);
    }
    write_text(whole, bytes);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(ttm_tune_file_read(&read, path, device), TTM_ERROR_FORMAT);
    unlink(path);
}

static void a_decimal_comma_of_the_locale_does_no_harm(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR"};
    bool found = false;
    for (size_t k = 0; k < sizeof locales / sizeof *locales && !found; k++) {
        found = setlocale(LC_NUMERIC, locales[k]) != NULL;
    }
    if (!found) {
        skip(); /* no such locale is installed */
    }
    ttm_tuning read;
    const ttm_status written = ttm_tune_file_write(path, &tuning, device);
    const ttm_status read_there = ttm_tune_file_read(&read, path, device);
    free(read_there == TTM_OK ? (void *)read.plans : NULL);
    char comma[16];
    snprintf(comma, sizeof comma, "%.1f", 1.5); /* the program's own numbers are as they were */
    setlocale(LC_NUMERIC, "C");
    assert_int_equal(written, TTM_OK);
    assert_int_equal(read_there, TTM_OK);
    assert_string_equal(comma, "1,5");
    assert_int_equal(ttm_tune_file_read(&read, path, device), TTM_OK);
    assert_float_equal(read.model.launch_seconds, 1.5e-6, 0.0);
    free((void *)read.plans);
    unlink(path);
}

static void saved_settings_are_used_at_once(void **state)
{
    (void)state;
    ttm_tt_cost_model model;
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    assert_int_equal(ttm_tuning_save(&tuning, device), TTM_OK);
    assert_true(ttm_tt_cost_model_for_device(&model, device, TTM_F32));
    assert_float_equal(model.product_flops, 3e11, 0.0);
    assert_int_equal(ttm_tt_shape_parse(&shape, plans[0].shape), TTM_OK);
    assert_int_equal(ttm_tt_plan_find_for_device(&plan, device, TTM_F32, &shape, 7, TTM_TT_FORWARD),
                     TTM_OK);
    assert_string_equal(plan.text, plans[0].tree);
    /* Other rows: the planner decides. */
    ttm_tt_plan planned;
    assert_int_equal(ttm_tt_plan_find(&planned, &shape, 8, TTM_TT_FORWARD, &model), TTM_OK);
    assert_int_equal(ttm_tt_plan_find_for_device(&plan, device, TTM_F32, &shape, 8, TTM_TT_FORWARD),
                     TTM_OK);
    assert_string_equal(plan.text, planned.text);
}

static void settings_that_make_no_sense_are_not_saved(void **state)
{
    (void)state;
    ttm_tuning bad = tuning;
    bad.model.copy_bytes = 0.0;
    assert_int_equal(ttm_tuning_save(&bad, device), TTM_ERROR_ARGUMENT);
    bad.model.copy_bytes = HUGE_VAL; /* couldn't be read back */
    assert_int_equal(ttm_tuning_save(&bad, device), TTM_ERROR_ARGUMENT);
    setenv("TTM_TUNE_DIR", "", 1);
    assert_int_equal(ttm_tuning_save(&tuning, device), TTM_ERROR_NOT_FOUND);
    setenv("TTM_TUNE_DIR", "/proc/nowhere", 1);
    assert_int_equal(ttm_tuning_save(&tuning, device), TTM_ERROR_IO);
    setenv("TTM_TUNE_DIR", folder, 1);
}

/* Every order gives the product with W. */
static void plans_that_are_applied_compute_the_same(void **state)
{
    (void)state;
    static const char *const trees[] = {"((x G1) G2) G3", "x ((G1 G2) G3)", "((x G3) G2) G1",
                                        "(x (G1 G2)) G3"};
    ttm_tt_shape shape;
    ttm_stream *stream = NULL;
    ttm_tensor cores[3] = {{0}};
    ttm_tensor x;
    ttm_tensor y;
    float first[7 * 128];
    float other[7 * 128];
    const int64_t x_shape[] = {7, 32};
    const int64_t y_shape[] = {7, 128};
    assert_int_equal(ttm_tt_shape_parse(&shape, plans[0].shape), TTM_OK);
    assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&x, device, TTM_F32, 2, x_shape), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&y, device, TTM_F32, 2, y_shape), TTM_OK);
    assert_int_equal(ttm_fill(stream, &x, 0.25), TTM_OK);
    for (int k = 0; k < 3; k++) {
        float numbers[1024];
        const int64_t sizes[] = {1, shape.ranks[k], shape.in_modes[k], shape.out_modes[k],
                                 shape.ranks[k + 1]};
        for (int n = 0; n < 1024; n++) {
            numbers[n] = (float)((n * 37 + k * 11) % 17 - 8) / 16.0F;
        }
        assert_int_equal(ttm_tensor_alloc(&cores[k], device, TTM_F32, 5, sizes), TTM_OK);
        assert_int_equal(ttm_tensor_write(stream, &cores[k], numbers), TTM_OK);
    }
    for (size_t k = 0; k < sizeof trees / sizeof *trees; k++) {
        ttm_tt_plan plan;
        assert_int_equal(ttm_tt_plan_parse(&plan, trees[k], &shape, 7, TTM_TT_FORWARD), TTM_OK);
        assert_int_equal(ttm_tt_plan_apply(stream, &plan, &y, &x, cores), TTM_OK);
        assert_int_equal(ttm_tensor_read(stream, k == 0 ? first : other, &y), TTM_OK);
        for (int n = 0; n < 7 * 128 && k > 0; n++) {
            assert_float_equal(first[n], other[n], 1e-3);
        }
        assert_int_equal(ttm_tt_plan_apply(stream, &plan, &x, &y, cores), TTM_ERROR_SHAPE);
        ttm_tensor turned[3] = {cores[0], cores[1], cores[2]};
        turned[1] = ttm_tensor_transpose(&cores[1], 1, 4); /* 8 x 4 x 4 x 8: the shape stays */
        assert_int_equal(ttm_tt_plan_apply(stream, &plan, &y, &x, turned), TTM_ERROR_SHAPE);
    }
    for (int k = 0; k < 3; k++) {
        ttm_tensor_free(&cores[k], device);
    }
    ttm_tensor_free(&x, device);
    ttm_tensor_free(&y, device);
    ttm_stream_destroy(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untuned_devices_get_the_guess),
        cmocka_unit_test(a_file_comes_back_as_it_was_written),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_decimal_comma_of_the_locale_does_no_harm),
        cmocka_unit_test(saved_settings_are_used_at_once),
        cmocka_unit_test(settings_that_make_no_sense_are_not_saved),
        cmocka_unit_test(plans_that_are_applied_compute_the_same),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
