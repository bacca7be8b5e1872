#include "tests/support/suite.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/machine/saved_machine.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

using namespace vmm;

namespace {

/// A directory with two files in it, which is what replacing looks at.
struct States {
    QTemporaryDir folder;
    std::string const place = folder.filePath("state").toStdString();

    void put(std::string const& suffix, std::string const& text)
    {
        QDir().mkpath(QString::fromStdString(place + suffix));
        QVERIFY(writeFileSynced(place + suffix + "/state.json", text));
        QVERIFY(writeFileSynced(place + suffix + "/ram", text));
    }
    QByteArray at(std::string const& suffix = {}) const
    {
        QFile file(QString::fromStdString(place + suffix + "/state.json"));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
    QStringList names() const { return QDir(folder.path()).entryList(QDir::Dirs | QDir::NoDotAndDotDot); }
};

}

class ReplaceStateTest final : public QObject {
    Q_OBJECT

private slots:
    void aStateIsReplacedWhole()
    {
        States states;
        auto const write = [](std::string const& text) {
            return [text](std::string const& fresh) -> Result<> {
                TRY(writeFileSynced(fresh + "/ram", text));
                return writeFileSynced(fresh + "/state.json", text);
            };
        };
        QVERIFY(!holdsSavedMachine(states.place));
        REQUIRE_OK(replaceDirectory(states.place, write("one")));
        REQUIRE_OK(replaceDirectory(states.place + "/", write("two")));
        QCOMPARE(states.at(), QByteArray("two"));
        QVERIFY(holdsSavedMachine(states.place));
        auto const failed = replaceDirectory(
            states.place, [](std::string const&) -> Result<> { return fail(ErrorCode::NoSpace, "full"); });
        QCOMPARE(failed.error().code, ErrorCode::NoSpace);
        QCOMPARE(states.at(), QByteArray("two"));
        QCOMPARE(states.names(), QStringList("state"));
    }

    void aFileIsReplacedWholeOrNotAtAll()
    {
        QTemporaryDir const folder;
        auto const path = folder.filePath("nvram.fd");
        for (std::string const text : { "one", "two" }) {
            REQUIRE_OK(replaceFile(path.toStdString(), bytesOf(text)));
            QFile file(path);
            QVERIFY(file.open(QIODevice::ReadOnly));
            QCOMPARE(file.readAll().toStdString(), text);
        }
        QVERIFY(QDir(folder.path()).mkdir("taken"));
        QVERIFY(!replaceFile(folder.filePath("taken").toStdString(), bytesOf("three")));
        QCOMPARE(QDir(folder.path()).entryList(QDir::AllEntries | QDir::NoDotAndDotDot),
            (QStringList { "nvram.fd", "taken" }));
    }

    void renamesThatStopAreMended_data()
    {
        QTest::addColumn<unsigned>("steps");
        QTest::addColumn<QByteArray>("found");
        QTest::newRow("before the first") << 0U << QByteArray("old");
        QTest::newRow("old one aside") << 1U << QByteArray("new");
        QTest::newRow("new one in place") << 2U << QByteArray("new");
        QTest::newRow("all") << 3U << QByteArray("new");
    }

    void renamesThatStopAreMended()
    {
        QFETCH(unsigned, steps);
        QFETCH(QByteArray, found);
        States states;
        states.put("", "old");
        states.put(".new", "new");
        REQUIRE_OK(exchangeByRenames(states.place, steps));
        QVERIFY(holdsSavedMachine(states.place));
        // Whoever reads it mends first: it is no real state, so no more than that.
        QVERIFY(!readSavedMachine(states.place));
        QCOMPARE(states.at(), found);
        QVERIFY(!states.names().contains("state.being-replaced"));
        // Used up: nothing of before comes back.
        QDir(QString::fromStdString(states.place)).removeRecursively();
        REQUIRE_OK(mendSavedMachine(states.place));
        QVERIFY(!holdsSavedMachine(states.place));
        QVERIFY(!states.names().contains("state"));
    }

    void aNewStateThatIsNotWholeLeavesTheOldOne()
    {
        States states;
        states.put("", "old");
        states.put(".new", "new");
        REQUIRE_OK(exchangeByRenames(states.place, 1));
        QVERIFY(QFile::remove(QString::fromStdString(states.place + ".new/ram")));
        REQUIRE_OK(mendSavedMachine(states.place));
        QCOMPARE(states.at(), QByteArray("old"));
    }

    /// Of a moment that was kept while the machine was suspended: the state is as good as before, and the next suspend
    /// is no business of it.
    void halfOfAnotherStateIsKnown()
    {
        States states;
        states.put("", "old");
        QVERIFY(writeFileSynced(states.place + "/state.json.new", "{"));
        QVERIFY(holdsSavedMachine(states.place));
        REQUIRE_OK(checkStateDirectory(states.place));
        REQUIRE_OK(replaceDirectory(states.place, [](std::string const& fresh) -> Result<> {
            TRY(writeFileSynced(fresh + "/ram", "new"));
            return writeFileSynced(fresh + "/state.json", "new");
        }));
        QCOMPARE(states.at(), QByteArray("new"));
        QCOMPARE(
            QDir(QString::fromStdString(states.place)).entryList(QDir::Files), (QStringList { "ram", "state.json" }));
        QCOMPARE(states.names(), QStringList("state"));
    }

    void theNextSuspendMendsToo()
    {
        States states;
        states.put("", "old");
        states.put(".new", "new");
        REQUIRE_OK(exchangeByRenames(states.place, 1));
        auto const failed = replaceDirectory(
            states.place, [](std::string const&) -> Result<> { return fail(ErrorCode::NoSpace, "full"); });
        QCOMPARE(failed.error().code, ErrorCode::NoSpace);
        QCOMPARE(states.at(), QByteArray("new"));
        QCOMPARE(states.names(), QStringList("state"));
    }

    void aRenameThatFailsGoesBack()
    {
        States states;
        states.put("", "old");
        QVERIFY(!exchangeByRenames(states.place)); // there is no new one
        QCOMPARE(states.at(), QByteArray("old"));
        QCOMPARE(states.names(), QStringList("state"));
    }

    void aPersonsOwnFolderOfThatNameIsLeftAlone()
    {
        States states;
        states.put(".being-replaced", "mine");
        QVERIFY(writeFileSynced(states.place + ".being-replaced/letter.txt", "dear"));
        QVERIFY(!mendSavedMachine(states.place));
        QCOMPARE(states.at(".being-replaced"), QByteArray("mine"));
    }
};

REGISTER_SUITE(ReplaceStateTest);
#include "replace_state_test.moc"
