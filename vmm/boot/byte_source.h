#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"
#include "vmm/base/unique_fd.h"

#include <string>

namespace vmm {

/// A kernel or initrd as its loader reads it.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    virtual std::uint64_t size() const = 0;
    /// All of `data` or an error; what lies behind the end is one.
    virtual Result<> read(std::uint64_t offset, ByteSpan data) const = 0;

    template<typename T>
    Result<T> load(std::uint64_t offset) const
    {
        T value {};
        TRY(read(offset, writableBytesOf(value)));
        return value;
    }
};

class FileSource final : public ByteSource {
public:
    static Result<FileSource> open(std::string const& path);
    std::uint64_t size() const override { return m_size; }
    Result<> read(std::uint64_t offset, ByteSpan data) const override;

private:
    FileSource(std::string path, UniqueFd fd, std::uint64_t size);
    std::string m_path;
    UniqueFd m_fd;
    std::uint64_t m_size;
};

class MemorySource final : public ByteSource {
public:
    explicit MemorySource(ConstByteSpan data) : m_data(data) { }
    std::uint64_t size() const override { return m_data.size(); }
    Result<> read(std::uint64_t offset, ByteSpan data) const override;

private:
    ConstByteSpan m_data;
};

}
