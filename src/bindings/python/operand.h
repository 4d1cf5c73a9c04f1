// What an elementwise call takes: exact arrays, NumPy's scalars and Python's numbers.
#pragma once
#include <cstring>

#include "api/block.h"
#include "runtime/call_log.h"

namespace raptors {

// NEP 50: Python's int, float and complex are weak, their dtype follows the arrays'. Codes after
// NumPy's type numbers.
constexpr int weak_int = n_type_nums, weak_float = n_type_nums + 1, weak_complex = n_type_nums + 2;

struct Operand {
    int code;     // type number or weak
    DType dtype;  // of `data`; no_dtype while weak
    int nd;       // 0 for scalars
    const npy_intp* dims;
    const npy_intp* strides;
    char* data;
    PyObject* object;
    Element element;
};

template <class T>
inline bool store(void* element, T value) {
    std::memcpy(element, &value, sizeof value);
    return true;
}

// Whether one of Python's numbers is of the dtype's kind or a lower one.
bool is_of_kind(PyObject* x, DType t);
// A Python int or float as an element of dtype t. False: it does not fit, or NumPy warns of it.
bool store_int(PyObject* x, DType t, void* element);
bool store_float(double v, DType t, void* element);
bool store_complex(PyObject* x, DType t, void* element);

// Whether x can be an operand; weak scalars are stored once the loop's dtype is known.
bool read_operand(PyObject* o, Operand& x);
// A weak operand becomes an element of the loop's dtype; others are that already.
bool store_weak(Operand& x, DType t);
inline bool resolve_weak(Operand& x, DType t) { return x.code < weak_int || store_weak(x, t); }
// A resolved scalar becomes an element of dtype t: in the operand, never in a 0-d array.
bool convert_scalar(const Table& table, Operand& x, DType t);
// A scalar as an element of dtype t (Python and NumPy scalars that fit without a floating-point
// event): false if it does not.
bool scalar_element(PyObject* x, DType t, void* element);
// An element as NumPy's scalar of type number num.
PyObject* as_scalar(const char* data, DType t, int num);

// What stands for an operand's code where NumPy is asked about promotion: a dtype, or Python's type
// (`example`: a value of it).
pybind11::object code_object(int code, bool example);
DType dtype_of_object(const pybind11::handle& h);

}  // namespace raptors
