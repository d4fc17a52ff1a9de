" Syntax of the tenon language (.tn); grammar/LANGUAGE.md is its reference. Words are held against
" frontend/lang/keywords.def by tests/lang/test_editors.py.
if exists("b:current_syntax")
  finish
endif

syntax keyword tenonKeyword import let return param buffer sub for in scan yield every stop when on
syntax keyword tenonKeyword require freeze unfreeze params
syntax keyword tenonOperatorWord and or not
syntax keyword tenonConstant true false none all
syntax keyword tenonType f64 f32 f16 bf16 f8e4m3 f8e5m2 i64 i32 i16 i8 i4 u64 u32 u16 u8 u4 bool
syntax keyword tenonType class token image int float text init dtype
" These are keywords at the beginning of an item and names elsewhere.
syntax match tenonItem "\v^\s*<%(data|train|model|module|compress|deploy|test|mesh|dim)>\ze\s+[A-Za-z_\"]"
" These are keywords between names.
syntax match tenonItem "\v%([A-Za-z0-9_)\"]\s+)@<=<%(from|along|carry|as)>\ze\s+[A-Za-z_\"]"
syntax match tenonNumber "\v<\d[0-9_]*%(\.\d[0-9_]*)?%([eE][+-]?\d+)?%(B|[KMGT]iB|[kMGT]B|us|ms|s|min|h)?>"
syntax match tenonNumber "\v<0[xX][0-9a-fA-F_]+>"
syntax match tenonEscape contained "\v\\%(x\x\x|\o{1,3}|.)"
syntax region tenonString start=+"+ skip=+\\.+ end=+"+ oneline contains=tenonEscape
syntax match tenonOperator "|>\|->\|\.\."
syntax match tenonNamed "\v<\h\w*>\ze\s*:"
syntax match tenonComment "#.*$" contains=@Spell
syntax match tenonDoc "^\s*##.*$" contains=@Spell

highlight default link tenonKeyword Statement
highlight default link tenonItem Structure
highlight default link tenonOperatorWord Operator
highlight default link tenonConstant Constant
highlight default link tenonType Type
highlight default link tenonNumber Number
highlight default link tenonString String
highlight default link tenonEscape SpecialChar
highlight default link tenonOperator Operator
highlight default link tenonNamed Identifier
highlight default link tenonComment Comment
highlight default link tenonDoc SpecialComment

let b:current_syntax = "tenon"
