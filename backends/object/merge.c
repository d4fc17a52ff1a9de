/* Merging objects: which parts there are, which definition a name stands for, which COMDAT groups are kept. */
#include "backends/object/merge.h"

#include <string.h>

tn_elf_global *tn_elf_global_get(tn_object *object, const char *name) {
  const char *key = tn_name(object->ctx, name);
  tn_elf_global *global = tn_map_get(&object->names, key);
  if (global) return global;
  global = TN_NEW(object->arena, tn_elf_global);
  global->name = key;
  global->weak_reference = true;
  tn_map_set(&object->names, key, global);
  TN_VEC_PUSH(object->arena, &object->globals, global);
  return global;
}

/* The most constraining of two visibilities; STV_DEFAULT, numbered 0, is the weakest. */
static uint8_t stricter(uint8_t a, uint8_t b) {
  if (a == STV_DEFAULT) return b;
  return b == STV_DEFAULT || a < b ? a : b;
}

static void define_common(tn_elf_global *global, const tn_elf_symbol *symbol, const tn_elf_part *part) {
  if (global->state > TN_ELF_COMMON) return;
  global->state = TN_ELF_COMMON;
  global->type = STT_OBJECT;
  if (symbol->value > global->value) global->value = symbol->value;
  if (symbol->size > global->size) global->size = symbol->size;
  global->where = part->name;
}

static bool define(tn_object *object, tn_elf_global *global, const tn_elf_symbol *symbol, const tn_elf_part *part) {
  int state = symbol->binding == STB_WEAK ? TN_ELF_WEAK : TN_ELF_STRONG;
  if (state == TN_ELF_STRONG && global->state == TN_ELF_STRONG)
    return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "symbol '%s' is defined in '%s' and again in '%s'",
                    global->name, global->where, part->name);
  if ((int)global->state >= state) return true;
  global->state = state;
  global->type = symbol->type;
  global->value = symbol->value;
  global->size = symbol->size;
  global->where = part->name;
  global->section = symbol->shndx == SHN_ABS ? NULL : &part->sections[symbol->shndx];
  return true;
}

bool tn_elf_resolve(tn_object *object, uint32_t part_index) {
  tn_elf_part *part = object->parts.data[part_index];
  for (uint32_t i = part->n_locals; i < part->n_symbols; i++) {
    tn_elf_symbol *symbol = &part->symbols[i];
    if (symbol->name[0] == 0)
      return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': a global symbol without a name", part->name);
    tn_elf_global *global = tn_elf_global_get(object, symbol->name);
    symbol->global = global;
    global->visibility = stricter(global->visibility, symbol->visibility);
    bool in_section = symbol->shndx != SHN_UNDEF && symbol->shndx < SHN_LORESERVE;
    if (symbol->shndx == SHN_UNDEF || (in_section && part->sections[symbol->shndx].discarded)) {
      if (symbol->binding != STB_WEAK) global->weak_reference = false;
      if (global->state == TN_ELF_UNDEFINED) global->type = symbol->type;
    } else if (symbol->shndx == SHN_COMMON) {
      if (symbol->type == STT_TLS)
        return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': common symbol '%s' is thread-local",
                        part->name, symbol->name);
      define_common(global, symbol, part);
    } else if (!define(object, global, symbol, part)) {
      return false;
    }
  }
  return true;
}

/* The member of group (a section of part) that is like section. */
static const tn_elf_section *same_member(const tn_elf_part *part, const tn_elf_section *group,
                                         const tn_elf_section *section) {
  for (uint64_t k = 4; k < group->size; k += 4) {
    uint32_t member;
    memcpy(&member, group->data + k, 4);
    const tn_elf_section *candidate = &part->sections[member];
    if (strcmp(candidate->name, section->name) == 0 && candidate->size == section->size) return candidate;
  }
  return NULL;
}

typedef struct kept_group {
  const tn_elf_part *part;
  const tn_elf_section *group;
} kept_group;

/* Of COMDAT groups with one signature the first stays; what refers to the others' members means the first's. */
static void choose_groups(tn_object *object, tn_elf_part *part) {
  for (uint32_t i = 1; i < part->n_sections; i++) {
    const tn_elf_section *group = &part->sections[i];
    uint32_t word;
    if (group->type != SHT_GROUP) continue;
    memcpy(&word, group->data, 4);
    if (!(word & GRP_COMDAT)) continue;
    const tn_elf_symbol *symbol = &part->symbols[group->info];
    bool names_section = symbol->type == STT_SECTION && symbol->shndx < part->n_sections;
    const char *signature = tn_name(object->ctx, names_section ? part->sections[symbol->shndx].name : symbol->name);
    kept_group *kept = tn_map_get(&object->groups, signature);
    if (!kept) {
      kept = TN_NEW(object->arena, kept_group);
      *kept = (kept_group){part, group};
      tn_map_set(&object->groups, signature, kept);
      continue;
    }
    for (uint64_t k = 4; k < group->size; k += 4) {
      memcpy(&word, group->data + k, 4);
      tn_elf_section *member = &part->sections[word];
      if (!member->name) continue;
      member->discarded = true;
      member->kept = same_member(kept->part, kept->group, member);
    }
  }
}

bool tn_elf_add_part(tn_object *object, const char *name, const void *data, size_t bytes) {
  tn_elf_part *part = tn_elf_part_read(object->ctx, object->arena, name, data, bytes);
  if (!part) return false;
  if (object->parts.n > 0) {
    const tn_elf_part *first = object->parts.data[0];
    if (first->machine != part->machine || first->flags != part->flags)
      return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s' is for another machine than '%s'", name,
                      first->name);
  }
  choose_groups(object, part);
  TN_VEC_PUSH(object->arena, &object->parts, part);
  return tn_elf_resolve(object, (uint32_t)object->parts.n - 1);
}

/* Data is defined before archives are searched, so that it counts as defined. */
static bool define_data(tn_object *object) {
  const tn_object_request *request = object->request;
  for (uint32_t i = 0; i < request->n_data; i++) {
    const tn_object_data *data = &request->data[i];
    if (data->align == 0 || (data->align & (data->align - 1)) != 0 || data->bytes > INT64_MAX / 4)
      return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "data '%s': a wrong alignment or size", data->symbol);
    tn_elf_global *global = tn_elf_global_get(object, data->symbol);
    if (global->state == TN_ELF_STRONG)
      return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "symbol '%s' is defined in '%s' and again as data",
                      data->symbol, global->where);
    tn_elf_output *output = TN_NEW(object->arena, tn_elf_output);
    output->name = data->section;
    output->type = SHT_PROGBITS;
    output->flags = SHF_ALLOC;
    output->align = data->align;
    output->size = data->bytes;
    output->alone = true;
    output->stream = data;
    *global = (tn_elf_global){.name = global->name, .state = TN_ELF_STRONG, .type = STT_OBJECT,
                              .visibility = STV_HIDDEN, .size = data->bytes, .where = "data", .output = output};
  }
  return true;
}

static bool mark_exports(tn_object *object) {
  bool ok = true;
  for (uint32_t i = 0; i < object->request->n_globals; i++) {
    tn_elf_global *global = tn_map_get(&object->names, tn_name(object->ctx, object->request->globals[i]));
    if (!global || global->state == TN_ELF_UNDEFINED) {
      ok = tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "symbol '%s' is to be exported but nothing defines it",
                    object->request->globals[i]);
      continue;
    }
    global->exported = true;
  }
  return ok;
}

tn_object *tn_object_merge(tn_ctx *ctx, const tn_object_request *request, tn_arena *arena) {
  tn_object *object = TN_NEW(arena, tn_object);
  object->ctx = ctx;
  object->arena = arena;
  object->request = request;
  object->names = tn_map_create(arena);
  object->groups = tn_map_create(arena);
  object->output_names = tn_map_create(arena);
  object->strings = tn_buf_create(arena);
  object->section_names = tn_buf_create(arena);
  for (uint32_t i = 0; i < request->n_parts; i++)
    if (!tn_elf_add_part(object, tn_arena_printf(arena, "code part %u", i), request->parts[i].data,
                         request->parts[i].bytes))
      return NULL;
  for (uint32_t i = 0; i < request->n_globals; i++) /* so that archives are searched for them ("main") */
    tn_elf_global_get(object, request->globals[i])->weak_reference = false;
  if (!define_data(object) || !tn_elf_pull_archives(object) || !mark_exports(object)) return NULL;
  if (!tn_elf_layout_sections(object) || !tn_elf_layout_file(object)) return NULL;
  return object;
}
