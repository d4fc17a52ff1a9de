/* The C header of a compiled model: what all models have in common (runtime/tenon.h), and functions of its own. */
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

/* What the source says, in lines of a comment that begin with `before`. */
static void print_doc(tn_buf *out, const char *before, const char *doc) {
  if (!doc) return;
  tn_buf_puts(out, before);
  for (const char *c = doc; *c; c++) {
    bool ends = (c[0] == '*' && c[1] == '/') || (c[0] == '/' && c[1] == '*'); /* of a comment, or the like of one */
    if (*c == '\n') tn_buf_printf(out, "\n%s", before);
    else if ((unsigned char)*c < ' ' || *c == 127) tn_buf_putc(out, ' ');
    else if (*c == '\\' && (c[1] == '\n' || !c[1])) tn_buf_puts(out, "\\ ");
    else tn_buf_printf(out, ends ? "%c " : "%c", *c);
  }
  tn_buf_putc(out, '\n');
}

typedef struct port {
  const char *parameter, *c_type, *name, *doc;
  const tn_type *type;
  bool is_output, is_late;
  const char *extents; /* of a late output: the parameter behind it */
} port;

typedef struct header {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_program *program;
  const char *prefix;
  const tn_external_weights *external;
  int64_t least_arena;
  uint32_t slots;
  tn_buf *out;
  TN_VEC(const char *) symbols; /* parameter names */
  TN_VEC(port) ports;
} header;

static bool add_port(header *h, names *taken, const char *name, const tn_type *type, bool is_output) {
  port p = {.name = name, .type = type, .is_output = is_output, .c_type = c_type(type->dtype)};
  if (!p.c_type)
    return tn_error(h->ctx, TN_LOC_NONE, TN_E_OBJECT, "'%s' holds text, which has no form in the C interface", name);
  p.parameter = parameter(taken, name, is_output ? "output" : "input");
  p.is_late = is_output && tn_type_is_late(type);
  if (p.is_late) p.extents = parameter(taken, tn_arena_printf(h->arena, "%s_extents", p.parameter), "extents");
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
    if (i < func->param_docs.n) h->ports.data[i].doc = func->param_docs.data[i];
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

/* The sizes, then the tensors. */
static void print_parameters(header *h) {
  for (size_t i = 0; i < h->symbols.n; i++) {
    const tn_symbol *symbol = h->program->bindings.data[i].symbol;
    tn_buf_printf(h->out, " *   %s: size \"", h->symbols.data[i]);
    comment_text(h->out, symbol->label != NULL && symbol->label[0] != 0 ? symbol->label : symbol->name);
    tn_buf_printf(h->out, "\", %lld", (long long)(symbol->lo < 0 ? 0 : symbol->lo));
    if (symbol->hi == INT64_MAX) tn_buf_puts(h->out, " or more\n");
    else tn_buf_printf(h->out, " to %lld\n", (long long)symbol->hi);
  }
  for (size_t i = 0; i < h->ports.n; i++) {
    const port *p = &h->ports.data[i];
    tn_buf_printf(h->out, " *   %s: %s ", p->parameter, p->is_output ? "output" : "input");
    tn_buf_putc(h->out, '"');
    comment_text(h->out, p->name);
    tn_buf_puts(h->out, "\", ");
    tn_type_print(p->type, h->out);
    if (p->is_late) tn_buf_printf(h->out, ", found while running: a view, and %s", p->extents);
    tn_buf_putc(h->out, '\n');
    print_doc(h->out, " *       ", p->doc);
  }
}

/* What sizes that are found while running mean for the caller. */
static void print_late(header *h) {
  bool is_late = false;
  for (size_t i = 0; i < h->ports.n; i++) is_late |= h->ports.data[i].is_late;
  if (is_late)
    tn_buf_puts(h->out,
                " * Of an output that is found while running the pointer is set to memory of the context, which holds\n"
                " * it until its next call or its end, and as many extents are set as it has axes.\n");
  if (h->slots > 0)
    tn_buf_puts(h->out,
                " * Some sizes of this model have no bound: memory for them comes from the heap, also when create was\n"
                " * given an arena, and is kept for the next calls.\n");
}

/* What both sides compute from the interface, in 8 digits: the object defines <prefix>_create also under a name that
 * carries it, which is the one that the header calls. So a header never links with code of another interface. */
static const char *interface_digest(const header *h) {
  tn_buf text = tn_buf_create(h->arena);
  tn_buf_printf(&text, "%zu", h->symbols.n);
  for (size_t i = 0; i < h->ports.n; i++) {
    const port *p = &h->ports.data[i];
    tn_buf_printf(&text, " %d %s ", p->is_output, p->name);
    tn_type_print(p->type, &text);
  }
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < text.n; i++) hash = (hash ^ (uint8_t)text.data[i]) * 16777619u;
  return tn_arena_printf(h->arena, "%08x", hash);
}

const char *tn_header_create(tn_ctx *ctx, const tn_program *program, const char *prefix) {
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  header h = {.ctx = ctx, .arena = arena, .program = program, .prefix = prefix};
  const char *name = NULL;
  if (strcmp(prefix, "tn") == 0)
    tn_error(ctx, TN_LOC_NONE, TN_E_OPTION, "--prefix: 'tn' is taken by what all headers have in common (tn_model)");
  else if (collect(&h)) name = tn_namef(ctx, "%s_create_%u_%s", prefix, TNRT_ABI, interface_digest(&h));
  tn_arena_destroy(arena);
  return name;
}

static uint64_t context_bytes(const header *h) {
  uint64_t n_inputs = h->program->func->body->params.n, ndims = 0;
  for (size_t i = 0; i < h->ports.n; i++) ndims += h->ports.data[i].type->ndim;
  return tnrt_ctx_bytes(h->symbols.n + h->program->late.n, h->slots, n_inputs, h->ports.n - n_inputs, ndims);
}

static uint64_t stack_bytes(const header *h, const tn_emit_options *options) {
  uint64_t bytes = options->stack_bytes + TNRT_STACK_BYTES;
  if (!options->no_heap) bytes += TNRT_STACK_HOSTED_BYTES + TNRT_STACK_LIBC_BYTES;
  if (h->external) bytes += TNRT_STACK_WEIGHTS_BYTES;
  return (bytes + 255) / 256 * 256;
}

static void print_sizes(header *h, const tn_emit_options *options) {
  const char *prefix = h->prefix, *name = upper(h->arena, h->prefix);
  tn_buf_printf(h->out,
                "/* Layout of this interface. A header of another one, or of other inputs and outputs, than\n"
                " * the code's does not link with it. */\n#define %s_ABI %u\n\n", name, TNRT_ABI);
  const tn_dim *bytes = h->program->arena_bytes;
  if (bytes && bytes->is_constant) {
    int64_t least = bytes->lo > h->least_arena ? bytes->lo : h->least_arena;
    if (least < 64) least = 64;
    tn_buf_printf(h->out, "/* Bytes of memory for a context and its runs: what %s_arena_bytes returns. */\n"
                  "#define %s_ARENA_BYTES %lluu\n\n", prefix, name,
                  (unsigned long long)least + (unsigned long long)context_bytes(h));
  }
  if (options->stack_bytes > 0)
    tn_buf_printf(h->out, "/* Bytes of the calling thread's stack that each function here needs at most%s. */\n"
                  "#define %s_STACK_BYTES %lluu\n\n",
                  options->no_heap ? "" : ",\n * functions of the C library included", name,
                  (unsigned long long)stack_bytes(h, options));
  tn_buf_printf(h->out, "typedef struct %s_ctx %s_ctx;\n\n", prefix, prefix);
  tn_buf_printf(h->out, "/* Bytes of memory for a context and runs of these sizes; 0: a size is refused. */\n"
                "size_t %s_arena_bytes(", prefix);
  if (h->symbols.n > 0) print_symbols(h, "");
  else tn_buf_puts(h->out, "void");
  tn_buf_puts(h->out, ");\n\n");
}

static const char *arena_text(const tn_emit_options *options) {
  if (options->no_heap) return "; there is no heap to take its place";
  return ",\n * or NULL: then it is the heap's and grows with the sizes of runs";
}

static const char *threads_text(const tn_emit_options *options) {
  if (options->n_threads == 1)
    return "1 or more; runs use the calling thread alone, as this code was made for\n * one";
  return "how many threads a run may use, from 1 on. 1: the calling one alone, no\n"
         " * other is ever started; else the context has n_threads - 1 of its own, which sleep between runs";
}

static void print_create(header *h, const tn_emit_options *options) {
  const char *p = h->prefix;
  tn_buf_printf(h->out,
                "/* Makes a context, for one thread at a time; contexts share nothing that is written.\n"
                " * arena: %s_arena_bytes bytes aligned to 64 that live as long as the context%s.\n"
                " * n_threads: %s.\n"
                " * Returns 0 or a tn_status, whose text %s_message gives: *out is NULL when there was no memory\n"
                " * for a context, and else, after other failures too, one that %s_destroy ends. */\n"
                "int %s_create(%s_ctx **out, void *arena, size_t arena_bytes, int n_threads);\n", p,
                arena_text(options), threads_text(options), p, p, p, p);
  tn_buf_printf(h->out, "int %s(%s_ctx **out, void *arena, size_t arena_bytes, int n_threads);\n"
                "#define %s_create %s /* only the code of this header has this name */\n\n",
                options->checked_create, p, p, options->checked_create);
  if (!h->external) return;
  tn_buf_puts(h->out, "/* The weights are the file '");
  comment_text(h->out, h->external->name);
  tn_buf_printf(h->out,
                "', which create looks for in the folder of the program or library that\n"
                " * this model is part of; create_from takes its path (NULL: as create). When the file is missing, "
                "cut short\n * or another one's, *out is a context for %s_message and %s_destroy only. */\n"
                "int %s_create_from(%s_ctx **out, const char *weights, void *arena, size_t arena_bytes, "
                "int n_threads);\n\n", p, p, p, p);
}

static void print_functions(header *h) {
  const char *p = h->prefix;
  tn_buf_puts(h->out,
              "/* Runs the model on dense row-major tensors, each aligned to its element. 0, or a tn_status.\n");
  print_parameters(h);
  print_late(h);
  tn_buf_printf(h->out, " */\nint %s_run(%s_ctx *ctx", p, p);
  print_symbols(h, ", ");
  for (size_t i = 0; i < h->ports.n; i++) {
    const port *one = &h->ports.data[i];
    if (one->is_late)
      tn_buf_printf(h->out, ", const %s **%s, int64_t *%s", one->c_type, one->parameter, one->extents);
    else
      tn_buf_printf(h->out, ", %s%s *%s", one->is_output ? "" : "const ", one->c_type, one->parameter);
  }
  size_t n_inputs = h->program->func->body->params.n;
  tn_buf_printf(h->out, ");\n\n"
                "/* The same on tensors (above), %zu in and %zu out in the order of %s_run, whose sizes their\n"
                " * shapes give. An output with data NULL becomes a view into the context, valid until its next\n"
                " * call; in a caller's arena it takes room beyond %s_arena_bytes, in whole multiples of 64 bytes. */\n"
                "int %s_run_tensors(%s_ctx *ctx, const tn_tensor *in, tn_tensor *out);\n\n",
                n_inputs, h->ports.n - n_inputs, p, p, p, p);
  tn_buf_printf(h->out, "/* Text of the last failure, \"\" when there was none; of NULL, why there is no context. */\n"
                "const char *%s_message(const %s_ctx *ctx);\nvoid %s_destroy(%s_ctx *ctx); /* NULL is fine */\n\n"
                "/* All this for programs that know no model (above). */\nextern const tn_model %s_model;\n",
                p, p, p, p, p);
}

/* A string of C; octal digits say what would not stand in one as it is ("?" might begin a trigraph). */
static void print_string(tn_buf *out, const char *text) {
  tn_buf_putc(out, '"');
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    bool is_plain = *c >= ' ' && *c < 127 && *c != '"' && *c != '\\' && *c != '?';
    tn_buf_printf(out, is_plain ? "%c" : "\\%03o", *c);
  }
  tn_buf_putc(out, '"');
}

/* static, so that a header is all that a program needs: where nothing uses them they are left out. */
static void print_name_lists(header *h) {
  const tn_func *func = h->program->func;
  names taken = {.arena = h->arena};
  for (size_t i = 0; i < func->name_lists.n; i++) {
    const tn_name_list *list = &func->name_lists.data[i];
    tn_buf_putc(h->out, '\n');
    print_doc(h->out, "/* ", list->doc);
    h->out->n--; /* the comment ends in the same line */
    tn_buf_printf(h->out, " */\nstatic const char *const %s_%s[%zu] = {\n", h->prefix,
                  parameter(&taken, list->name, "names"), list->n ? list->n : 1);
    for (size_t k = 0; k < list->n; k++) {
      tn_buf_puts(h->out, "  ");
      print_string(h->out, list->texts[k]);
      tn_buf_puts(h->out, k + 1 < list->n ? ",\n" : "\n");
    }
    tn_buf_puts(h->out, list->n ? "};\n" : "  \"\"\n};\n");
  }
}

/* runtime/tenon.h, whole (common.S). */
extern const char tn_common_header[], tn_common_header_end[];

bool tn_header_write(tn_ctx *ctx, const tn_program *program, const tn_emit_options *options, tn_buf *out) {
  const char *prefix = options->prefix;
  tn_arena *arena = tn_arena_create_scratch(ctx->arena);
  header h = {.ctx = ctx, .arena = arena, .program = program, .prefix = prefix, .out = out};
  h.least_arena = options->least_arena;
  h.slots = tn_emit_slots(program, options);
  h.external = program->weights_bytes > 0 ? options->external : NULL;
  bool ok = collect(&h);
  if (ok) {
    const char *name = upper(arena, prefix);
    const char *doc = program->func->doc;
    tn_buf_printf(out, "/* Interface of the model '%s', made by tenon. Self-contained: C99 and C++.%s", prefix,
                  doc ? "\n *\n" : "");
    print_doc(out, " * ", doc);
    tn_buf_printf(out, " */\n"
                       "#ifndef %s_MODEL_H\n#define %s_MODEL_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n",
                  name, name);
    tn_buf_append(out, tn_common_header, (size_t)(tn_common_header_end - tn_common_header));
    tn_buf_puts(out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    print_sizes(&h, options);
    print_create(&h, options);
    print_functions(&h);
    print_name_lists(&h);
    tn_buf_puts(out, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
  }
  tn_arena_destroy(arena);
  return ok;
}

uint32_t tn_header_symbols(tn_ctx *ctx, const tn_emit_options *options, const char *out[TN_HEADER_SYMBOLS]) {
  static const char *const suffixes[] = {"create_from", "destroy", "message", "model", "run", "run_tensors"};
  uint32_t n = 0;
  out[n++] = tn_namef(ctx, "%s_arena_bytes", options->prefix);
  out[n++] = tn_namef(ctx, "%s_create", options->prefix);
  if (options->checked_create) out[n++] = options->checked_create;
  for (size_t i = options->external ? 0 : 1; i < TN_ARRAY_LEN(suffixes); i++)
    out[n++] = tn_namef(ctx, "%s_%s", options->prefix, suffixes[i]);
  return n;
}
