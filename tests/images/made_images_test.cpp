#include "app/store/machine_store.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QJsonDocument>
#include <QJsonObject>

using namespace vmm;
using namespace tests;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib, tib = 1024 * gib;

std::string const rawName = "raw", qcow2Name = "qcow2";

}

/// Every kind of image that we make, as qemu-img finds it: of the size and the shape that was asked for, empty, and
/// with nothing against it. The same of the copies that the library makes.
class MadeImagesTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        SKIP_WITHOUT_QEMU_TOOLS();
        QVERIFY(m_tools.isValid());
    }

    void anyShape_data()
    {
        QTest::addColumn<NewImage>("what");
        auto const add = [](NewImage const& what) {
            QTest::addRow("version %u, %llu bytes, clusters of 2^%u, refcounts of %u", what.version,
                static_cast<unsigned long long>(what.size), what.clusterBits, what.refcountBits)
                << what;
        };
        for (unsigned clusters = 9; clusters <= 21; ++clusters) {
            // qemu-img looks at the tables of small clusters one by one.
            for (std::uint64_t const size : { std::uint64_t(512), 3 * mib + 512, clusters < 12 ? gib : 100 * gib })
                add({ .size = size, .clusterBits = clusters });
            add({ .size = gib, .clusterBits = clusters, .version = 2 });
        }
        for (unsigned const bits : { 1u, 2u, 4u, 8u, 32u, 64u }) {
            add({ .size = 20 * gib, .refcountBits = bits });
            add({ .size = gib, .clusterBits = 9, .refcountBits = bits }); // many clusters of tables to count
        }
        add({ .size = 64 * tib, .clusterBits = 21 });
    }

    void anyShape()
    {
        QFETCH(NewImage, what);
        auto const path = m_tools.fresh();
        REQUIRE_OK(createImage(path.toStdString(), what));
        QCOMPARE(QemuTools::check(path), QString());
        auto const info = described(path, qcow2Name);
        QCOMPARE(info["virtual-size"].toInteger(), qint64(what.size));
        QCOMPARE(info["cluster-size"].toInteger(), 1ll << what.clusterBits);
        auto const form = info["format-specific"]["data"];
        QCOMPARE(form["compat"].toString(), QString(what.version == 2 ? "0.10" : "1.1"));
        QCOMPARE(form["refcount-bits"].toInt(), int(what.refcountBits));
        QCOMPARE(form["corrupt"].toBool(), false);
        QCOMPARE(mapped(path), nothing(what.size));
    }

    void raws()
    {
        for (auto const size : { std::uint64_t(512), 3 * mib + 512, 100 * gib }) {
            auto const path = m_tools.fresh();
            REQUIRE_OK(createImage(path.toStdString(), { .format = ImageFormat::Raw, .size = size }));
            auto const info = described(path, rawName);
            QCOMPARE(info["virtual-size"].toInteger(), qint64(size));
            QVERIFY(info["actual-size"].toInteger() < 64 * qint64(kib));
        }
    }

    void overOthers_data()
    {
        QTest::addColumn<ImageFormat>("below");
        QTest::addColumn<std::uint64_t>("size");
        for (auto const below : { ImageFormat::Raw, ImageFormat::Qcow2 }) {
            auto const* name = below == ImageFormat::Raw ? "raw" : "qcow2";
            QTest::addRow("as large as the %s below", name) << below << std::uint64_t(0);
            QTest::addRow("larger than the %s below", name) << below << 5 * mib;
            QTest::addRow("smaller than the %s below", name) << below << mib + 512;
        }
    }

    void overOthers()
    {
        QFETCH(ImageFormat, below);
        QFETCH(std::uint64_t, size);
        auto const base = m_tools.fresh(), path = m_tools.fresh();
        auto const format = QString::fromStdString(below == ImageFormat::Raw ? rawName : qcow2Name);
        REQUIRE_OK(createImage(base.toStdString(), { .format = below, .size = 3 * mib }));
        write(base, below, mib, Bytes(300 * kib, 'x'));
        REQUIRE_OK(createImage(
            path.toStdString(), { .size = size, .backingFile = base.toStdString(), .backingFormat = below }));
        QCOMPARE(QemuTools::check(path), QString());
        auto const info = described(path, qcow2Name);
        QCOMPARE(info["virtual-size"].toInteger(), qint64(size == 0 ? 3 * mib : size));
        QCOMPARE(info["full-backing-filename"].toString(), base);
        QCOMPARE(info["backing-filename-format"].toString(), format);
        // The same as far as both reach, and zeros behind.
        auto const same = runTool("qemu-img", { "compare", "-f", "qcow2", "-F", format, path, base });
        bool const cutsData = size != 0 && size < 3 * mib;
        QVERIFY2(same.status == (cutsData ? 1 : 0), qPrintable(same.output));
        if (cutsData)
            QVERIFY2(same.output.contains("at offset " + QString::number(size)), qPrintable(same.output));
    }

    void copiesOfTheLibrary_data()
    {
        QTest::addColumn<app::DiskFormat>("format");
        QTest::newRow("raw") << app::DiskFormat::Raw;
        QTest::newRow("qcow2") << app::DiskFormat::Qcow2;
    }

    /// Made with its machine, attached to it later, and cloned.
    void copiesOfTheLibrary()
    {
        QFETCH(app::DiskFormat, format);
        auto const name = QString::fromStdString(format == app::DiskFormat::Raw ? rawName : qcow2Name);
        QTemporaryDir directory;
        app::MachineStore store(directory.path().toStdString());
        app::MachineRequest request;
        request.config.name = "source";
        request.config.disks.resize(1);
        request.config.disks[0].id = "disk0";
        request.newDisks = { { "disk0", 5 * mib, format } };
        auto machine = must(store.create(std::move(request)));
        auto& another = machine.config.disks.emplace_back();
        another.id = "disk1";
        REQUIRE_OK(store.save(machine.config, { { "disk1", 3 * mib + 512, format } }));
        machine = must(store.load(machine.id));
        for (auto const& disk : machine.config.disks)
            write(QString::fromStdString(disk.path), formatOf(disk), mib - 512, Bytes(200 * kib, 'x'));
        auto const clone = must(store.clone(machine.id, "copy"));
        QCOMPARE(clone.config.disks.size(), std::size_t(2));
        for (std::size_t i = 0; i < 2; ++i) {
            auto const from = QString::fromStdString(machine.config.disks[i].path);
            auto const to = QString::fromStdString(clone.config.disks[i].path);
            QVERIFY(from != to);
            if (format == app::DiskFormat::Qcow2) {
                QCOMPARE(QemuTools::check(from), QString());
                QCOMPARE(QemuTools::check(to), QString());
            }
            auto const same = runTool("qemu-img", { "compare", "-s", "-f", name, "-F", name, from, to });
            QVERIFY2(same.status == 0, qPrintable(same.output));
            QCOMPARE(described(to, name.toStdString())["virtual-size"].toInteger(),
                qint64(i == 0 ? 5 * mib : 3 * mib + 512));
        }
    }

private:
    static ImageFormat formatOf(DiskConfig const& disk)
    {
        return disk.format == app::DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2;
    }
    static void write(QString const& path, ImageFormat format, std::uint64_t offset, Bytes const& data)
    {
        InlineEngine engine;
        ImageOptions options;
        options.format = format;
        auto const image = must(BlockImage::open(engine, path.toStdString(), options));
        must(image->writeSync(offset, data));
        must(image->flushSync());
    }
    static QJsonDocument ask(QStringList const& arguments)
    {
        auto const said = runTool("qemu-img", arguments);
        if (said.status != 0)
            qWarning("%s", qPrintable(said.output));
        return QJsonDocument::fromJson(said.output.toUtf8());
    }
    static QJsonObject described(QString const& path, std::string const& format)
    {
        return ask({ "info", "--output=json", "-f", QString::fromStdString(format), path }).object();
    }
    /// Where qemu-img finds which data, in one line.
    static QString mapped(QString const& path)
    {
        QStringList runs;
        auto const found = ask({ "map", "--output=json", "-f", "qcow2", path });
        for (int i = 0; !found[i].isUndefined(); ++i)
            runs += QString("%1+%2%3%4")
                        .arg(found[i]["start"].toInteger())
                        .arg(found[i]["length"].toInteger())
                        .arg(found[i]["zero"].toBool() ? " zero" : "", found[i]["data"].toBool() ? " data" : "");
        return runs.join(", ");
    }
    static QString nothing(std::uint64_t size) { return QString("0+%1 zero").arg(size); }

    QemuTools m_tools;
};

REGISTER_SUITE(MadeImagesTest);
#include "made_images_test.moc"
