#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
/* The text of runtime/tenon.h, a part of every header that is written. The path comes from the build. */
  .section .rodata.header, "a", @progbits
  .globl tn_common_header, tn_common_header_end
tn_common_header:
  .incbin TEXT(TENON_COMMON_HEADER)
tn_common_header_end:
  .section .note.GNU-stack, "", @progbits
