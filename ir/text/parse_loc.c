/* Reads the list of locations and the references to it. */
#include "ir/text/parse.h"

static bool parse_span(tn_parser *p, tn_loc *out) {
  const char *file;
  uint64_t line, column, end_line, end_column;
  if (!tn_parse_named(p, TN_TOKEN_STRING, "a file", &file) || !tn_parse_uint(p, UINT32_MAX, &line) ||
      !tn_parse_need_char(p, ':') || !tn_parse_uint(p, UINT32_MAX, &column) || !tn_parse_need_char(p, '-') ||
      !tn_parse_uint(p, UINT32_MAX, &end_line) || !tn_parse_need_char(p, ':') ||
      !tn_parse_uint(p, UINT32_MAX, &end_column))
    return false;
  *out = tn_loc_span(p->ctx, file, (uint32_t)line, (uint32_t)column, (uint32_t)end_line, (uint32_t)end_column);
  return true;
}

static bool parse_onnx(tn_parser *p, tn_loc *out) {
  const char *file, *name, *op, *scope = "";
  int64_t index, version;
  if (!tn_parse_named(p, TN_TOKEN_STRING, "a file", &file) || !tn_parse_int(p, &index) ||
      !tn_parse_named(p, TN_TOKEN_STRING, "a node's name", &name) ||
      !tn_parse_named(p, TN_TOKEN_STRING, "an operator", &op) || !tn_parse_int(p, &version))
    return false;
  if (tn_parse_take_name(p, "in") && !tn_parse_named(p, TN_TOKEN_STRING, "a scope", &scope)) return false;
  *out = tn_loc_onnx(p->ctx, file, scope, index, name, op, version);
  return true;
}

static bool parse_from(tn_parser *p, tn_loc *out) {
  *out = TN_LOC_NONE;
  do {
    const tn_token *start = tn_parse_peek(p);
    uint64_t number;
    if (!tn_parse_uint(p, UINT32_MAX, &number)) return false;
    uintptr_t origin = (uintptr_t)tn_map_get_u64(&p->locs, number);
    if (origin == 0) return tn_parse_fail(p, start, "location %llu is no single place", (unsigned long long)number);
    *out = *out == TN_LOC_NONE ? (tn_loc)origin : tn_loc_join(p->ctx, *out, (tn_loc)origin);
  } while (tn_parse_take_char(p, ','));
  return true;
}

static bool parse_place(tn_parser *p, tn_loc *out) {
  const char *file;
  if (tn_parse_take_name(p, "src")) return parse_span(p, out);
  if (tn_parse_take_name(p, "onnx")) return parse_onnx(p, out);
  if (tn_parse_take_name(p, "from")) return parse_from(p, out);
  if (!tn_parse_take_name(p, "file")) return tn_parse_expected(p, "'file', 'src', 'onnx' or 'from'");
  if (!tn_parse_named(p, TN_TOKEN_STRING, "a file", &file)) return false;
  *out = tn_loc_file(p->ctx, file);
  return true;
}

/* One line "loc N = ...", p->at being at its first token; sets of places when `sets`, else the places themselves. */
static bool parse_entry(tn_parser *p, bool sets) {
  const tn_token *start = tn_parse_next(p);
  uint64_t number;
  tn_loc loc = TN_LOC_NONE;
  if (tn_token_is(tn_parse_peek_at(p, 2), "from") != sets) return true;
  if (!tn_parse_uint(p, UINT32_MAX, &number) || !tn_parse_need_char(p, '=') || !parse_place(p, &loc)) return false;
  if (number == 0 || tn_map_get_u64(&p->locs, number))
    return tn_parse_fail(p, start, "location %llu is defined twice", (unsigned long long)number);
  tn_map_set_u64(&p->locs, number, (void *)(uintptr_t)loc);
  return true;
}

/* Sets refer to places, which may stand behind them; so places are read first. */
void tn_parse_loc_table(tn_parser *p) {
  size_t begin = p->at;
  for (int sets = 0; sets < 2; sets++)
    for (size_t i = begin; i < p->tokens.n; i++) {
      if (!tn_token_is(&p->tokens.data[i], "loc") || p->tokens.data[i].column != 1) continue;
      p->at = i;
      parse_entry(p, sets == 1);
    }
  p->at = begin;
}

bool tn_parse_loc_ref(tn_parser *p, const tn_token *start, tn_loc *out) {
  if (!tn_token_is(tn_parse_peek(p), "loc") || tn_parse_peek_at(p, 1)->kind != TN_TOKEN_CHAR) {
    *out = tn_parse_loc_of(p, start);
    return true;
  }
  tn_parse_next(p);
  const tn_token *at = tn_parse_peek_at(p, 1);
  uint64_t number;
  if (!tn_parse_need_char(p, '(') || !tn_parse_uint(p, UINT32_MAX, &number) || !tn_parse_need_char(p, ')'))
    return false;
  *out = (tn_loc)(uintptr_t)tn_map_get_u64(&p->locs, number);
  return number == 0 || *out != TN_LOC_NONE ||
         tn_parse_fail(p, at, "no location %llu is listed", (unsigned long long)number);
}
