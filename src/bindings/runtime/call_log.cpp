#include "runtime/call_log.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>

#include "frame/run/blas.h"

namespace py = pybind11;

namespace raptors {

constinit thread_local LastDispatch last_dispatch
    __attribute__((tls_model("initial-exec"))) = {.entry = nullptr,
                                                  .nd = 0,
                                                  .shape = {},
                                                  .dtype = {},
                                                  .layout = {},
                                                  .why = {},
                                                  .isa = {},
                                                  .threads = 1,
                                                  .next_threads = 1,
                                                  .offload = {}};
Why declined;

namespace {

struct NamedEntry {
    std::string name;
    Entry entry;
};
// Never destroyed: entries are counted into until the very end of the process.
std::deque<NamedEntry>& entries() {
    static auto* all = new std::deque<NamedEntry>;
    return *all;
}

const char* const why_text[n_whys] = {
    "",
    "RAPTORS_DISABLE is set",
    "NumPy serves this function",
    "an operand is not an exact array, a NumPy scalar or a number",
    "no kernel for these dtypes",
    "a keyword that only NumPy handles",
    "the output overlaps an input",
    "shapes or axes that NumPy has to judge",
    "a value that does not fit the dtype, or a floating-point event in a cast",
    "advanced indexing",
    "no kernel: NumPy's own loop",
};
// After those of dtypes.def.
const char* const column_text[n_columns - n_dtypes] = {
    "float16", "longdouble", "complex64",  "complex128",  "clongdouble", "object", "bytes",
    "str",     "void",       "datetime64", "timedelta64", "StringDType", "other",  "none",
};
const char* const layout_text[n_layouts] = {"contiguous", "scalar", "strided"};

const char* name_of(Column c) {
    return index(c) < n_dtypes ? dtype_info[index(c)].name : column_text[index(c) - n_dtypes];
}

// Why NumPy serves a call of that function.
const char* reason(const Entry& e, Why why) {
    return why == Why::borrowed && e.reason ? e.reason : why_text[static_cast<int>(why)];
}

}  // namespace

const char* text_of(Why why) { return why_text[static_cast<int>(why)]; }

Column column_without_kernels(PyArray_Descr* descr) {
    switch (descr->type_num) {
        case NPY_HALF:
            return Column::float16;
        case NPY_LONGDOUBLE:
            return Column::longdouble;
        case NPY_CFLOAT:
            return Column::complex64;
        case NPY_CDOUBLE:
            return Column::complex128;
        case NPY_CLONGDOUBLE:
            return Column::clongdouble;
        case NPY_OBJECT:
            return Column::object;
        case NPY_STRING:
            return Column::bytes;
        case NPY_UNICODE:
            return Column::str;
        case NPY_VOID:
            return Column::structured;
        case NPY_DATETIME:
            return Column::datetime64;
        case NPY_TIMEDELTA:
            return Column::timedelta64;
        case NPY_VSTRING:
            return Column::string;
        default: {  // of the other byte order, say
            auto const num = static_cast<unsigned>(descr->type_num);
            DType const t = num < n_type_nums ? dtype_of_num[num] : no_dtype;
            return t == no_dtype ? Column::other : static_cast<Column>(t);
        }
    }
}

[[gnu::hot]] PyObject* first_array(PyObject* const* args, Py_ssize_t n) {
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = args[i];
        if ((PyTuple_Check(x) || PyList_Check(x)) && PySequence_Fast_GET_SIZE(x))
            x = PySequence_Fast_GET_ITEM(x, 0);
        if (is_exact(x) || PyArray_Check(x)) return x;
    }
    return nullptr;
}

Entry* new_entry(const char* name, const char* reason) {
    static auto* by_name = new std::unordered_map<std::string, Entry*>;
    auto [it, fresh] = by_name->try_emplace(name, nullptr);
    if (fresh) {
        NamedEntry& named = entries().emplace_back(NamedEntry{name, {}});
        named.entry.name = named.name.c_str();
        it->second = &named.entry;
    }
    if (!it->second->reason && reason && *reason) it->second->reason = reason;
    return it->second;
}

namespace {

// What objects that are no arrays are counted as. The last type is remembered, if it lives as long
// as the process.
[[gnu::noinline]] Column column_of_object(PyObject* x) {
    static PyTypeObject* known = nullptr;
    static Column column = Column::none;
    PyTypeObject* const t = Py_TYPE(x);
    if (t == known) return column;
    PyArray_Descr* const descr =
        PyArray_IsScalar(x, Generic) ? PyArray_DescrFromScalar(x) : nullptr;
    column = descr ? column_of(descr) : Column::none;
    known = PyType_HasFeature(t, Py_TPFLAGS_HEAPTYPE) ? nullptr : t;
    Py_XDECREF(descr);
    return column;
}

}  // namespace

[[gnu::hot]] void count_numpy(Entry* e, Why why, PyObject* operand) {
    LastDispatch& last = last_dispatch;
    last.entry = e;
    last.nd = -1;
    last.dtype = Column::none;
    last.why = process_active.table ? why : Why::disabled;
    last.isa = active().isa;
    last.threads = last.next_threads = 1;
    if (operand && (is_exact(operand) || PyArray_Check(operand))) {
        Fields const* f = fields(operand);
        last.dtype = column_of(f->descr);
        set_shape(last, f->nd, f->dimensions);
        last.layout = f->flags & NPY_ARRAY_C_CONTIGUOUS ? Layout::contiguous : Layout::strided;
    } else if (operand) {
        last.dtype = column_of_object(operand);
    }
    if (!e->numpy)
        e->numpy = static_cast<uint64_t*>(std::calloc(n_whys * n_columns, sizeof(uint64_t)));
    if (e->numpy) ++e->numpy[static_cast<size_t>(last.why) * n_columns + index(last.dtype)];
}

py::list report_rows() {
    py::list out;
    auto add = [&](const char* function, Column c, uint64_t flat, uint64_t strided, uint64_t blas,
                   uint64_t numpy, const char* reason) {
        py::dict row;
        row["function"] = function;
        row["dtype"] = name_of(c);
        row["native"] = flat + strided;
        row["blas"] = blas;
        row["numpy"] = numpy;
        row["reason"] = reason;
        row["contiguous"] = flat;
        row["strided"] = strided;
        out.append(row);
    };
    for (const NamedEntry& named : entries()) {
        const Entry& e = named.entry;
        for (size_t c = 0; c < n_columns; ++c) {
            auto const column = static_cast<Column>(c);
            uint64_t const strided = e.native[c][static_cast<int>(Layout::strided)];
            uint64_t const flat = e.native[c][0] + e.native[c][1];
            if (strided + flat) add(e.name, column, flat, strided, e.blas[c], 0, "");
            for (size_t w = 1; e.numpy && w < n_whys; ++w)
                if (uint64_t const n = e.numpy[w * n_columns + c])
                    add(e.name, column, 0, 0, 0, n, reason(e, static_cast<Why>(w)));
        }
    }
    return out;
}

void reset_report() {
    for (NamedEntry& named : entries()) {
        std::memset(named.entry.native, 0, sizeof named.entry.native);
        std::memset(named.entry.blas, 0, sizeof named.entry.blas);
        if (named.entry.numpy)
            std::memset(named.entry.numpy, 0, sizeof(uint64_t) * n_whys * n_columns);
    }
}

py::object explain_last_dispatch() {
    const LastDispatch& last = last_dispatch;
    if (!last.entry) return py::none();
    bool const native = last.why == Why::none;
    py::dict d;
    d["op"] = last.entry->name;
    d["shape"] = py::none();
    if (last.nd >= 0) {
        int const known = last.nd < 8 ? last.nd : 8;
        py::tuple shape(known);
        for (int i = 0; i < known; ++i) shape[static_cast<size_t>(i)] = py::int_(last.shape[i]);
        d["shape"] = shape;
    }
    d["dtype"] = last.dtype == Column::none ? py::object(py::none()) : py::str(name_of(last.dtype));
    d["layout"] =
        last.nd < 0 ? py::object(py::none()) : py::str(layout_text[static_cast<int>(last.layout)]);
    bool const product = native && last.offload.policy;
    bool const blas = product && last.offload.blas;
    d["backend"] = blas ? "blas" : native ? "raptors" : "numpy";
    d["isa"] = native && !blas ? py::object(py::str(isa_name(last.isa))) : py::none();
    d["threads"] = last.threads;
    d["reason"] = blas ? std::string(loaded_blas()->name) + " " + loaded_blas()->version +
                             ", by the backend policy"
                  : native ? std::string("native kernel, ") +
                                 layout_text[static_cast<int>(last.layout)] + " operands"
                           : std::string(reason(*last.entry, last.why));
    if (product) {
        d["policy"] = last.offload.policy;
        d["multiplications"] = last.offload.multiplications;
        d["blas_from"] = last.offload.blas_from;
    }
    return d;
}

}  // namespace raptors
