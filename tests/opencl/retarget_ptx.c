/* What the plugin does to PTX with wgmma instructions in it, for the offline check and for a test
 * of its own: retarget_ptx < IN > OUT, or without anything on standard input but --self-test as the
 * argument. */
#include "opencl/matrix_units_retarget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void expect(const char *ptx, const char *wanted)
{
    size_t bytes = 0;
    char *got = opencl_ptx_retarget(&bytes, ptx, strlen(ptx));
    const int good = wanted == NULL
                         ? got == NULL
                         : got != NULL && strcmp(got, wanted) == 0 && bytes == strlen(wanted);
    if (!good) {
        printf("FAILED: '%s' becomes '%s'\n", ptx, got != NULL ? got : "(refused)");
        failures++;
    }
    free(got);
}

static int self_test(void)
{
    expect(".target sm_90, texmode_independent\n\t//@ wgmma.fence;\n",
           ".target sm_90a, texmode_independent\n\t    wgmma.fence;\n");
    expect(".target sm_90\n//@ a;\n// b\n//@ c;\n", ".target sm_90a\n    a;\n// b\n    c;\n");
    expect(".target sm_90a\n//@ a;\n", NULL);
    expect(".target sm_80\n//@ a;\n", NULL);
    expect(".target sm_900\n//@ a;\n", NULL);
    expect(".target sm_90\n// nothing marked\n", NULL);
    expect("\177ELF binary", NULL);
    expect("", NULL);
    puts(failures == 0 ? "8 texts become what they should" : "wrong");
    return failures == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0) {
        return self_test();
    }
    const size_t room = (size_t)16 << 20;
    char *text = malloc(room);
    size_t bytes = 0;
    if (text == NULL) {
        return 1;
    }
    const size_t got = fread(text, 1, room, stdin);
    char *made = opencl_ptx_retarget(&bytes, text, got);
    free(text);
    if (made == NULL) {
        fputs("retarget_ptx: no PTX for sm_90 with marked instructions\n", stderr);
        return 1;
    }
    const size_t put = fwrite(made, 1, bytes, stdout);
    free(made);
    return put == bytes ? 0 : 1;
}
