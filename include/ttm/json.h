/* Writing JSON: metrics lines, config files, and the tools' --json output.
 *
 * A writer keeps commas, quotes, indentation and nesting right; the text grows in its own memory. Errors stick: write
 * everything, then check once, at ttm_json_writer_finish.
 *
 *     ttm_json_writer *writer = NULL;
 *     status = ttm_json_writer_new(&writer, TTM_JSON_COMPACT);
 *     ttm_json_begin_object(writer);
 *     ttm_json_key(writer, "loss");
 *     ttm_json_write_float(writer, loss);
 *     ttm_json_end_object(writer);
 *     status = ttm_json_writer_finish(&text, &bytes, writer);
 */
#ifndef TTM_JSON_H
#define TTM_JSON_H

#endif
