" How files of the tenon language are edited: comments, indent, and `tenon fmt` behind gq.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1
setlocal commentstring=#\ %s comments=b:##,b:# formatoptions+=croql formatoptions-=t
setlocal expandtab shiftwidth=2 softtabstop=2
if executable("tenon")
  setlocal equalprg=tenon\ fmt\ -
  setlocal makeprg=tenon\ check\ %:S errorformat=%f:%l:%c:\ %trror:\ %m,%f:%l:%c:\ %tote:\ %m,%-G%.%#
endif
let b:undo_ftplugin = "setlocal commentstring< comments< formatoptions< expandtab< shiftwidth< softtabstop< equalprg< makeprg< errorformat<"
