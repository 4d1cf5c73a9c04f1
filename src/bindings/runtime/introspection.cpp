#include "runtime/introspection.h"

#include <algorithm>
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

py::list finish_steps(const Finish& finish) {
    static const std::pair<Finish::Step, const char*> names[] = {
        {Finish::DIVIDE, "divide"},
        {Finish::ROOT, "root"},
        {Finish::PYTHON_INT, "Python int"},
        {Finish::WARNS_OF_NAN, "warns of NaN"},
        {Finish::MINUS, "minus"}};
    py::list steps;
    for (auto const& [step, name] : names)
        if (finish.has(step)) steps.append(name);
    return steps;
}

bool is_reducing(Op op) {
    return std::ranges::any_of(combine_info,
                               [op](const CombineInfo& info) { return info.ufunc == op; });
}

}  // namespace

py::list op_table() {
    static const char* const maps[] = {"elements", "truth", "NaN is identity", "square",
                                       "deviation"};
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
        row["reduces"] = is_reducing(static_cast<Op>(i));
        rows.append(row);
    }
    for (const ReductionInfo& r : reduction_info) {
        const CombineInfo& combine = combine_info[index(r.steps.combine)];
        bool const plain = r.steps.map.kind == Map::ELEMENTS && !r.steps.finish.steps;
        py::dict row;
        row["name"] = (r.home == ReductionInfo::LINALG ? "linalg." : "") + std::string(r.name);
        row["kind"] = combine.is_index() ? "argreduce" : "reduce";
        row["inputs"] = 1;
        row["types"] = type_names(r.types);
        row["result"] = combine.is_index() ? "int64" : "accumulator";
        row["reports"] = !combine.exact;
        row["exact"] = r.exact;
        row["doc"] = r.doc;
        row["aliases"] = py::list();
        row["map"] = maps[index(r.steps.map.kind)];
        row["combine"] = combine.name;
        row["finish"] = finish_steps(r.steps.finish);
        row["ufunc"] = plain && combine.ufunc != Op::count ? py::object(py::str(combine.name))
                                                           : py::object(py::none());
        row["method"] = r.home == ReductionInfo::METHOD;
        row["parameters"] = r.parameters;
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
