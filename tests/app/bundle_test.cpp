#include "app/store/bundle.h"
#include "app/store/moment_bundles.h"
#include "app/store/whole_file.h"
#include "tests/battery/battery.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/bytes.h"
#include "vmm/base/unique_fd.h"
#include "vmm/state/writer.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QProcess>
#include <QTemporaryDir>
#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

using namespace app;

namespace {

/// Two directories, and a bundle's file between them.
struct Bench {
    QTemporaryDir directory;
    std::string from = path("from"), to = path("to"), bundle = path("bundle");

    Bench()
    {
        QDir().mkpath(QString::fromStdString(from));
        QDir().mkpath(QString::fromStdString(to));
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    void write(char const* name, QByteArray const& content) const
    {
        tests::must(writeWholeFile(from + "/" + name, vmm::bytesOf(content.toStdString())));
    }
    QByteArray unpacked(char const* name) const
    {
        QFile file(QString::fromStdString(to + "/" + name));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray("(not there)");
    }
    vmm::Result<> pack(BundleRecord record, BundleProgress const& progress = {}) const
    {
        auto const file = tests::must(vmm::openFile(bundle, O_WRONLY | O_CREAT | O_TRUNC, 0600));
        return writeBundle(from, std::move(record), file.get(), progress);
    }
    vmm::Result<BundleRecord> unpack(
        BundleAcceptor const& accept = [](auto const&, auto const&) { return vmm::Result<>(); },
        BundleProgress const& progress = {}) const
    {
        auto const file = tests::must(vmm::openFile(bundle, O_RDONLY));
        return readBundle(file.get(), to, accept, progress);
    }
    /// What is in the target, after a refusal.
    QStringList leftThere() const { return QDir(QString::fromStdString(to)).entryList(QDir::Files | QDir::Hidden); }
};

BundleRecord example()
{
    return { .program = "test",
        .machine = "web",
        .moment = "id",
        .name = "before",
        .note = "a note",
        .time = 7,
        .files = { { "state.json" }, { "disk0.qcow2" }, { "ram" } } };
}

/// An archive as anybody could make it.
struct Entry {
    std::string name, content;
    unsigned type = AE_IFREG;
    std::string hardlink = {};
};

void makeArchive(std::string const& path, std::vector<Entry> const& entries, bool gzip = false)
{
    auto* archive = archive_write_new();
    archive_write_set_format_pax(archive);
    gzip ? archive_write_add_filter_gzip(archive) : archive_write_add_filter_zstd(archive);
    archive_write_open_filename(archive, path.c_str());
    for (auto const& one : entries) {
        auto* entry = archive_entry_new();
        archive_entry_set_pathname(entry, one.name.c_str());
        archive_entry_set_filetype(entry, one.type);
        archive_entry_set_perm(entry, 0600);
        archive_entry_set_size(entry, one.type == AE_IFREG ? la_int64_t(one.content.size()) : 0);
        if (one.type == AE_IFLNK)
            archive_entry_set_symlink(entry, one.content.c_str());
        if (!one.hardlink.empty())
            archive_entry_set_hardlink(entry, one.hardlink.c_str());
        archive_write_header(archive, entry);
        if (one.type == AE_IFREG)
            archive_write_data(archive, one.content.data(), one.content.size());
        archive_entry_free(entry);
    }
    archive_write_close(archive);
    archive_write_free(archive);
}

std::string recordText(BundleRecord const& record)
{
    return vmm::state::toText(vmm::state::save(record).toJson());
}

}

class BundleTest : public QObject {
    Q_OBJECT

private slots:
    void layoutOfTheRecord() { tests::goldenSchema<BundleRecord>(); }
    void layoutOfTheEnd() { tests::goldenSchema<BundleEnd>(); }

    void filesComeBackWithTheirHoles()
    {
        Bench bench;
        bench.write("state.json", "{}");
        bench.write("disk0.qcow2", QByteArray(300'000, 'd'));
        {
            auto const ram = tests::must(vmm::openFile(bench.from + "/ram", O_RDWR | O_CREAT, 0600));
            QCOMPARE(::ftruncate(ram.get(), 64 << 20), 0);
            QCOMPARE(::pwrite(ram.get(), "memory", 6, 40 << 20), ssize_t(6));
        }
        std::vector<double> told;
        REQUIRE_OK(bench.pack(example(), [&](double part) {
            told.push_back(part);
            return true;
        }));
        QVERIFY(std::is_sorted(told.begin(), told.end()) && told.back() <= 1.0001);
        QVERIFY(QFileInfo(QString::fromStdString(bench.bundle)).size() < 20'000);

        std::string accepted;
        auto const record = bench.unpack([&](BundleRecord const& its, std::string const& state) {
            accepted = its.machine + state;
            return vmm::Result<>();
        });
        REQUIRE_OK(record);
        QCOMPARE(accepted, "web{}");
        QCOMPARE(record->note, "a note");
        QCOMPARE(bench.unpacked("disk0.qcow2"), QByteArray(300'000, 'd'));
        auto const ram = bench.unpacked("ram");
        QCOMPARE(ram.size(), 64 << 20);
        QCOMPARE(ram.mid(40 << 20, 6), QByteArray("memory"));
        QCOMPARE(ram.count('\0'), (64 << 20) - 6);
        struct stat status { };
        QCOMPARE(::stat((bench.to + "/ram").c_str(), &status), 0);
        QVERIFY(status.st_blocks * 512 < 1 << 20);
        QCOMPARE(status.st_mode & 0777u, 0600u);
    }

    void onlyHolesAndNothingAtAll()
    {
        Bench bench;
        bench.write("state.json", "{}");
        bench.write("disk0.qcow2", "");
        bench.write("ram", "");
        QCOMPARE(::truncate((bench.from + "/ram").c_str(), 1 << 20), 0);
        REQUIRE_OK(bench.pack(example()));
        REQUIRE_OK(bench.unpack());
        QCOMPARE(bench.unpacked("ram"), QByteArray(1 << 20, '\0'));
        QCOMPARE(bench.unpacked("disk0.qcow2"), "");
    }

    void whoeverRefusesEndsItBeforeAnythingIsWritten()
    {
        Bench bench;
        for (auto const* name : { "state.json", "disk0.qcow2", "ram" })
            bench.write(name, "{}");
        REQUIRE_OK(bench.pack(example()));
        auto const refused = bench.unpack(
            [](auto const&, auto const&) { return vmm::fail(vmm::ErrorCode::Unsupported, "this host lacks avx2"); });
        QCOMPARE(refused.error().detail, "this host lacks avx2");
        QCOMPARE(bench.leftThere(), QStringList());
    }

    void bothWaysCanBeCancelled()
    {
        Bench bench;
        for (auto const* name : { "state.json", "disk0.qcow2", "ram" })
            bench.write(name, QByteArray(100, 'x'));
        QCOMPARE(bench.pack(example(), [](double) { return false; }).error().code, vmm::ErrorCode::Cancelled);
        REQUIRE_OK(bench.pack(example()));
        auto const accept = [](auto const&, auto const&) { return vmm::Result<>(); };
        QCOMPARE(bench.unpack(accept, [](double) { return false; }).error().code, vmm::ErrorCode::Cancelled);
    }

    /// Nothing can be said of it then.
    void whatCannotBeReadIsNotCalledDamaged()
    {
        Bench bench;
        QDir().mkpath(QString::fromStdString(bench.bundle)); // of which the host reads nothing
        QCOMPARE(bench.unpack().error().osError, EISDIR);
    }

    /// What is left of the file that it was at is not made up.
    void aCancelledOneIsCutOff()
    {
        Bench bench;
        bench.write("state.json", "{}");
        bench.write("disk0.qcow2", QByteArray(8 << 20, 'x'));
        bench.write("ram", "{}");
        QCOMPARE(bench.pack(example(), [](double part) { return part < 0.2; }).error().code, vmm::ErrorCode::Cancelled);
        auto const cut = bench.unpack();
        QVERIFY2(!cut && cut.error().detail.find("this is no whole bundle") != std::string::npos,
            cut ? "it is whole" : cut.error().detail.c_str());
    }

    void aHoleIsAskedAboutAsOftenAsData()
    {
        Bench bench;
        for (auto const* name : { "state.json", "disk0.qcow2", "ram" })
            bench.write(name, "{}");
        QCOMPARE(::truncate((bench.from + "/ram").c_str(), 64 << 20), 0);
        REQUIRE_OK(bench.pack(example()));
        unsigned asked = 0;
        auto const accept = [](auto const&, auto const&) { return vmm::Result<>(); };
        REQUIRE_OK(bench.unpack(accept, [&](double) { return ++asked > 0; }));
        QVERIFY2(asked >= 64, qPrintable(QString::number(asked)));
    }

    void oneThatIsCutOffOrChangedIsRefused()
    {
        Bench bench;
        std::array<std::pair<char const*, QByteArray>, 3> const parts { { { "state.json", "{}" },
            { "disk0.qcow2", QByteArray(100'000, 'd') }, { "ram", QByteArray(100'000, 'r') } } };
        for (auto const& [name, content] : parts)
            bench.write(name, content);
        REQUIRE_OK(bench.pack(example()));
        QFile file(QString::fromStdString(bench.bundle));
        QVERIFY(file.open(QIODevice::ReadOnly));
        auto const whole = file.readAll();
        file.close();
        auto const refused = [&](QByteArray const& bytes) {
            QDir(QString::fromStdString(bench.to)).removeRecursively();
            QDir().mkpath(QString::fromStdString(bench.to));
            tests::must(writeWholeFile(bench.bundle, vmm::bytesOf(bytes.toStdString())));
            return !bench.unpack();
        };
        for (qsizetype length = 0; length < whole.size() - 8; length += 1 + whole.size() / 50)
            QVERIFY2(refused(whole.left(length)), qPrintable(QString::number(length)));
        // A changed byte: most are found by zstd, all others by a checksum or a name.
        QByteArray changed = whole;
        for (qsizetype at = 20; at < whole.size() - 20; at += 1 + whole.size() / 50) {
            changed[at] = static_cast<char>(changed[at] ^ 0x10);
            auto const isWhole = [&](auto const& part) { return bench.unpacked(part.first) == part.second; };
            QVERIFY(refused(changed) || std::ranges::all_of(parts, isWhole)); // or it was of no consequence
            changed[at] = whole[at];
        }
    }

    void hostileOnesAreRefused_data()
    {
        QTest::addColumn<QString>("what");
        QTest::newRow("nothing") << "nothing";
        QTest::newRow("other order") << "other order";
        QTest::newRow("name that leads out") << "name";
        QTest::newRow("hidden name") << "hidden";
        QTest::newRow("twice") << "twice";
        QTest::newRow("symbolic link") << "symlink";
        QTest::newRow("hard link") << "hardlink";
        QTest::newRow("longer than it said") << "longer";
        QTest::newRow("a folder") << "folder";
        QTest::newRow("no checksums") << "no checksums";
        QTest::newRow("a record of gigabytes") << "record";
        QTest::newRow("newer version") << "newer";
        QTest::newRow("another compression") << "gzip";
        QTest::newRow("more than can be") << "huge";
    }

    void hostileOnesAreRefused()
    {
        QFETCH(QString, what);
        Bench bench;
        BundleRecord record { .files = { { "state.json", 2 }, { "ram", 3 } } };
        if (what == "name")
            record.files[1].name = "../ram";
        if (what == "hidden")
            record.files[1].name = ".ram";
        if (what == "twice")
            record.files.push_back({ "ram", 3 });
        auto text = recordText(record);
        if (what == "huge")
            text.replace(text.find("\"u64\": \"3\""), 10, "\"u64\": \"9223372036854775807\"");
        if (what == "newer")
            text.replace(text.find("\"version\": 1"), 12, "\"version\": 2");
        if (what == "record")
            text.append(2u << 20, ' ');
        std::vector<Entry> entries { { "bundle.json", text }, { "state.json", "{}" },
            { record.files[1].name, what == "longer" ? "rams" : "ram" } };
        if (what == "nothing")
            entries.clear();
        if (what == "other order")
            std::swap(entries[1], entries[2]);
        if (what == "symlink")
            entries[2] = { "ram", "/etc/passwd", AE_IFLNK };
        if (what == "hardlink")
            entries[2] = { "ram", "", AE_IFREG, "state.json" };
        if (what == "folder")
            entries[2] = { "ram", "", AE_IFDIR };
        if (what == "twice")
            entries.push_back(entries[2]);
        makeArchive(bench.bundle, entries, what == "gzip");
        auto const refused = bench.unpack();
        QVERIFY(!refused);
        QVERIFY2(
            refused.error().code == vmm::ErrorCode::Corrupt || refused.error().code == vmm::ErrorCode::VersionTooNew,
            refused.error().message().c_str());
        QVERIFY(!QFile::exists(bench.directory.filePath("ram")));
    }

    /// Nothing of ours is needed in order to get at what is in there.
    void noDiskIsCalledAsWhatIsOurs_data()
    {
        QTest::addColumn<QByteArray>("ours");
        for (auto const* ours : { "machine.json", "machine.lock", "cpu.json", "thumbnail.png" })
            QTest::newRow(ours) << QByteArray(ours);
    }
    void noDiskIsCalledAsWhatIsOurs()
    {
        QFETCH(QByteArray, ours);
        Bench bench;
        vmm::SavedMachine saved { .config = tests::exampleConfig() };
        saved.config.disks = { { .id = "disk0", .path = ours.toStdString(), .format = vmm::DiskFormat::Raw } };
        bench.write("state.json", QByteArray::fromStdString(vmm::savedMachineText(saved, bench.from)));
        bench.write(ours.constData(), "a disk");
        bench.write("ram", "memory");
        auto record = example();
        record.files[1].name = ours.toStdString();
        REQUIRE_OK(bench.pack(record));
        MachineStore store(bench.path("library"));
        auto const file = tests::must(vmm::openFile(bench.bundle, O_RDONLY));
        auto const made = importBundle(store, file.get(), "", [](auto const&) { return vmm::Result<>(); });
        QVERIFY(!made);
        QVERIFY2(made.error().message().find("can be called " + ours.toStdString()) != std::string::npos,
            made.error().message().c_str());
    }

    void tarUnderstandsIt()
    {
        Bench bench;
        bench.write("state.json", "{}");
        bench.write("disk0.qcow2", "disk");
        bench.write("ram", "");
        QCOMPARE(::truncate((bench.from + "/ram").c_str(), 8 << 20), 0);
        {
            auto const ram = tests::must(vmm::openFile(bench.from + "/ram", O_RDWR));
            QCOMPARE(::pwrite(ram.get(), "memory", 6, 4 << 20), ssize_t(6));
        }
        REQUIRE_OK(bench.pack(example()));
        if (QProcess::execute("sh", { "-c", "command -v zstd >/dev/null" }) != 0)
            QSKIP("there is no zstd for tar");
        QCOMPARE(QProcess::execute("tar",
                     { "--zstd", "-xf", QString::fromStdString(bench.bundle), "-C", QString::fromStdString(bench.to) }),
            0);
        QCOMPARE(bench.unpacked("disk0.qcow2"), "disk");
        QCOMPARE(bench.unpacked("ram").mid(4 << 20, 6), "memory");
        QCOMPARE(bench.unpacked("ram").size(), 8 << 20);
    }
};

REGISTER_SUITE(BundleTest);
#include "bundle_test.moc"
