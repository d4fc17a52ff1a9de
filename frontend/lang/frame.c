/* Local names and instances. */
#include <string.h>

#include "frontend/lang/builtin.h"

bool tn_frame_error(const tn_frame *f, tn_loc loc, tn_diag_code code, const char *format, ...) {
  tn_buf text = tn_buf_create(f->sema->arena);
  va_list args;
  va_start(args, format);
  tn_buf_vprintf(&text, format, args);
  va_end(args);
  tn_error(f->sema->ctx, loc, code, "%s", text.data);
  tn_frame_note_calls(f);
  return false;
}

void tn_frame_note_calls(const tn_frame *f) {
  for (int n = 0; f && f->decl && f->caller && n < 4; f = f->caller, n++)
    tn_note(f->sema->ctx, f->call_loc, "in the call of %s here", f->decl->name);
}

tn_frame *tn_frame_create(tn_sema *s, tn_unit *unit, tn_frame *caller, tn_loc call_loc) {
  tn_frame *f = TN_NEW(s->arena, tn_frame);
  *f = (tn_frame){.sema = s, .unit = unit, .caller = caller, .call_loc = call_loc,
                  .counts = tn_map_create(s->arena), .rests = tn_map_create(s->arena),
                  .depth = caller ? caller->depth + 1 : 0};
  if (!caller) { /* weights that have no owner yet */
    f->instance = TN_NEW(s->arena, tn_instance);
    *f->instance = (tn_instance){.path = "", .children = tn_map_create(s->arena), .weights = tn_map_create(s->arena)};
  }
  tn_frame_push(f);
  return f;
}

void tn_frame_push(tn_frame *f) {
  tn_scope_names *scope = TN_NEW(f->sema->arena, tn_scope_names);
  *scope = (tn_scope_names){f->scope, tn_map_create(f->sema->arena)};
  f->scope = scope;
}

void tn_frame_pop(tn_frame *f) { f->scope = f->scope->outer; }

tn_name_binding *tn_frame_find(const tn_frame *f, const char *name) {
  for (const tn_scope_names *scope = f->scope; scope; scope = scope->outer) {
    tn_name_binding *binding = tn_map_get(&scope->names, name);
    if (binding) return binding;
  }
  return NULL;
}

tn_name_binding *tn_frame_declare(tn_frame *f, const char *name, tn_name_kind kind, tn_datum *value, tn_loc loc) {
  tn_sema *s = f->sema;
  const tn_name_binding *old = tn_frame_find(f, name);
  const tn_decl *decl = tn_unit_find(f->unit, name);
  if (old || decl) {
    tn_frame_error(f, loc, TN_E_LANG_DOUBLE, "'%s' has a meaning here already; another name is needed", name);
    tn_note(s->ctx, old ? old->loc : decl->loc, "'%s' is declared here", name);
    return NULL;
  }
  tn_name_binding *binding = TN_NEW(s->arena, tn_name_binding);
  *binding = (tn_name_binding){.name = name, .kind = kind, .value = value, .loc = loc, .loop_depth = s->loop_depth,
                               .scan_depth = s->scan_depth};
  tn_map_set(&f->scope->names, name, binding);
  return binding;
}

tn_instance *tn_instance_child(tn_sema *s, tn_instance *parent, const char *name) {
  tn_instance *child = tn_map_get(&parent->children, name);
  if (child) return child;
  child = TN_NEW(s->arena, tn_instance);
  child->path = parent->path[0] ? tn_namef(s->ctx, "%s.%s", parent->path, name) : name;
  child->children = tn_map_create(s->arena);
  child->weights = tn_map_create(s->arena);
  tn_map_set(&parent->children, name, child);
  return child;
}

tn_instance *tn_frame_next_instance(tn_frame *f, const char *base) {
  tn_sema *s = f->sema;
  uintptr_t n = (uintptr_t)tn_map_get(&f->counts, base);
  tn_map_set(&f->counts, base, (void *)(n + 1));
  return tn_instance_child(s, f->instance, n ? tn_namef(s->ctx, "%s_%zu", base, (size_t)n) : base);
}

const char *tn_frame_nearest(const tn_frame *f, const char *name) {
  TN_VEC(const char *) names = {0};
  tn_arena *arena = f->sema->arena;
  for (const tn_scope_names *scope = f->scope; scope; scope = scope->outer)
    for (size_t i = 0; i < scope->names.n; i++)
      TN_VEC_PUSH(arena, &names, (const char *)scope->names.entries[i].key);
  for (size_t i = 0; i < f->unit->names.n; i++) TN_VEC_PUSH(arena, &names, (const char *)f->unit->names.entries[i].key);
  for (size_t i = 0; i < tn_builtin_count(); i++) TN_VEC_PUSH(arena, &names, tn_builtin_at(i)->name);
  for (size_t i = 0; f->sees_losses && i < tn_loss_count(); i++) TN_VEC_PUSH(arena, &names, tn_loss_at(i)->name);
  return tn_str_nearest(name, names.data, names.n);
}
