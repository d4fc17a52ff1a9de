/* The language's own library, as text in the compiler. The folder comes from the build. */
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
  .section .rodata.std, "a", @progbits
  .macro embed name, path
  .globl tn_std_\name, tn_std_\name\()_end
tn_std_\name:
  .incbin "\path"
tn_std_\name\()_end:
  .endm
  embed nn, TEXT(TENON_STD/nn.tn)
  embed vision, TEXT(TENON_STD/vision.tn)
  .section .note.GNU-stack, "", @progbits
