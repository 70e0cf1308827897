// SPDX-License-Identifier: Apache-2.0
// The C library used from C: every function, wrong inputs, many threads at once.
#include "ebb/c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef ebb_status (*function)(ebb_input, ebb_input, ebb_text *);
static const function kFunctions[] = {ebb_plan, ebb_svg, ebb_apply, ebb_undo, ebb_convert};
enum { kFunctionCount = sizeof kFunctions / sizeof *kFunctions, kThreads = 8, kRounds = 12 };

static int failures = 0;

static void check(int holds, const char *what) {
  if (holds) return;
  ++failures;
  printf("not so: %s\n", what);
}

static ebb_input text(const char *data) {
  const ebb_input input = {data, strlen(data)};
  return input;
}

static int has(const ebb_text *answer, const char *part) {
  return answer->data && strstr(answer->data, part) != NULL;
}

static char *read_all(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*size + 1);
  *size = data ? fread(data, 1, *size, file) : 0;
  fclose(file);
  return data;
}

static const char *const kOptions =
    "{\"gpu\": \"rtx5090\", \"vram_free\": \"30724MiB\", \"ram\": 68719476736, \"os\": \"windows\","
    " \"comfyui\": \"0.3.73\", \"flags\": \"--reserve-vram 4\", \"file\": \"flow.json\"}";

static void use(ebb_input flow) {
  ebb_text answer;
  check(ebb_plan(flow, text(kOptions), &answer) == EBB_OK, "a plan comes back");
  check(has(&answer, "\"schema\": \"ebb.plan/1\""), "the plan names its schema");
  check(has(&answer, "\"verdict\": \"offloads\""), "the plan has the known verdict");
  check(answer.size == strlen(answer.data), "the size is that of the text");
  ebb_free(&answer);
  check(answer.data == NULL, "ebb_free empties the answer");
  ebb_free(&answer);
  ebb_free(NULL);
  check(ebb_svg(flow, text(kOptions), &answer) == EBB_OK && has(&answer, "<svg"), "a picture");
  ebb_free(&answer);
  check(ebb_convert(flow, text(""), &answer) == EBB_OK && has(&answer, "\"prompt\": {"),
        "a prompt");
  ebb_free(&answer);
  check(ebb_undo(flow, text(""), &answer) == EBB_ERROR && has(&answer, "\"code\": \"input\""),
        "nothing to undo is an error of the input");
  ebb_free(&answer);
  check(ebb_apply(flow, text("{\"with\": \"UnloadModels\"}"), &answer) == EBB_OK, "a patch");
  check(has(&answer, "\"changed\": true") && has(&answer, "\"text\": "), "the patched text");
  ebb_free(&answer);
}

static void no_switch(void) {
  static const char flow[] =
      "{\"1\":{\"class_type\":\"CheckpointLoaderSimple\",\"inputs\":{\"ckpt_name\":\"a\"}}}";
  ebb_text answer;
  const ebb_status status = ebb_apply(text(flow), text("{\"with\":\"UnloadModels\"}"), &answer);
  check(status == EBB_OK && has(&answer, "\"changed\": false"), "one model has no switch");
  ebb_free(&answer);
}

static void expect_error(ebb_input workflow, ebb_input options, const char *part) {
  for (int i = 0; i < kFunctionCount; ++i) {
    ebb_text answer;
    const ebb_status status = kFunctions[i](workflow, options, &answer);
    check(status == EBB_ERROR, part);
    check(has(&answer, "\"schema\": \"ebb.error/1\"") && has(&answer, part), part);
    ebb_free(&answer);
  }
}

static void misuse(ebb_input flow) {
  const ebb_input nothing = {NULL, 0};
  expect_error(nothing, nothing, "\"code\": \"input\"");
  expect_error(text(""), nothing, "\"code\": \"input\"");
  expect_error(flow, text("[]"), "not a JSON object");
  expect_error(flow, text("{\"gpu\": "), "\"file\": \"options\"");
  expect_error(flow, text("{\"gpus\": \"rtx5090\"}"), "there is no option \\\"gpus\\\"");
  expect_error(flow, text("{\"gpu\": []}"), "\\\"gpu\\\" is not a string");
  expect_error(flow, text("{\"vram\": \"much\"}"), "is not a size");
  expect_error(flow, text("{\"comfyui\": \"x\"}"), "as comfyui_version.py has them");
  expect_error(flow, text("{\"object_info\": {\"a\": 1}}"), "ebb.error/1");
  expect_error(nothing, text("{\"file\": \"/not/there.json\"}"), "/not/there.json");
  check(ebb_plan(flow, nothing, NULL) == EBB_ERROR, "no place for an answer is an error");
}

/// Every function on every length of the file, in steps.
static void truncated(ebb_input flow) {
  for (size_t size = 1; size < flow.size; size += 97) {
    const ebb_input part = {flow.data, size};
    ebb_text answer;
    check(kFunctions[size % kFunctionCount](part, text(kOptions), &answer) == EBB_ERROR,
          "half a file is an error");
    ebb_free(&answer);
  }
}

static void deep(ebb_input flow) {
  const size_t levels = 1000000;
  char *nest = malloc(levels + 1);
  if (!nest) return;
  for (int kind = 0; kind < 2; ++kind) {
    memset(nest, '[', levels);
    for (size_t i = 0; kind == 1 && i + 5 <= levels; i += 5) memcpy(nest + i, "{\"a\":", 5);
    const ebb_input input = {nest, levels};
    expect_error(input, text(""), "\"code\": \"input\"");
    expect_error(flow, input, "\"file\": \"options\"");
  }
  free(nest);
}

typedef struct {
  ebb_input flow;
  const char *expected[kFunctionCount];
  int number, wrong;
} job;

static void *work(void *argument) {
  job *mine = argument;
  for (int round = 0; round < kRounds; ++round) {
    const int i = (round + mine->number) % kFunctionCount;
    ebb_text answer;
    kFunctions[i](mine->flow, text(kOptions), &answer);
    if (!answer.data || strcmp(answer.data, mine->expected[i]) != 0) ++mine->wrong;
    ebb_free(&answer);
  }
  return NULL;
}

/// What many threads get at once is what one gets alone.
static void threads(ebb_input flow) {
  ebb_text expected[kFunctionCount];
  job jobs[kThreads];
  pthread_t running[kThreads];
  for (int i = 0; i < kFunctionCount; ++i) kFunctions[i](flow, text(kOptions), &expected[i]);
  for (int t = 0; t < kThreads; ++t) {
    jobs[t].flow = flow;
    jobs[t].number = t;
    jobs[t].wrong = 0;
    for (int i = 0; i < kFunctionCount; ++i) jobs[t].expected[i] = expected[i].data;
    if (pthread_create(&running[t], NULL, work, &jobs[t]) != 0) exit(2);
  }
  for (int t = 0; t < kThreads; ++t) {
    pthread_join(running[t], NULL);
    check(jobs[t].wrong == 0, "threads get what one alone gets");
  }
  for (int i = 0; i < kFunctionCount; ++i) ebb_free(&expected[i]);
}

int main(int count, char **arguments) {
  ebb_input flow = {NULL, 0};
  char *data = count > 1 ? read_all(arguments[1], &flow.size) : NULL;
  if (!data) {
    printf("usage: c_test WORKFLOW\n");
    return 2;
  }
  flow.data = data;
  check(strchr(ebb_version(), '.') != NULL, "a version");
  check(ebb_c_abi() == EBB_C_ABI, "the header is that of the library");
  use(flow);
  no_switch();
  misuse(flow);
  truncated(flow);
  deep(flow);
  threads(flow);
  free(data);
  printf("%d findings\n", failures);
  return failures ? 1 : 0;
}
