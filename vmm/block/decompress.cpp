#include "vmm/block/decompress.h"

#include <memory>
#include <zlib.h>
#include <zstd.h>

namespace vmm {

namespace {

Result<> inflateDeflate(ConstByteSpan packed, ByteSpan to)
{
    z_stream stream {};
    if (::inflateInit2(&stream, -15) != Z_OK) // a negative window: no header
        return fail(ErrorCode::OutOfMemory, "no memory to unpack a cluster");
    stream.next_in = const_cast<Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = to.data();
    stream.avail_out = static_cast<uInt>(to.size());
    ::inflate(&stream, Z_FINISH);
    auto const missing = stream.avail_out;
    ::inflateEnd(&stream);
    if (missing != 0)
        return fail(ErrorCode::Corrupt, "a compressed cluster cannot be unpacked");
    return {};
}

Result<> inflateZstd(ConstByteSpan packed, ByteSpan to)
{
    std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> const context(::ZSTD_createDCtx(), ::ZSTD_freeDCtx);
    if (!context)
        return fail(ErrorCode::OutOfMemory, "no memory to unpack a cluster");
    ZSTD_outBuffer output { to.data(), to.size(), 0 };
    ZSTD_inBuffer input { packed.data(), packed.size(), 0 };
    while (output.pos < output.size) {
        auto const before = input.pos + output.pos;
        auto const result = ::ZSTD_decompressStream(context.get(), &output, &input);
        if (::ZSTD_isError(result) != 0 || input.pos + output.pos == before)
            return fail(ErrorCode::Corrupt, "a compressed cluster cannot be unpacked");
    }
    return {};
}

}

Result<> decompress(Compression method, ConstByteSpan packed, ByteSpan to)
{
    return method == Compression::Deflate ? inflateDeflate(packed, to) : inflateZstd(packed, to);
}

}
