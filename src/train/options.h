/* The table behind ttm_trainer_options: what the JSON reader, the resume check and the public
 * functions of ttm/trainer.h walk. */
#ifndef TTM_TRAIN_OPTIONS_H
#define TTM_TRAIN_OPTIONS_H

#include <ttm/trainer.h>

/** What an option's value is. */
typedef enum ttm_trainer_field_kind {
    TTM_FIELD_INT,    /**< int64_t. */
    TTM_FIELD_REAL,   /**< double. */
    TTM_FIELD_BOOL,   /**< bool. */
    TTM_FIELD_SEED,   /**< uint64_t, all 64 bits. */
    TTM_FIELD_CHOICE, /**< An enumeration: its values from minimum to maximum. */
    TTM_FIELD_TEXT    /**< char [TTM_TRAINER_PROMPT_BYTES]. */
} ttm_trainer_field_kind;

/** What else there is to an option. */
enum {
    TTM_FIELD_CHANGEABLE = 1u << 0, /**< A resumed run may have another value than before. */
    TTM_FIELD_LATER =
        1u << 1 /**< Runs may be older than the option: they lack it in their state. */
};

/** One option. */
typedef struct ttm_trainer_field {
    const char *name;        /**< As on the command line, without dashes in front. */
    const char *placeholder; /**< What --help shows for its value; NULL for a switch. */
    const char *help;
    ttm_trainer_field_kind kind;
    size_t offset; /**< In ttm_trainer_options. */
    double minimum;
    double maximum;
    int minimum_allowed;        /**< 0 when a value must exceed the minimum. */
    unsigned traits;            /**< TTM_FIELD_… bits. */
    const char *const *choices; /**< Names of an enumeration's values from 0 to maximum. */
} ttm_trainer_field;

/** Returns the table, *count fields long. */
const ttm_trainer_field *ttm_trainer_fields(size_t *count);

/** Returns the field called `name`, or NULL. */
const ttm_trainer_field *ttm_trainer_field_find(const char *name);

/** Return where a field's value lies. */
void *ttm_trainer_field_at(ttm_trainer_options *options, const ttm_trainer_field *field);
const void *ttm_trainer_field_in(const ttm_trainer_options *options,
                                 const ttm_trainer_field *field);

/** Returns the name of an enumeration's value as files and tools spell it. */
const char *ttm_trainer_field_choice(const ttm_trainer_options *options,
                                     const ttm_trainer_field *field);

/** Checks that every option is in its range; the message names option, value and range. */
TTM_CHECKED ttm_status ttm_trainer_options_check(const ttm_trainer_options *options);

#endif
