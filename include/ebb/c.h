// SPDX-License-Identifier: Apache-2.0
// The C interface of Ebb (libebb_c): texts in, texts out. docs/c.md explains options and answers.
//
// Every function may be called from any thread at any time: what the library remembers of its own
// tables is behind locks and changes no answer. No exception leaves a function. Inputs are read
// during the call only and never changed; they need no zero at their end. An answer belongs to the
// caller, who gives it back with ebb_free; it is UTF-8 with a zero after its last byte, which
// `size` doesn't count.
#pragma once

#include <stddef.h>

#if defined(_WIN32)
#define EBB_C_API __declspec(dllexport)
#else
#define EBB_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// Grows when a function, an option or an answer changes so that old callers break.
#define EBB_C_ABI 1

typedef enum {
  EBB_OK = 0,         ///< the answer is what the function is for
  EBB_ERROR = 1,      ///< the answer is an error object, schema ebb.error/1
  EBB_NO_MEMORY = 2,  ///< there is no answer
} ebb_status;

/// Bytes of a text. {NULL, 0} is an empty one.
typedef struct {
  const char *data;
  size_t size;
} ebb_input;

/// A text that ebb_free takes back. {NULL, 0} holds nothing.
typedef struct {
  char *data;
  size_t size;
} ebb_text;

/// `0.1.0`; static, not to be freed.
EBB_C_API const char *ebb_version(void);
/// EBB_C_ABI of the library that was loaded.
EBB_C_API int ebb_c_abi(void);

// `workflow`: the bytes of a workflow file, JSON or media. Without data the option `file` names the
// file to read. `options`: a JSON object, or empty. `answer`: written whatever the status.

/// The plan, schema ebb.plan/1 (docs/json.md).
EBB_C_API ebb_status ebb_plan(ebb_input workflow, ebb_input options, ebb_text *answer);
/// The picture of the plan: SVG, not JSON.
EBB_C_API ebb_status ebb_svg(ebb_input workflow, ebb_input options, ebb_text *answer);
/// The workflow with the plan's fixes in it, schema ebb.apply/1 (docs/patch.md) with `text`.
EBB_C_API ebb_status ebb_apply(ebb_input workflow, ebb_input options, ebb_text *answer);
/// The workflow without Ebb's nodes, schema ebb.undo/1.
EBB_C_API ebb_status ebb_undo(ebb_input workflow, ebb_input options, ebb_text *answer);
/// The prompt that the front end would send, schema ebb.convert/1 with `prompt`.
EBB_C_API ebb_status ebb_convert(ebb_input workflow, ebb_input options, ebb_text *answer);

/// Gives an answer back and empties it. Twice, or of an empty one: nothing happens.
EBB_C_API void ebb_free(ebb_text *answer);

#ifdef __cplusplus
}
#endif
