/* Merging objects: writing the result from front to back, as laid out. */
#include <string.h>

#include "backends/object/merge.h"

typedef struct writer {
  const tn_object *object;
  tn_sink sink;
  uint64_t at;
  uint64_t limit; /* data sections: where the section ends */
} writer;

static bool put(writer *w, const void *data, uint64_t bytes) {
  if (bytes == 0) return true;
  w->at += bytes;
  return w->sink.write(w->sink.user, data, bytes);
}

static bool pad_to(writer *w, uint64_t offset, uint8_t fill) {
  uint8_t block[256];
  memset(block, fill, sizeof(block));
  while (w->at < offset) {
    uint64_t n = offset - w->at < sizeof(block) ? offset - w->at : sizeof(block);
    if (!put(w, block, n)) return false;
  }
  return true;
}

static bool put_section(writer *w, const tn_elf_output *output) {
  if (output->type == SHT_NOBITS) return true;
  bool code = output->flags & SHF_EXECINSTR && w->object->parts.n > 0 && w->object->parts.data[0]->machine == EM_X86_64;
  uint8_t fill = code ? 0x90 : 0; /* pieces of .init run into each other: pad with nop */
  if (!pad_to(w, output->file_offset, 0)) return false;
  for (size_t i = 0; i < output->pieces.n; i++) {
    const tn_elf_piece *piece = &output->pieces.data[i];
    const tn_elf_section *section = &w->object->parts.data[piece->part]->sections[piece->section];
    if (!pad_to(w, output->file_offset + piece->offset, fill) || !put(w, section->data, section->size)) return false;
  }
  return true;
}

static bool put_relocations_of(writer *w, const tn_elf_part *part, const tn_elf_section *target) {
  if (!target->rela) return true;
  const tn_elf_section *rela = &part->sections[target->rela];
  for (uint64_t k = 0; k < tn_elf_relocation_count(rela); k++) {
    Elf64_Rela one = tn_elf_relocation(rela, k);
    if (!tn_elf_retarget(part, target, &one)) one.r_info = 0, one.r_addend = 0; /* R_*_NONE */
    one.r_offset += target->offset;
    if (!put(w, &one, sizeof(one))) return false;
  }
  return true;
}

static bool put_relocations(writer *w, const tn_elf_output *output) {
  if (!output->rela_index) return true;
  if (!pad_to(w, output->rela_file_offset, 0)) return false;
  for (size_t i = 0; i < output->pieces.n; i++) {
    const tn_elf_piece *piece = &output->pieces.data[i];
    const tn_elf_part *part = w->object->parts.data[piece->part];
    if (!put_relocations_of(w, part, &part->sections[piece->section])) return false;
  }
  return true;
}

static bool put_elf_header(writer *w) {
  const tn_object *object = w->object;
  Elf64_Ehdr header = {.e_type = ET_REL, .e_version = EV_CURRENT, .e_ehsize = sizeof(header)};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_machine = object->parts.n > 0 ? object->parts.data[0]->machine : EM_X86_64;
  header.e_flags = object->parts.n > 0 ? object->parts.data[0]->flags : 0;
  header.e_shoff = object->headers_offset;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = (Elf64_Half)object->n_sections;
  header.e_shstrndx = (Elf64_Half)(object->n_sections - 1);
  return put(w, &header, sizeof(header));
}

static uint32_t name_of_table(const tn_object *object, const char *name) {
  /* The names of the three tables end the string table of names, in this order. */
  static const char tail[] = ".symtab\0.strtab\0.shstrtab";
  size_t start = object->section_names.n - sizeof(tail);
  for (size_t at = 0; at < sizeof(tail); at += strlen(tail + at) + 1)
    if (strcmp(tail + at, name) == 0) return (uint32_t)(start + at);
  return 0;
}

static bool put_section_headers(writer *w) {
  const tn_object *object = w->object;
  Elf64_Shdr header = {0};
  bool ok = pad_to(w, object->headers_offset, 0) && put(w, &header, sizeof(header));
  for (size_t i = 0; i < object->outputs.n && ok; i++) {
    const tn_elf_output *output = object->outputs.data[i];
    header = (Elf64_Shdr){.sh_name = output->name_offset, .sh_type = output->type, .sh_flags = output->flags,
                          .sh_offset = output->file_offset, .sh_size = output->size, .sh_addralign = output->align,
                          .sh_entsize = output->entsize, .sh_link = output->linked ? output->linked->index : 0};
    ok = put(w, &header, sizeof(header));
  }
  for (size_t i = 0; i < object->outputs.n && ok; i++) {
    const tn_elf_output *output = object->outputs.data[i];
    if (!output->rela_index) continue;
    header = (Elf64_Shdr){.sh_name = output->rela_name_offset, .sh_type = SHT_RELA, .sh_flags = SHF_INFO_LINK,
                          .sh_offset = output->rela_file_offset, .sh_info = output->index,
                          .sh_size = output->n_relocations * sizeof(Elf64_Rela), .sh_link = object->symtab_index,
                          .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Rela)};
    ok = put(w, &header, sizeof(header));
  }
  Elf64_Shdr tables[3] = {
      {.sh_name = name_of_table(object, ".symtab"), .sh_type = SHT_SYMTAB, .sh_offset = object->symtab_offset,
       .sh_size = object->symbols.n * sizeof(Elf64_Sym), .sh_link = object->symtab_index + 1,
       .sh_info = object->n_locals, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Sym)},
      {.sh_name = name_of_table(object, ".strtab"), .sh_type = SHT_STRTAB, .sh_offset = object->strings_offset,
       .sh_size = object->strings.n, .sh_addralign = 1},
      {.sh_name = name_of_table(object, ".shstrtab"), .sh_type = SHT_STRTAB,
       .sh_offset = object->section_names_offset, .sh_size = object->section_names.n, .sh_addralign = 1}};
  return ok && put(w, tables, sizeof(tables));
}

static bool write_counted(void *user, const void *data, size_t bytes) {
  writer *w = user;
  if (bytes > w->limit - w->at)
    return tn_error(w->object->ctx, TN_LOC_NONE, TN_E_OBJECT, "a data section got more bytes than it has");
  return put(w, data, bytes);
}

static bool put_data(writer *w, const tn_elf_output *output) {
  if (!pad_to(w, output->file_offset, 0)) return false;
  w->limit = output->file_offset + output->size;
  tn_sink counted = {write_counted, w};
  if (output->size > 0 && !output->stream->stream(output->stream->user, counted)) return false;
  if (w->at != w->limit)
    return tn_error(w->object->ctx, TN_LOC_NONE, TN_E_OBJECT, "data '%s' got %llu bytes too few",
                    output->stream->symbol, (unsigned long long)(w->limit - w->at));
  return true;
}

uint64_t tn_object_bytes(const tn_object *object) { return object->bytes; }

bool tn_object_stream(const tn_object *object, tn_sink sink) {
  writer w = {object, sink, 0, 0};
  bool ok = put_elf_header(&w);
  for (size_t i = 0; i < object->outputs.n && ok; i++)
    if (!object->outputs.data[i]->stream) ok = put_section(&w, object->outputs.data[i]);
  for (size_t i = 0; i < object->outputs.n && ok; i++) ok = put_relocations(&w, object->outputs.data[i]);
  ok = ok && pad_to(&w, object->symtab_offset, 0) &&
       put(&w, object->symbols.data, object->symbols.n * sizeof(Elf64_Sym)) &&
       put(&w, object->strings.data, object->strings.n) &&
       put(&w, object->section_names.data, object->section_names.n) && put_section_headers(&w);
  for (size_t i = 0; i < object->outputs.n && ok; i++)
    if (object->outputs.data[i]->stream) ok = put_data(&w, object->outputs.data[i]);
  TN_ASSERT(!ok || w.at == object->bytes);
  return ok;
}
