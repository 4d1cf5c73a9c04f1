#include "python/operand.h"

#include "api/table.h"

#include <cmath>
#include <limits>

namespace py = pybind11;

namespace raptors {
namespace {

struct ScalarType {
    PyTypeObject* type;
    int num;
    int offset;  // of the value in the object
};
#define RAPTORS_SCALAR(Name, NUM) \
    {&Py##Name##ArrType_Type, NUM, offsetof(Py##Name##ScalarObject, obval)}
const ScalarType* find_scalar(PyTypeObject* t) {
    static const ScalarType all[] = {
        RAPTORS_SCALAR(Double, NPY_DOUBLE),
        RAPTORS_SCALAR(Float, NPY_FLOAT),
        RAPTORS_SCALAR(Long, NPY_LONG),
        RAPTORS_SCALAR(Bool, NPY_BOOL),
        RAPTORS_SCALAR(Int, NPY_INT),
        RAPTORS_SCALAR(ULong, NPY_ULONG),
        RAPTORS_SCALAR(UByte, NPY_UBYTE),
        RAPTORS_SCALAR(Byte, NPY_BYTE),
        RAPTORS_SCALAR(Short, NPY_SHORT),
        RAPTORS_SCALAR(UShort, NPY_USHORT),
        RAPTORS_SCALAR(UInt, NPY_UINT),
        RAPTORS_SCALAR(LongLong, NPY_LONGLONG),
        RAPTORS_SCALAR(ULongLong, NPY_ULONGLONG),
        RAPTORS_SCALAR(Half, NPY_HALF),
        RAPTORS_SCALAR(CFloat, NPY_CFLOAT),
        RAPTORS_SCALAR(CDouble, NPY_CDOUBLE),
    };
    for (const ScalarType& s : all)
        if (s.type == t) return &s;
    return nullptr;
}
#undef RAPTORS_SCALAR

template <class T>
bool store_integer(void* element, long long value) {
    return value >= static_cast<long long>(std::numeric_limits<T>::min()) &&
           (value < 0 || static_cast<unsigned long long>(value) <=
                             static_cast<unsigned long long>(std::numeric_limits<T>::max())) &&
           store(element, static_cast<T>(value));
}

}  // namespace

bool is_of_kind(PyObject* x, DType t) {
    if (PyBool_Check(x)) return true;
    if (PyLong_CheckExact(x)) return t != DType::boolean;
    if (PyFloat_CheckExact(x)) return is_floating(t) || is_complex(t);
    return PyComplex_CheckExact(x) && is_complex(t);
}

bool store_int(PyObject* x, DType t, void* element) {
    int overflow = 0;
    long long const v = PyLong_AsLongLongAndOverflow(x, &overflow);
    if (overflow) {
        if (overflow < 0 || t != DType::uint64) return false;
        unsigned long long const u = PyLong_AsUnsignedLongLong(x);
        if (u == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
            PyErr_Clear();
            return false;
        }
        return store(element, static_cast<uint64_t>(u));
    }
    return with_type(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_same_v<T, boolean>) {
            return false;
        } else if constexpr (std::is_integral_v<T>) {
            return store_integer<T>(element, v);
        } else {
            constexpr long long exact = 1LL << 53;
            return v <= exact && v >= -exact && store_float(static_cast<double>(v), t, element);
        }
    });
}

bool store_float(double v, DType t, void* element) {
    if (t == DType::float64) return store(element, v);
    DType const part = real_part(t);
    if (!is_floating(part)) return false;
    std::memset(element, 0, static_cast<size_t>(item_size(t)));
    if (part == DType::float64) return store(element, v);
    // Out of the dtype's range: NumPy warns of the cast.
    constexpr double largest_half = 65504, smallest_half = 0x1p-14;
    bool const single = part == DType::float32;
    double const largest =
        single ? static_cast<double>(std::numeric_limits<float>::max()) : largest_half;
    double const smallest =
        single ? static_cast<double>(std::numeric_limits<float>::min()) : smallest_half;
    if (std::isfinite(v) && std::fabs(v) > largest) return false;
    if (v != 0 && std::fabs(v) < smallest) return false;
    if (single) return store(element, static_cast<float>(v));
    Block one{};
    one.data[0] = reinterpret_cast<char*>(&v);
    one.data[1] = static_cast<char*>(element);
    one.n = one.rows = 1;
    active().table->cast[index(DType::float64)][index(part)](one, nullptr);
    return true;
}

bool store_complex(PyObject* x, DType t, void* element) {
    if (!is_complex(t)) return false;
    Element imaginary;
    DType const part = real_part(t);
    if (!store_float(PyComplex_RealAsDouble(x), t, element) ||
        !store_float(PyComplex_ImagAsDouble(x), part, imaginary))
        return false;
    auto const size = static_cast<size_t>(item_size(part));
    std::memcpy(static_cast<char*>(element) + size, imaginary, size);
    return true;
}

bool read_operand(PyObject* o, Operand& x) {
    x.object = o;
    if (is_exact(o)) {
        Fields* f = fields(o);
        x.dtype = dtype_of(f->descr);
        if (x.dtype == no_dtype) {
            declined = Why::dtype;
            return false;
        }
        x.code = f->descr->type_num;
        x.nd = f->nd;
        x.dims = f->dimensions;
        x.strides = f->strides;
        x.data = f->data;
        return true;
    }
    x.nd = 0;
    x.dims = x.strides = nullptr;
    x.data = x.element;
    x.dtype = no_dtype;
    if (PyFloat_CheckExact(o)) {
        x.code = weak_float;
        return true;
    }
    if (PyLong_CheckExact(o)) {
        x.code = weak_int;
        return true;
    }
    if (PyComplex_CheckExact(o)) {
        x.code = weak_complex;
        return true;
    }
    if (PyBool_Check(o)) {
        x.code = NPY_BOOL;
        x.dtype = DType::boolean;
        x.element[0] = o == Py_True;
        return true;
    }
    if (const ScalarType* s = find_scalar(Py_TYPE(o)); s && dtype_of_num[s->num] != no_dtype) {
        x.code = s->num;
        x.dtype = dtype_of_num[s->num];
        std::memcpy(x.element, reinterpret_cast<char*>(o) + s->offset,
                    static_cast<size_t>(item_size(x.dtype)));
        return true;
    }
    declined = Why::type;
    return false;
}

bool store_weak(Operand& x, DType t) {
    x.dtype = t;
    bool const ok = x.code == weak_int     ? store_int(x.object, t, x.element)
                    : x.code == weak_float ? store_float(PyFloat_AS_DOUBLE(x.object), t, x.element)
                                           : store_complex(x.object, t, x.element);
    if (!ok) declined = Why::value;
    return ok;
}

bool convert_scalar(const Table& table, Operand& x, DType t) {
    if (!quiet_cast(x.dtype, t)) {
        declined = Why::value;
        return false;
    }
    Element converted;
    Block one{};
    one.data[0] = x.data;
    one.data[1] = converted;
    one.n = one.rows = 1;
    table.cast[index(x.dtype)][index(t)](one, nullptr);
    x.element = converted;
    x.data = x.element;
    x.dtype = t;
    return true;
}

bool scalar_element(PyObject* x, DType t, void* element) {
    Operand o;
    if (is_exact(x) || !read_operand(x, o)) return false;
    if (!resolve_weak(o, t) || o.dtype != t) return false;
    std::memcpy(element, o.element, static_cast<size_t>(item_size(t)));
    return true;
}

PyObject* as_scalar(const char* data, DType t, int num) {
    if (t == DType::float64) {
        PyObject* s = PyArrayScalar_New(Double);
        if (s) std::memcpy(&PyArrayScalar_VAL(s, Double), data, sizeof(double));
        return s;
    }
    if (t == DType::float32) {
        PyObject* s = PyArrayScalar_New(Float);
        if (s) std::memcpy(&PyArrayScalar_VAL(s, Float), data, sizeof(float));
        return s;
    }
    if (t == DType::boolean) PyArrayScalar_RETURN_BOOL_FROM_LONG(*data);
    return PyArray_Scalar(const_cast<char*>(data), descr_of_num[num], nullptr);
}

py::object code_object(int code, bool example) {
    auto const weak = [example](PyTypeObject& type) {
        py::object const cls =
            py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&type));
        return example ? cls() : cls;
    };
    if (code == weak_int) return weak(PyLong_Type);
    if (code == weak_float) return weak(PyFloat_Type);
    if (code == weak_complex) return weak(PyComplex_Type);
    return py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(PyArray_DescrFromType(code)));
}

DType dtype_of_object(const py::handle& h) {
    return dtype_of(reinterpret_cast<PyArray_Descr*>(h.ptr()));
}

}  // namespace raptors
