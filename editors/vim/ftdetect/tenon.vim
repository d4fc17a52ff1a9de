autocmd BufNewFile,BufRead *.tn setfiletype tenon
