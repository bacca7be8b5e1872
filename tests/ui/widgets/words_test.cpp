#include "tests/support/suite.h"
#include "ui/widgets/problem.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QXmlStreamReader>

namespace {

struct Texts {
    QStringList sources, unfinished;
};

Texts readTexts(QString const& path)
{
    Texts texts;
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly))
        return texts;
    QXmlStreamReader xml(&file);
    QString context, source;
    while (!xml.atEnd()) {
        if (xml.readNext() != QXmlStreamReader::StartElement)
            continue;
        if (xml.name() == QLatin1String("name")) {
            context = xml.readElementText();
        } else if (xml.name() == QLatin1String("source")) {
            source = xml.readElementText();
            texts.sources += context + QLatin1Char('/') + source;
        } else if (xml.name() == QLatin1String("translation")) {
            auto const isUnfinished = xml.attributes().value(QLatin1String("type")) == QLatin1String("unfinished");
            auto const text = xml.readElementText(QXmlStreamReader::IncludeChildElements).trimmed();
            if (isUnfinished || text.isEmpty())
                texts.unfinished += context + QLatin1Char('/') + source;
        }
    }
    return texts;
}

/// Each English text and its German one.
std::vector<std::pair<QString, QString>> germanTexts()
{
    std::vector<std::pair<QString, QString>> texts;
    QFile file(QStringLiteral(CHRONOVISOR_SOURCE "/translations/chronovisor_de.ts"));
    if (!file.open(QIODevice::ReadOnly))
        qFatal("there is no German");
    QXmlStreamReader xml(&file);
    QString source;
    while (!xml.atEnd()) {
        if (xml.readNext() != QXmlStreamReader::StartElement)
            continue;
        if (xml.name() == QLatin1String("source"))
            source = xml.readElementText();
        else if (xml.name() == QLatin1String("translation"))
            texts.emplace_back(source, xml.readElementText(QXmlStreamReader::IncludeChildElements));
    }
    return texts;
}

}

class TranslationTest final : public QObject {
    Q_OBJECT
private slots:
    void everyTextOfTheSourcesIsTranslated()
    {
        QDir const source(QStringLiteral(CHRONOVISOR_SOURCE));
        auto const shipped = readTexts(source.filePath("translations/chronovisor_de.ts"));
        QVERIFY(shipped.sources.size() > 100);
        QCOMPARE(shipped.unfinished, QStringList());

        auto const lupdate = QStandardPaths::findExecutable("lupdate", { "/usr/lib/qt6/bin" });
        QVERIFY2(!lupdate.isEmpty(), "lupdate belongs to what the build needs");
        QTemporaryDir directory;
        QProcess process;
        process.setWorkingDirectory(source.path());
        process.start(lupdate,
            { "-silent", "-I", ".", "-locations", "none", "-extensions", "cpp,h", "ui", "app/desktop", "-ts",
                directory.filePath("now.ts") });
        QVERIFY(process.waitForFinished(60'000 * tests::patience()));
        auto const now = readTexts(directory.filePath("now.ts"));
        QVERIFY(now.sources.size() > 100);
        QStringList missing, superfluous;
        for (auto const& text : now.sources) {
            if (!shipped.sources.contains(text))
                missing += text;
        }
        for (auto const& text : shipped.sources) {
            if (!now.sources.contains(text))
                superfluous += text;
        }
        QCOMPARE(missing, QStringList());
        QCOMPARE(superfluous, QStringList());
    }

    void placeholdersSurviveTranslation()
    {
        for (auto const& [source, text] : germanTexts()) {
            for (auto const* mark : { "%1", "%2", "%3", "%n" })
                QVERIFY2(source.contains(mark) == text.contains(mark), qPrintable(source));
        }
    }

    /// As translations/README.md has them.
    void aWordOfTheProductIsOneWord_data()
    {
        QTest::addColumn<QString>("german");
        QTest::newRow("timeline") << "zeitleiste";
        QTest::newRow("suspend") << "sicher";
        QTest::newRow("paused") << "pausiert";
        QTest::newRow("preferences") << "vorlieben";
        QTest::newRow("disks") << "festplatte";
        QTest::newRow("details") << "einzelheiten";
    }
    void aWordOfTheProductIsOneWord()
    {
        QFETCH(QString, german);
        auto found = 0;
        for (auto [source, text] : germanTexts()) {
            if (!source.remove('&').contains(QTest::currentDataTag(), Qt::CaseInsensitive))
                continue;
            QVERIFY2(text.remove('&').contains(german, Qt::CaseInsensitive), qPrintable(text));
            ++found;
        }
        QVERIFY(found > 1);
    }
};

class ProblemTest final : public QObject {
    Q_OBJECT
private slots:
    void everyCodeHasASentenceForEveryTask()
    {
        for (int task = 0; task <= static_cast<int>(ui::Task::Run); ++task) {
            for (int code = 0; code <= static_cast<int>(vmm::ErrorCode::Internal); ++code) {
                vmm::Error const error { static_cast<vmm::ErrorCode>(code), "the numbers 1 2 3", 0 };
                auto const problem = ui::problemFor(static_cast<ui::Task>(task), error);
                QVERIFY(problem.title.endsWith('.'));
                QVERIFY(problem.reason.endsWith('.'));
                QVERIFY(!problem.advice.isEmpty() || error.code == vmm::ErrorCode::Cancelled);
                QVERIFY(problem.details.contains("the numbers 1 2 3"));
                QCOMPARE(ui::remedyText(problem.remedy).isEmpty(), problem.remedy == ui::Remedy::None);
            }
        }
    }

    void aLockedDriveCanBeForced()
    {
        auto const problem = ui::problemFor(ui::Task::EjectMedium, { vmm::ErrorCode::Busy, "cd0 is locked", 0 });
        QCOMPARE(problem.remedy, ui::Remedy::ForceEject);
    }

    void whatAMomentWaitsForIsNoOtherProgram()
    {
        for (auto const task : { ui::Task::KeepMoment, ui::Task::GoToMoment }) {
            auto const problem = ui::problemFor(task, { vmm::ErrorCode::Busy, "a moment is being kept", 0 });
            QVERIFY2(problem.reason.contains("a moment that is being kept"), qPrintable(problem.reason));
            QVERIFY2(problem.advice.contains("cancel it"), qPrintable(problem.advice));
        }
    }

    void whereNoConnectorIsFreeAnotherDeviceIsUnplugged()
    {
        vmm::Error const error { vmm::ErrorCode::NotNow, "every connector is taken", 0 };
        for (auto const task : { ui::Task::AttachUsb, ui::Task::PlugUsb, ui::Task::AddUsb, ui::Task::CallForUsb }) {
            auto const problem = ui::problemFor(task, error);
            QVERIFY2(problem.reason.startsWith("Every USB connector"), qPrintable(problem.reason));
            QVERIFY2(problem.advice.startsWith("Unplug another device"), qPrintable(problem.advice));
        }
    }

    void whatCannotBeSuspendedIsNamed()
    {
        auto const problem
            = ui::problemFor(ui::Task::Suspend, { vmm::ErrorCode::Unsupported, "usb-disk-0: it is being reset", 0 });
        QCOMPARE(problem.reason, "A part of the machine cannot be written to disk: usb-disk-0.");
        QVERIFY2(problem.details.contains("it is being reset"), qPrintable(problem.details));
        QVERIFY2(problem.advice.contains("Take it out"), qPrintable(problem.advice));
        // No id, and no words of the log in its place.
        for (auto const* detail : { "the path of an image is not UTF-8", "writing the state: it is too long" }) {
            QCOMPARE(ui::problemFor(ui::Task::Suspend, { vmm::ErrorCode::Unsupported, detail, 0 }).reason,
                "A part of the machine cannot be written to disk.");
        }
    }

    void whereADiskFailsAsAMachineComesBackItsStateIsToldToBeThere()
    {
        for (auto const code : { vmm::ErrorCode::IoError, vmm::ErrorCode::NoSpace }) {
            auto const problem = ui::problemFor(ui::Task::Restore, { code, "the saved state stays", 5 });
            QVERIFY2(problem.advice.contains("The suspended state is still there"), qPrintable(problem.advice));
            QCOMPARE(problem.remedy, ui::Remedy::Retry);
        }
    }

    void aFullDiskCanBeResumedFrom()
    {
        auto const problem = ui::problemFor(ui::Task::Run, { vmm::ErrorCode::NoSpace, "write", 28 });
        QCOMPARE(problem.remedy, ui::Remedy::Resume);
    }
};

REGISTER_SUITE(TranslationTest);
REGISTER_SUITE(ProblemTest);
#include "words_test.moc"
