/* tenon: the way of a model from file to program. */
#include "frontend/driver/driver.h"

static bool translate(tn_driver *driver, tn_input *input) {
  if (driver->options.verb == VERB_FMT) return tn_driver_format(driver, input);
  if (driver->options.verb == VERB_CHECK) return tn_driver_check(driver, input);
  if (driver->options.verb == VERB_INSPECT) return tn_driver_inspect(driver, input);
  if (driver->options.verb == VERB_DIFF) return tn_driver_diff(driver, input);
  if (driver->options.levels & LEVEL_AST) return tn_driver_print_tree(driver, input);
  if (!tn_driver_load(driver, input)) return false; /* file -> graph */
  if (driver->options.levels & LEVEL_SAFETENSORS)
    return tn_driver_write_safetensors(driver) && tn_driver_write_depfile(driver);
  if (driver->options.make == TN_MAKE_EVAL) return tn_driver_evaluate(driver);
  return tn_driver_compile(driver) &&    /* graph -> kernels -> planned program */
         tn_driver_emit(driver) &&       /* program -> code -> object -> what was asked for */
         tn_driver_write_page(driver) && tn_driver_write_depfile(driver);
}

int main(int argc, char **argv) {
  tn_driver driver;
  tn_driver_start(&driver, argc, argv);
  bool ok = tn_driver_parse(&driver);
  if (ok && !tn_driver_inform(&driver, &ok))
    for (size_t i = 0; i < driver.options.inputs.n; i++)
      if (!translate(&driver, &driver.options.inputs.data[i])) ok = false;
  return tn_driver_finish(&driver, ok);
}
