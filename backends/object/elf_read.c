/* Reading one relocatable ELF64 object. Objects come from LLVM and from our own archives, and still nothing in them is
 * trusted: every offset, size and index is checked once, here. */
#include <string.h>

#include "backends/object/merge.h"

typedef struct reader {
  tn_ctx *ctx;
  tn_arena *arena;
  const uint8_t *data;
  uint64_t bytes;
  tn_elf_part *part;
} reader;

static bool bad(const reader *r, const char *what) {
  return tn_error(r->ctx, TN_LOC_NONE, TN_E_OBJECT, "object '%s': %s", r->part->name, what);
}

static bool inside(const reader *r, uint64_t offset, uint64_t bytes) {
  return offset <= r->bytes && bytes <= r->bytes - offset;
}

/* A NUL-terminated string of a string table section, or NULL. */
static const char *string_at(const tn_elf_section *table, uint64_t offset) {
  if (table->type != SHT_STRTAB || offset >= table->size) return NULL;
  if (!memchr(table->data + offset, 0, table->size - offset)) return NULL;
  return (const char *)table->data + offset;
}

static bool check_header(reader *r, Elf64_Ehdr *header) {
  if (r->bytes < sizeof(*header)) return bad(r, "shorter than an ELF header");
  memcpy(header, r->data, sizeof(*header));
  if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return bad(r, "not an ELF file");
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
    return bad(r, "not a 64-bit little-endian object");
  if (header->e_type != ET_REL) return bad(r, "not a relocatable object");
  if (header->e_shentsize != sizeof(Elf64_Shdr)) return bad(r, "section headers of an unknown size");
  if (header->e_shnum == 0 || header->e_shnum >= SHN_LORESERVE) return bad(r, "no sections, or too many");
  if (!inside(r, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr)))
    return bad(r, "section headers run past the end");
  if (header->e_shstrndx >= header->e_shnum) return bad(r, "no section names");
  return true;
}

static bool read_section(reader *r, const Elf64_Shdr *from, tn_elf_section *to) {
  to->type = from->sh_type;
  to->flags = from->sh_flags;
  to->link = from->sh_link;
  to->info = from->sh_info;
  to->size = from->sh_size;
  to->entsize = from->sh_entsize;
  to->align = from->sh_addralign ? from->sh_addralign : 1;
  if (to->type == SHT_NULL) return true;
  if ((to->align & (to->align - 1)) != 0 || to->align > (1u << 30)) return bad(r, "a section with a wrong alignment");
  if (to->link >= r->part->n_sections) return bad(r, "a section linked to one that does not exist");
  if (to->type == SHT_NOBITS) return to->size <= INT64_MAX / 4 || bad(r, "a section that is too large");
  if (!inside(r, from->sh_offset, from->sh_size)) return bad(r, "a section runs past the end");
  to->data = r->data + from->sh_offset;
  return true;
}

static bool read_sections(reader *r, const Elf64_Ehdr *header) {
  tn_elf_part *part = r->part;
  part->n_sections = header->e_shnum;
  part->sections = TN_NEW_N(r->arena, tn_elf_section, part->n_sections);
  for (int pass = 0; pass < 2; pass++) { /* names need the table of names, which is a section too */
    for (uint32_t i = 0; i < part->n_sections; i++) {
      Elf64_Shdr raw;
      memcpy(&raw, r->data + header->e_shoff + i * sizeof(raw), sizeof(raw));
      tn_elf_section *section = &part->sections[i];
      if (pass == 0 && !read_section(r, &raw, section)) return false;
      if (pass == 0) continue;
      section->name = string_at(&part->sections[header->e_shstrndx], raw.sh_name);
      if (!section->name && section->type != SHT_NULL) return bad(r, "a section name outside the table of names");
    }
  }
  return true;
}

static bool read_symbol(reader *r, const Elf64_Sym *from, const tn_elf_section *names, tn_elf_symbol *to) {
  to->name = string_at(names, from->st_name);
  if (!to->name) return bad(r, "a symbol name outside the table of strings");
  to->value = from->st_value;
  to->size = from->st_size;
  to->binding = ELF64_ST_BIND(from->st_info);
  to->type = ELF64_ST_TYPE(from->st_info);
  to->visibility = ELF64_ST_VISIBILITY(from->st_other);
  to->shndx = from->st_shndx;
  if (to->shndx == SHN_COMMON)
    return (to->value != 0 && (to->value & (to->value - 1)) == 0 && to->value <= (1u << 30) &&
            to->size <= INT64_MAX / 4) || bad(r, "a common symbol with a wrong alignment or size");
  if (to->shndx == SHN_UNDEF || to->shndx == SHN_ABS) return true;
  if (to->shndx >= r->part->n_sections) return bad(r, "a symbol in a section that does not exist");
  if (to->value > r->part->sections[to->shndx].size) return bad(r, "a symbol outside its section");
  return true;
}

static bool read_symbols(reader *r) {
  tn_elf_part *part = r->part;
  for (uint32_t i = 1; i < part->n_sections; i++) {
    if (part->sections[i].type == SHT_SYMTAB_SHNDX) return bad(r, "extended section indices");
    if (part->sections[i].type != SHT_SYMTAB) continue;
    if (part->symtab) return bad(r, "two symbol tables");
    part->symtab = i;
  }
  if (!part->symtab) return true;
  const tn_elf_section *table = &part->sections[part->symtab];
  if (table->entsize != sizeof(Elf64_Sym) || table->size % sizeof(Elf64_Sym) != 0)
    return bad(r, "symbols of an unknown size");
  uint64_t n = table->size / sizeof(Elf64_Sym);
  if (n == 0 || n > UINT32_MAX / 2 || table->info == 0 || table->info > n)
    return bad(r, "a wrong number of local symbols");
  part->n_symbols = (uint32_t)n;
  part->n_locals = table->info;
  part->symbols = TN_NEW_N(r->arena, tn_elf_symbol, n);
  for (uint32_t i = 0; i < part->n_symbols; i++) {
    Elf64_Sym raw;
    memcpy(&raw, table->data + i * sizeof(raw), sizeof(raw));
    if (!read_symbol(r, &raw, &part->sections[table->link], &part->symbols[i])) return false;
    bool local = part->symbols[i].binding == STB_LOCAL;
    if (local != (i < part->n_locals)) return bad(r, "local symbols among the global ones");
    if (local && part->symbols[i].shndx == SHN_COMMON) return bad(r, "a local common symbol");
  }
  return true;
}

uint64_t tn_elf_relocation_count(const tn_elf_section *rela) { return rela->size / sizeof(Elf64_Rela); }

Elf64_Rela tn_elf_relocation(const tn_elf_section *rela, uint64_t i) {
  Elf64_Rela r;
  memcpy(&r, rela->data + i * sizeof(r), sizeof(r));
  return r;
}

static bool check_relocations(reader *r) {
  const tn_elf_part *part = r->part;
  for (uint32_t i = 1; i < part->n_sections; i++) {
    const tn_elf_section *rela = &part->sections[i];
    if (rela->type == SHT_REL) return bad(r, "relocations without addends");
    if (rela->type != SHT_RELA) continue;
    if (rela->entsize != sizeof(Elf64_Rela) || rela->size % sizeof(Elf64_Rela) != 0)
      return bad(r, "relocations of an unknown size");
    if (rela->link != part->symtab || rela->info == 0 || rela->info >= part->n_sections)
      return bad(r, "relocations of no section");
    if (part->sections[rela->info].rela) return bad(r, "two tables of relocations for one section");
    part->sections[rela->info].rela = i;
    uint64_t limit = part->sections[rela->info].size;
    for (uint64_t k = 0; k < tn_elf_relocation_count(rela); k++) {
      Elf64_Rela one = tn_elf_relocation(rela, k);
      if (one.r_offset >= limit) return bad(r, "a relocation outside its section");
      if (ELF64_R_SYM(one.r_info) != 0 && ELF64_R_SYM(one.r_info) >= part->n_symbols)
        return bad(r, "a relocation to a symbol that does not exist");
    }
  }
  return true;
}

static bool check_groups(reader *r) {
  const tn_elf_part *part = r->part;
  for (uint32_t i = 1; i < part->n_sections; i++) {
    const tn_elf_section *group = &part->sections[i];
    if (group->type != SHT_GROUP) continue;
    if (group->size < 4 || group->size % 4 != 0) return bad(r, "a section group of a wrong size");
    if (group->link != part->symtab || group->info == 0 || group->info >= part->n_symbols)
      return bad(r, "a section group without a name");
    for (uint64_t k = 4; k < group->size; k += 4) {
      uint32_t member;
      memcpy(&member, group->data + k, 4);
      if (member == 0 || member >= part->n_sections) return bad(r, "a section group of sections that do not exist");
    }
  }
  return true;
}

tn_elf_part *tn_elf_part_read(tn_ctx *ctx, tn_arena *arena, const char *name, const void *data, size_t bytes) {
  tn_elf_part *part = TN_NEW(arena, tn_elf_part);
  part->name = name;
  reader r = {ctx, arena, data, bytes, part};
  Elf64_Ehdr header;
  if (!check_header(&r, &header)) return NULL;
  part->machine = header.e_machine;
  part->flags = header.e_flags;
  if (!read_sections(&r, &header) || !read_symbols(&r) || !check_relocations(&r) || !check_groups(&r)) return NULL;
  return part;
}
