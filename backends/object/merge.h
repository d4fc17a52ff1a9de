/* Private to backends/object: what is known of the objects being merged. Formats: System V ABI, chapters 4 (object
 * files) and its x86-64 supplement. All numbers are little-endian, as is every host tenon runs on. */
#ifndef TN_BACKENDS_OBJECT_MERGE_H
#define TN_BACKENDS_OBJECT_MERGE_H

#include <elf.h>

#include "backends/object/object.h"

typedef struct tn_elf_output tn_elf_output;
typedef struct tn_elf_global tn_elf_global;

/* A section of one part. */
typedef struct tn_elf_section {
  const char *name;
  uint32_t type, link, info;
  uint64_t flags, size, align, entsize;
  uint32_t rela;         /* section index of its relocations; 0 = none */
  const uint8_t *data;   /* NULL for SHT_NOBITS */
  bool copied;           /* data is our own copy */
  bool discarded;        /* of a COMDAT group that an earlier part has too */
  const struct tn_elf_section *kept; /* discarded: the equal section of that part, or NULL */
  tn_elf_output *output; /* NULL: not in the result */
  uint64_t offset;       /* in output */
} tn_elf_section;

typedef struct tn_elf_symbol {
  const char *name;
  uint64_t value, size; /* value of a common symbol: its alignment */
  uint8_t binding, type, visibility;
  uint16_t shndx;          /* checked: below n_sections, or UNDEF, ABS, COMMON */
  tn_elf_global *global;   /* not local: what the name stands for */
  uint32_t index;          /* local: position in the result's symbol table; 0 = not there */
} tn_elf_symbol;

typedef struct tn_elf_part {
  const char *name; /* for messages: "code part 0", "zip.o" */
  uint16_t machine;
  uint32_t flags; /* e_flags */
  tn_elf_section *sections;
  uint32_t n_sections;
  tn_elf_symbol *symbols;
  uint32_t n_symbols;
  uint32_t n_locals; /* symbols below are local */
  uint32_t symtab;   /* section index; 0 = none */
} tn_elf_part;

/* A name that is not local to a part, and what it stands for. */
struct tn_elf_global {
  const char *name; /* interned */
  enum { TN_ELF_UNDEFINED, TN_ELF_COMMON, TN_ELF_WEAK, TN_ELF_STRONG } state;
  bool weak_reference; /* undefined: all references are weak */
  bool exported;
  uint8_t type, visibility;
  uint64_t value, size;
  const char *where;              /* name of the defining part */
  const tn_elf_section *section;  /* the definition's, or NULL for absolute and data */
  tn_elf_output *output;          /* common and data: where it was placed */
  uint32_t index;                 /* in the result's symbol table */
};

/* A run of bytes inside an output section. */
typedef struct tn_elf_piece {
  uint32_t part, section;
  uint64_t offset;
} tn_elf_piece;

struct tn_elf_output {
  const char *name;
  uint32_t type;
  uint64_t flags, entsize, align, size;
  const tn_elf_output *linked; /* SHF_LINK_ORDER */
  tn_elf_output *next_same_name;
  bool alone;                  /* nothing may be joined to it */
  TN_VEC(tn_elf_piece) pieces;
  const tn_object_data *stream; /* a data section */
  uint64_t n_relocations;
  uint32_t index;        /* in the section header table */
  uint32_t rela_index;   /* of its relocations, 0 = none */
  uint32_t symbol;       /* of its section symbol */
  uint32_t name_offset, rela_name_offset;
  uint64_t file_offset, rela_file_offset;
};

struct tn_object {
  tn_ctx *ctx;
  tn_arena *arena;
  const tn_object_request *request;
  TN_VEC(tn_elf_part *) parts;
  tn_map names;                  /* interned name -> tn_elf_global */
  TN_VEC(tn_elf_global *) globals;
  tn_map groups;                 /* interned signature -> the SHT_GROUP section that is kept */
  TN_VEC(tn_elf_output *) outputs;
  tn_map output_names;           /* interned name -> first tn_elf_output of it */
  bool executable_stack;
  TN_VEC(Elf64_Sym) symbols;     /* of the result */
  uint32_t n_locals;
  tn_buf strings, section_names;
  uint32_t symtab_index, n_sections;
  uint64_t symtab_offset, strings_offset, section_names_offset, headers_offset, bytes;
};

/* Reads and checks one relocatable object; every offset in it is checked here, so that later code need not. The result
 * points into data. NULL when reported (TN_E_OBJECT). */
tn_elf_part *tn_elf_part_read(tn_ctx *ctx, tn_arena *arena, const char *name, const void *data, size_t bytes);
/* Number of relocations of a SHT_RELA section, and the i-th. */
uint64_t tn_elf_relocation_count(const tn_elf_section *rela);
Elf64_Rela tn_elf_relocation(const tn_elf_section *rela, uint64_t i);

/* A relocation of section `from` of a part as it stands in the result. False when it points at what was left out. */
bool tn_elf_retarget(const tn_elf_part *part, const tn_elf_section *from, Elf64_Rela *relocation);
/* The output section of this kind, made when there is none. */
tn_elf_output *tn_elf_output_get(tn_object *object, const tn_elf_output *like);

/* Enters the globals of a part and settles which definition counts. */
bool tn_elf_resolve(tn_object *object, uint32_t part_index);
tn_elf_global *tn_elf_global_get(tn_object *object, const char *name);
/* Adds members of the archives that define what is undefined, until none does. */
bool tn_elf_pull_archives(tn_object *object);
bool tn_elf_add_part(tn_object *object, const char *name, const void *data, size_t bytes);
/* Gives every section, common symbol and data its place; then symbols their index and the file its offsets. */
bool tn_elf_layout_sections(tn_object *object);
bool tn_elf_layout_file(tn_object *object);

#endif
