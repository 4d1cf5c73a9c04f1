// Rows whose floating-point status is reported: compiled with strict flags.
#define RAPTORS_ROWS_REPORTS RAPTORS_ROW
#define RAPTORS_ROWS_QUIET(...)
#define RAPTORS_FILL fill_arithmetic
#include "isa/elementwise/rows.h"
