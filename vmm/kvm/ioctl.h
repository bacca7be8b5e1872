#pragma once

#include "vmm/base/result.h"

#include <cstddef>
// The kernel's way to declare an array at a structure's end puts an empty structure before it, which in C++ is one byte
// long: it would move the array and change the ioctl numbers, which contain the size.
#include <linux/stddef.h>
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[]
#include <linux/kvm.h>
#include <memory>
#include <span>
#include <string>
#include <sys/ioctl.h>

/// For the sources of this folder only: it brings <linux/kvm.h>.
namespace vmm {

static_assert(sizeof(kvm_cpuid2) == 8 && sizeof(kvm_msrs) == 8 && sizeof(kvm_msr_list) == 4
    && sizeof(kvm_irq_routing) == 8 && sizeof(kvm_xsave) == 4096);

inline int ioctlInt(int fd, unsigned long request, unsigned long argument = 0)
{
    return ::ioctl(fd, request, argument);
}

/// An ioctl that succeeds with 0 or more; the error says what was being done.
template<typename Argument>
Result<> ioctlChecked(int fd, unsigned long request, Argument argument, char const* what)
{
    if (::ioctl(fd, request, argument) < 0)
        return failOs(what);
    return {};
}

/// A kernel structure with an array at its end that has room for `count` entries; all zero at first.
template<typename Header, typename Entry>
class FlexibleArray {
public:
    explicit FlexibleArray(std::size_t count)
        : m_storage(std::make_unique<std::byte[]>(sizeof(Header) + count * sizeof(Entry)))
    {
    }
    Header* get() { return reinterpret_cast<Header*>(m_storage.get()); }
    Header* operator->() { return get(); }

private:
    std::unique_ptr<std::byte[]> m_storage;
};

}
