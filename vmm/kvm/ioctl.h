#pragma once

#include "vmm/base/result.h"

#include <cstddef>
#include <linux/kvm.h>
#include <memory>
#include <span>
#include <string>
#include <sys/ioctl.h>

/// For the sources of this folder only: it brings <linux/kvm.h>.
namespace vmm {

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
