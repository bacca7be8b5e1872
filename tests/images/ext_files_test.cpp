#include "tests/support/suite.h"
#include "vmm/filesystems/ext_files.h"
#include "vmm/filesystems/partitions.h"
#include "vmm/machine/disk_diff.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <algorithm>
#include <random>

using namespace vmm;

namespace {

class PlainDisk final : public ByteSource {
public:
    explicit PlainDisk(QByteArray bytes) : bytes(std::move(bytes)) { }
    std::uint64_t size() const override { return std::uint64_t(bytes.size()); }
    Result<> read(std::uint64_t offset, ByteSpan data) override
    {
        std::copy_n(bytes.begin() + qsizetype(offset), data.size(), data.begin());
        return {};
    }
    QByteArray bytes;
};

/// A folder that mke2fs makes file systems of.
struct Bench {
    QTemporaryDir directory;

    Bench() { QDir().mkpath(directory.filePath("tree")); }
    void write(QString const& name, QByteArray const& content) const
    {
        auto const path = directory.filePath("tree/" + name);
        QDir().mkpath(QFileInfo(path).path());
        QFile file(path);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(content);
    }
    PlainDisk make(QStringList const& options) const
    {
        auto const image = directory.filePath("image");
        QFile::remove(image);
        QProcess tool;
        tool.setProcessChannelMode(QProcess::MergedChannels);
        tool.start("mke2fs",
            QStringList { "-q", "-F", "-E", "hash_seed=00000000-0000-4000-8000-000000000000,root_owner=0:0", "-U",
                "00000000-0000-4000-8000-000000000001", "-d", directory.filePath("tree") }
                + options + QStringList { image, "16m" });
        tool.waitForFinished();
        if (tool.exitCode() != 0)
            qFatal("%s", tool.readAll().constData());
        QFile file(image);
        return PlainDisk(file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray());
    }
};

FileTree list(ByteSource& part)
{
    return tests::must(listExtFiles(part, {}));
}

}

class ExtFilesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (QStandardPaths::findExecutable("mke2fs").isEmpty())
            QSKIP("CHRONOVISOR-SKIP: e2fsprogs is not installed");
    }

    void allFilesAreFound_data()
    {
        QTest::addColumn<QStringList>("options");
        QTest::newRow("ext2") << QStringList { "-t", "ext2" };
        QTest::newRow("ext3") << QStringList { "-t", "ext3" };
        QTest::newRow("ext4") << QStringList { "-t", "ext4" };
        QTest::newRow("ext4, small blocks") << QStringList { "-t", "ext4", "-b", "1024" };
        QTest::newRow("ext4, inline data") << QStringList { "-t", "ext4", "-O", "inline_data" };
        QTest::newRow("ext4, 64 bit, checksums") << QStringList { "-t", "ext4", "-O", "64bit,metadata_csum" };
    }

    void allFilesAreFound()
    {
        QFETCH(QStringList, options);
        Bench bench;
        bench.write("etc/hostname", "guest\n");
        bench.write("large", QByteArray(3 << 20, 'x'));
        for (int i = 0; i < 400; ++i) // more than a block of names
            bench.write(QString("many/a file with a rather long name, number %1").arg(i), QByteArray::number(i));
        QVERIFY(QFile::link("hostname", bench.directory.filePath("tree/etc/link")));
        auto image = bench.make(options);
        QVERIFY(tests::must(isExt(image)));
        auto const files = list(image);
        QCOMPARE(files.size(), 400u + 6); // lost+found, etc, many; hostname, link, large
        QCOMPARE(files.at("etc/hostname").size, 6u);
        QCOMPARE(files.at("large").size, 3u << 20);
        QVERIFY(files.at("etc/link").kind == FileFacts::Kind::Link);
        QVERIFY(files.at("many").kind == FileFacts::Kind::Folder);
        QVERIFY(files.contains("many/a file with a rather long name, number 399"));
    }

    void whatChangedIsNamed()
    {
        Bench bench;
        for (auto const* name : { "a", "b", "folder/c", "folder/d" })
            bench.write(name, "before");
        auto before = bench.make({ "-t", "ext4" });
        bench.write("b", "another");
        bench.write("folder/new", "new");
        QVERIFY(QFile::remove(bench.directory.filePath("tree/folder/c")));
        auto after = bench.make({ "-t", "ext4" });
        // mke2fs gives all files new places; only what is told of sizes and names is compared here.
        auto const sizes = [](FileTree files) {
            for (auto& [path, facts] : files)
                facts.place = facts.modified = 0;
            return files;
        };
        using What = FileChange::What;
        auto const changes = compareTrees(sizes(list(before)), sizes(list(after)), 100);
        std::vector<FileChange> const expected {
            { "b", What::Changed, FileFacts::Kind::File, 6, 7 },
            { "folder/c", What::Removed, FileFacts::Kind::File, 6, 0 },
            { "folder/new", What::Added, FileFacts::Kind::File, 0, 3 },
        };
        QVERIFY(changes.files == expected);
        QCOMPARE(changes.count, 3u);
        QCOMPARE(compareTrees(sizes(list(before)), sizes(list(after)), 1).files.size(), 1u);
        QVERIFY(compareTrees(list(before), list(before), 100).files.empty());
    }

    void itIsBoundedAndCanBeCancelled()
    {
        Bench bench;
        for (int i = 0; i < 100; ++i)
            bench.write(QString::number(i), "x");
        auto image = bench.make({ "-t", "ext4" });
        QCOMPARE(listExtFiles(image, { .files = 50 }).error().code, ErrorCode::Unsupported);
        QCOMPARE(listExtFiles(image, { .bytesRead = 10'000 }).error().code, ErrorCode::Unsupported);
        QCOMPARE(listExtFiles(image, { .goOn = [] { return false; } }).error().code, ErrorCode::Cancelled);
    }

    /// Whatever a guest writes there: an answer, soon.
    void damagedOnesAreAnswered()
    {
        Bench bench;
        for (int i = 0; i < 60; ++i)
            bench.write(QString("folder %1/file").arg(i), QByteArray(5000, 'x'));
        auto const whole = bench.make({ "-t", "ext4", "-b", "1024" });
        std::mt19937 random(3);
        FileTreeLimits const limits { .files = 10'000, .bytesRead = 64u << 20, .goOn = {} };
        for (int round = 0; round < 300; ++round) {
            auto image = whole;
            auto const used = std::min<qsizetype>(image.bytes.size(), 2 << 20);
            for (unsigned changes = 1 + random() % 200; changes > 0; --changes)
                image.bytes[qsizetype(random() % std::size_t(used))] = static_cast<char>(random());
            // The superblock stays what it was in half of the rounds, or nothing would come after it.
            if (round % 2 == 0)
                image.bytes.replace(1024, 1024, whole.bytes.mid(1024, 1024));
            ignore(listExtFiles(image, limits));
        }
    }

    void filesOfADiskAreCompared()
    {
        Bench bench;
        bench.write("stays", "before");
        bench.write("goes", "before");
        auto const image = bench.make({ "-t", "ext4" });
        auto const before = bench.directory.filePath("before"), after = bench.directory.filePath("after");
        QVERIFY(QFile::copy(bench.directory.filePath("image"), before) && QFile::copy(before, after));
        bench.write("new", QByteArray(5000, 'n'));
        for (auto const& request : { QString("write tree/new new"), QString("rm goes") }) {
            QProcess tool;
            tool.setWorkingDirectory(bench.directory.path());
            tool.start("debugfs", { "-w", "-R", request, after });
            QVERIFY(tool.waitForFinished() && tool.exitCode() == 0);
        }
        InlineEngine engine;
        auto const old = tests::must(BlockImage::open(engine, before.toStdString(), { .access = Access::ReadOnly }));
        auto const fresh = tests::must(BlockImage::open(engine, after.toStdString(), { .access = Access::ReadOnly }));
        auto const diff = tests::must(compareDisks("disk0", *old, *fresh, 100, 100, {}));
        QCOMPARE(diff.problem, "");
        QVERIFY(diff.changed.bytes > 0);
        QCOMPARE(diff.files.size(), 1u);
        QCOMPARE(diff.files[0].problem, "");
        std::vector<FileChange> const expected {
            { "goes", FileChange::What::Removed, FileFacts::Kind::File, 6, 0 },
            { "new", FileChange::What::Added, FileFacts::Kind::File, 0, 5000 },
        };
        QVERIFY(diff.files[0].changes.files == expected);
        QVERIFY(tests::must(compareDisks("disk0", *old, *old, 100, 100, {})).files.empty());
    }

    void partitionsAreFound_data()
    {
        QTest::addColumn<QString>("table");
        QTest::newRow("MBR") << "label: dos\n2048,2048,83\n4096,2048,83\n6144,,5\n8192,2048,83\n12288,2048,83\n";
        QTest::newRow("GPT") << "label: gpt\n2048,2048\n4096,2048\n8192,2048\n12288,2048\n";
    }

    void partitionsAreFound()
    {
        QFETCH(QString, table);
        if (QStandardPaths::findExecutable("sfdisk").isEmpty())
            QSKIP("CHRONOVISOR-SKIP: fdisk is not installed");
        QTemporaryDir directory;
        QFile file(directory.filePath("disk"));
        QVERIFY(file.open(QIODevice::ReadWrite) && file.resize(16 << 20));
        QProcess tool;
        tool.start("sfdisk", { "-q", file.fileName() });
        tool.write(table.toUtf8());
        tool.closeWriteChannel();
        tool.waitForFinished();
        QVERIFY2(tool.exitCode() == 0, tool.readAllStandardError().constData());
        PlainDisk disk(file.readAll());
        std::vector<std::uint64_t> places;
        for (auto const& part : tests::must(findPartitions(disk))) {
            places.push_back(part.offset / 512);
            QCOMPARE(part.size, 2048u * 512);
        }
        QCOMPARE(places, (std::vector<std::uint64_t> { 2048, 4096, 8192, 12288 }));
    }

    void withoutATableItIsOnePart()
    {
        PlainDisk disk(QByteArray(1 << 20, '\0'));
        QCOMPARE(tests::must(findPartitions(disk)), (std::vector<Partition> { { 0, 0, 1 << 20 } }));
        disk.bytes[510] = 0x55;
        disk.bytes[511] = static_cast<char>(0xaa); // a boot sector, and no partitions
        QCOMPARE(tests::must(findPartitions(disk)), (std::vector<Partition> { { 0, 0, 1 << 20 } }));
    }
};

REGISTER_SUITE(ExtFilesTest);
#include "ext_files_test.moc"
