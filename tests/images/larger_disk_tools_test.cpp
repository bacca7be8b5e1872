#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/suite.h"

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

std::unique_ptr<BlockImage> openImage(IoEngine& engine, QString const& path)
{
    return must(BlockImage::open(engine, path.toStdString()));
}

}

/// Disks that are made larger, judged by and exchanged with qemu-img.
class LargerDiskToolsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        SKIP_WITHOUT_QEMU_TOOLS();
        QVERIFY(m_tools.isValid());
        setLogLevel(LogLevel::Off);
    }

    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void eachSizeLeavesACleanImage_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("refcountBits");
        QTest::addColumn<unsigned>("version");
        for (unsigned const bits : { 9U, 12U, 16U, 21U })
            QTest::addRow("clusters of 2^%u", bits) << bits << 16U << 3U;
        for (unsigned const bits : { 1U, 8U, 64U })
            QTest::addRow("refcounts of %u", bits) << 9U << bits << 3U;
        QTest::newRow("version 2") << 9U << 16U << 2U;
    }

    /// No error, and no leak: what the old table took is free.
    void eachSizeLeavesACleanImage()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, refcountBits);
        QFETCH(unsigned, version);
        std::uint64_t size = 300 * kib + 512;
        auto const path = m_tools.fresh(), raw = m_tools.fresh();
        REQUIRE_OK(createImage(path.toStdString(),
            { .size = size, .clusterBits = clusterBits, .refcountBits = refcountBits, .version = version }));
        InlineEngine engine;
        Bytes expected(size);
        for (unsigned step = 1; step < 9; ++step) {
            {
                auto const image = openImage(engine, path);
                Bytes const data(size / 3 / 512 * 512, std::uint8_t(step));
                REQUIRE_OK(image->writeSync(size - data.size(), data)); // up to the end
                std::ranges::fill(ByteSpan(expected).last(data.size()), std::uint8_t(step));
                size += 300 * kib * step + 1024;
                REQUIRE_OK(image->grow(size));
                expected.resize(size);
            }
            QCOMPARE(QemuTools::check(path), QString());
            QemuTools::writeFile(raw, expected);
            QCOMPARE(QemuTools::compare(path, raw), QString());
        }
    }

    void qemuGoesBackToTheSizeOfTheTime()
    {
        auto const path = m_tools.fresh(), raw = m_tools.fresh();
        REQUIRE_OK(createImage(path.toStdString(), { .size = mib + 512, .clusterBits = 9 }));
        InlineEngine engine;
        {
            auto const image = openImage(engine, path);
            REQUIRE_OK(image->writeSync(0, Bytes(mib + 512, 1)));
            REQUIRE_OK(image->takeSnapshot({ .id = "small", .name = "" }));
            REQUIRE_OK(image->grow(4 * mib));
            REQUIRE_OK(image->writeSync(0, Bytes(4 * mib, 2)));
            REQUIRE_OK(image->takeSnapshot({ .id = "large", .name = "" }));
        }
        QCOMPARE(QemuTools::check(path), QString());
        for (auto const& [name, content] : { std::pair(QStringLiteral("small"), Bytes(mib + 512, 1)),
                 { QStringLiteral("large"), Bytes(4 * mib, 2) } }) {
            QemuTools::writeFile(raw, content);
            auto const gone = runTool("qemu-img", { "snapshot", "-a", name, path });
            QVERIFY2(gone.status == 0, qPrintable(gone.output));
            QCOMPARE(QemuTools::check(path), QString());
            QCOMPARE(QemuTools::compare(path, raw), QString());
            QCOMPARE(openImage(engine, path)->size(), std::uint64_t(content.size()));
        }
    }

    void aSizeOfQemusIsGoneBackFrom()
    {
        auto const path = m_tools.fresh();
        REQUIRE_OK(createImage(path.toStdString(), { .size = mib, .clusterBits = 9 }));
        InlineEngine engine;
        {
            auto const image = openImage(engine, path);
            REQUIRE_OK(image->writeSync(0, Bytes(mib, 1)));
            REQUIRE_OK(image->takeSnapshot({ .id = "small", .name = "" }));
        }
        QCOMPARE(runTool("qemu-img", { "resize", "-q", "-f", "qcow2", path, "4M" }).status, 0);
        QCOMPARE(runTool("qemu-io", { "-f", "qcow2", "-c", "write -P 0x22 0 4M", path }).status, 0);
        {
            auto const image = openImage(engine, path);
            QCOMPARE(image->size(), 4 * mib);
            REQUIRE_OK(image->applySnapshot("small"));
            QCOMPARE(image->size(), mib);
            REQUIRE_OK(image->grow(6 * mib));
        }
        QCOMPARE(QemuTools::check(path), QString());
        Bytes expected(6 * mib);
        std::fill_n(expected.begin(), mib, std::uint8_t(1));
        auto const raw = m_tools.fresh();
        QemuTools::writeFile(raw, expected);
        QCOMPARE(QemuTools::compare(path, raw), QString());
    }

    /// What an overlay gains is zeros for QEMU too, whatever its base has there.
    void anOverlayDoesNotShowMoreOfItsBase_data()
    {
        QTest::addColumn<unsigned>("version");
        QTest::newRow("version 3") << 3U;
        QTest::newRow("version 2") << 2U;
    }

    void anOverlayDoesNotShowMoreOfItsBase()
    {
        QFETCH(unsigned, version);
        auto const base = m_tools.fresh(), path = m_tools.fresh(), raw = m_tools.fresh();
        QemuTools::writeFile(base, Bytes(3 * mib, 7));
        REQUIRE_OK(createImage(path.toStdString(),
            { .size = mib + 512,
                .version = version,
                .backingFile = base.toStdString(),
                .backingFormat = ImageFormat::Raw }));
        InlineEngine engine;
        REQUIRE_OK(openImage(engine, path)->grow(5 * mib));
        QCOMPARE(QemuTools::check(path), QString());
        Bytes expected(5 * mib);
        std::fill_n(expected.begin(), mib + 512, std::uint8_t(7));
        QemuTools::writeFile(raw, expected);
        QCOMPARE(QemuTools::compare(path, raw), QString());
    }

    /// The power goes before any write. (That the disk's contents are whole is Qcow2GrowTest's.)
    void aPowerCutLeavesLeaksAtWorst()
    {
        FakeDisk start;
        FakeBlockFile file(start);
        REQUIRE_OK(formatImage(file, { .size = 256 * kib, .clusterBits = 9 }));
        InlineEngine engine;
        auto const openIn = [&](FakeDisk& disk) {
            return must(BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, {}));
        };
        {
            auto const image = openIn(start);
            REQUIRE_OK(image->writeSync(0, Bytes(256 * kib, 1)));
            REQUIRE_OK(image->takeSnapshot({ .id = "one", .name = "" }));
            REQUIRE_OK(image->writeSync(128 * kib, Bytes(64 * kib, 2)));
        }
        storeBig(ByteSpan(start.content).subspan(24, 8), 96 * kib); // something lies behind its end
        auto const path = m_tools.fresh();
        bool done = false;
        for (std::uint64_t cut = 0; !done; ++cut) {
            FakeDisk disk(start.content);
            {
                auto const image = openIn(disk);
                disk.fault = FakeDisk::Fault::PowerCut;
                disk.faultAt = disk.operations + cut;
                done = image->grow(512 * kib).has_value() && disk.powered;
            }
            for (unsigned survivors = 0; survivors < 4; ++survivors) {
                QemuTools::writeFile(path, disk.afterPowerCut(survivors));
                auto const wrong = QemuTools::check(path, QemuTools::Leaks::Allowed);
                QVERIFY2(wrong.isEmpty(), qPrintable(QString("cut before operation %1: %2").arg(cut).arg(wrong)));
            }
        }
    }

private:
    QemuTools m_tools;
};

REGISTER_SUITE(LargerDiskToolsTest);
#include "larger_disk_tools_test.moc"
