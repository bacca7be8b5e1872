#include "tests/support/suite.h"
#include "vmm/base/bytes.h"
#include "vmm/block/image.h"

#include <QFile>
#include <QTemporaryDir>

using namespace vmm;
using Kind = BlockImage::Mapping::Kind;

namespace {

constexpr unsigned clusterBits = 21, tables = 12; // of 2 MiB each
constexpr std::uint64_t cluster = 1u << clusterBits, perTable = cluster * (cluster / 8);

void writeToEachTable(std::string const& path)
{
    InlineEngine engine;
    auto const image = tests::must(BlockImage::open(engine, path));
    for (unsigned i = 0; i < tables; ++i)
        tests::must(image->writeSync(i * perTable, Bytes(BlockImage::sectorSize, 7)));
    tests::must(image->flushSync());
}

/// What is read of one of its tables from now on says that there is nothing.
void wipeTable(std::string const& path, unsigned which)
{
    QFile file(QString::fromStdString(path));
    auto const numberAt = [&](std::uint64_t offset) {
        Bytes number(8);
        if (!file.seek(qint64(offset)) || file.read(reinterpret_cast<char*>(number.data()), 8) != 8)
            qFatal("the image cannot be read");
        return loadBig<std::uint64_t>(number);
    };
    if (!file.open(QIODevice::ReadWrite))
        qFatal("the image cannot be opened");
    constexpr std::uint64_t l1Field = 40, offsets = 0x00ff'ffff'ffff'fe00;
    auto const table = numberAt(numberAt(l1Field) + which * 8) & offsets;
    if (!file.seek(qint64(table)) || file.write(QByteArray(8, '\0')) != 8)
        qFatal("the image cannot be written");
}

}

/// What is in memory of the tables of images that stand on each other.
class Qcow2CacheTest final : public QObject {
    Q_OBJECT

private slots:
    /// Both together have as much as one may: what was not used for the longest goes, whichever image's it is, but for
    /// the last few of each.
    void aChainHasTheMemoryOfOne()
    {
        QTemporaryDir const folder;
        auto const base = folder.filePath("base").toStdString(), top = folder.filePath("top").toStdString();
        tests::must(createImage(base, { .size = tables * perTable, .clusterBits = clusterBits }));
        tests::must(createImage(top, { .clusterBits = clusterBits, .backingFile = "base" }));
        writeToEachTable(base);
        writeToEachTable(top);
        InlineEngine engine;
        ImageOptions options;
        options.access = Access::ReadOnly;
        auto const image = tests::must(BlockImage::open(engine, top, options));
        for (auto* const one : { image->backing(), image.get() }) {
            for (unsigned i = 0; i < tables; ++i)
                QCOMPARE(tests::must(one->map(i * perTable, cluster)).kind, Kind::Data);
        }
        for (auto const& path : { base, top }) {
            for (unsigned i = 0; i < tables; ++i)
                wipeTable(path, i);
        }
        // 16 tables fill the cache: all twelve of the one that was used last, and four of the other.
        for (unsigned i = tables; i-- > 0;) {
            auto const kind = [&](BlockImage& one) { return tests::must(one.map(i * perTable, cluster)).kind; };
            QCOMPARE(kind(*image->backing()), i < tables - 4 ? Kind::Unallocated : Kind::Data);
            if (i >= tables - 4)
                QCOMPARE(kind(*image), Kind::Data);
        }
    }
};

REGISTER_SUITE(Qcow2CacheTest);
#include "qcow2_cache_test.moc"
