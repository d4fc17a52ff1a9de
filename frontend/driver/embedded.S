#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
/* The runtime inside the compiler, so that a lone tenon can make programs. The paths come from the build. */
  .section .rodata.runtime, "a", @progbits
  .macro embed name, path
  .globl tn_embedded_\name, tn_embedded_\name\()_end
  .balign 16
tn_embedded_\name:
  .incbin "\path"
tn_embedded_\name\()_end:
  .endm
  embed program, TEXT(TENON_RUNTIME_PROGRAM)
  embed library, TEXT(TENON_RUNTIME_LIBRARY)
  embed library1, TEXT(TENON_RUNTIME_LIBRARY1)
  .section .note.GNU-stack, "", @progbits
