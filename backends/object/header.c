/* The C header of a compiled model: the typed level of its interface. */
#include <ctype.h>
#include <string.h>

#include "backends/object/object.h"
#include "runtime/abi.h"

/* Words that may not name a parameter: of C, of C++, and those the functions use themselves. */
static const char *const reserved[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char",
    "class", "compl", "concept", "const", "const_cast", "consteval", "constexpr", "constinit", "continue", "ctx",
    "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern",
    "false", "float", "for", "friend", "goto", "if", "inline", "int", "int16_t", "int32_t", "int64_t", "int8_t",
    "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq",
    "private", "protected", "public", "register", "reinterpret_cast", "requires", "restrict", "return", "short",
    "signed", "sizeof", "size_t", "static", "static_assert", "static_cast", "struct", "switch", "template", "this",
    "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "uint16_t", "uint32_t",
    "uint64_t", "uint8_t", "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor",
    "xor_eq", "errno", "NULL", "linux", "unix",
};

typedef struct names {
  tn_arena *arena;
  TN_VEC(const char *) taken;
} names;

static bool is_taken(const names *n, const char *name) {
  for (size_t i = 0; i < TN_ARRAY_LEN(reserved); i++)
    if (strcmp(reserved[i], name) == 0) return true;
  for (size_t i = 0; i < n->taken.n; i++)
    if (strcmp(n->taken.data[i], name) == 0) return true;
  return false;
}

/* A parameter's name as near to wanted as C allows, different from all before. */
static const char *parameter(names *n, const char *wanted, const char *fallback) {
  tn_buf text = tn_buf_create(n->arena);
  for (const char *c = wanted; *c; c++) tn_buf_putc(&text, isalnum((unsigned char)*c) && !(*c & 0x80) ? *c : '_');
  while (text.n > 0 && text.data[text.n - 1] == '_') text.data[--text.n] = 0;
  const char *base = text.n ? text.data : fallback;
  while (*base == '_') base++; /* names with leading underscores are the implementation's */
  if (*base == 0) base = fallback;
  if (isdigit((unsigned char)*base)) base = tn_arena_printf(n->arena, "%s_%s", fallback, base);
  const char *name = base;
  for (unsigned i = 2; is_taken(n, name); i++) name = tn_arena_printf(n->arena, "%s_%u", base, i);
  TN_VEC_PUSH(n->arena, &n->taken, name);
  return name;
}

/* NULL for types that do not travel. Types below 8 bits take one byte an element. */
static const char *c_type(tn_dtype dtype) {
  switch (dtype) {
    case TN_F64: return "double";
    case TN_F32: return "float";
    case TN_F16: case TN_BF16: return "uint16_t";
    case TN_I64: return "int64_t";
    case TN_I32: return "int32_t";
    case TN_I16: return "int16_t";
    case TN_U64: return "uint64_t";
    case TN_U32: return "uint32_t";
    case TN_U16: return "uint16_t";
    default: break;
  }
  if (tn_dtype_class_of(dtype) == TN_CLASS_TEXT) return NULL;
  return tn_dtype_is_signed(dtype) ? "int8_t" : "uint8_t";
}

static const char *upper(tn_arena *arena, const char *text) {
  char *copy = tn_arena_strndup(arena, text, strlen(text));
  for (char *c = copy; *c; c++) *c = (char)toupper((unsigned char)*c);
  return copy;
}

/* "*" and "/" in a name must not end the comment they stand in. */
static void comment_text(tn_buf *out, const char *text) {
  for (; *text; text++) tn_buf_putc(out, (unsigned char)*text < ' ' || *text == '*' || *text == '\\' ? '?' : *text);
}

typedef struct port {
  const char *parameter, *c_type, *name;
  const tn_type *type;
  bool is_output;
} port;

typedef struct header {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_program *program;
  const char *prefix;
  const tn_external_weights *external;
  int64_t least_arena;
  tn_buf *out;
  TN_VEC(const char *) symbols; /* parameter names */
  TN_VEC(port) ports;
} header;

static bool add_port(header *h, names *taken, const char *name, const tn_type *type, bool is_output) {
  port p = {.name = name, .type = type, .is_output = is_output, .c_type = c_type(type->dtype)};
  if (!p.c_type)
    return tn_error(h->ctx, TN_LOC_NONE, TN_E_OBJECT, "'%s' holds text, which has no form in the C interface", name);
  p.parameter = parameter(taken, name, is_output ? "output" : "input");
  TN_VEC_PUSH(h->arena, &h->ports, p);
  return true;
}

static bool collect(header *h) {
  const tn_func *func = h->program->func;
  names taken = {.arena = h->arena};
  for (size_t i = 0; i < h->program->bindings.n; i++) {
    const tn_symbol *symbol = h->program->bindings.data[i].symbol;
    const char *name = parameter(&taken, symbol->name, "size");
    TN_VEC_PUSH(h->arena, &h->symbols, name);
  }
  for (size_t i = 0; i < func->body->params.n; i++) {
    const tn_value *value = func->body->params.data[i];
    if (!add_port(h, &taken, value->name, value->type, false)) return false;
  }
  const tn_node *end = func->body->last;
  for (uint32_t i = 0; end && i < end->n_operands; i++) {
    const char *name = i < func->result_names.n ? func->result_names.data[i] : "";
    if (!add_port(h, &taken, name, end->operands[i].value->type, true)) return false;
  }
  return true;
}

static void print_symbols(header *h, const char *before) {
  for (size_t i = 0; i < h->symbols.n; i++)
    tn_buf_printf(h->out, "%sint64_t %s", i > 0 ? ", " : before, h->symbols.data[i]);
}

static void print_ports(header *h) {
  for (size_t i = 0; i < h->ports.n; i++) {
    const port *p = &h->ports.data[i];
    tn_buf_printf(h->out, " *   %s: %s ", p->parameter, p->is_output ? "output" : "input");
    tn_buf_putc(h->out, '"');
    comment_text(h->out, p->name);
    tn_buf_puts(h->out, "\", ");
    tn_type_print(p->type, h->out);
    tn_buf_putc(h->out, '\n');
  }
}

static void print_sizes(header *h) {
  const char *prefix = h->prefix, *name = upper(h->arena, h->prefix);
  tn_buf_printf(
      h->out,
      "/* Layout of this interface; the code of the same compile has the same number. */\n#define %s_ABI %u\n\n", name,
      TNRT_ABI);
  const tn_dim *bytes = h->program->arena_bytes;
  if (bytes && bytes->is_constant)
    tn_buf_printf(h->out, "/* Bytes of working memory, aligned to 64. */\n#define %s_ARENA_BYTES %lldu\n\n", name,
                  (long long)(bytes->lo > h->least_arena ? bytes->lo : h->least_arena) + TN_C_CONTEXT_BYTES);
  tn_buf_printf(h->out, "typedef struct %s_ctx %s_ctx;\n\n", prefix, prefix);
  tn_buf_printf(h->out, "/* Bytes of working memory for these sizes; 0: a size is refused. */\nsize_t %s_arena_bytes(",
                prefix);
  if (h->symbols.n > 0) print_symbols(h, "");
  else tn_buf_puts(h->out, "void");
  tn_buf_puts(h->out, ");\n\n");
}

static void print_functions(header *h) {
  const char *p = h->prefix;
  tn_buf_printf(
      h->out,
      "/* Makes a context, for one thread at a time; contexts share nothing that is written. arena: %s_arena_bytes "
      "bytes\n"
      " * aligned to 64 that live as long as the context, or NULL to have it allocated. 0, or a status whose text\n"
      " * %s_message gives. */\nint %s_create(%s_ctx **out, void *arena, size_t arena_bytes, int n_threads);\n\n",
      p, p, p, p);
  if (h->external) {
    tn_buf_puts(h->out, "/* The weights are the file '");
    comment_text(h->out, h->external->name);
    tn_buf_printf(h->out,
                  "', which create looks for in the folder of the program or library that\n"
                  " * this model is part of; create_from takes its path (NULL: as create). When the file is missing, "
                  "cut short\n * or another one's, *out may hold a context for %s_message and %s_destroy only. */\n"
                  "int %s_create_from(%s_ctx **out, const char *weights, void *arena, size_t arena_bytes, "
                  "int n_threads);\n\n", p, p, p, p);
  }
  tn_buf_puts(h->out, "/* Runs the model on dense row-major tensors. 0, or a status.\n");
  print_ports(h);
  tn_buf_printf(h->out, " */\nint %s_run(%s_ctx *ctx", p, p);
  print_symbols(h, ", ");
  for (size_t i = 0; i < h->ports.n; i++) {
    const port *one = &h->ports.data[i];
    tn_buf_printf(h->out, ", %s%s *%s", one->is_output ? "" : "const ", one->c_type, one->parameter);
  }
  tn_buf_printf(
      h->out,
      ");\n\n/* Text of the last failure, \"\" when there was none. */\nconst char *%s_message(const %s_ctx *ctx);\n"
      "void %s_destroy(%s_ctx *ctx); /* NULL is fine */\n",
      p, p, p, p);
}

bool tn_header_write(tn_ctx *ctx, const tn_program *program, const tn_emit_options *options, tn_buf *out) {
  const char *prefix = options->prefix;
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  header h = {.ctx = ctx, .arena = arena, .program = program, .prefix = prefix, .out = out};
  h.least_arena = options->least_arena;
  h.external = program->weights_bytes > 0 ? options->external : NULL;
  bool ok = collect(&h);
  if (ok) {
    const char *name = upper(arena, prefix);
    tn_buf_printf(out, "/* Interface of the model '%s', made by tenon. Self-contained: C99 and C++. */\n"
                       "#ifndef %s_MODEL_H\n#define %s_MODEL_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
                       "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", prefix, name, name);
    print_sizes(&h);
    print_functions(&h);
    tn_buf_puts(out, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
  }
  tn_arena_destroy(arena);
  return ok;
}

uint32_t tn_header_symbols(tn_ctx *ctx, const tn_emit_options *options, const char *out[TN_HEADER_SYMBOLS]) {
  static const char *const suffixes[TN_HEADER_SYMBOLS] = {"arena_bytes", "create", "create_from", "destroy",
                                                          "message",     "model",  "run"};
  uint32_t n = 0;
  for (size_t i = 0; i < TN_HEADER_SYMBOLS; i++)
    if (i != 2 || options->external) out[n++] = tn_namef(ctx, "%s_%s", options->prefix, suffixes[i]);
  return n;
}
