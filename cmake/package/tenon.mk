# Rules for make: models become objects with C headers, archives, shared libraries and programs.
#   include $(shell pkg-config --variable=makefile tenon)
#   program: main.o net.o        # net.onnx, net.tn or net.tnir beside it
#           $(CC) $^ $(TENON_LIBS) -o $@
#   main.o: net.h
# TENONFLAGS holds more options for all, TENONFLAGS_net for net. Depfiles are included, so that a change of weights or
# imports makes the model again.
TENON ?= tenon
TENON_LIBS ?= -lm -pthread
TENON_MODELS := $(wildcard *.onnx *.tn *.tnir)
TENON_COMPILE = $(TENON) $(TENONFLAGS) $(TENONFLAGS_$*) -MD -MF $@.d -MT $@ $< -o $@

define tenon_rules
%.o %.h: %.$(1)
	$$(TENON) $$(TENONFLAGS) $$(TENONFLAGS_$$*) -c -MD -MF $$*.o.d -MT $$*.o $$< -o $$*.o --header=$$*.h
lib%.a: %.$(1)
	$$(TENON_COMPILE) -static-lib --header=$$*.h --prefix=$$*
lib%.so: %.$(1)
	$$(TENON_COMPILE) -shared --header=$$*.h --prefix=$$*
endef
$(foreach kind,onnx tn tnir,$(eval $(call tenon_rules,$(kind))))

-include $(wildcard *.o.d *.a.d *.so.d)
