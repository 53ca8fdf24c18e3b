/* Entries as text, and their search. */
#include "opencl/matrix_units_tuned.h"

#include <stdio.h>
#include <string.h>

/* What the shape of a variant begins with whose operands are packed, in halves or not, or have
 * maps, or whose slices overlap, and whose groups run in clusters: "clusters-2x1-". */
static const char packed[] = "packed-";
static const char halves[] = "halves-";
static const char mapped[] = "mapped-";
static const char overlapping[] = "overlapping-";
static const char clustered[] = "clusters-";

/* Returns whether `*text` begins with a word, which it then goes past. */
static int skip_word(const char **text, const char *word)
{
    const size_t length = strlen(word);
    const int found = strncmp(*text, word, length) == 0;
    *text += found ? length : 0;
    return found;
}

void opencl_unit_class_set_sizes(opencl_unit_class *products, const opencl_unit_sizes *sizes)
{
    products->sizes[0] = opencl_power_of_two(sizes->rows);
    products->sizes[1] = opencl_power_of_two(sizes->cols);
    products->sizes[2] = opencl_power_of_two(sizes->depth);
    products->sizes[3] = opencl_power_of_two(sizes->batches);
}

static int is_same(const opencl_unit_class *x, const opencl_unit_class *y)
{
    return x->unit == y->unit && x->is_emulated == y->is_emulated && x->parts == y->parts &&
           x->result == y->result && x->a_runs == y->a_runs && x->b_runs == y->b_runs &&
           memcmp(x->sizes, y->sizes, sizeof x->sizes) == 0;
}

/* The place of a class's entry, or tuned->count. */
static int place_of(const opencl_tuned_units *tuned, const opencl_unit_class *products)
{
    int place = 0;
    while (place < tuned->count && !is_same(&tuned->entries[place].products, products)) {
        place++;
    }
    return place;
}

const opencl_tuned_unit *opencl_tuned_units_find(const opencl_tuned_units *tuned,
                                                 const opencl_unit_class *products)
{
    const int place = place_of(tuned, products);
    return place < tuned->count ? &tuned->entries[place] : NULL;
}

int opencl_tuned_units_set(opencl_tuned_units *tuned, const opencl_tuned_unit *entry)
{
    const int place = place_of(tuned, &entry->products);
    if (place == OPENCL_MOST_TUNED_UNITS) {
        return 0;
    }
    tuned->entries[place] = *entry;
    tuned->count = place == tuned->count ? tuned->count + 1 : tuned->count;
    return 1;
}

void opencl_tuned_units_remove(opencl_tuned_units *tuned, const opencl_unit_class *products)
{
    const int place = place_of(tuned, products);
    if (place < tuned->count) {
        tuned->count--;
        memmove(&tuned->entries[place], &tuned->entries[place + 1],
                (size_t)(tuned->count - place) * sizeof tuned->entries[0]);
    }
}

void opencl_tuned_unit_print(char text[OPENCL_TUNED_UNIT_BYTES], const opencl_tuned_unit *entry)
{
    int count = 0;
    const opencl_unit_class *products = &entry->products;
    const opencl_unit_variant *variant = &opencl_unit_variants(&count)[entry->variant];
    char groups[32] = "";
    if (opencl_unit_variant_cluster(variant) > 1) {
        snprintf(groups, sizeof groups, "%s%dx%d-", clustered, variant->cluster_rows,
                 variant->cluster_cols);
    }
    snprintf(text, OPENCL_TUNED_UNIT_BYTES,
             "unit %s%s parts %d result %d runs %d %d sizes %d %d %d %d variant "
             "%s%s%dx%dx%d:%dx%d:%d pieces %d",
             products->is_emulated ? "emulated-" : "", opencl_unit_name(products->unit),
             products->parts, products->result, products->a_runs, products->b_runs,
             products->sizes[0], products->sizes[1], products->sizes[2], products->sizes[3], groups,
             variant->mapped     ? mapped
             : variant->halves   ? halves
             : variant->packed   ? packed
             : variant->overlaps ? overlapping
                                 : "",
             variant->tile_rows, variant->tile_cols, variant->tile_depth, variant->warp_rows,
             variant->warp_cols, variant->stages, entry->pieces);
}

/* The number of a variant, -1 for none. */
static int find_variant(const opencl_unit_variant *wanted)
{
    int count = 0;
    const opencl_unit_variant *variants = opencl_unit_variants(&count);
    for (int k = 0; k < count; k++) {
        const opencl_unit_variant *one = &variants[k];
        if (one->unit == wanted->unit && one->parts == wanted->parts &&
            one->tile_rows == wanted->tile_rows && one->tile_cols == wanted->tile_cols &&
            one->tile_depth == wanted->tile_depth && one->warp_rows == wanted->warp_rows &&
            one->warp_cols == wanted->warp_cols && one->stages == wanted->stages &&
            one->packed == wanted->packed && one->overlaps == wanted->overlaps &&
            one->cluster_rows == wanted->cluster_rows &&
            one->cluster_cols == wanted->cluster_cols && one->mapped == wanted->mapped &&
            one->halves == wanted->halves) {
            return k;
        }
    }
    return -1;
}

int opencl_tuned_unit_parse(opencl_tuned_unit *entry, const char *line)
{
    char name[32];
    int used = 0;
    opencl_unit_variant shape = {.unit = OPENCL_UNIT_NONE, .cluster_rows = 1, .cluster_cols = 1};
    opencl_unit_class *products = &entry->products;
    memset(entry, 0, sizeof *entry);
    if (sscanf(line, "unit %31s parts %d result %d runs %d %d sizes %d %d %d %d variant %n", name,
               &products->parts, &products->result, &products->a_runs, &products->b_runs,
               &products->sizes[0], &products->sizes[1], &products->sizes[2], &products->sizes[3],
               &used) != 9 ||
        used == 0) {
        return 0;
    }
    line += used;
    if (skip_word(&line, clustered)) {
        used = 0;
        if (sscanf(line, "%dx%d-%n", &shape.cluster_rows, &shape.cluster_cols, &used) != 2 ||
            used == 0) {
            return 0;
        }
        line += used;
    }
    shape.mapped = skip_word(&line, mapped);
    shape.halves = skip_word(&line, halves);
    shape.packed = shape.mapped || shape.halves || skip_word(&line, packed);
    shape.overlaps = skip_word(&line, overlapping);
    if (sscanf(line, "%dx%dx%d:%dx%d:%d pieces %d", &shape.tile_rows, &shape.tile_cols,
               &shape.tile_depth, &shape.warp_rows, &shape.warp_cols, &shape.stages,
               &entry->pieces) != 7) {
        return 0;
    }
    products->is_emulated = strncmp(name, "emulated-", 9) == 0;
    products->unit = opencl_unit_named(products->is_emulated ? name + 9 : name);
    shape.unit = products->unit;
    shape.parts = shape.halves ? 2 : products->parts;
    entry->variant = find_variant(&shape);
    return entry->variant >= 0 && entry->pieces >= 1 && entry->pieces <= OPENCL_MOST_PIECES;
}
