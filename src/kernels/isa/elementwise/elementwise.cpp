// Rows whose floating-point status nobody reads: compiled so that the compiler may raise flags (it
// vectorises more then).
#define RAPTORS_ROWS_REPORTS(...)
#define RAPTORS_ROWS_QUIET RAPTORS_ROW
#define RAPTORS_FILL fill_elementwise
#include "isa/elementwise/rows.h"
