// The extension module: its functions by name. Registers, and nothing else.
#define RAPTORS_IMPORT_NUMPY
#include "python/pybind.h"

#include <pybind11/pybind11.h>

#include "array/free_lists.h"
#include "array/indexing.h"
#include "array/methods.h"
#include "array/thin_classes.h"
#include "array/type.h"
#include "frame/memory/caching_allocator.h"
#include "frame/memory/faults.h"
#include "frame/memory/streaming.h"
#include "frame/threads/pool.h"
#include "linalg/backend.h"
#include "linalg/blas_library.h"
#include "numpy/fallback.h"
#include "numpy/module_type.h"
#include "numpy/proxies.h"
#include "numpy/registry.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "python/array.h"
#include "runtime/call_log.h"
#include "runtime/introspection.h"
#include "runtime/isa_choice.h"
#include "runtime/kernel_choice.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

void define_settings(py::module_& m) {
    m.def("_set_simd", &enter_simd);
    m.def("_reset_simd", &leave_simd);
    m.def("get_simd", &simd, "Name of the instruction set whose kernels run in this context.");
    m.def("available_isas", &available_isas,
          "Names of the instruction sets of this build that this CPU and operating system "
          "support.");
    m.def("_disabled", &is_disabled);

    m.def("_set_num_threads", &set_num_threads);
    m.def("_process_limit", &process_limit);
    m.def("_set_process_limit", &set_process_limit);
    m.def("_enter_threads", &enter_threads);
    m.def("_leave_threads", &leave_threads);
    m.def("get_num_threads", &current_threads,
          "How many threads a call may use in this context, the calling one among them.");

    m.def("_set_backend_policy", &set_backend_policy);
    m.def("_enter_backend_policy", &enter_backend_policy);
    m.def("_leave_backend_policy", &leave_backend_policy);
    m.def("get_backend_policy", &backend_policy,
          "Who multiplies matrices in this context: \"auto\", \"raptors\" or \"blas\".");
    m.def("_blas_info", &blas_info);
    m.def("_load_blas", &load_blas);
    m.def("_blas_multiply", &blas_multiply);
}

void define_figures(py::module_& m) {
    m.def("_bind_figures", &bind_figures);
    m.def("_measure_costs", &measure_costs);
    m.def("_measure_families", &measure_families);
    m.def("_set_families", &set_families);
    m.def("_set_costs", &set_costs);
    m.def("_measure_stream_from", &find_stream_from);
    m.def("_set_stream_from", &set_stream_from);
    m.def("_stream_from", &stream_from);
    m.def("_measure_hand_off", &find_hand_off);
    m.def("_pool_limits", &hand_off_limits);
    m.def("_set_pool_limits", &set_hand_off_limits);
    m.def("_set_blas_from", &set_multiplications_for_blas);
    m.def("_blas_from", &multiplications_for_blas);
    m.def("_learnt_blas_from", &learnt_blas_from);
    m.def("_pool_stats", &pool_report);
}

void define_reports(py::module_& m) {
    m.def("_memory_stats", &memory_stats);
    m.def("_trim", &trim);
    m.def("_set_cache_limit", &limit_cache);
    m.def("_fail_allocation", &fail_allocation);
    m.def("_use_handler", &use_handler);

    m.def("_report_rows", &report_rows);
    m.def("_reset_report", &reset_report);
    m.def("explain_last_dispatch", &explain_last_dispatch,
          "How the calling thread's last operation ran: a dict of op, shape (the first 8 lengths), "
          "dtype, layout,\n"
          "backend (\"raptors\", \"blas\" or \"numpy\"), isa, threads and reason; None before the "
          "first one.\n"
          "All but the shortest products of float matrices have the policy, their "
          "multiplications, and from how many on "
          "\"auto\"\n"
          "takes BLAS.");
    m.def("ops", &op_table,
          "The op table: a list of dicts of name, kind, inputs, types (dtypes with kernels), "
          "result, reports (floating-point\n"
          "status goes to errstate), exact (bit-identical to NumPy), doc, aliases; for reductions "
          "ufunc; for functions that\n"
          "are approximated ulp (bound of the error by dtype) and domain.");
    m.def("_build", &build_info);
}

// What the package is made of.
void define_names(py::module_& m) {
    for (PyTypeObject* type : {array_type, ufunc_type, function_type, builtin_type}) {
        auto const t = py::handle(reinterpret_cast<PyObject*>(type));
        m.attr(t.attr("__name__")) = t;
    }
    m.def("_bind", &bind_hooks);
    m.def("_bind_reducer", &bind_reducer);
    m.def("_wrap", &wrap);
    m.def("_view_mode", &view_mode);
    m.def("_name_rows", &name_rows);
    m.def("_unwrap", &unwrap);
    m.def("_is_native", &is_native);
    m.def("_adopt_class", [](const py::type& numpy, const py::type& own, bool views) {
        adopt_class(reinterpret_cast<PyTypeObject*>(numpy.ptr()),
                    reinterpret_cast<PyTypeObject*>(own.ptr()), views);
    });
    m.def("_memmap_methods", &memmap_methods);
    m.def("_recarray_methods", &recarray_methods);
    m.def("_masked_data", &masked_data);
    m.def("_adopt_package", &adopt_package);
    m.def("_find_name", &find_name);
    m.def("_ask", &ask_and_translate);
}

}  // namespace
}  // namespace raptors

PYBIND11_MODULE(_raptors_core, m) {
    m.doc() = "The compiled part of raptors. Use raptors.";
    if (_import_array() < 0 || _import_umath() < 0) throw py::error_already_set();
    using namespace raptors;
    init_dtypes();
    init_object_cache();
    init_ufuncs();
    init_reductions();
    init_indexing();
    init_policy();
    init_threads();
    init_blas();
    init_backend();
    init_array_type();
    init_proxies();
    init_namespace();
    define_settings(m);
    define_figures(m);
    define_reports(m);
    define_names(m);
}
