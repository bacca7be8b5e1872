#include "vmm/block/io_engine.h"

#include "vmm/base/log.h"

namespace vmm {

int performNow(IoOperation const& operation)
{
    auto& file = *operation.file;
    auto const transfer = [&]() -> Result<> {
        switch (operation.kind) {
        case IoOperation::Kind::Sync: return file.sync();
        case IoOperation::Kind::Deallocate: return file.deallocate(operation.offset, operation.length);
        case IoOperation::Kind::Zero: return file.zero(operation.offset, operation.length);
        case IoOperation::Kind::Read:
        case IoOperation::Kind::Write: break;
        }
        auto offset = operation.offset;
        for (auto const& buffer : std::span(operation.buffers, operation.bufferCount)) {
            ByteSpan const data(static_cast<std::uint8_t*>(buffer.iov_base), buffer.iov_len);
            if (operation.kind == IoOperation::Kind::Read)
                TRY(file.read(offset, data));
            else
                TRY(file.write(offset, data));
            offset += data.size();
        }
        return {};
    };
    auto const result = transfer();
    if (result)
        return 0;
    return result.error().osError != 0 ? result.error().osError : EIO;
}

bool InlineEngine::wait()
{
    if (m_queue.empty())
        return false;
    auto const position = m_queue.begin() + static_cast<std::ptrdiff_t>(pick(m_queue.size()));
    auto& operation = **position;
    m_queue.erase(position);
    operation.done(operation, performNow(operation));
    return true;
}

Result<std::unique_ptr<IoEngine>> IoEngine::create(EventLoop& loop)
{
    auto uring = createUring(loop);
    if (uring)
        return uring;
    log(LogLevel::Info, "block", "{}; using threads for disk transfers", uring.error().message());
    return createThreads(loop);
}

}
