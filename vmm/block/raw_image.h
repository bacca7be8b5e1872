#pragma once

#include "vmm/block/image.h"

namespace vmm {

/// A disk whose bytes are the file's. The file is as large as the disk from the beginning, usually with holes.
class RawImage final : public BlockImage {
public:
    static Result<std::unique_ptr<RawImage>> open(IoEngine& engine, std::unique_ptr<BlockFile> file, Access access);
    ~RawImage() override;

    Result<> flushSync() override;
    ImageInfo info() const override;
    Result<Mapping> map(std::uint64_t offset, std::uint64_t length) override;
    Result<> checkGrowth(std::uint64_t size) const override;

private:
    RawImage(IoEngine& engine, std::unique_ptr<BlockFile> file, bool readOnly)
        : BlockImage(engine, std::move(file), readOnly)
    {
    }

    void start(BlockRequest& request) override;
    Result<> growTo(std::uint64_t size) override;
    void startRange(BlockRequest& request);
    void rangeDone(Transfer& transfer, int error);
    void writeZeroBuffers(BlockRequest& request);
    void writeDone(Transfer& transfer, int error);
    void zeroBuffersDone(Transfer& transfer, int error);
    void syncDone(Transfer& transfer, int error);

    // How many writes have ended, and how many of them are known to be durable. A sync carries as its offset what had
    // ended when it began: a flush that comes while it runs may have to make more durable than it does.
    std::uint64_t m_written = 0, m_synced = 0;
};

}
