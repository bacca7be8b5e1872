#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/new_directory.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

using namespace vmm;

namespace {

struct Folder {
    QTemporaryDir directory;
    std::string const place = path("out");

    std::string path(QString const& name) const { return directory.filePath(name).toStdString(); }
    /// A directory with a disk in it.
    void put(QString const& name) const
    {
        QVERIFY(QDir().mkpath(directory.filePath(name)));
        REQUIRE_OK(writeFileSynced(path(name + "/disk0.qcow2"), "a disk"));
    }
    Result<> make(std::function<Result<>()> const& meanwhile = [] { return Result<>(); }) const
    {
        return makeDirectory(place, [&](std::string const& fresh) -> Result<> {
            TRY(writeFileSynced(fresh + "/disk0.qcow2", "another"));
            return meanwhile();
        });
    }
    QStringList names() const { return QDir(directory.path()).entryList(QDir::Dirs | QDir::NoDotAndDotDot); }
};

QString unique()
{
    return QString::fromStdString(makeUuid());
}

}

/// Directories that are made whole, and what is beside them.
class NewDirectoryTest final : public QObject {
    Q_OBJECT

private slots:
    void whatWasKilledIsRemoved()
    {
        Folder const folder;
        folder.put("out." + unique() + ".part");
        REQUIRE_OK(folder.make());
        QCOMPARE(folder.names(), QStringList("out"));
        QVERIFY(QFile::exists(QString::fromStdString(folder.place + "/disk0.qcow2")));
    }

    /// A person's own, of another directory, or of names that only look alike.
    void nothingElseIs()
    {
        Folder const folder;
        QStringList others { "another." + unique() + ".part", "out.new", "out.part", "out..part", "out.mine.part",
            "out." + unique(), "out." + unique() + ".part.kept", "outer." + unique() + ".part" };
        for (auto const& other : others)
            folder.put(other);
        // And what is reached through such a name.
        folder.put("elsewhere");
        auto const link = "out." + unique() + ".part";
        QVERIFY(QFile::link(folder.directory.filePath("elsewhere"), folder.directory.filePath(link)));
        REQUIRE_OK(folder.make());
        for (auto const& one : others << "elsewhere" << link << "out")
            QVERIFY2(QFile::exists(folder.directory.filePath(one + "/disk0.qcow2")), qPrintable(one));
    }

    void whatIsBeingMadeStays()
    {
        Folder const folder;
        Result<> inner;
        auto const outer = folder.make([&]() -> Result<> {
            inner = folder.make();
            return {};
        });
        REQUIRE_OK(inner);
        QVERIFY(!outer); // the other one was faster
        QCOMPARE(outer.error().code, ErrorCode::AlreadyExists);
        QCOMPARE(folder.names(), QStringList("out"));
    }

    void whatFailsLeavesNothing()
    {
        Folder const folder;
        auto const failed = folder.make([] { return fail(ErrorCode::NoSpace, "the disk is full"); });
        QVERIFY(!failed);
        QCOMPARE(failed.error().code, ErrorCode::NoSpace);
        QVERIFY(folder.names().isEmpty());
    }

    void nothingIsReplaced()
    {
        Folder const folder;
        QVERIFY(QDir().mkpath(folder.directory.filePath("out")));
        auto const refused = folder.make();
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::AlreadyExists);
        QVERIFY(QDir(folder.directory.filePath("out")).isEmpty());
    }
};

REGISTER_SUITE(NewDirectoryTest);
#include "new_directory_test.moc"
