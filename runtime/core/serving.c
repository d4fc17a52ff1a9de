/* Of executables that read no files of data (runtime/core/serving.h). */
#include "runtime/core/serving.h"

const tnrt_serving tnrt_main_serving = {NULL, NULL};
