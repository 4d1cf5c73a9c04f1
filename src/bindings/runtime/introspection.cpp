#include "runtime/introspection.h"

#include <string>

#include "api/table.h"
#include "dispatch.h"
#include "python/array.h"

namespace py = pybind11;

namespace raptors {
namespace {

py::list type_names(uint32_t types) {
    py::list names;
    for (int t = 0; t < n_dtypes; ++t)
        if (types >> t & 1U) names.append(dtype_info[t].name);
    return names;
}

}  // namespace

py::list op_table() {
    static const char* const kinds[] = {"", "unary", "binary", "ternary"};
    py::list rows;
    for (int i = 0; i < n_ops; ++i) {
        const OpInfo& o = op_info[i];
        py::dict row;
        row["name"] = o.name;
        row["kind"] = kinds[o.inputs];
        row["inputs"] = o.inputs;
        row["types"] = type_names(o.types);
        row["outputs"] = o.outputs;
        row["signature"] = o.signature;
        char const result = o.letters[o.inputs];
        row["result"] = result == '?' ? "boolean" : result == 'R' ? "real" : "same";
        row["reports"] = o.reporting != 0;
        row["exact"] = o.accuracy.exact();
        if (!o.accuracy.exact()) {
            py::dict ulp;
            ulp[dtype_info[index(DType::float32)].name] = o.accuracy.ulp32;
            ulp[dtype_info[index(DType::float64)].name] = o.accuracy.ulp64;
            row["ulp"] = ulp;
            row["domain"] = py::make_tuple(o.accuracy.low, o.accuracy.high);
        }
        row["doc"] = o.doc;
        py::list aliases;
        for (int a = 0; a < n_aliases; ++a)
            if (alias_info[a].op == static_cast<Op>(i)) aliases.append(alias_info[a].name);
        row["aliases"] = aliases;
        rows.append(row);
    }
    for (int i = 0; i < n_folds; ++i) {
        const FoldInfo& f = fold_info[i];
        py::dict row;
        row["name"] = f.name;
        row["kind"] = f.index ? "argreduce" : "reduce";
        row["inputs"] = 1;
        row["types"] = type_names(f.types);
        row["result"] = f.index ? "int64" : "accumulator";
        row["reports"] = !f.exact;
        row["exact"] = f.exact;
        row["doc"] = f.doc;
        row["aliases"] = py::list();
        row["ufunc"] = f.index ? py::object(py::none()) : py::str(op_info[index(f.ufunc)].name);
        rows.append(row);
    }
    for (int i = 0; i < n_scans; ++i) {
        const ScanInfo& s = scan_info[i];
        const OpInfo& combine = op_info[index(s.combine)];
        py::dict row;
        row["name"] = std::string(combine.name) + ".accumulate";
        row["kind"] = "scan";
        row["inputs"] = 1;
        row["types"] = type_names(s.types);
        row["result"] = "accumulator";
        row["reports"] = combine.reporting != 0;
        row["exact"] = true;
        row["doc"] = s.doc;
        py::list functions;
        for (int c = 0; c < n_cumulative; ++c)
            if (cumulative_info[c].scan == static_cast<Scan>(i))
                functions.append(cumulative_info[c].name);
        row["aliases"] = functions;
        row["ufunc"] = combine.name;
        rows.append(row);
    }
    return rows;
}

py::dict build_info() {
    py::dict d;
    d["compiler"] = RAPTORS_COMPILER;
    d["flags"] = RAPTORS_FLAGS;
    d["openblas"] = RAPTORS_OPENBLAS;
    d["build_type"] = RAPTORS_BUILD_TYPE;
    d["system"] = RAPTORS_SYSTEM;
    py::list isas;
    for (int i = 0; i < n_isas; ++i)
        if (isa_compiled(static_cast<Isa>(i))) isas.append(isa_name(static_cast<Isa>(i)));
    d["isas"] = isas;
    return d;
}

}  // namespace raptors
