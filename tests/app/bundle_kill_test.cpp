#include "app/store/moment_bundles.h"
#include "app/store/scaffold.h"
#include "tests/support/killed_process.h"
#include "tests/support/nothing_durable.h"
#include "tests/support/still_machine.h"
#include "vmm/base/random.h"
#include "vmm/base/unique_fd.h"

#include <QDir>
#include <QTemporaryDir>
#include <ctime>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>

using namespace app;
using tests::longestOf;
using tests::StillMachine;
using vmm::timeline::Timeline;

namespace {

constexpr unsigned killsOfEach = 20;
constexpr unsigned moments = 3;

/// What the process says before it is killed.
struct Word {
    enum class What : std::uint8_t { Ready, Made } what;
    char name[37]; // a bundle's, or a machine's uuid
};

vmm::Result<> anyHost(vmm::CpuFeatures const&)
{
    return {};
}

/// A machine that is off and has moments, a library, and a folder for bundles.
struct Place {
    QTemporaryDir directory;
    StillMachine machine { path("machine") };
    MachineStore library { path("library") };
    std::set<std::string> ids; ///< of the moments

    Place()
    {
        for (auto const* folder : { "machine", "bundles", "library/machines" })
            QDir(directory.path()).mkpath(folder);
        machine.make();
        auto const timeline = machine.open();
        for (unsigned number = 1; number <= moments; ++number)
            ids.insert(tests::must(machine.keep(*timeline, number)).id);
    }
    std::string path(std::string const& name) const
    {
        return directory.filePath(QString::fromStdString(name)).toStdString();
    }
    std::string bundle(std::string const& name) const { return path("bundles/" + name + ".bundle"); }
    QStringList bundles() const { return QDir(directory.filePath("bundles")).entryList(QDir::Files); }
    /// What lies beside the library's machines.
    QStringList halfMade() const
    {
        return QDir(directory.filePath("library/machines"))
            .entryList({ ".*" }, QDir::Dirs | QDir::Hidden | QDir::NoDotAndDotDot);
    }
    /// As if it was a while ago that they were left.
    void makeOld() const
    {
        for (auto const& name : halfMade()) {
            std::array<timespec, 2> const then { timespec { ::time(nullptr) - 3600, 0 },
                { ::time(nullptr) - 3600, 0 } };
            if (::utimensat(AT_FDCWD, path("library/machines/" + name.toStdString()).c_str(), then.data(), 0) != 0)
                qFatal("its time cannot be set");
        }
    }
    vmm::Result<StoredMachine> import(std::string const& bundle)
    {
        auto const file = tests::must(vmm::openFile(bundle, O_RDONLY));
        return importBundle(library, file.get(), "imported", anyHost);
    }
    void exportAny(std::shared_ptr<Timeline const> const& timeline, unsigned random, std::string const& name) const
    {
        auto const all = timeline->moments();
        tests::must(exportBundleFile(library, timeline, all[random % all.size()].id, bundle(name)));
    }
};

/// What is wrong with a machine of the library; empty: it is whole, and of one moment.
QString problemOf(StoredMachine const& stored)
{
    vmm::InlineEngine engine;
    std::optional<unsigned> number;
    for (auto const& disk : stored.config.disks) {
        auto const image = vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk));
        if (!image)
            return QString::fromStdString(image.error().message());
        if (!number)
            number = StillMachine::numberOf(**image);
        if (auto const found = StillMachine::difference(**image, *number); !found.isEmpty())
            return QString::fromStdString(disk.id + ": ") + found;
    }
    return number && *number >= 1 && *number <= moments ? QString() : QStringLiteral("it has the disks of no moment");
}

}

/// A process that carries moments between hosts is killed at any instant: the machine and its moments are untouched, a
/// bundle is there whole or is refused, and the library has whole machines only.
class BundleKillTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); }

    void exporting()
    {
        Place place;
        auto longest = longestOf([&] { place.exportAny(place.machine.open(), 0, "first"); });
        QVERIFY(QFile::remove(QString::fromStdString(place.bundle("first"))));
        std::mt19937 random(1);
        unsigned whole = 0, halves = 0;
        for (unsigned turn = 0; turn < killsOfEach; ++turn) {
            auto const said = tests::workAndBeKilled<Word>(random, longest, [&](unsigned seed, int words) {
                auto const timeline = place.machine.open();
                std::mt19937 own(seed);
                say(words, Word::What::Ready, {});
                for (;;) {
                    auto const name = vmm::makeUuid();
                    place.exportAny(timeline, static_cast<unsigned>(own()), name);
                    say(words, Word::What::Made, name);
                }
            });
            longest = tests::longestAfter(longest, said.back().what == Word::What::Made);
            QCOMPARE(place.machine.problem(place.machine.open(), place.ids), QString());
            for (auto const& word : said) {
                if (word.what == Word::What::Made)
                    QVERIFY(QFile::exists(QString::fromStdString(place.bundle(word.name))));
            }
            QVERIFY(place.library.list().empty());
            for (auto const& name : place.bundles()) {
                auto const file = place.path("bundles/" + name.toStdString());
                auto const made = place.import(file);
                if (name.endsWith(".bundle")) {
                    ++whole;
                    REQUIRE_OK(made);
                    QCOMPARE(problemOf(*made), QString());
                    removeTree(place.library.directoryOf(made->id));
                } else {
                    QVERIFY2(name.endsWith(".part"), qPrintable(name));
                    ++halves;
                    QVERIFY(!made || problemOf(*made).isEmpty()); // it may lack its name alone
                    if (made)
                        removeTree(place.library.directoryOf(made->id));
                    else
                        QCOMPARE(made.error().code, vmm::ErrorCode::Corrupt);
                    QVERIFY(place.library.list().empty());
                }
                QVERIFY(QFile::remove(QString::fromStdString(file)));
            }
            place.makeOld();
            place.library.sweepHalfMade();
            QCOMPARE(place.halfMade(), QStringList());
        }
        QVERIFY(whole > 0 && halves > 0); // else it was never killed at it
    }

    void importing()
    {
        Place place;
        place.exportAny(place.machine.open(), 0, "one");
        auto longest = longestOf(
            [&] { removeTree(place.library.directoryOf(tests::must(place.import(place.bundle("one"))).id)); });
        std::mt19937 random(2);
        unsigned whole = 0, halves = 0;
        for (unsigned turn = 0; turn < killsOfEach; ++turn) {
            auto const said = tests::workAndBeKilled<Word>(random, longest, [&](unsigned, int words) {
                say(words, Word::What::Ready, {});
                for (;;)
                    say(words, Word::What::Made, tests::must(place.import(place.bundle("one"))).id);
            });
            longest = tests::longestAfter(longest, said.back().what == Word::What::Made);
            std::set<std::string> found;
            for (auto const& stored : place.library.list()) {
                ++whole;
                found.insert(stored.id);
                REQUIRE_OK(place.library.load(stored.id));
                QCOMPARE(problemOf(stored), QString());
            }
            for (auto const& word : said) {
                if (word.what == Word::What::Made)
                    QVERIFY(found.contains(word.name));
            }
            for (auto const& id : found)
                removeTree(place.library.directoryOf(id));
            halves += static_cast<unsigned>(place.halfMade().size());
            // The next import clears it away, and is not harmed by it.
            place.makeOld();
            auto const next = place.import(place.bundle("one"));
            REQUIRE_OK(next);
            QCOMPARE(problemOf(*next), QString());
            QCOMPARE(place.halfMade(), QStringList());
            removeTree(place.library.directoryOf(next->id));
        }
        QVERIFY(whole > 0 && halves > 0);
        QCOMPARE(place.machine.problem(place.machine.open(), place.ids), QString());
    }

private:
    static void say(int to, Word::What what, std::string const& name)
    {
        Word word { what, {} };
        std::copy(name.begin(), name.end(), word.name);
        if (::write(to, &word, sizeof word) != sizeof word)
            ::_exit(1);
    }
};

REGISTER_SUITE(BundleKillTest);
#include "bundle_kill_test.moc"
