/* The judgement of SAMPLE: a token is no number that could be near another. */
#ifndef TTM_CONFORMANCE_JUDGE_SAMPLE_H
#define TTM_CONFORMANCE_JUDGE_SAMPLE_H

#include "conformance/check.h"

/** Judges the tokens in the image of their operand by the logits and random words of the case, as
 * ttm/ops.h says, with code of its own: `reference` is judged, too. `worst` of the verdict is the
 * largest error of u or top_p that a token needs, in parts of what is allowed. */
TTM_CHECKED ttm_status judge_sample(check_verdict *verdict, const unsigned char *image,
                                    const conformance_case *made);

#endif
