#include "tests/fakes/disk_model.h"
#include "tests/fakes/fake_block_file.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/suite.h"
#include "vmm/block/image_check.h"

#include <QDateTime>
#include <map>

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

Result<std::unique_ptr<BlockImage>> openSnapshot(IoEngine& engine, QString const& path, std::string const& id)
{
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.snapshot = id;
    return BlockImage::open(engine, path.toStdString(), options);
}

}

/// Internal snapshots judged by, and exchanged with, qemu-img.
class Qcow2SnapshotToolsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        SKIP_WITHOUT_QEMU_TOOLS();
        QVERIFY(m_tools.isValid());
        setLogLevel(LogLevel::Off);
    }

    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void randomSequencesLeaveACleanImage_data()
    {
        QTest::addColumn<unsigned>("clusterBits");
        QTest::addColumn<unsigned>("refcountBits");
        QTest::addColumn<unsigned>("version");
        for (unsigned const bits : { 9U, 12U, 16U, 21U })
            QTest::addRow("clusters of 2^%u", bits) << bits << 16U << 3U;
        for (unsigned const bits : { 4U, 8U, 32U, 64U })
            QTest::addRow("refcounts of %u", bits) << 9U << bits << 3U;
        QTest::newRow("version 2") << 12U << 16U << 2U;
    }

    /// After every change: no error, no leak; then each snapshot as qemu-img reads it, and as it goes back to it.
    void randomSequencesLeaveACleanImage()
    {
        QFETCH(unsigned, clusterBits);
        QFETCH(unsigned, refcountBits);
        QFETCH(unsigned, version);
        NewImage const what {
            .size = 2 * mib + 512, .clusterBits = clusterBits, .refcountBits = refcountBits, .version = version
        };
        auto const path = m_tools.fresh();
        REQUIRE_OK(createImage(path.toStdString(), what));
        DiskModel model(what.size, clusterBits + refcountBits);
        std::map<std::string, DiskModel::Moment> moments;
        std::mt19937 random(clusterBits + refcountBits);
        ShufflingEngine engine(clusterBits);
        for (int step = 0; step < 14; ++step) {
            {
                auto image = BlockImage::open(engine, path.toStdString());
                REQUIRE_OK(image);
                QCOMPARE(model.run(**image, engine, 8, false), std::string());
                auto const choice = random() % 4;
                if (choice < 2 || moments.size() < 2) {
                    auto const id = "moment-" + std::to_string(step);
                    REQUIRE_OK((*image)->takeSnapshot({ .id = id, .name = "step " + std::to_string(step) }));
                    moments[id] = model.moment();
                } else {
                    auto it = moments.begin();
                    std::advance(it, static_cast<std::ptrdiff_t>(random() % moments.size()));
                    if (choice == 2) {
                        REQUIRE_OK((*image)->applySnapshot(it->first));
                        model.goBack(it->second);
                    } else {
                        REQUIRE_OK((*image)->deleteSnapshot(it->first));
                        moments.erase(it);
                    }
                }
                QCOMPARE(model.failures(), 0U);
                QCOMPARE(model.compare(**image), std::string());
            }
            QCOMPARE(QemuTools::check(path), QString());
            QVERIFY(tests::must(checkCounts(path.toStdString(), [] { return Result<>(); })));
        }
        QVERIFY(moments.size() > 1);
        auto const list = runTool("qemu-img", { "snapshot", "-l", path });
        for (auto const& [id, moment] : moments) {
            auto const name = QString::fromStdString(id);
            QVERIFY2(list.output.contains(name), qPrintable(list.output));
            auto const image = openSnapshot(engine, path, id);
            REQUIRE_OK(image);
            QCOMPARE(DiskModel::compare(**image, moment), std::string());
            auto const raw = m_tools.fresh();
            auto const converted = runTool(
                "qemu-img", { "convert", "-l", "snapshot.id=" + name, "-f", "qcow2", "-O", "raw", path, raw });
            QVERIFY2(converted.status == 0, qPrintable(converted.output));
            QCOMPARE(compareFile(raw, moment), std::string());
        }
        for (auto const& [id, moment] : moments) {
            QCOMPARE(runTool("qemu-img", { "snapshot", "-a", QString::fromStdString(id), path }).status, 0);
            QCOMPARE(QemuTools::check(path), QString());
            auto const image = BlockImage::open(engine, path.toStdString());
            REQUIRE_OK(image);
            QCOMPARE(DiskModel::compare(**image, moment), std::string());
        }
        // They are deleted by their names, half of them; we delete the others.
        bool ours = false;
        for (auto const& [id, moment] : moments) {
            if (std::exchange(ours, !ours)) {
                auto const image = BlockImage::open(engine, path.toStdString());
                REQUIRE_OK(image);
                REQUIRE_OK((*image)->deleteSnapshot(id));
            } else {
                auto const name = QString::fromStdString("step " + id.substr(7));
                QCOMPARE(runTool("qemu-img", { "snapshot", "-d", name, path }).status, 0);
            }
            QCOMPARE(QemuTools::check(path), QString());
        }
        auto const left = runTool("qemu-img", { "snapshot", "-l", path });
        QVERIFY2(left.status == 0 && !left.output.contains("moment"), qPrintable(left.output));
    }

    /// Snapshots that QEMU has taken are listed, gone back to and deleted by us, in images with all that it can make.
    void snapshotsOfQemuAreOurs_data()
    {
        QTest::addColumn<QString>("options");
        QTest::newRow("default") << "cluster_size=64k";
        QTest::newRow("version 2") << "compat=0.10";
        QTest::newRow("lazy refcounts") << "lazy_refcounts=on";
        QTest::newRow("preallocated") << "preallocation=falloc";
        QTest::newRow("small clusters") << "cluster_size=512";
    }

    void snapshotsOfQemuAreOurs()
    {
        QFETCH(QString, options);
        auto const path = m_tools.fresh();
        QCOMPARE(runTool("qemu-img", { "create", "-q", "-f", "qcow2", "-o", options, path, "5M" }).status, 0);
        QCOMPARE(runTool("qemu-io", { "-c", "write -P 0x11 0 2M", path }).status, 0);
        QCOMPARE(runTool("qemu-img", { "snapshot", "-c", "one", path }).status, 0);
        QCOMPARE(runTool("qemu-io", { "-c", "write -P 0x22 1M 2M", path }).status, 0);
        QCOMPARE(runTool("qemu-img", { "snapshot", "-c", "two", path }).status, 0);
        InlineEngine engine;
        auto image = BlockImage::open(engine, path.toStdString());
        REQUIRE_OK(image);
        auto const all = must((*image)->snapshots());
        QCOMPARE(all.size(), 2U);
        QCOMPARE(all[0].name, std::string("one"));
        QCOMPARE(all[1].diskSize, 5 * mib);
        auto const age = QDateTime::currentSecsSinceEpoch() - static_cast<qint64>(all[1].time / 1'000'000'000);
        QVERIFY(age >= 0 && age < 600);
        Bytes data(3 * mib);
        Bytes expected(3 * mib);
        REQUIRE_OK((*image)->applySnapshot(all[0].id));
        REQUIRE_OK((*image)->readSync(0, data));
        std::fill_n(expected.begin(), 2 * mib, 0x11);
        QVERIFY(data == expected);
        REQUIRE_OK((*image)->deleteSnapshot(all[0].id));
        REQUIRE_OK((*image)->applySnapshot(all[1].id));
        REQUIRE_OK((*image)->readSync(0, data));
        std::fill_n(expected.begin() + mib, 2 * mib, 0x22);
        QVERIFY(data == expected);
        REQUIRE_OK((*image)->takeSnapshot({ .id = "ours", .name = "" }));
        image->reset();
        QCOMPARE(QemuTools::check(path), QString());
        QCOMPARE(runTool("qemu-img", { "snapshot", "-c", "three", path }).status, 0); // it finds an id beside ours
        QCOMPARE(QemuTools::check(path), QString());
    }

    void compressedClustersAreShared()
    {
        auto const raw = m_tools.fresh(), path = m_tools.fresh();
        Bytes content(3 * mib);
        for (std::size_t i = 0; i < content.size(); ++i)
            content[i] = static_cast<std::uint8_t>(i / 1000 + i % 7);
        QemuTools::writeFile(raw, content);
        QCOMPARE(runTool("qemu-img", { "convert", "-c", "-O", "qcow2", raw, path }).status, 0);
        InlineEngine engine;
        auto image = BlockImage::open(engine, path.toStdString());
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->takeSnapshot({ .id = "a", .name = "" }));
        REQUIRE_OK((*image)->writeSync(0, Bytes(mib, 9)));
        REQUIRE_OK((*image)->takeSnapshot({ .id = "b", .name = "" }));
        REQUIRE_OK((*image)->applySnapshot("a"));
        image->reset();
        QCOMPARE(QemuTools::check(path), QString());
        QCOMPARE(QemuTools::compare(path, raw), QString());
        image = BlockImage::open(engine, path.toStdString());
        REQUIRE_OK(image);
        REQUIRE_OK((*image)->deleteSnapshot("a"));
        image->reset();
        QCOMPARE(QemuTools::check(path), QString());
        QCOMPARE(QemuTools::compare(path, raw), QString());
    }

    void aPowerCutLeavesLeaksAtWorst_data()
    {
        QTest::addColumn<QString>("change");
        for (QString const change : { "take", "apply", "delete" })
            QTest::newRow(qPrintable(change)) << change;
    }

    /// The power goes before any write of a change. (That the disk states are whole is Qcow2SnapshotsTest's.)
    void aPowerCutLeavesLeaksAtWorst()
    {
        QFETCH(QString, change);
        FakeDisk start;
        FakeBlockFile file(start);
        REQUIRE_OK(formatImage(file, { .size = mib, .clusterBits = 12 }));
        DiskModel model(mib, 4);
        ShufflingEngine engine(1);
        {
            auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(start), {}, {});
            REQUIRE_OK(image);
            for (std::string const id : { "one", "two" }) {
                QCOMPARE(model.run(**image, engine, 12), std::string());
                REQUIRE_OK((*image)->takeSnapshot({ .id = id, .name = "" }));
            }
            QCOMPARE(model.run(**image, engine, 12), std::string());
        }
        auto const path = m_tools.fresh();
        bool done = false;
        for (std::uint64_t cut = 0; !done; ++cut) {
            FakeDisk disk(start.content);
            {
                auto image = BlockImage::open(engine, std::make_unique<FakeBlockFile>(disk), {}, {});
                REQUIRE_OK(image);
                auto copy = model;
                QCOMPARE(copy.run(**image, engine, 1), std::string()); // something for the flush before it
                disk.fault = FakeDisk::Fault::PowerCut;
                disk.faultAt = disk.operations + cut;
                auto const made = change == "take" ? (*image)->takeSnapshot({ .id = "three", .name = "" })
                    : change == "apply"            ? (*image)->applySnapshot("one")
                                                   : (*image)->deleteSnapshot("one");
                done = made.has_value() && disk.powered;
            }
            for (unsigned survivors = 0; survivors < 4; ++survivors) {
                QemuTools::writeFile(path, disk.afterPowerCut(survivors));
                auto const wrong = QemuTools::check(path, QemuTools::Leaks::Allowed);
                QVERIFY2(wrong.isEmpty(), qPrintable(QString("cut before operation %1: %2").arg(cut).arg(wrong)));
            }
        }
    }

private:
    static std::string compareFile(QString const& path, DiskModel::Moment const& moment)
    {
        InlineEngine engine;
        ImageOptions options;
        options.access = Access::ReadOnly;
        options.format = ImageFormat::Raw;
        auto const image = BlockImage::open(engine, path.toStdString(), options);
        return image ? DiskModel::compare(**image, moment) : image.error().message();
    }

    QemuTools m_tools;
};

REGISTER_SUITE(Qcow2SnapshotToolsTest);
#include "qcow2_snapshot_tools_test.moc"
