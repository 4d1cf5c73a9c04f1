#include "array/free_lists.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "array/temporaries.h"
#include "frame/memory/caching_allocator.h"
#include "frame/memory/faults.h"
#include "frame/memory/scratch.h"
#include "python/environment.h"

namespace py = pybind11;

// Python 3.11 declares these without extern "C" (fixed in 3.12): name the C symbols ourselves.
extern "C" int raptors_trace_track(unsigned, uintptr_t, size_t) __asm__("PyTraceMalloc_Track");
extern "C" int raptors_trace_untrack(unsigned, uintptr_t) __asm__("PyTraceMalloc_Untrack");

namespace raptors {
namespace {

constexpr unsigned trace_domain = 389047;  // NumPy's own
constexpr int max_cached_dims = 4;
constexpr int max_parked = 64, max_parked_longer = 8;  // arrays of a class; above small_block
constexpr size_t parked_block = size_t{16} << 10;      // longer blocks are never parked
constexpr int new_flags =
    NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_WRITEABLE | NPY_ARRAY_OWNDATA;

// Newest NumPy whose array object this layout of fields was tested with; newer ones run without
// object reuse.
constexpr unsigned newest_major = 2, newest_minor = 5;

// Parked objects, one stack per ndim: NumPy frees `dimensions` by 2 * nd, so nd never changes while
// parked.
struct Parked {
    PyObject* items[max_parked];
    int n;
};
// Arrays with a block, by its capacity.
Parked whole[size_class(parked_block).index + 1][max_cached_dims + 1];
Parked our_views[max_cached_dims + 1];   // no data
Parked base_views[max_cached_dims + 1];  // exact numpy.ndarray, no data
bool reuse;                              // objects are parked at all
// What is kept: the blocks of parked arrays have a share of the limit of their own.
constexpr size_t most_parked_bytes = size_t{4} << 20;
size_t cache_limit, parked_bytes, parked_limit;
struct {
    uint64_t array_hits, array_misses, view_hits, base_view_hits;
} stats;

PyObject* handler_capsule;
destructor numpy_dealloc;

[[gnu::hot]] void* handler_malloc(void*, size_t n) { return block_new(n); }
void* handler_calloc(void*, size_t count, size_t size) {
    size_t n;
    return __builtin_mul_overflow(count, size, &n) ? nullptr : block_new_zeroed(n);
}
void* handler_realloc(void*, void* p, size_t n) {
    return p ? block_resize(static_cast<char*>(p), n) : block_new(n);
}
[[gnu::hot]] void handler_free(void*, void* p, size_t) {
    if (p) block_delete(static_cast<char*>(p));
}
PyDataMem_Handler handler = {
    "raptors", 1, {nullptr, handler_malloc, handler_calloc, handler_realloc, handler_free}};

// Nobody has exported a buffer or a weak reference; no write-back is pending.
bool reusable(const Fields* f) {
    return f->nd <= max_cached_dims && !f->weakreflist && !f->_buffer_info &&
           !(f->flags & NPY_ARRAY_WRITEBACKIFCOPY);
}

void park(Parked& stack, PyObject* o) { stack.items[stack.n++] = o; }

// Product of the dims, or -1 when it (or the bytes) overflow.
npy_intp checked_size(int nd, const npy_intp* dims, npy_intp item) {
    npy_intp n = item;
    for (int i = 0; i < nd; ++i)
        if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n)) return -1;
    return n;
}

// What PyArray_UpdateFlags finds: axes of one element do not count, and empty arrays are all three.
int layout_flags(const Fields* f) {
    constexpr int all = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS | NPY_ARRAY_ALIGNED;
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    auto const alignment = static_cast<uintptr_t>(PyDataType_ALIGNMENT(f->descr));
    auto address = reinterpret_cast<uintptr_t>(f->data);
    bool c = true, fortran = true;
    npy_intp c_stride = size, f_stride = size;
    for (int i = 0, j = f->nd - 1; i < f->nd; ++i, --j) {
        if (f->dimensions[i] == 0) return all;
        if (f->dimensions[i] != 1) {
            fortran = fortran && f->strides[i] == f_stride;
            f_stride *= f->dimensions[i];
            address |= static_cast<uintptr_t>(f->strides[i]);
        }
        if (f->dimensions[j] != 1) {
            c = c && f->strides[j] == c_stride;
            c_stride *= f->dimensions[j];
        }
    }
    bool const aligned = alignment <= 1 || (address & (alignment - 1)) == 0;
    return (c ? NPY_ARRAY_C_CONTIGUOUS : 0) | (fortran ? NPY_ARRAY_F_CONTIGUOUS : 0) |
           (aligned ? NPY_ARRAY_ALIGNED : 0);
}

PyTypeObject* class_of(const PyArray_Descr* descr, int nd) {
    return is_adopted(descr, nd) ? array_type : &PyArray_Type;
}

// An array object around a fresh block. Takes the block.
PyObject* around(int nd, const npy_intp* dims, const npy_intp* strides, PyArray_Descr* descr,
                 char* block, size_t bytes) {
    Py_INCREF(descr);
    PyObject* o =
        PyArray_NewFromDescr(class_of(descr, nd), descr, nd, const_cast<npy_intp*>(dims),
                             const_cast<npy_intp*>(strides), block, NPY_ARRAY_CARRAY, nullptr);
    if (!o) {
        block_delete(block);
        return nullptr;
    }
    Fields* f = fields(o);
    f->flags |= NPY_ARRAY_OWNDATA;
    Py_XDECREF(f->mem_handler);
    f->mem_handler = new_ref(handler_capsule);
    raptors_trace_track(trace_domain, reinterpret_cast<uintptr_t>(block), bytes);
    return o;
}

PyObject* by_numpy(int nd, const npy_intp* dims, PyArray_Descr* descr, bool zeroed) {
    Py_INCREF(descr);
    PyObject* o = zeroed ? PyArray_Zeros(nd, const_cast<npy_intp*>(dims), descr, 0)
                         : PyArray_Empty(nd, const_cast<npy_intp*>(dims), descr, 0);
    if (o) retype(o);
    return o;
}

PyObject* allocate(int nd, const npy_intp* dims, const npy_intp* strides, PyArray_Descr* descr,
                   bool zeroed) {
    npy_intp const bytes = checked_size(nd, dims, PyDataType_ELSIZE(descr));
    // Empty, negative and impossible shapes: NumPy's own array, or its error.
    if (bytes <= 0) return by_numpy(nd, dims, descr, zeroed);
    auto const nbytes = static_cast<size_t>(bytes);
    char* block = zeroed ? block_new_zeroed(nbytes) : block_new(nbytes);
    if (!block) return by_numpy(nd, dims, descr, zeroed);  // its MemoryError tells shape and dtype
    return around(nd, dims, strides, descr, block, nbytes);
}

PyObject* parked_array(Parked& stack, size_t capacity, int nd, const npy_intp* dims,
                       PyArray_Descr* descr, size_t bytes) {
    PyObject* o = stack.items[--stack.n];
    ++stats.array_hits;
    Fields* f = fields(o);
    parked_bytes -= capacity;
    npy_intp stride = PyDataType_ELSIZE(descr);
    int longer = 0;  // axes of more than one element
    for (int i = nd - 1; i >= 0; --i) {
        f->dimensions[i] = dims[i];
        f->strides[i] = stride;
        stride *= dims[i];
        longer += dims[i] != 1;
    }
    f->flags = new_flags | (longer <= 1 ? NPY_ARRAY_F_CONTIGUOUS : 0);
    Py_INCREF(descr);
    f->descr = descr;
    Py_INCREF(array_type);
    _Py_NewReference(o);  // as CPython's own free lists do
    raptors_trace_track(trace_domain, reinterpret_cast<uintptr_t>(f->data), bytes);
    return o;
}

inline bool cached_bytes(int nd, const npy_intp* dims, PyArray_Descr* descr, npy_intp* bytes) {
    if (nd > max_cached_dims || !is_adopted(descr, nd)) return false;
    npy_intp n = PyDataType_ELSIZE(descr);
    for (int i = 0; i < nd; ++i) {
        if (dims[i] <= 0 || dims[i] > static_cast<npy_intp>(parked_block)) return false;
        n *= dims[i];  // two factors of at most parked_block: no overflow
        if (n > static_cast<npy_intp>(parked_block)) return false;
    }
    *bytes = n;
    return true;
}

void set_cache_limit(size_t bytes) {
    cache_limit = bytes;
    parked_limit = reuse ? std::min(bytes / 16, most_parked_bytes) : 0;
    set_block_cache_limit(bytes - parked_limit);
}

// A parked object becomes one that nobody holds any more.
void drop(PyObject* o) {
    PyArray_Descr* const descr = descr_of(DType::uint8);
    Py_INCREF(descr);
    fields(o)->descr = descr;
    if (!is_plain(o)) {  // parked with neither a reference nor one to its type
        Py_INCREF(array_type);
        _Py_NewReference(o);
    }
    Py_DECREF(o);
}

}  // namespace

[[gnu::hot]] PyObject* new_array(int nd, const npy_intp* dims, PyArray_Descr* descr) {
    npy_intp bytes;
    if (cached_bytes(nd, dims, descr, &bytes)) {
        SizeClass const kind = size_class(static_cast<size_t>(bytes));
        Parked& stack = whole[kind.index][nd];
        if (stack.n) [[likely]]
            return parked_array(stack, kind.capacity, nd, dims, descr, static_cast<size_t>(bytes));
        ++stats.array_misses;
    }
    return allocate(nd, dims, nullptr, descr, false);
}

PyObject* new_zeroed(int nd, const npy_intp* dims, PyArray_Descr* descr) {
    npy_intp bytes;
    if (cached_bytes(nd, dims, descr, &bytes)) {
        SizeClass const kind = size_class(static_cast<size_t>(bytes));
        Parked& stack = whole[kind.index][nd];
        if (stack.n) {
            PyObject* o =
                parked_array(stack, kind.capacity, nd, dims, descr, static_cast<size_t>(bytes));
            std::memset(fields(o)->data, 0, static_cast<size_t>(bytes));
            return o;
        }
    }
    return allocate(nd, dims, nullptr, descr, true);
}

PyObject* new_array_ordered(int nd, const npy_intp* dims, const int* perm, PyArray_Descr* descr) {
    bool c_order = true;
    for (int i = 0; i < nd; ++i) c_order &= perm[i] == i;
    if (c_order) return new_array(nd, dims, descr);
    npy_intp strides[NPY_MAXDIMS];
    npy_intp stride = PyDataType_ELSIZE(descr);
    for (int i = nd - 1; i >= 0; --i) {
        strides[perm[i]] = stride;
        stride *= dims[perm[i]] ? dims[perm[i]] : 1;
    }
    return allocate(nd, dims, strides, descr, false);
}

[[gnu::hot]] PyObject* new_view(PyObject* base, int nd, const npy_intp* dims,
                                const npy_intp* strides, char* data, PyArray_Descr* descr) {
    int const flags = fields(base)->flags & (NPY_ARRAY_WRITEABLE | warn_on_write);
    // NumPy collapses chains of views of one type down to the array that owns the data.
    while (!(fields(base)->flags & NPY_ARRAY_OWNDATA) && fields(base)->base &&
           is_ours(fields(base)->base))
        base = fields(base)->base;
    return new_view_of_memory(base, flags, nd, dims, strides, data, descr);
}

[[gnu::hot]] PyObject* new_view_of_memory(PyObject* owner, int flags, int nd, const npy_intp* dims,
                                          const npy_intp* strides, char* data,
                                          PyArray_Descr* descr) {
    PyObject* o;
    PyTypeObject* const type = class_of(descr, nd);
    if (type == array_type && nd <= max_cached_dims && our_views[nd].n) [[likely]] {
        o = our_views[nd].items[--our_views[nd].n];
        ++stats.view_hits;
        Fields* f = fields(o);
        for (int i = 0; i < nd; ++i) {
            f->dimensions[i] = dims[i];
            f->strides[i] = strides[i];
        }
        f->data = data;
        Py_INCREF(descr);
        f->descr = descr;
        Py_INCREF(array_type);
        _Py_NewReference(o);
    } else {
        Py_INCREF(descr);
        o = PyArray_NewFromDescr(type, descr, nd, const_cast<npy_intp*>(dims),
                                 const_cast<npy_intp*>(strides), data, 0, nullptr);
        if (!o) return nullptr;
    }
    Fields* f = fields(o);
    Py_INCREF(owner);
    f->base = owner;
    f->flags = flags | layout_flags(f);
    return o;
}

[[gnu::hot]] PyObject* new_base_view(PyObject* a) {
    Fields const* f = fields(a);
    int const nd = f->nd;
    PyObject* view;
    if (nd <= max_cached_dims && base_views[nd].n) {
        // A parked shell keeps its one reference: nobody else can have seen it.
        view = base_views[nd].items[--base_views[nd].n];
        ++stats.base_view_hits;
        Fields* v = fields(view);
        for (int i = 0; i < nd; ++i) {
            v->dimensions[i] = f->dimensions[i];
            v->strides[i] = f->strides[i];
        }
        v->data = f->data;
        Py_INCREF(f->descr);
        v->descr = f->descr;
    } else {
        Py_INCREF(f->descr);
        view = PyArray_NewFromDescr(&PyArray_Type, f->descr, nd, f->dimensions, f->strides, f->data,
                                    f->flags & NPY_ARRAY_WRITEABLE, nullptr);
        if (!view) return nullptr;
    }
    // Keeps warn-on-write and odd alignment.
    fields(view)->flags = f->flags & ~(NPY_ARRAY_OWNDATA | NPY_ARRAY_WRITEBACKIFCOPY);
    Py_INCREF(a);
    fields(view)->base = a;
    return view;
}

[[gnu::hot]] void release_base_view(PyObject* view, PyObject* a) {
    Fields* f = fields(view);
    if (reuse && Py_REFCNT(view) == 1 && is_plain(view) && reusable(f) && f->base == a &&
        !(f->flags & NPY_ARRAY_OWNDATA) && !f->mem_handler && base_views[f->nd].n < max_parked) {
        PyArray_Descr* descr = f->descr;
        f->base = nullptr;
        f->descr = nullptr;
        f->data = nullptr;
        park(base_views[f->nd], view);
        Py_DECREF(descr);
        Py_DECREF(a);
        return;
    }
    Py_DECREF(view);
}

[[gnu::hot]] void array_dealloc(PyObject* o) {
    Fields* f = fields(o);
    if (is_ours(o) && reuse && is_adopted(f->descr, f->nd) && reusable(f)) {
        if (!f->base) {
            size_t const capacity =
                f->mem_handler == handler_capsule && (f->flags & NPY_ARRAY_OWNDATA)
                    ? block_capacity(f->data)
                    : parked_block + 1;
            bool const parks = capacity <= parked_block;
            Parked& stack = whole[parks ? size_class(capacity).index : 0][f->nd];
            if (parks && stack.n < (capacity <= small_block ? max_parked : max_parked_longer) &&
                parked_bytes + capacity <= parked_limit && is_movable(f->descr)) {
                parked_bytes += capacity;
                raptors_trace_untrack(trace_domain, reinterpret_cast<uintptr_t>(f->data));
                PyArray_Descr* descr = f->descr;
                f->descr = nullptr;
                park(stack, o);
                Py_DECREF(array_type);  // parked objects hold no reference: the type's count is
                                        // that of live arrays
                Py_DECREF(descr);
                return;
            }
        } else if (!(f->flags & NPY_ARRAY_OWNDATA) && !f->mem_handler &&
                   our_views[f->nd].n < max_parked) {
            PyObject* base = f->base;
            PyArray_Descr* descr = f->descr;
            f->base = nullptr;
            f->descr = nullptr;
            f->data = nullptr;
            park(our_views[f->nd], o);
            Py_DECREF(array_type);
            Py_DECREF(descr);
            Py_DECREF(base);  // last: it may run any code, and o is parked and whole by now
            return;
        }
    }
    // Also right below a subclass's dealloc: ours is a heap type, and it must drop the reference of
    // the instance's type.
    PyTypeObject* type = Py_TYPE(o);
    numpy_dealloc(o);
    Py_DECREF(type);
}

void init_object_cache() {
    numpy_dealloc = PyArray_Type.tp_dealloc;
    handler_capsule = PyCapsule_New(&handler, "mem_handler", nullptr);
    if (!handler_capsule) throw py::error_already_set();
    auto const version = import_module("numpy").attr("__version__").cast<std::string>();
    unsigned major = 0, minor = 0;
    if (std::sscanf(version.c_str(), "%u.%u", &major, &minor) != 2) major = newest_major + 1;
    reuse = major < newest_major || (major == newest_major && minor <= newest_minor);
    reuse = reuse && flag_set("RAPTORS_OBJECT_CACHE").value_or(true);
    if (flag_set("RAPTORS_ALLOC_DEBUG").value_or(false)) {
        debug_blocks(&Py_FatalError);
        reuse = false;  // every array's memory is to be seen being freed
    }
    if (auto const bytes = size_set("RAPTORS_CACHE_MAX_BYTES")) {
        set_block_cache_limit(static_cast<size_t>(*bytes));
        reuse = reuse && *bytes > 0;
    }
    set_cache_limit(block_cache_limit());
    if (auto const n = number_set("RAPTORS_FAIL_ALLOC", "a number of allocations"))
        fail_allocation(static_cast<int64_t>(*n), flag_set("RAPTORS_FAIL_STICKY").value_or(false));
}

py::dict memory_stats() {
    BlockStats const b = block_stats();
    ScratchStats const s = scratch_stats();
    py::dict d;
    d["cached_bytes"] = b.cached_bytes + parked_bytes;
    d["cached_blocks"] = b.cached_blocks;
    d["block_hits"] = b.hits;
    d["block_misses"] = b.misses;
    d["cache_limit"] = cache_limit;
    d["live_bytes"] = b.live_bytes - parked_bytes;
    d["mapped_bytes"] = b.mapped_bytes;
    d["scratch_taken"] = s.taken;
    d["scratch_from_heap"] = s.from_heap;
    d["scratch_held"] = s.held;
    d["array_hits"] = stats.array_hits;
    d["array_misses"] = stats.array_misses;
    d["view_hits"] = stats.view_hits;
    d["base_view_hits"] = stats.base_view_hits;
    d["temporaries_reused"] = temporary_stats.reused;
    d["temporaries_refused"] = temporary_stats.refused;
    d["object_cache"] = reuse;
    return d;
}

void trim() {
    bool const was = std::exchange(reuse, false);
    auto drop_all = [](Parked& stack) {
        while (stack.n) drop(stack.items[--stack.n]);
    };
    for (auto& stacks : whole)
        for (Parked& stack : stacks) drop_all(stack);
    for (Parked& stack : our_views) drop_all(stack);
    for (Parked& stack : base_views) drop_all(stack);
    parked_bytes = 0;
    reuse = was;
    trim_blocks();
}

void limit_cache(size_t bytes) {
    trim();
    set_cache_limit(bytes);
}

void use_handler() { Py_XDECREF(PyDataMem_SetHandler(handler_capsule)); }

}  // namespace raptors
