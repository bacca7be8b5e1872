#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/suite.h"

#include <QFile>
#include <QProcess>

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

}

/// Images judged by, and exchanged with, another implementation: qemu-img and qemu-io.
class Qcow2ToolsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        SKIP_WITHOUT_QEMU_TOOLS();
        QVERIFY(m_tools.isValid());
        setLogLevel(LogLevel::Off);
    }

    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void randomRequestsLeaveACleanImage_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("refcountBits");
        QTest::addColumn<unsigned>("version");
        for (unsigned bits = 9; bits <= 21; ++bits)
            QTest::addRow("clusters of 2^%u", bits) << bits << 16U << 3U;
        for (unsigned const bits : { 9U, 16U })
            QTest::addRow("version 2, clusters of 2^%u", bits) << bits << 16U << 2U;
        for (unsigned const bits : { 1U, 2U, 4U, 8U, 32U, 64U })
            QTest::addRow("refcounts of %u", bits) << 9U << bits << 3U;
    }

    /// We write; qemu-img finds no error, no leak, and the same content.
    void randomRequestsLeaveACleanImage()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, refcountBits);
        QFETCH(unsigned, version);
        auto const path = fresh();
        NewImage const what {
            .size = 5 * mib + 512, .clusterBits = clusterBits, .refcountBits = refcountBits, .version = version
        };
        REQUIRE_OK(createImage(path.toStdString(), what));
        QCOMPARE(check(path), QString());
        ShufflingEngine engine(clusterBits);
        DiskModel model(what.size, clusterBits + refcountBits);
        for (int round = 0; round < 3; ++round) {
            {
                auto image = BlockImage::open(engine, path.toStdString());
                REQUIRE_OK(image);
                QCOMPARE(model.run(**image, engine, 80), std::string());
                QCOMPARE(model.failures(), 0U);
                if (round == 2)
                    copyOut(**image, path + ".raw");
            }
            QCOMPARE(check(path), QString());
        }
        QCOMPARE(compare(path, path + ".raw"), QString());
    }

    /// qemu-img makes the images, with all that it can put into them; we write into them.
    void imagesOfQemuAreWritten_data()
    {
        QTest::addColumn<QString>("options");
        QTest::newRow("default") << "";
        QTest::newRow("preallocated metadata") << "preallocation=metadata";
        QTest::newRow("preallocated") << "preallocation=falloc";
        QTest::newRow("version 2") << "compat=0.10";
        QTest::newRow("lazy refcounts") << "lazy_refcounts=on";
        QTest::newRow("small clusters, narrow refcounts") << "cluster_size=512,refcount_bits=1";
        QTest::newRow("large clusters") << "cluster_size=2M";
    }

    void imagesOfQemuAreWritten()
    {
        QFETCH(QString, options);
        auto const path = fresh();
        QStringList arguments { "create", "-q", "-f", "qcow2" };
        if (!options.isEmpty())
            arguments << "-o" << options;
        QCOMPARE(runTool("qemu-img", arguments << path << "5M").status, 0);
        QCOMPARE(runTool("qemu-io", { "-c", "write -P 0x11 1M 300k", path }).status, 0);
        DiskModel model(5 * mib, 99);
        std::fill_n(model.content().begin() + mib, 300 * kib, 0x11);
        ShufflingEngine engine(1);
        {
            auto image = BlockImage::open(engine, path.toStdString());
            REQUIRE_OK(image);
            QCOMPARE(model.compare(**image), std::string());
            QCOMPARE(model.run(**image, engine, 120), std::string());
            QCOMPARE(model.failures(), 0U);
            copyOut(**image, path + ".raw");
        }
        QCOMPARE(check(path), QString());
        QCOMPARE(compare(path, path + ".raw"), QString());
    }

    void compressedClustersAreReadAndReplaced_data()
    {
        QTest::addColumn<QString>("options");
        QTest::newRow("deflate") << "compression_type=zlib";
        QTest::newRow("zstd") << "compression_type=zstd";
        QTest::newRow("deflate, small clusters") << "compression_type=zlib,cluster_size=4k";
        QTest::newRow("zstd, large clusters") << "compression_type=zstd,cluster_size=2M";
    }

    void compressedClustersAreReadAndReplaced()
    {
        QFETCH(QString, options);
        auto const raw = fresh();
        auto const path = fresh();
        DiskModel model(5 * mib, 7);
        for (std::size_t i = 0; i < 4 * mib; ++i)
            model.content()[i] = static_cast<std::uint8_t>(i / 1000 + i % 7);
        QFile source(raw);
        QVERIFY(source.open(QIODevice::WriteOnly));
        source.write(reinterpret_cast<char const*>(model.content().data()), 5 * mib);
        source.close();
        auto const made = runTool("qemu-img", { "convert", "-c", "-O", "qcow2", "-o", options, raw, path });
        QVERIFY2(made.status == 0, qPrintable(made.output));
        ShufflingEngine engine(4);
        {
            auto image = BlockImage::open(engine, path.toStdString());
            REQUIRE_OK(image);
            QCOMPARE(model.compare(**image), std::string());
            QCOMPARE(model.run(**image, engine, 120), std::string());
            QCOMPARE(model.failures(), 0U);
            copyOut(**image, path + ".raw");
        }
        QCOMPARE(check(path), QString());
        QCOMPARE(compare(path, path + ".raw"), QString());
    }

    void chainsAreReadAndWritten_data()
    {
        QTest::addColumn<QString>("baseFormat");
        QTest::addColumn<QString>("version");
        QTest::newRow("raw below") << "raw"
                                   << "1.1";
        QTest::newRow("qcow2 below") << "qcow2"
                                     << "1.1";
        QTest::newRow("qcow2 below version 2") << "qcow2"
                                               << "0.10";
    }

    void chainsAreReadAndWritten()
    {
        QFETCH(QString, baseFormat);
        QFETCH(QString, version);
        auto const base = fresh(), middle = fresh(), top = fresh();
        QCOMPARE(runTool("qemu-img", { "create", "-q", "-f", baseFormat, base, "3M" }).status, 0);
        QCOMPARE(runTool("qemu-io", { "-f", baseFormat, "-c", "write -P 0xaa 0 3M", base }).status, 0);
        QCOMPARE(runTool("qemu-img",
                     { "create", "-q", "-f", "qcow2", "-o", "compat=" + version, "-b", base, "-F", baseFormat, middle,
                         "5M" })
                     .status,
            0);
        QCOMPARE(runTool("qemu-io", { "-c", "write -P 0xbb 2500k 1M", "-c", "write -z 1M 64k", middle }).status, 0);
        QCOMPARE(
            runTool("qemu-img",
                { "create", "-q", "-f", "qcow2", "-o", "compat=" + version, "-b", middle, "-F", "qcow2", top, "6M" })
                .status,
            0);
        DiskModel model(6 * mib, 12);
        std::fill_n(model.content().begin(), 3 * mib, 0xaa);
        std::fill_n(model.content().begin() + 2500 * kib, mib, 0xbb);
        std::fill_n(model.content().begin() + mib, 64 * kib, 0);
        ShufflingEngine engine(4);
        {
            auto image = BlockImage::open(engine, top.toStdString());
            REQUIRE_OK(image);
            QCOMPARE((*image)->info().backing.size(), 2U);
            QCOMPARE(model.compare(**image), std::string());
            QCOMPARE(model.run(**image, engine, 120), std::string());
            QCOMPARE(model.failures(), 0U);
            copyOut(**image, top + ".raw");
        }
        QCOMPARE(check(top), QString());
        QCOMPARE(compare(top, top + ".raw"), QString());
    }

    /// What is given back above hides what is below, of which nobody needs it any more; what reads as zeros anyhow
    /// stays as it is.
    void whatIsGivenBackHidesWhatIsBelow()
    {
        auto const base = fresh(), top = fresh();
        QCOMPARE(runTool("qemu-img", { "create", "-q", "-f", "qcow2", base, "16M" }).status, 0);
        QCOMPARE(runTool("qemu-io", { "-c", "write -P 0xaa 0 2M", "-c", "write -P 0xaa 8M 1M", base }).status, 0);
        REQUIRE_OK(createImage(top.toStdString(), { .backingFile = base.section('/', -1).toStdString() }));
        {
            InlineEngine engine;
            auto image = BlockImage::open(engine, top.toStdString());
            REQUIRE_OK(image);
            REQUIRE_OK((*image)->runSync(BlockRequest::Kind::Discard, mib, 10 * mib));
            REQUIRE_OK((*image)->flushSync());
            auto const own = [&](std::uint64_t offset) {
                return must((*image)->map(offset, 64 * kib)).kind != BlockImage::Mapping::Kind::Unallocated;
            };
            QVERIFY(!own(0) && own(mib) && own(2 * mib - 64 * kib) && !own(2 * mib));
            QVERIFY(!own(8 * mib - 64 * kib) && own(8 * mib) && own(9 * mib - 64 * kib) && !own(9 * mib));
        }
        QCOMPARE(check(top), QString());
        auto const read = runTool("qemu-io", { "-c", "read -P 0xaa 0 1M", "-c", "read -P 0 1M 15M", top });
        QVERIFY2(read.status == 0, qPrintable(read.output));
    }

    void ourOverlayIsReadByQemu()
    {
        auto const base = fresh(), top = fresh();
        QCOMPARE(runTool("qemu-img", { "create", "-q", "-f", "qcow2", base, "3M" }).status, 0);
        QCOMPARE(runTool("qemu-io", { "-c", "write -P 0xaa 0 3M", base }).status, 0);
        REQUIRE_OK(createImage(top.toStdString(), { .backingFile = base.section('/', -1).toStdString() }));
        QVERIFY(runTool("qemu-img", { "info", top }).output.contains("backing file format: qcow2"));
        auto const read = runTool("qemu-io", { "-c", "read -P 0xaa 0 3M", top });
        QVERIFY2(read.status == 0, qPrintable(read.output));
    }

    /// Clusters that an internal snapshot uses too are copied before they change.
    void snapshotsStayAsTheyWere()
    {
        for (QString const size : { "512", "64k" }) {
            auto const path = fresh();
            QCOMPARE(
                runTool("qemu-img", { "create", "-q", "-f", "qcow2", "-o", "cluster_size=" + size, path, "5M" }).status,
                0);
            QCOMPARE(runTool("qemu-io", { "-c", "write -P 0x11 0 2M", path }).status, 0);
            QCOMPARE(runTool("qemu-img", { "snapshot", "-c", "one", path }).status, 0);
            QCOMPARE(runTool("qemu-io", { "-c", "write -P 0x22 1M 2M", path }).status, 0);
            QCOMPARE(runTool("qemu-img", { "snapshot", "-c", "two", path }).status, 0);
            DiskModel model(5 * mib, 21);
            std::fill_n(model.content().begin(), mib, 0x11);
            std::fill_n(model.content().begin() + mib, 2 * mib, 0x22);
            ShufflingEngine engine(8);
            {
                auto image = BlockImage::open(engine, path.toStdString());
                REQUIRE_OK(image);
                QCOMPARE((*image)->info().snapshots, 2U);
                QCOMPARE(model.compare(**image), std::string());
                QCOMPARE(model.run(**image, engine, 120), std::string());
                QCOMPARE(model.failures(), 0U);
                copyOut(**image, path + ".raw");
            }
            QCOMPARE(check(path), QString());
            QCOMPARE(compare(path, path + ".raw"), QString());
            QCOMPARE(runTool("qemu-img", { "snapshot", "-a", "one", path }).status, 0);
            auto const one = runTool("qemu-io", { "-c", "read -P 0x11 0 2M", "-c", "read -P 0 2M 3M", path });
            QVERIFY2(one.status == 0, qPrintable(one.output));
            QCOMPARE(runTool("qemu-img", { "snapshot", "-a", "two", path }).status, 0);
            auto const two = runTool("qemu-io", { "-c", "read -P 0x11 0 1M", "-c", "read -P 0x22 1M 2M", path });
            QVERIFY2(two.status == 0, qPrintable(two.output));
            QCOMPARE(check(path), QString());
        }
    }

    /// Another program that puts refcounts off is killed; we count them, keeping its snapshot.
    void anImageThatWasNotClosedIsRepaired()
    {
        for (QString const options : { "lazy_refcounts=on", "lazy_refcounts=on,cluster_size=512,refcount_bits=64" }) {
            auto const path = fresh();
            QCOMPARE(runTool("qemu-img", { "create", "-q", "-f", "qcow2", "-o", options, path, "5M" }).status, 0);
            QCOMPARE(runTool("qemu-io", { "-c", "write -P 0x11 0 1M", path }).status, 0);
            QCOMPARE(runTool("qemu-img", { "snapshot", "-c", "one", path }).status, 0);
            runTool("qemu-io", { "-c", "write -P 0x22 512k 3M", "-c", "flush", "-c", "sigraise 9", path });
            QVERIFY(runTool("qemu-img", { "check", path }).status != 0);
            InlineEngine engine;
            {
                auto image = BlockImage::open(engine, path.toStdString());
                REQUIRE_OK(image);
            }
            QCOMPARE(check(path), QString());
            auto const read = runTool("qemu-io", { "-c", "read -P 0x11 0 512k", "-c", "read -P 0x22 512k 3M", path });
            QVERIFY2(read.status == 0, qPrintable(read.output));
        }
    }

    /// The power goes before one write or another; whatever reached the medium, there is no error and nothing is lost.
    void aPowerCutLeavesLeaksAtWorst_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("seed");
        QTest::newRow("small clusters") << 9U << 1U;
        QTest::newRow("pages") << 12U << 2U;
        QTest::newRow("default") << 16U << 3U;
    }

    void aPowerCutLeavesLeaksAtWorst()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, seed);
        NewImage const what { .size = mib, .clusterBits = clusterBits };
        auto const path = fresh();
        FakeDisk empty;
        FakeBlockFile file(empty);
        REQUIRE_OK(formatImage(file, what));
        std::uint64_t total = 0, step = 1;
        for (std::uint64_t cut = 0; cut <= total; cut += step) {
            FakeDisk disk(empty.content);
            ShufflingEngine engine(seed);
            DiskModel model(what.size, seed);
            {
                auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, {});
                REQUIRE_OK(image);
                disk.fault = cut == 0 ? FakeDisk::Fault::None : FakeDisk::Fault::PowerCut;
                disk.faultAt = cut;
                for (int i = 0; i < 8; ++i) {
                    QCOMPARE(model.run(**image, engine, 3), std::string());
                    model.flush(**image);
                }
            }
            if (cut == 0) {
                total = disk.operations;
                step = total / 90 + 1;
            }
            auto const survivors = static_cast<unsigned>(cut / step % 4); // none, all, or some of what was not flushed
            auto const left = disk.afterPowerCut(survivors);
            QFile output(path);
            QVERIFY(output.open(QIODevice::WriteOnly | QIODevice::Truncate));
            output.write(reinterpret_cast<char const*>(left.data()), static_cast<qint64>(left.size()));
            output.close();
            auto const wrong = QemuTools::check(path, QemuTools::Leaks::Allowed);
            QVERIFY2(wrong.isEmpty(), qPrintable(QString("cut before operation %1: %2").arg(cut).arg(wrong)));
            FakeDisk after(left);
            auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(after), {}, {});
            REQUIRE_OK(image);
            QCOMPARE(model.compareDurable(**image), std::string());
        }
        QVERIFY(total > 20);
    }

    /// A request that fails for want of space leaves tables that are whole.
    void errorsLeaveACleanImage()
    {
        NewImage const what { .size = mib, .clusterBits = 12 };
        auto const path = fresh();
        FakeDisk empty;
        FakeBlockFile file(empty);
        REQUIRE_OK(formatImage(file, what));
        std::uint64_t total = 0, step = 1;
        for (std::uint64_t at = 0; at <= total; at += step) {
            FakeDisk disk(empty.content);
            ShufflingEngine engine(5);
            DiskModel model(what.size, 5);
            {
                auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, {});
                REQUIRE_OK(image);
                disk.fault = at == 0 ? FakeDisk::Fault::None
                    : at % 2 == 0    ? FakeDisk::Fault::Torn
                                     : FakeDisk::Fault::Fail;
                disk.faultAt = at;
                disk.faultStays = at % 5 == 0;
                QCOMPARE(model.run(**image, engine, 20), std::string());
                disk.fault = FakeDisk::Fault::None; // there is room again
                QCOMPARE(model.run(**image, engine, 5), std::string());
                QCOMPARE(model.compare(**image), std::string());
                REQUIRE_OK((*image)->flushSync());
            }
            if (at == 0) {
                total = disk.operations;
                step = total / 90 | 1; // odd, so that each kind of failure comes
            }
            QFile output(path);
            QVERIFY(output.open(QIODevice::WriteOnly | QIODevice::Truncate));
            output.write(reinterpret_cast<char const*>(disk.content.data()), static_cast<qint64>(disk.content.size()));
            output.close();
            auto const wrong = QemuTools::check(path, QemuTools::Leaks::Allowed);
            QVERIFY2(wrong.isEmpty(), qPrintable(QString("failing operation %1: %2").arg(at).arg(wrong)));
        }
    }

    void qemuKeepsOutOfAnOpenImageAndWeOfItsOwn()
    {
        auto const path = fresh();
        REQUIRE_OK(createImage(path.toStdString(), { .size = mib }));
        InlineEngine engine;
        {
            auto image = BlockImage::open(engine, path.toStdString());
            REQUIRE_OK(image);
            auto const refused = runTool("qemu-io", { "-c", "write 0 64k", path });
            QVERIFY(refused.status != 0);
            QVERIFY2(refused.output.contains("lock"), qPrintable(refused.output));
        }
        QProcess other;
        other.start("qemu-io", { path });
        QVERIFY(other.waitForStarted());
        other.write("write 0 64k\n");
        QVERIFY(other.waitForReadyRead(10000)); // it has the image open
        QTRY_COMPARE(BlockImage::open(engine, path.toStdString()).has_value(), false);
        QCOMPARE(BlockImage::open(engine, path.toStdString()).error().code, ErrorCode::Busy);
        other.closeWriteChannel();
        QVERIFY(other.waitForFinished(10000));
        REQUIRE_OK(BlockImage::open(engine, path.toStdString()));
    }

private:
    QString fresh() { return m_tools.fresh(); }
    static QString check(QString const& path) { return QemuTools::check(path); }
    static QString compare(QString const& image, QString const& raw) { return QemuTools::compare(image, raw); }

    static void copyOut(BlockImage& image, QString const& path)
    {
        Bytes data(image.size());
        auto const read = image.readSync(0, data);
        QVERIFY(read.has_value());
        QFile file(path);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(reinterpret_cast<char const*>(data.data()), static_cast<qint64>(data.size()));
    }

    QemuTools m_tools;
};

REGISTER_SUITE(Qcow2ToolsTest);
#include "qcow2_tools_test.moc"
