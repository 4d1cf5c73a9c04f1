#include "ledger.h"

#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>

#include "frame/blas.h"

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

struct Named {
    std::string name;
    Entry entry;
};
// Never destroyed: entries are counted into until the very end of the process.
std::deque<Named>& entries() {
    static auto* all = new std::deque<Named>;
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
const char* const layout_text[n_layouts] = {"contiguous", "scalar", "strided"};

}  // namespace

Entry* new_entry(const char* name) {
    static auto* by_name = new std::unordered_map<std::string, Entry*>;
    auto [it, fresh] = by_name->try_emplace(name, nullptr);
    if (fresh) {
        Named& named = entries().emplace_back(Named{name, {}});
        named.entry.name = named.name.c_str();
        it->second = &named.entry;
    }
    return it->second;
}

void count_numpy(Entry* e, Why why, PyObject* operand) {
    LastDispatch& last = last_dispatch;
    last.entry = e;
    last.nd = -1;
    last.dtype = no_dtype;
    last.why = process_active.table ? why : Why::disabled;
    last.isa = active().isa;
    last.threads = last.next_threads = 1;
    if (operand && PyArray_Check(operand)) {
        Fields const* f = fields(operand);
        last.dtype = dtype_of(f->descr);
        last.nd = f->nd;
        for (int i = 0; i < f->nd && i < 8; ++i) last.shape[i] = f->dimensions[i];
        last.layout =
            PyArray_IS_C_CONTIGUOUS(as_array(operand)) ? Layout::contiguous : Layout::strided;
    }
    ++e->numpy[static_cast<int>(last.why)][index(last.dtype)];
}

py::list report_rows() {
    py::list out;
    for (const Named& named : entries()) {
        const Entry& e = named.entry;
        for (int t = 0; t <= n_dtypes; ++t) {
            const char* dtype = t < n_dtypes ? dtype_info[t].name : "other";
            if (t < n_dtypes) {
                uint64_t const strided = e.native[t][static_cast<int>(Layout::strided)];
                uint64_t const flat = e.native[t][0] + e.native[t][1];
                if (strided + flat) {
                    py::dict row;
                    row["function"] = named.name;
                    row["dtype"] = dtype;
                    row["native"] = strided + flat;
                    row["blas"] = e.blas[t];
                    row["numpy"] = 0;
                    row["reason"] = "";
                    row["contiguous"] = flat;
                    row["strided"] = strided;
                    out.append(row);
                }
            }
            for (int w = 1; w < n_whys; ++w)
                if (e.numpy[w][t]) {
                    py::dict row;
                    row["function"] = named.name;
                    row["dtype"] = dtype;
                    row["native"] = 0;
                    row["blas"] = 0;
                    row["numpy"] = e.numpy[w][t];
                    row["reason"] = why_text[w];
                    row["contiguous"] = 0;
                    row["strided"] = 0;
                    out.append(row);
                }
        }
    }
    return out;
}

void reset_report() {
    for (Named& named : entries()) {
        std::memset(named.entry.native, 0, sizeof named.entry.native);
        std::memset(named.entry.blas, 0, sizeof named.entry.blas);
        std::memset(named.entry.numpy, 0, sizeof named.entry.numpy);
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
    d["dtype"] = last.dtype == no_dtype ? py::object(py::none())
                                        : py::str(dtype_info[index(last.dtype)].name);
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
                           : std::string(why_text[static_cast<int>(last.why)]);
    if (product) {
        d["policy"] = last.offload.policy;
        d["multiplications"] = last.offload.multiplications;
        d["blas_from"] = last.offload.blas_from;
    }
    return d;
}

}  // namespace raptors
