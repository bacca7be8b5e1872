#pragma once

#include "tests/support/suite.h"
#include "vmm/block/checkpoint.h"

#include <filesystem>

namespace tests {

/// What every way of keeping a disk's moments must do, on real files: written once, told for each.
class CheckpointStory {
public:
    static constexpr std::uint64_t size = 4 << 20;

    CheckpointStory(vmm::CheckpointMethod& method, std::string path, vmm::ImageFormat format)
        : m_method(method), m_disk { m_engine, std::move(path), {}, nullptr }
    {
        m_disk.options.format = format;
        must(vmm::createImage(m_disk.path, { .format = format, .size = size }));
        m_disk.image = must(vmm::BlockImage::open(m_engine, m_disk.path, m_disk.options));
    }

    vmm::CheckpointedDisk& disk() { return m_disk; }
    vmm::IoEngine& engine() { return m_engine; }

    void write(std::uint8_t value) { must(m_disk.image->writeSync(size / 2, vmm::Bytes(8192, value))); }
    static int read(vmm::BlockImage& image)
    {
        vmm::Bytes data(8192);
        must(image.readSync(size / 2, data));
        return std::ranges::count(data, data[0]) == 8192 ? data[0] : -1;
    }
    int now() { return read(*m_disk.image); }
    int at(vmm::Checkpoint const& checkpoint)
    {
        return read(*must(m_method.openReadOnly(m_engine, m_disk.path, checkpoint)));
    }
    vmm::Checkpoint keep(std::string const& id)
    {
        auto checkpoint = must(m_method.plan(m_disk, id));
        must(m_method.prepareFiles(m_disk, checkpoint));
        must(m_method.prepare(m_disk, checkpoint));
        must(m_method.take(m_disk, checkpoint, { .id = id, .name = "" }));
        must(m_method.seal(m_disk, checkpoint));
        return checkpoint;
    }
    /// As after the machine's program has ended.
    void openAgain()
    {
        m_disk.image.reset();
        m_disk.image = must(vmm::BlockImage::open(m_engine, m_disk.path, m_disk.options));
    }

    void tell(std::string const& forkPath)
    {
        REQUIRE_OK(m_method.probe(m_disk));
        write(1);
        auto const one = keep("one");
        write(2);
        auto const two = keep("two");
        write(3);
        QCOMPARE(now(), 3);
        QCOMPARE(at(one), 1);
        QCOMPARE(at(two), 2);
        openAgain();
        QCOMPARE(now(), 3);
        REQUIRE_OK(m_method.goBack(m_disk, one));
        QCOMPARE(now(), 1);
        write(4);
        REQUIRE_OK(m_method.goBack(m_disk, two));
        QCOMPARE(now(), 2);
        write(5);
        QCOMPARE(at(one), 1);
        QCOMPARE(at(two), 2);

        vmm::ImageOptions options;
        options.format = must(m_method.fork(m_disk, one, forkPath));
        {
            auto const fork = must(vmm::BlockImage::open(m_engine, forkPath, options));
            QCOMPARE(fork->size(), size);
            QCOMPARE(read(*fork), 1);
            must(fork->writeSync(size / 2, vmm::Bytes(8192, 9)));
        }
        QCOMPARE(at(one), 1);
        QCOMPARE(now(), 5);
        REQUIRE_OK(m_method.goBack(m_disk, one));
        write(6);
        openAgain();
        QCOMPARE(now(), 6);
        if (one.way != vmm::CheckpointWay::Internal && std::filesystem::is_regular_file(m_disk.path)) {
            // Gone, as with its disk into the trash.
            m_disk.image.reset();
            REQUIRE_OK(vmm::removeFile(m_disk.path));
            QCOMPARE(at(one), 1);
            REQUIRE_OK(m_method.goBack(m_disk, one));
            QCOMPARE(now(), 1);
            write(6);
        }
        REQUIRE_OK(m_method.remove(m_disk, two));
        QCOMPARE(at(one), 1);
        QCOMPARE(now(), 6);
        QVERIFY(!m_method.openReadOnly(m_engine, m_disk.path, two));
        REQUIRE_OK(m_method.remove(m_disk, two));
    }

    /// Of a disk that is made larger each moment has the size that it had.
    void tellOfGrowth()
    {
        auto const end = [&] {
            vmm::Bytes data(512, 1);
            must(m_disk.image->readSync(2 * size - data.size(), data));
            return int(data[0]);
        };
        write(1);
        auto const small = keep("small");
        REQUIRE_OK(m_disk.image->grow(2 * size));
        QCOMPARE(end(), 0);
        must(m_disk.image->writeSync(2 * size - 512, vmm::Bytes(512, 8)));
        write(2);
        auto const large = keep("large");
        REQUIRE_OK(m_method.goBack(m_disk, small));
        QCOMPARE(m_disk.image->size(), size);
        QCOMPARE(now(), 1);
        REQUIRE_OK(m_disk.image->grow(2 * size));
        QCOMPARE(end(), 0);
        QCOMPARE(must(m_method.openReadOnly(m_engine, m_disk.path, small))->size(), size);
        REQUIRE_OK(m_method.goBack(m_disk, large));
        openAgain();
        QCOMPARE(m_disk.image->size(), 2 * size);
        QCOMPARE(end(), 8);
        QCOMPARE(now(), 2);
    }

private:
    vmm::CheckpointMethod& m_method;
    vmm::InlineEngine m_engine;
    vmm::CheckpointedDisk m_disk;
};

}
