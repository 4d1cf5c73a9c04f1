// The extension module: registers, and nothing else.
#define RAPTORS_IMPORT_NUMPY
#include "pybind.h"

#include "array.h"
#include "array_type.h"
#include "backend.h"
#include "blas_library.h"
#include "elementwise.h"
#include "indexing.h"
#include "introspection.h"
#include "ledger.h"
#include "namespace.h"
#include "object_cache.h"
#include "policy.h"
#include "reductions.h"
#include "threads.h"
#include "ufunc.h"

namespace py = pybind11;

PYBIND11_MODULE(_raptors_core, m) {
    m.doc() = "The compiled part of raptors. Use raptors.";
    if (_import_array() < 0 || _import_umath() < 0) throw py::error_already_set();
    using namespace raptors;
    init_dtypes();
    init_object_cache();
    init_elementwise();
    init_reductions();
    init_indexing();
    register_policy(m);
    register_threads(m);
    register_blas(m);
    register_backend(m);
    register_ledger(m);
    register_object_cache(m);
    register_array_type(m);
    register_ufuncs(m);
    register_introspection(m);
    register_namespace(m);
}
