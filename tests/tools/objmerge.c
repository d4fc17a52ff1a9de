/* The object merger as a command, for tests: objmerge -o OUT [-g GLOBAL]... [-a ARCHIVE]... [-d SYMBOL=FILE]... [-A
 * MEMBER] OBJECT... With -A the result is an archive whose member has that name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/object/object.h"

#define MAX_ITEMS 64

static tn_object_part read_file(tn_arena *arena, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(2);
  }
  tn_buf bytes = tn_buf_create(arena);
  char block[4096];
  for (size_t n; (n = fread(block, 1, sizeof(block), file)) > 0;) tn_buf_append(&bytes, block, n);
  fclose(file);
  char *exact = malloc(bytes.n ? bytes.n : 1); /* ends where the file ends, so that sanitizers see a read past it */
  if (bytes.n) memcpy(exact, bytes.data, bytes.n);
  tn_arena_on_destroy(arena, free, exact);
  return (tn_object_part){.data = exact, .bytes = bytes.n};
}

static bool stream_part(void *user, tn_sink sink) {
  const tn_object_part *part = user;
  return sink.write(sink.user, part->data, part->bytes);
}

static int finish(tn_ctx *ctx, bool ok) {
  for (size_t i = 0; i < ctx->diags.n; i++)
    fprintf(stderr, "%s [%s]\n", ctx->diags.data[i].text, tn_diag_code_name(ctx->diags.data[i].code));
  tn_ctx_destroy(ctx);
  return ok ? 0 : 1;
}

int main(int argc, char **argv) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_object_part parts[MAX_ITEMS], archives[MAX_ITEMS], bytes[MAX_ITEMS];
  tn_object_data data[MAX_ITEMS];
  const char *globals[MAX_ITEMS], *output = NULL, *member = NULL;
  tn_object_request request = {.parts = parts, .data = data, .globals = globals, .archives = archives};
  for (int option; (option = getopt(argc, argv, "o:g:a:d:A:")) != -1;) {
    if (option == 'o') output = optarg;
    if (option == 'A') member = optarg;
    if (option == 'g') globals[request.n_globals++] = optarg;
    if (option == 'a') archives[request.n_archives++] = read_file(ctx->arena, optarg);
    if (option == 'd') {
      char *equals = strchr(optarg, '=');
      *equals = 0;
      tn_object_part *part = &bytes[request.n_data];
      *part = read_file(ctx->arena, equals + 1);
      data[request.n_data++] = (tn_object_data){optarg, ".rodata.weights", part->bytes, 64, stream_part, part};
    }
  }
  for (; optind < argc; optind++) parts[request.n_parts++] = read_file(ctx->arena, argv[optind]);
  tn_output *out = tn_output_open(ctx, output, 0644);
  if (!out) return finish(ctx, false);
  tn_object *object = tn_object_merge(ctx, &request, ctx->arena);
  bool ok = object != NULL;
  if (ok && member) ok = tn_archive_write(ctx, member, object, globals, request.n_globals, tn_output_sink(out));
  else if (ok) ok = tn_object_stream(object, tn_output_sink(out));
  if (ok) ok = tn_output_commit(out);
  else tn_output_discard(out);
  return finish(ctx, ok);
}
