#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/support/suite.h"
#include "vmm/block/overlay_files.h"
#include "vmm/memory/guest_memory.h"

#include <QDir>
#include <QTemporaryDir>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace vmm;
using namespace tests;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t mib = 1 << 20;

void writeFile(std::string const& path, std::string const& content)
{
    std::ofstream(path, std::ios::binary) << content;
}

/// Why this host lets nobody use io_uring; empty: it does.
std::string uringRefusal()
{
    io_uring_params parameters {};
    UniqueFd const ring(static_cast<int>(::syscall(SYS_io_uring_setup, 256, &parameters)));
    if (ring)
        return {};
    return std::string("This host lets nobody use io_uring (") + std::strerror(errno)
        + "), so only the engine with threads is tested. See the sysctl kernel.io_uring_disabled, or the container's "
          "rules.";
}

}

/// Files, formats, locks and engines against the host's file system.
class HostFilesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { QVERIFY(m_directory.isValid()); }

    void eachEngineAgreesWithAModel_data()
    {
        QTest::addColumn<bool>("uring");
        QTest::addColumn<bool>("direct");
        QTest::addColumn<bool>("qcow2");
        for (bool const uring : { false, true }) {
            for (bool const direct : { false, true }) {
                for (bool const qcow2 : { false, true })
                    QTest::addRow(
                        "%s %s %s", uring ? "uring" : "threads", direct ? "direct" : "cached", qcow2 ? "qcow2" : "raw")
                        << uring << direct << qcow2;
            }
        }
    }

    void eachEngineAgreesWithAModel()
    {
        QFETCH(bool, uring);
        QFETCH(bool, direct);
        QFETCH(bool, qcow2);
        auto const path = fresh();
        NewImage const what { .format = qcow2 ? ImageFormat::Qcow2 : ImageFormat::Raw, .size = 4 * mib };
        REQUIRE_OK(createImage(path, what));
        auto loop = EventLoop::create();
        REQUIRE_OK(loop);
        if (auto const refusal = uring ? uringRefusal() : std::string(); !refusal.empty())
            QSKIP(refusal.c_str());
        auto engine = uring ? IoEngine::createUring(**loop) : IoEngine::createThreads(**loop);
        REQUIRE_OK(engine);
        ImageOptions options;
        options.cache = direct ? CacheMode::Direct : CacheMode::Writeback;
        DiskModel model(what.size, 5);
        {
            auto image = BlockImage::open(**engine, path, options);
            REQUIRE_OK(image);
            QCOMPARE(model.run(**image, **engine, 60, qcow2), std::string());
            QCOMPARE(model.compare(**image), std::string());
            QCOMPARE(model.failures(), 0U);
        }
        auto image = BlockImage::open(**engine, path);
        REQUIRE_OK(image);
        QCOMPARE(model.compare(**image), std::string());
    }

    void transfersCompleteWhileTheLoopRuns()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path, { .size = 4 * mib }));
        auto thread = LoopThread::start("disk");
        REQUIRE_OK(thread);
        auto& loop = (*thread)->loop();
        std::unique_ptr<IoEngine> engine;
        std::unique_ptr<BlockImage> image;
        loop.call([&] {
            engine = std::move(*IoEngine::create(loop));
            image = std::move(*BlockImage::open(*engine, path));
        });
        constexpr std::size_t count = 600; // more than the ring holds
        std::vector<BlockRequest> requests(count);
        Bytes data(4096, 0x42);
        std::vector<iovec> const buffers { { data.data(), data.size() } };
        std::atomic<std::size_t> done = 0, failed = 0;
        loop.call([&] {
            for (std::size_t i = 0; i < count; ++i) {
                requests[i].kind = BlockRequest::Kind::Write;
                requests[i].offset = i * 4096;
                requests[i].length = 4096;
                requests[i].buffers = buffers;
                requests[i].completed = [&](Result<> result) {
                    failed += result ? 0 : 1;
                    ++done;
                };
                image->submit(requests[i]);
            }
        });
        QTRY_COMPARE(done.load(), count);
        QCOMPARE(failed.load(), 0U);
        Bytes read(count * 4096);
        loop.call([&] {
            ignore(image->readSync(0, read));
            image.reset();
            engine.reset();
        });
        QVERIFY(read == Bytes(count * 4096, 0x42));
    }

    void aRawFileIsReadWithZerosBehindItsEnd()
    {
        auto const path = fresh();
        writeFile(path, std::string(700, 'x'));
        InlineEngine engine;
        auto image = BlockImage::open(engine, path);
        REQUIRE_OK(image);
        QCOMPARE((*image)->size(), 1024ULL);
        Bytes data(1024, 0xff);
        REQUIRE_OK((*image)->readSync(0, data));
        QCOMPARE(data[699], std::uint8_t('x'));
        QCOMPARE(data[700], std::uint8_t(0));
        QCOMPARE(data[1023], std::uint8_t(0));
    }

    void aFileThatBecameShorterIsAnError_data()
    {
        QTest::addColumn<bool>("uring");
        QTest::newRow("uring") << true;
        QTest::newRow("threads") << false;
    }

    void aFileThatBecameShorterIsAnError()
    {
        QFETCH(bool, uring);
        auto const path = fresh();
        writeFile(path, std::string(8192, 'x'));
        auto loop = EventLoop::create();
        REQUIRE_OK(loop);
        if (auto const refusal = uring ? uringRefusal() : std::string(); !refusal.empty())
            QSKIP(refusal.c_str());
        auto engine = uring ? IoEngine::createUring(**loop) : IoEngine::createThreads(**loop);
        REQUIRE_OK(engine);
        auto image = BlockImage::open(**engine, path);
        REQUIRE_OK(image);
        QCOMPARE(::truncate(path.c_str(), 4096), 0);
        Bytes data(8192);
        QVERIFY((*image)->readSync(0, data).error().message().find("shorter") != std::string::npos);
        REQUIRE_OK((*image)->readSync(0, ByteSpan(data).first(4096)));
        REQUIRE_OK((*image)->writeSync(0, ByteSpan(data).first(512)));
        QVERIFY((*image)->flushSync().error().message().find("shorter") != std::string::npos);
        // What makes it as long as it was makes it good again.
        REQUIRE_OK((*image)->writeSync(4096, ByteSpan(data).first(4096)));
        REQUIRE_OK((*image)->flushSync());
        REQUIRE_OK((*image)->readSync(0, data));
    }

    void memoryThatTheHostDeniesIsAnError_data() { aFileThatBecameShorterIsAnError_data(); }

    /// A transfer into the guest's memory, or from there: it can be done again, and is once there is memory.
    void memoryThatTheHostDeniesIsAnError()
    {
        QFETCH(bool, uring);
        auto const path = fresh();
        writeFile(path, std::string(8192, 'x'));
        auto loop = EventLoop::create();
        REQUIRE_OK(loop);
        if (auto const refusal = uring ? uringRefusal() : std::string(); !refusal.empty())
            QSKIP(refusal.c_str());
        auto engine = uring ? IoEngine::createUring(**loop) : IoEngine::createThreads(**loop);
        REQUIRE_OK(engine);
        auto image = BlockImage::open(**engine, path);
        REQUIRE_OK(image);
        auto memory = MemoryBlock::create("ram", 4096);
        REQUIRE_OK(memory);
        auto const page = (*memory)->bytes();
        QCOMPARE(::mprotect(page.data(), page.size(), PROT_NONE), 0);
        for (auto const& denied : { (*image)->readSync(0, page), (*image)->writeSync(4096, page) }) {
            QVERIFY(!denied);
            QCOMPARE(denied.error().code, ErrorCode::OutOfMemory);
            QVERIFY(denied.error().message().find("the host did not give a page of the guest's memory")
                != std::string::npos);
        }
        QCOMPARE(::mprotect(page.data(), page.size(), PROT_READ | PROT_WRITE), 0);
        REQUIRE_OK((*image)->readSync(0, page));
        QCOMPARE(page[4095], std::uint8_t('x'));
        page[4095] = 'y';
        REQUIRE_OK((*image)->writeSync(4096, page));
        Bytes sector(512);
        REQUIRE_OK((*image)->readSync(8192 - 512, sector));
        QCOMPARE(sector[511], std::uint8_t('y'));
    }

    void aFileBelowThatBecameShorterIsAnError_data() { aFileThatBecameShorterIsAnError_data(); }

    void aFileBelowThatBecameShorterIsAnError()
    {
        QFETCH(bool, uring);
        auto const path = fresh(), base = fresh();
        constexpr std::size_t size = 256 << 10;
        writeFile(base, std::string(size, 'x'));
        REQUIRE_OK(createImage(path, { .backingFile = base, .backingFormat = ImageFormat::Raw }));
        auto loop = EventLoop::create();
        REQUIRE_OK(loop);
        if (auto const refusal = uring ? uringRefusal() : std::string(); !refusal.empty())
            QSKIP(refusal.c_str());
        auto engine = uring ? IoEngine::createUring(**loop) : IoEngine::createThreads(**loop);
        REQUIRE_OK(engine);
        auto image = BlockImage::open(**engine, path);
        REQUIRE_OK(image);
        auto const tells = [&](Result<> const& outcome) {
            return !outcome
                && outcome.error().message().find(base + ": somebody has made the file shorter") != std::string::npos;
        };
        QCOMPARE(::truncate(base.c_str(), 4096), 0);
        Bytes data(4096);
        REQUIRE_OK((*image)->readSync(0, data));
        QVERIFY(tells((*image)->readSync(size - 4096, data)));
        QVERIFY(tells((*image)->writeSync(size - 8192, data))); // the rest of its cluster is read first
        REQUIRE_OK((*image)->writeSync(64 << 10, Bytes(64 << 10, 'y')));
        QVERIFY(tells((*image)->flushSync()));
        // Once it is as long as it was all goes on.
        writeFile(base, std::string(size, 'x'));
        REQUIRE_OK((*image)->flushSync());
        REQUIRE_OK((*image)->writeSync(size - 8192, data));
        REQUIRE_OK((*image)->readSync(size - 4096, data));
        QCOMPARE(data, Bytes(4096, 'x'));
        REQUIRE_OK((*image)->flushSync());
    }

    void aFileBelowThatWasDeletedIsToldOfOnce()
    {
        auto const path = fresh(), base = fresh();
        writeFile(base, std::string(65536, 'x'));
        REQUIRE_OK(createImage(path, { .backingFile = base, .backingFormat = ImageFormat::Raw }));
        InlineEngine engine;
        auto image = BlockImage::open(engine, path);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->flushSync());
        QCOMPARE(::unlink(base.c_str()), 0);
        auto const told = (*image)->flushSync();
        QVERIFY(!told);
        QVERIFY2(told.error().message().find(base + ": the file was deleted") != std::string::npos,
            told.error().message().c_str());
        // It can be read until it is closed.
        REQUIRE_OK((*image)->flushSync());
        Bytes data(512);
        REQUIRE_OK((*image)->readSync(0, data));
        QCOMPARE(data, Bytes(512, 'x'));
    }

    void aFileBelowThatWasReplacedOrLetGoOfIsNotMissed()
    {
        auto const path = fresh(), middle = fresh(), base = fresh(), other = fresh();
        writeFile(base, std::string(65536, 'x'));
        writeFile(other, std::string(65536, 'x'));
        REQUIRE_OK(createImage(middle, { .backingFile = base, .backingFormat = ImageFormat::Raw }));
        REQUIRE_OK(createImage(path, { .backingFile = middle }));
        InlineEngine engine;
        auto image = BlockImage::open(engine, path);
        REQUIRE_OK(image);
        QCOMPARE(::rename(other.c_str(), base.c_str()), 0);
        REQUIRE_OK((*image)->flushSync());
        REQUIRE_OK(OverlayFiles(engine, path, {}).mergeBelow(middle, 1));
        QCOMPARE(::unlink(base.c_str()), 0);
        REQUIRE_OK((*image)->flushSync());
    }

    void aFileThatBecomesLongerMeanwhileIsNone_data() { aFileThatBecameShorterIsAnError_data(); }

    /// Reads that meet the end of a file while writes move it see zeros or what was written, and no error.
    void aFileThatBecomesLongerMeanwhileIsNone()
    {
        QFETCH(bool, uring);
        auto const path = fresh();
        auto file = HostFile::create(path);
        REQUIRE_OK(file);
        auto loop = EventLoop::create();
        REQUIRE_OK(loop);
        if (auto const refusal = uring ? uringRefusal() : std::string(); !refusal.empty())
            QSKIP(refusal.c_str());
        auto engine = uring ? IoEngine::createUring(**loop) : IoEngine::createThreads(**loop);
        REQUIRE_OK(engine);
        struct Transfer : IoOperation {
            Bytes data = Bytes(512, 0x5a);
            iovec buffer { data.data(), data.size() };
            int error = -1;
        };
        constexpr unsigned rounds = 2000, atOnce = 4;
        for (unsigned round = 0; round < rounds; ++round) {
            std::array<Transfer, atOnce> transfers;
            for (unsigned i = 0; i < atOnce; ++i) {
                auto& transfer = transfers[i];
                transfer.kind = i % 2 == 0 ? IoOperation::Kind::Read : IoOperation::Kind::Write;
                transfer.file = file->get();
                transfer.offset = (round * 2 + i / 2) * 512;
                transfer.length = 512;
                transfer.buffers = &transfer.buffer;
                transfer.bufferCount = 1;
                transfer.done = [](IoOperation& done, int error) { static_cast<Transfer&>(done).error = error; };
                (*engine)->submit(transfer);
            }
            while ((*engine)->wait()) { }
            for (auto const& transfer : transfers) {
                QCOMPARE(transfer.error, 0);
                QVERIFY(transfer.data[0] == 0x5a || transfer.data[0] == 0);
            }
        }
    }

    void aDeletedFileIsAnErrorOnce()
    {
        auto const path = fresh();
        writeFile(path, std::string(4096, 'x'));
        InlineEngine engine;
        auto image = BlockImage::open(engine, path);
        REQUIRE_OK(image);
        QCOMPARE(::unlink(path.c_str()), 0);
        REQUIRE_OK((*image)->writeSync(0, Bytes(512, 1)));
        QCOMPARE((*image)->flushSync().error().code, ErrorCode::NotFound);
        REQUIRE_OK((*image)->flushSync());
    }

    void discardingARawDiskGivesSpaceBack()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path, { .format = ImageFormat::Raw, .size = 8 * mib }));
        InlineEngine engine;
        auto image = BlockImage::open(engine, path);
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->writeSync(0, Bytes(4 * mib, 1)));
        REQUIRE_OK((*image)->flushSync());
        QVERIFY((*image)->info().allocatedBytes >= 4 * mib);
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::Discard, 0, 4 * mib));
        QVERIFY((*image)->info().allocatedBytes < mib);
    }

    void zeroesAreWrittenWhereTheFileCannotBePunched()
    {
        FakeDisk disk(Bytes(mib, 0xcc));
        disk.canDeallocate = false;
        InlineEngine engine;
        auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, {});
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::WriteZeroes, 512, mib - 1024));
        REQUIRE_OK((*image)->runSync(BlockRequest::Kind::Discard, 0, mib));
        QCOMPARE(disk.content[511], std::uint8_t(0xcc));
        QCOMPARE(Bytes(disk.content.begin() + 512, disk.content.end() - 512), Bytes(mib - 1024, 0));
        QCOMPARE(disk.content[mib - 512], std::uint8_t(0xcc));
    }

    void aSecondWriterIsRefused()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path, { .size = mib }));
        InlineEngine engine;
        auto const first = BlockImage::open(engine, path);
        REQUIRE_OK(first);
        QCOMPARE(BlockImage::open(engine, path).error().code, ErrorCode::Busy);
        ImageOptions reading;
        reading.access = Access::ReadOnly;
        QCOMPARE(BlockImage::open(engine, path, reading).error().code, ErrorCode::Busy);
    }

    /// The kernel lets go of what a killed program had under way when that is done, and not when the program ends.
    void aFileThatIsAboutToBeLetGoOfIsWaitedFor()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path, { .size = mib }));
        auto held = must(HostFile::open(path, Access::ReadWrite, CacheMode::Writeback));
        std::jthread const holder([held = std::move(held)]() mutable {
            std::this_thread::sleep_for(50ms);
            held.reset();
        });
        REQUIRE_OK(HostFile::open(path, Access::ReadWrite, CacheMode::Writeback));
    }

    void readersShareAndKeepWritersOut()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path, { .size = mib }));
        InlineEngine engine;
        ImageOptions reading;
        reading.access = Access::ReadOnly;
        auto first = BlockImage::open(engine, path, reading);
        auto second = BlockImage::open(engine, path, reading);
        REQUIRE_OK(first);
        REQUIRE_OK(second);
        QCOMPARE(BlockImage::open(engine, path).error().code, ErrorCode::Busy);
        first->reset();
        second->reset();
        REQUIRE_OK(BlockImage::open(engine, path));
    }

    void aBackingFileIsFoundBesideTheImageAndKeptFromWriters()
    {
        auto const base = fresh();
        auto const overlay = fresh();
        REQUIRE_OK(createImage(base, { .size = mib }));
        InlineEngine engine;
        {
            auto image = BlockImage::open(engine, base);
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->writeSync(4096, Bytes(512, 0x11)));
        }
        REQUIRE_OK(createImage(overlay, { .backingFile = base.substr(base.rfind('/') + 1) }));
        auto image = BlockImage::open(engine, overlay);
        REQUIRE_OK(image);
        QCOMPARE((*image)->size(), mib);
        QCOMPARE((*image)->info().backing.size(), 1U);
        Bytes data(512);
        REQUIRE_OK((*image)->readSync(4096, data));
        QCOMPARE(data, Bytes(512, 0x11));
        QCOMPARE(BlockImage::open(engine, base).error().code, ErrorCode::Busy);
    }

    void aChainThatLeadsBackToItselfIsRefused()
    {
        auto const one = fresh();
        auto const two = fresh();
        REQUIRE_OK(createImage(one, { .size = mib, .backingFile = two }));
        REQUIRE_OK(createImage(two, { .size = mib, .backingFile = one }));
        InlineEngine engine;
        ImageOptions reading;
        reading.access = Access::ReadOnly;
        QCOMPARE(BlockImage::open(engine, one, reading).error().code, ErrorCode::Corrupt);
    }

    void aBackingFileElsewhereHasToBeNamed()
    {
        QTemporaryDir strangers;
        auto const image = strangers.filePath("image.qcow2").toStdString();
        auto const secret = fresh();
        writeFile(secret, std::string(4096, 's'));
        auto const opens = [&](std::string const& backing, std::vector<std::string> allowed = {}) {
            std::remove(image.c_str());
            NewImage const what { .size = mib, .backingFile = backing, .backingFormat = ImageFormat::Raw };
            tests::must(createImage(image, what));
            ImageOptions options;
            options.backing = std::move(allowed);
            return BlockImage::open(m_inline, image, options);
        };
        for (auto const& name :
            { secret, "../../" + secret.substr(1), std::string("link"), std::string("/dev/zero"), std::string("..") }) {
            std::filesystem::remove(strangers.filePath("link").toStdString());
            std::filesystem::create_symlink(secret, strangers.filePath("link").toStdString());
            auto const refused = opens(name);
            QVERIFY2(!refused, name.c_str());
        }
        auto const refused = opens(secret);
        QCOMPARE(refused.error().code, ErrorCode::InvalidArgument);
        for (auto const& word : { secret, image, std::string("outside of its folder"), "backing=" + secret })
            QVERIFY2(refused.error().detail.find(word) != std::string::npos, refused.error().detail.c_str());

        auto const named = opens(secret, { secret });
        REQUIRE_OK(named);
        Bytes data(512);
        REQUIRE_OK((*named)->readSync(0, data));
        QCOMPARE(data, Bytes(512, 's'));
        REQUIRE_OK(opens("link", { secret }));
        QVERIFY(!opens(secret, { secret + "2" }));

        // What is named is trusted with what lies beside it, and with no more.
        auto const below = fresh();
        REQUIRE_OK(createImage(below, { .size = mib, .backingFile = secret, .backingFormat = ImageFormat::Raw }));
        std::remove(image.c_str());
        REQUIRE_OK(createImage(image, { .size = mib, .backingFile = below }));
        ImageOptions options;
        options.backing = { below };
        REQUIRE_OK(BlockImage::open(m_inline, image, options));
        QVERIFY(!BlockImage::open(m_inline, image));
    }

    void aBackingFileOfUnsaidFormatIsRawOrRefused()
    {
        auto const base = fresh();
        auto const overlay = fresh();
        writeFile(base, std::string(mib, 'b'));
        // An image of version 2 made by old tools, without the extension that tells.
        REQUIRE_OK(createImage(overlay, { .size = mib, .version = 2, .backingFile = base }));
        {
            auto file = HostFile::open(overlay, Access::ReadWrite, CacheMode::Writeback);
            REQUIRE_OK(file);
            Bytes start(4096);
            REQUIRE_OK((*file)->read(0, start));
            std::array<std::uint8_t, 4> const format { 0xe2, 0x79, 0x2a, 0xca };
            auto const at = std::search(start.begin(), start.end(), format.begin(), format.end());
            QVERIFY(at != start.end());
            std::fill_n(at, 4, std::uint8_t(0x77)); // an extension that nobody knows
            REQUIRE_OK((*file)->write(0, start));
        }
        {
            auto image = BlockImage::open(m_inline, overlay);
            REQUIRE_OK(image);
            QCOMPARE((*image)->info().backing.at(0).format, ImageFormat::Raw);
        }
        // A guest whose raw disk that is writes another image's header into it.
        std::remove(base.c_str());
        REQUIRE_OK(createImage(base, { .size = mib }));
        auto const refused = BlockImage::open(m_inline, overlay);
        QCOMPARE(refused.error().code, ErrorCode::InvalidArgument);
        QVERIFY2(refused.error().detail.find("qemu-img rebase -u -F qcow2") != std::string::npos,
            refused.error().detail.c_str());
    }

    void aBackingFileThatIsNoFileIsRefused()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path, { .size = mib, .backingFile = "nbd://example.org/disk" }));
        InlineEngine engine;
        QCOMPARE(BlockImage::open(engine, path).error().code, ErrorCode::Unsupported);
    }

    void otherFormatsAreRefusedByName_data()
    {
        QTest::addColumn<QByteArray>("content");
        QTest::addColumn<QString>("name");
        QTest::newRow("vmdk") << QByteArray("KDMV") << "VMDK";
        QTest::newRow("vdi") << QByteArray(0x40, 'x') + QByteArray("\x7f\x10\xda\xbe") << "VDI";
        QTest::newRow("vhdx") << QByteArray("vhdxfile") << "VHDX";
        QTest::newRow("vhd") << QByteArray(1024, '\0') + "conectix" + QByteArray(504, '\0') << "VHD";
        QTest::newRow("qcow1") << QByteArray("QFI\xfb\0\0\0\1", 8) << "qcow image of version 1";
        QTest::newRow("qed") << QByteArray("QED\0", 4) << "QED";
        QTest::newRow("parallels") << QByteArray("WithoutFreeSpace") << "Parallels";
        QTest::newRow("dmg") << QByteArray(1024, 'd') + "koly" + QByteArray(508, '\0') << "DMG";
        QTest::newRow("xz") << QByteArray("\xfd"
                                          "7zXZ\0",
            6) << "xz";
        QTest::newRow("bzip2") << QByteArray("BZh9") << "bzip2";
        QTest::newRow("tar") << QByteArray(257, 'x') + "ustar"
                             << "a tar archive (an OVA is one)";
    }

    void otherFormatsAreRefusedByName()
    {
        QFETCH(QByteArray, content);
        QFETCH(QString, name);
        auto const path = fresh();
        writeFile(path, content.toStdString());
        InlineEngine engine;
        auto const image = BlockImage::open(engine, path);
        QCOMPARE(image.error().code, ErrorCode::Unsupported);
        QVERIFY(QString::fromStdString(image.error().detail).contains(name));
        ImageOptions options;
        options.format = ImageFormat::Raw;
        REQUIRE_OK(BlockImage::open(engine, path, options));
    }

    void whatIsNoFileIsRefusedWithoutWaiting()
    {
        auto const path = fresh();
        QCOMPARE(::mkfifo(path.c_str(), 0600), 0);
        InlineEngine engine;
        QCOMPARE(BlockImage::open(engine, path).error().code, ErrorCode::InvalidArgument);
        QVERIFY(!BlockImage::open(engine, m_directory.path().toStdString()));
        QCOMPARE(BlockImage::open(engine, fresh()).error().code, ErrorCode::NotFound);
    }

    void creatingNeverReplaces()
    {
        auto const path = fresh();
        writeFile(path, "precious");
        QCOMPARE(createImage(path, { .size = mib }).error().code, ErrorCode::AlreadyExists);
        std::string content;
        std::ifstream(path) >> content;
        QCOMPARE(content, std::string("precious"));
        QVERIFY(!createImage(fresh(), { .size = 100 }));
        QVERIFY(!createImage(fresh(), { .size = mib, .clusterBits = 30 }));
        QCOMPARE(QDir(m_directory.path()).entryList({ "*.new-*" }).size(), 0);
    }

private:
    std::string fresh() { return m_directory.filePath(QString("file%1").arg(m_next++)).toStdString(); }

    QTemporaryDir m_directory;
    InlineEngine m_inline;
    int m_next = 0;
};

REGISTER_SUITE(HostFilesTest);
#include "host_files_test.moc"
