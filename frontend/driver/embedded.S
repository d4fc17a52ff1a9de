#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
/* The runtimes inside the compiler, so that a lone tenon can make programs. The paths come from the build. */
  .section .rodata.runtime, "a", @progbits
  .macro embed name, path
  .globl tn_embedded_\name, tn_embedded_\name\()_end
  .balign 16
tn_embedded_\name:
  .incbin "\path"
tn_embedded_\name\()_end:
  .endm
#ifdef TENON_RUNTIME_x86_64
  embed x86_64, TEXT(TENON_RUNTIME_x86_64)
#endif
#ifdef TENON_TRAIN_x86_64
  embed train_x86_64, TEXT(TENON_TRAIN_x86_64)
#endif
#ifdef TENON_TRAIN_aarch64
  embed train_aarch64, TEXT(TENON_TRAIN_aarch64)
#endif
#ifdef TENON_RUNTIME_aarch64
  embed aarch64, TEXT(TENON_RUNTIME_aarch64)
#endif
  .section .note.GNU-stack, "", @progbits
