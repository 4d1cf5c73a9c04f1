#include "frame/threads/processors.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>

namespace raptors {
namespace {

#if defined(__linux__)
constexpr int path_most = 4096;

// Rounded up: a quota of 1.5 processors is best used by two threads. 0: no quota.
int of_quota(long long quota, long long period) noexcept {
    if (quota <= 0 || period <= 0) return 0;
    long long const n = (quota + period - 1) / period;
    return n < 1'000'000 ? static_cast<int>(n) : 0;
}

// The quota that this directory of a control group sets.
int quota_v2(const char* directory) noexcept {
    char path[path_most];
    if (snprintf(path, sizeof path, "%s/cpu.max", directory) >= path_most) return 0;
    FILE* const file = fopen(path, "re");
    if (!file) return 0;
    long long quota = 0, period = 0;
    int const found = fscanf(file, "%lld %lld", &quota, &period);  // "max 100000": no number
    fclose(file);
    return found == 2 ? of_quota(quota, period) : 0;
}
long long number_in(const char* directory, const char* name) noexcept {
    char path[path_most];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= path_most) return 0;
    FILE* const file = fopen(path, "re");
    if (!file) return 0;
    long long number = 0;
    if (fscanf(file, "%lld", &number) != 1) number = 0;
    fclose(file);
    return number;
}
int quota_v1(const char* directory) noexcept {
    return of_quota(number_in(directory, "cpu.cfs_quota_us"),
                    number_in(directory, "cpu.cfs_period_us"));
}

// The least quota of a group and those that it lies in: `base` and `path` below it.
template <class Quota>
int least_quota(const char* base, const char* path, Quota quota) noexcept {
    char directory[path_most];
    int const length = snprintf(directory, sizeof directory, "%s%s", base, path);
    if (length < 0 || length >= path_most) return 0;
    size_t const least_length = strlen(base);
    int least = 0;
    for (;;) {
        int const n = quota(directory);
        if (n && (!least || n < least)) least = n;
        char* const slash = strrchr(directory, '/');
        if (!slash || static_cast<size_t>(slash - directory) < least_length) return least;
        *slash = '\0';
    }
}

// Lines of /proc/self/cgroup: number:controllers:path. Version 2 has number 0 and no controllers.
// (In a container the path may be that outside it; then only the mounted root is found.)
int group_quota(const char* root) noexcept {
    char path[path_most], line[path_most], base[path_most];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= path_most) return 0;
    FILE* const file = fopen(path, "re");
    if (!file) return 0;
    int least = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char* const controllers = strchr(line, ':');
        char* const group = controllers ? strchr(controllers + 1, ':') : nullptr;
        if (!group) continue;
        *group = '\0';
        const char* const own = strcmp(group + 1, "/") == 0 ? "" : group + 1;
        int n = 0;
        if (controllers[1] == '\0') {
            if (snprintf(base, sizeof base, "%s/sys/fs/cgroup", root) < path_most)
                n = least_quota(base, own, quota_v2);
        } else if (strstr(controllers, "cpu,") || strcmp(controllers + 1, "cpu") == 0 ||
                   strstr(controllers, ",cpu")) {
            for (const char* name : {"cpu", "cpu,cpuacct"})
                if (!n &&
                    snprintf(base, sizeof base, "%s/sys/fs/cgroup/%s", root, name) < path_most)
                    n = least_quota(base, own, quota_v1);
        }
        if (n && (!least || n < least)) least = n;
    }
    fclose(file);
    return least;
}

int of_affinity() noexcept {
    // A mask of the size that the kernel has: more than 1024 processors need a longer one.
    alignas(8) unsigned char mask[8192];
    memset(mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, reinterpret_cast<cpu_set_t*>(mask)) != 0) return 0;
    int n = 0;
    for (unsigned char const byte : mask) n += __builtin_popcount(byte);
    return n;
}
#else
int group_quota(const char*) noexcept { return 0; }
int of_affinity() noexcept { return 0; }
#endif

}  // namespace

int usable_processors(const char* root) noexcept {
    int n = of_affinity();
    if (n < 1) n = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    int const quota = group_quota(root);
    if (quota && quota < n) n = quota;
    return n < 1 ? 1 : n;
}

CacheSizes cache_sizes() noexcept {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    static CacheSizes const sizes = [] {
        // sysconf adds up the L3s of the whole machine.
        auto const l3 =
            static_cast<long>(number_in("/sys/devices/system/cpu/cpu0/cache/index3", "size") << 10);
        auto const usual = [](long bytes, ptrdiff_t least, ptrdiff_t otherwise) {
            return bytes >= least ? static_cast<ptrdiff_t>(bytes) : otherwise;
        };
        return CacheSizes{usual(sysconf(_SC_LEVEL1_DCACHE_SIZE), 8 << 10, 32 << 10),
                          usual(sysconf(_SC_LEVEL2_CACHE_SIZE), 128 << 10, 512 << 10),
                          usual(l3 ? l3 : sysconf(_SC_LEVEL3_CACHE_SIZE), 1 << 20, 8 << 20)};
    }();
    return sizes;
#else
    return {32 << 10, 512 << 10, 8 << 20};
#endif
}

}  // namespace raptors
