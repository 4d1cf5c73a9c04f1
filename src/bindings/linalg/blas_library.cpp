#include "linalg/blas_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "python/array.h"
#include "python/environment.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr size_t longest_name = 1000;
bool tried;

#if defined(__APPLE__)
std::string own_library() { return "/System/Library/Frameworks/Accelerate.framework/Accelerate"; }
#else
// The copy beside this module.
std::string own_library() {
    Dl_info info;
    if (!dladdr(reinterpret_cast<void*>(&init_blas), &info) || !info.dli_fname) return "";
    std::string const module = info.dli_fname;
    std::string const file =
        module.substr(0, module.rfind('/') + 1) + "_openblas/libopenblas_raptors.so";
    return access(file.c_str(), R_OK) == 0 && file.size() <= longest_name ? file : "";
}
#endif

std::string wanted_library() {
    const char* const env = std::getenv("RAPTORS_BLAS");
    if (!env || !*env || std::strcmp(env, "auto") == 0) return own_library();
    std::string name = env;
    if (name == "none") return "";
    if (name.size() > longest_name ||
        (name.find('/') != std::string::npos && access(env, R_OK) != 0))
        refuse_value("RAPTORS_BLAS",
                     "auto, none, the name of a library or a file that can be read");
    return name;
}

BlasType type_of(PyArray_Descr* descr) {
    switch (descr->type_num) {
        case NPY_FLOAT:
            return BlasType::float32;
        case NPY_DOUBLE:
            return BlasType::float64;
        case NPY_CFLOAT:
            return BlasType::complex64;
        case NPY_CDOUBLE:
            return BlasType::complex128;
        default:
            throw py::type_error("no type of BLAS");
    }
}

}  // namespace

const Blas* blas_library() {
    const Blas* const b = loaded_blas();
    if (b || tried) [[likely]]
        return b;
    tried = true;
    const Blas* const found = blas();
    if (!found && *chosen_blas())
        PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "raptors goes on without BLAS: %s",
                         blas_failure());
    return found;
}

bool load_blas() {
    bool const found = blas_library() != nullptr;
    if (PyErr_Occurred()) throw py::error_already_set();
    return found;
}

void init_blas() { choose_blas(wanted_library().c_str()); }

py::dict blas_info(int threads) {
    py::dict d;
    const Blas* const b = loaded_blas();
    BlasStats const s = blas_stats();
    d["user_api"] = "blas";
    d["loaded"] = b != nullptr;
    d["requested"] = chosen_blas();
    d["error"] = blas_failure();
    if (b) {
        d["name"] = b->name;
        d["version"] = b->version;
        d["filepath"] = b->file;
        d["prefix"] = b->prefix;
        d["suffix"] = b->suffix;
        d["interface"] = b->ilp64 ? "ILP64" : "LP64";
        d["threading_layer"] = b->layer;
        d["architecture"] = b->architecture;
        d["configuration"] = b->config;
        d["num_threads"] = blas_threads(threads);
        d["races"] = b->races;
    }
    d["calls"] = s.calls;
    d["copied"] = s.copied;
    return d;
}

bool blas_multiply(const py::object& a, const py::object& b, const py::object& c, int threads) {
    const Blas* const library = blas_library();
    if (PyErr_Occurred()) throw py::error_already_set();
    if (!library) throw py::value_error("no BLAS");
    BlasMatrix m[3];
    const Fields* f[3];
    for (int i = 0; i < 3; ++i) {
        PyObject* const o = (i == 0 ? a : i == 1 ? b : c).ptr();
        if (!PyArray_Check(o)) throw py::type_error("no array");
        f[i] = fields(o);
        if (f[i]->nd != 2 || f[i]->descr != f[0]->descr ||
            !blas_matrix(f[i]->data, f[i]->dimensions[0], f[i]->dimensions[1], f[i]->strides[0],
                         f[i]->strides[1], type_of(f[i]->descr), &m[i]))
            throw py::value_error("not as BLAS takes it");
    }
    npy_intp const rows = f[0]->dimensions[0], inner = f[0]->dimensions[1];
    npy_intp const columns = f[1]->dimensions[1];
    if (f[1]->dimensions[0] != inner || f[2]->dimensions[0] != rows ||
        f[2]->dimensions[1] != columns)
        throw py::value_error("shapes do not match");
    BlasType const t = type_of(f[0]->descr);
    PyThreadState* const state = PyEval_SaveThread();
    bool done;
    {
        BlasUse const use(*library, threads);
        done = use.gemm(t, rows, columns, inner, 1, m[0], m[1], 0, m[2]);
    }
    take_gil(state);
    return done;
}

}  // namespace raptors
