/* Merging objects: where every section, symbol and table of the result lies. */
#include <string.h>

#include "backends/object/merge.h"

#define KEPT_FLAGS                                                                                     \
  (SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR | SHF_MERGE | SHF_STRINGS | SHF_LINK_ORDER | SHF_TLS |        \
   SHF_COMPRESSED | 0x200000u /* SHF_GNU_RETAIN */ | 0x10000000u /* SHF_X86_64_LARGE */)
#define SECTION_EXCLUDE 0x80000000u
#define SECTION_X86_64_UNWIND 0x70000001u

static bool align_up(uint64_t value, uint64_t align, uint64_t *out) {
  if (__builtin_add_overflow(value, align - 1, out)) return false;
  *out &= ~(align - 1);
  return *out <= INT64_MAX;
}

tn_elf_output *tn_elf_output_get(tn_object *object, const tn_elf_output *like) {
  const char *key = tn_name(object->ctx, like->name);
  tn_elf_output *first = tn_map_get(&object->output_names, key);
  for (tn_elf_output *output = first; output && !like->alone; output = output->next_same_name)
    if (!output->alone && output->type == like->type && output->flags == like->flags &&
        output->entsize == like->entsize && output->linked == like->linked)
      return output;
  tn_elf_output *output = TN_NEW(object->arena, tn_elf_output);
  *output = *like;
  output->name = key;
  output->next_same_name = first;
  tn_map_set(&object->output_names, key, output);
  TN_VEC_PUSH(object->arena, &object->outputs, output);
  return output;
}

typedef enum fate { DROP, KEEP, REFUSE } fate;

static fate fate_of(const tn_elf_part *part, const tn_elf_section *section) {
  switch (section->type) {
    case SHT_NULL: case SHT_SYMTAB: case SHT_STRTAB: case SHT_RELA: case SHT_GROUP: return DROP;
    case SHT_PROGBITS: case SHT_NOBITS: case SHT_NOTE:
    case SHT_INIT_ARRAY: case SHT_FINI_ARRAY: case SHT_PREINIT_ARRAY: break;
    default:
      if (part->machine == EM_X86_64 && section->type == SECTION_X86_64_UNWIND) break;
      return section->flags & SHF_ALLOC ? REFUSE : DROP; /* tables by symbol index such as .llvm_addrsig */
  }
  if (section->discarded || section->flags & SECTION_EXCLUDE) return DROP;
  /* The properties of code hold for the result only if every part has them: claiming none is always right. */
  if (strcmp(section->name, ".note.gnu.property") == 0 || strcmp(section->name, ".comment") == 0) return DROP;
  return strcmp(section->name, ".note.GNU-stack") == 0 ? DROP : KEEP;
}

static bool is_unwind(const tn_elf_section *section) { return strcmp(section->name, ".eh_frame") == 0; }

static bool place(tn_object *object, uint32_t part_index, uint32_t index) {
  tn_elf_part *part = object->parts.data[part_index];
  tn_elf_section *section = &part->sections[index];
  tn_elf_output like = {.name = section->name, .type = section->type, .flags = section->flags & KEPT_FLAGS,
                        .entsize = section->entsize};
  like.alone = (section->flags & SHF_COMPRESSED) != 0;
  if (is_unwind(section)) like.type = SHT_PROGBITS; /* compilers disagree on the type */
  if (like.flags & SHF_ALLOC) {
    /* Joined strings need another addend in each relocation that points into them by their section's symbol, which is
     * only sound when nobody shares equal strings later. */
    like.flags &= ~(uint64_t)(SHF_MERGE | SHF_STRINGS);
    like.entsize = 0;
  }
  if (like.flags & SHF_LINK_ORDER) {
    like.linked = part->sections[section->link].output;
    if (!like.linked) return true; /* describes a section that is not in the result */
  }
  tn_elf_output *output = tn_elf_output_get(object, &like);
  /* Zero bytes between pieces of unwind tables would read as their end; their records need no alignment. */
  uint64_t align = is_unwind(section) ? 1 : section->align;
  if (!align_up(output->size, align, &section->offset) ||
      __builtin_add_overflow(section->offset, section->size, &output->size) || output->size > INT64_MAX / 4)
    return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': section '%s' is too large", part->name,
                    section->name);
  if (section->align > output->align) output->align = section->align;
  section->output = output;
  tn_elf_piece piece = {part_index, index, section->offset};
  TN_VEC_PUSH(object->arena, &output->pieces, piece);
  return true;
}

static bool place_part(tn_object *object, uint32_t part_index) {
  tn_elf_part *part = object->parts.data[part_index];
  for (int ordered = 0; ordered < 2; ordered++) { /* sections that follow another come after it */
    for (uint32_t i = 1; i < part->n_sections; i++) {
      const tn_elf_section *section = &part->sections[i];
      if (((section->flags & SHF_LINK_ORDER) != 0) != (ordered == 1)) continue;
      fate what = fate_of(part, section);
      if (what == REFUSE)
        return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': section '%s' has an unknown type 0x%x",
                        part->name, section->name, section->type);
      if (section->type != SHT_NULL && strcmp(section->name, ".note.GNU-stack") == 0 &&
          section->flags & SHF_EXECINSTR)
        object->executable_stack = true;
      if (what == KEEP && !place(object, part_index, i)) return false;
    }
  }
  return true;
}

static bool place_commons(tn_object *object) {
  for (size_t i = 0; i < object->globals.n; i++) {
    tn_elf_global *global = object->globals.data[i];
    if (global->state != TN_ELF_COMMON) continue;
    tn_elf_output like = {.name = ".bss", .type = SHT_NOBITS, .flags = SHF_ALLOC | SHF_WRITE};
    tn_elf_output *bss = tn_elf_output_get(object, &like);
    uint64_t align = global->value;
    if (!align_up(bss->size, align, &global->value) ||
        __builtin_add_overflow(global->value, global->size, &bss->size) || bss->size > INT64_MAX / 4)
      return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "common symbol '%s' is too large", global->name);
    if (align > bss->align) bss->align = align;
    global->output = bss;
  }
  return true;
}

static bool is_data(const tn_elf_global *global) { return global->output && global->output->stream; }

bool tn_elf_layout_sections(tn_object *object) {
  for (uint32_t i = 0; i < object->parts.n; i++)
    if (!place_part(object, i)) return false;
  if (!place_commons(object)) return false;
  tn_elf_output stack = {.name = ".note.GNU-stack", .type = SHT_PROGBITS, .alone = true,
                         .flags = object->executable_stack ? SHF_EXECINSTR : 0};
  tn_elf_output_get(object, &stack);
  for (size_t i = 0; i < object->globals.n; i++) /* weights last: behind the code */
    if (is_data(object->globals.data[i])) TN_VEC_PUSH(object->arena, &object->outputs, object->globals.data[i]->output);
  for (size_t i = 0; i < object->outputs.n; i++) {
    object->outputs.data[i]->index = (uint32_t)i + 1;
    if (object->outputs.data[i]->align == 0) object->outputs.data[i]->align = 1;
  }
  return true;
}

/* --- Symbols --- */

static uint32_t add_string(tn_buf *table, const char *text) {
  if (table->n == 0) tn_buf_putc(table, 0);
  if (text[0] == 0) return 0;
  uint32_t offset = (uint32_t)table->n;
  tn_buf_append(table, text, strlen(text) + 1);
  return offset;
}

static uint32_t add_symbol(tn_object *object, const char *name, unsigned char info, unsigned char other,
                           uint16_t shndx, uint64_t value, uint64_t size) {
  Elf64_Sym symbol = {add_string(&object->strings, name), info, other, shndx, value, size};
  TN_VEC_PUSH(object->arena, &object->symbols, symbol);
  return (uint32_t)object->symbols.n - 1;
}

static void add_locals(tn_object *object, tn_elf_part *part) {
  for (uint32_t i = 1; i < part->n_locals; i++) {
    tn_elf_symbol *symbol = &part->symbols[i];
    if (symbol->type == STT_SECTION || symbol->type == STT_FILE) continue; /* a file's name would tell of its folder */
    unsigned char info = ELF64_ST_INFO(STB_LOCAL, symbol->type);
    if (symbol->shndx == SHN_ABS) {
      symbol->index = add_symbol(object, symbol->name, info, 0, SHN_ABS, symbol->value, symbol->size);
    } else if (symbol->shndx != SHN_UNDEF && symbol->shndx < part->n_sections) {
      const tn_elf_section *section = &part->sections[symbol->shndx];
      if (section->output)
        symbol->index = add_symbol(object, symbol->name, info, 0, (uint16_t)section->output->index,
                                   symbol->value + section->offset, symbol->size);
    }
  }
}

static void add_global(tn_object *object, tn_elf_global *global, bool local) {
  unsigned char binding = local ? STB_LOCAL : STB_GLOBAL;
  unsigned char other = local ? STV_DEFAULT : global->visibility;
  uint16_t shndx = SHN_UNDEF;
  uint64_t value = 0;
  if (global->state == TN_ELF_UNDEFINED) {
    if (global->weak_reference) binding = STB_WEAK;
  } else if (global->output) {
    shndx = (uint16_t)global->output->index;
    value = global->state == TN_ELF_COMMON ? global->value : 0;
  } else if (global->section) {
    if (!global->section->output) return; /* its section was left out; a relocation to it is refused below */
    shndx = (uint16_t)global->section->output->index;
    value = global->value + global->section->offset;
  } else {
    shndx = SHN_ABS;
    value = global->value;
  }
  if (!local && global->state == TN_ELF_WEAK) binding = STB_WEAK;
  unsigned char type = global->state == TN_ELF_UNDEFINED && global->type != STT_TLS ? STT_NOTYPE : global->type;
  global->index = add_symbol(object, global->name, ELF64_ST_INFO(binding, type), other, shndx, value,
                             global->state == TN_ELF_UNDEFINED ? 0 : global->size);
}

static bool stays_global(const tn_elf_global *global) {
  return global->exported || global->state == TN_ELF_UNDEFINED;
}

static void add_symbols(tn_object *object) {
  add_symbol(object, "", 0, 0, SHN_UNDEF, 0, 0);
  for (size_t i = 0; i < object->outputs.n; i++)
    object->outputs.data[i]->symbol = add_symbol(object, "", ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 0,
                                                 (uint16_t)object->outputs.data[i]->index, 0, 0);
  /* Without one a linker makes one of the object's name, which differs from run to run. */
  add_symbol(object, "tenon", ELF64_ST_INFO(STB_LOCAL, STT_FILE), 0, SHN_ABS, 0, 0);
  for (size_t i = 0; i < object->parts.n; i++) add_locals(object, object->parts.data[i]);
  for (size_t i = 0; i < object->globals.n; i++)
    if (!stays_global(object->globals.data[i])) add_global(object, object->globals.data[i], true);
  object->n_locals = (uint32_t)object->symbols.n;
  for (size_t i = 0; i < object->globals.n; i++)
    if (stays_global(object->globals.data[i])) add_global(object, object->globals.data[i], false);
}

/* --- Relocations --- */

bool tn_elf_retarget(const tn_elf_part *part, const tn_elf_section *from, Elf64_Rela *relocation) {
  uint32_t number = (uint32_t)ELF64_R_SYM(relocation->r_info);
  uint32_t type = (uint32_t)ELF64_R_TYPE(relocation->r_info);
  if (number == 0) return true;
  const tn_elf_symbol *symbol = &part->symbols[number];
  uint32_t index = symbol->global ? symbol->global->index : symbol->index;
  const tn_elf_section *section = NULL;
  if (!symbol->global && symbol->shndx != SHN_UNDEF && symbol->shndx < part->n_sections)
    section = &part->sections[symbol->shndx];
  /* An unwind record of a discarded function must not become a second one of the function that is kept. */
  if (section && section->discarded) section = is_unwind(from) ? NULL : section->kept;
  if (section && section->output && (symbol->type == STT_SECTION || index == 0)) {
    index = section->output->symbol;
    relocation->r_addend = (int64_t)((uint64_t)relocation->r_addend + symbol->value + section->offset);
  }
  relocation->r_info = ELF64_R_INFO((uint64_t)index, type);
  return index != 0;
}

/* The unwind record whose start address is at offset describes code that was left out: it gets the length zero. The
 * length follows the start and is as wide. */
static void empty_unwind_record(tn_object *object, tn_elf_section *unwind, uint64_t offset, uint32_t relocation_type) {
  uint64_t width = relocation_type == R_X86_64_PC64 || relocation_type == R_X86_64_64 ? 8 : 4;
  if (unwind->size - offset < 2 * width) return;
  if (!unwind->copied) unwind->data = tn_arena_copy(object->arena, unwind->data, unwind->size);
  unwind->copied = true;
  memset((uint8_t *)(uintptr_t)unwind->data + offset + width, 0, width);
}

/* Checks now what streaming would stumble over later. Debugging and unwind tables may name sections left out. */
static bool check_relocation(tn_object *object, const tn_elf_part *part, tn_elf_section *target, Elf64_Rela one) {
  uint64_t symbol = ELF64_R_SYM(one.r_info);
  uint32_t type = (uint32_t)ELF64_R_TYPE(one.r_info);
  if (tn_elf_retarget(part, target, &one)) return true;
  if (is_unwind(target)) {
    empty_unwind_record(object, target, one.r_offset, type);
    return true;
  }
  if (!(target->flags & SHF_ALLOC)) return true;
  return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': section '%s' refers to '%s', which is left out",
                  part->name, target->name, part->symbols[symbol].name);
}

static bool count_relocations(tn_object *object, tn_elf_part *part) {
  for (uint32_t i = 1; i < part->n_sections; i++) {
    tn_elf_section *target = &part->sections[i];
    if (!target->rela || !target->output) continue;
    const tn_elf_section *rela = &part->sections[target->rela];
    uint64_t n = tn_elf_relocation_count(rela);
    if (target->type == SHT_NOBITS && n > 0)
      return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': relocations of '%s', which has no bytes",
                      part->name, target->name);
    for (uint64_t k = 0; k < n; k++)
      if (!check_relocation(object, part, target, tn_elf_relocation(rela, k))) return false;
    target->output->n_relocations += n;
  }
  return true;
}

/* --- The file --- */

static bool advance(tn_object *object, uint64_t align, uint64_t bytes, uint64_t *out_offset) {
  if (align_up(object->bytes, align, out_offset) && !__builtin_add_overflow(*out_offset, bytes, &object->bytes) &&
      object->bytes <= INT64_MAX)
    return true;
  return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "the object would be too large for its format");
}

static void name_sections(tn_object *object) {
  uint32_t next = (uint32_t)object->outputs.n + 1;
  for (size_t i = 0; i < object->outputs.n; i++) {
    tn_elf_output *output = object->outputs.data[i];
    output->name_offset = add_string(&object->section_names, output->name);
    if (output->n_relocations == 0) continue;
    output->rela_index = next++;
    output->rela_name_offset =
        add_string(&object->section_names, tn_arena_printf(object->arena, ".rela%s", output->name));
  }
  object->symtab_index = next;
  object->n_sections = next + 3;
}

bool tn_elf_layout_file(tn_object *object) {
  if (object->outputs.n >= SHN_LORESERVE / 2)
    return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "too many sections");
  add_symbols(object);
  for (size_t i = 0; i < object->parts.n; i++)
    if (!count_relocations(object, object->parts.data[i])) return false;
  name_sections(object);
  if (object->strings.n > UINT32_MAX - 1)
    return tn_error(object->ctx, TN_LOC_NONE, TN_E_OBJECT, "too many symbol names");
  add_string(&object->section_names, ".symtab");
  add_string(&object->section_names, ".strtab");
  add_string(&object->section_names, ".shstrtab");
  object->bytes = sizeof(Elf64_Ehdr);
  bool ok = true;
  for (size_t i = 0; i < object->outputs.n && ok; i++) {
    tn_elf_output *output = object->outputs.data[i];
    if (!output->stream)
      ok = advance(object, output->align, output->type == SHT_NOBITS ? 0 : output->size, &output->file_offset);
  }
  for (size_t i = 0; i < object->outputs.n && ok; i++) {
    tn_elf_output *output = object->outputs.data[i];
    if (output->rela_index)
      ok = advance(object, 8, output->n_relocations * sizeof(Elf64_Rela), &output->rela_file_offset);
  }
  ok = ok && advance(object, 8, object->symbols.n * sizeof(Elf64_Sym), &object->symtab_offset) &&
       advance(object, 1, object->strings.n, &object->strings_offset) &&
       advance(object, 1, object->section_names.n, &object->section_names_offset) &&
       advance(object, 8, object->n_sections * sizeof(Elf64_Shdr), &object->headers_offset);
  for (size_t i = 0; i < object->outputs.n && ok; i++) { /* what is large comes last: tables are read without it */
    tn_elf_output *output = object->outputs.data[i];
    if (output->stream) ok = advance(object, output->align, output->size, &output->file_offset);
  }
  return ok;
}
