/* Of executables that read no files of data (runtime/serving.h). */
#include "runtime/serving.h"

const tnrt_serving tnrt_main_serving = {NULL, NULL};
