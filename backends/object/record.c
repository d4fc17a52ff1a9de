/* A relocatable ELF64 object made of bytes and of a record of addresses; see object.h. */
#include <elf.h>
#include <string.h>

#include "backends/object/object.h"

enum {
  SECTION_NULL, SECTION_DATA, SECTION_RECORD, SECTION_RELA, SECTION_SYMBOLS, SECTION_NAMES, SECTION_STACK, N_SECTIONS
};

typedef struct writer {
  const tn_object_record *record;
  tn_buf out, names;
  tn_map known; /* interned symbol -> its number, boxed */
  TN_VEC(Elf64_Sym) symbols;
  Elf64_Shdr sections[N_SECTIONS];
  tn_arena *arena;
} writer;

static uint32_t add_name(writer *w, const char *name) {
  uint32_t at = (uint32_t)w->names.n;
  tn_buf_append(&w->names, name, strlen(name) + 1);
  return at;
}

static void add_symbol(writer *w, const char *name, uint8_t info, uint16_t section, uint64_t size) {
  Elf64_Sym symbol = {.st_name = name ? add_name(w, name) : 0, .st_info = info, .st_other = name ? STV_HIDDEN : 0,
                      .st_shndx = section, .st_size = size};
  TN_VEC_PUSH(w->arena, &w->symbols, symbol);
}

/* Null, the section of the bytes, the record, then what others define. */
static uint32_t symbol_of(writer *w, tn_ctx *ctx, const char *name) {
  const char *key = tn_name(ctx, name);
  uint32_t *known = tn_map_get(&w->known, key);
  if (known) return *known;
  known = TN_NEW(w->arena, uint32_t);
  *known = (uint32_t)w->symbols.n;
  tn_map_set(&w->known, key, known);
  add_symbol(w, key, ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), SHN_UNDEF, 0);
  return *known;
}

static void pad(writer *w, size_t align) {
  while (w->out.n % align) tn_buf_putc(&w->out, 0);
}

static void put_section(writer *w, uint32_t index, const char *name, Elf64_Shdr header, const void *data,
                        uint64_t bytes) {
  pad(w, header.sh_addralign ? header.sh_addralign : 1);
  header.sh_name = add_name(w, name);
  header.sh_offset = w->out.n;
  header.sh_size = bytes;
  w->sections[index] = header;
  if (bytes) tn_buf_append(&w->out, data, bytes);
}

static void put_record(writer *w, tn_ctx *ctx, uint32_t type) {
  const tn_object_record *r = w->record;
  uint64_t bytes = 8 * (uint64_t)r->n_addresses;
  Elf64_Rela *relocations = TN_NEW_N(w->arena, Elf64_Rela, r->n_addresses);
  size_t n = 0;
  add_symbol(w, NULL, 0, SHN_UNDEF, 0);
  add_symbol(w, NULL, ELF64_ST_INFO(STB_LOCAL, STT_SECTION), SECTION_DATA, 0);
  add_symbol(w, r->symbol, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), SECTION_RECORD, bytes);
  for (uint32_t i = 0; i < r->n_addresses; i++) {
    const tn_object_address *a = &r->addresses[i];
    if (a->kind == TN_ADDRESS_NULL) continue;
    uint32_t symbol = a->kind == TN_ADDRESS_BYTES ? 1 : symbol_of(w, ctx, a->symbol);
    int64_t addend = a->kind == TN_ADDRESS_BYTES ? (int64_t)a->offset : 0;
    relocations[n++] = (Elf64_Rela){8 * (uint64_t)i, ELF64_R_INFO((uint64_t)symbol, type), addend};
  }
  Elf64_Shdr addresses = {.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_WRITE, .sh_addralign = 8};
  Elf64_Shdr table = {.sh_type = SHT_RELA, .sh_flags = SHF_INFO_LINK, .sh_link = SECTION_SYMBOLS,
                      .sh_info = SECTION_RECORD, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Rela)};
  put_section(w, SECTION_RECORD, ".data.rel.ro", addresses, TN_NEW_N(w->arena, uint64_t, r->n_addresses), bytes);
  put_section(w, SECTION_RELA, ".rela.data.rel.ro", table, relocations, n * sizeof(*relocations));
}

static bool machine_of(const char *triple, uint16_t *machine, uint32_t *type) {
  if (strncmp(triple, "x86_64", 6) == 0) return *machine = EM_X86_64, *type = R_X86_64_64, true;
  if (strncmp(triple, "aarch64", 7) == 0) return *machine = EM_AARCH64, *type = R_AARCH64_ABS64, true;
  return false;
}

bool tn_object_make_record(tn_ctx *ctx, const char *triple, const tn_object_record *record, tn_arena *arena,
                           tn_object_part *out) {
  Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_REL, .e_version = EV_CURRENT, .e_ehsize = sizeof(header),
                       .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = N_SECTIONS, .e_shstrndx = SECTION_NAMES};
  uint32_t type;
  if (!machine_of(triple, &header.e_machine, &type))
    return tn_error(ctx, TN_LOC_NONE, TN_E_TARGET, "objects for '%s' have no tables yet", triple);
  writer w = {.record = record, .out = tn_buf_create(arena), .names = tn_buf_create(arena),
              .known = tn_map_create(arena), .arena = arena};
  add_name(&w, "");
  tn_buf_append(&w.out, (const char *)&header, sizeof(header));
  Elf64_Shdr data = {.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addralign = 64};
  Elf64_Shdr stack = {.sh_type = SHT_PROGBITS, .sh_addralign = 1}, names = {.sh_type = SHT_STRTAB, .sh_addralign = 1};
  Elf64_Shdr symbols = {.sh_type = SHT_SYMTAB, .sh_link = SECTION_NAMES, .sh_info = 2, .sh_addralign = 8,
                        .sh_entsize = sizeof(Elf64_Sym)};
  put_section(&w, SECTION_DATA, ".rodata", data, record->data, record->bytes);
  put_record(&w, ctx, type);
  put_section(&w, SECTION_STACK, ".note.GNU-stack", stack, NULL, 0);
  put_section(&w, SECTION_SYMBOLS, ".symtab", symbols, w.symbols.data, w.symbols.n * sizeof(*w.symbols.data));
  uint32_t own = add_name(&w, ".strtab");
  put_section(&w, SECTION_NAMES, "", names, w.names.data, w.names.n);
  w.sections[SECTION_NAMES].sh_name = own;
  pad(&w, 8);
  header.e_shoff = w.out.n;
  tn_buf_append(&w.out, (const char *)w.sections, sizeof(w.sections));
  memcpy(w.out.data, &header, sizeof(header));
  *out = (tn_object_part){.data = w.out.data, .bytes = w.out.n};
  return true;
}
