#include "tests/support/suite.h"

#include <QCoreApplication>
#include <QRegularExpression>
#include <QTemporaryFile>
#ifdef CHRONOVISOR_TEST_WIDGETS
#include <QApplication>
#endif
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace {

std::map<std::string, tests::Factory>& suites()
{
    static std::map<std::string, tests::Factory> all;
    return all;
}

constexpr int everythingSkipped = 77; // CTest's SKIP_RETURN_CODE of all our tests

/// Whether a class has run a test, by its log, for Qt Test tells it nowhere else.
bool hasRunSomething(QString const& logName)
{
    QFile log(logName);
    if (!log.open(QIODevice::ReadOnly))
        qFatal("%s is not there", qPrintable(logName));
    static QRegularExpression const totals(
        "^Totals: (\\d+) passed, \\d+ failed, (\\d+) skipped", QRegularExpression::MultilineOption);
    auto const found = totals.match(log.readAll());
    constexpr int always = 2; // initTestCase and cleanupTestCase pass in every class
    return found.captured(1).toInt() > always || found.captured(2).toInt() == 0;
}

}

void tests::registerSuite(char const* name, Factory factory)
{
    suites()[name] = factory;
}

/// `program` runs every suite, `program SuiteName [Qt Test arguments]` one, `program --list` names them. Where nothing
/// failed and each test was skipped it ends with 77.
int main(int argc, char** argv)
{
    if (argc > 1 && std::strcmp(argv[1], "--list") == 0) {
        for (auto const& [name, factory] : suites())
            std::puts(name.c_str());
        return 0;
    }
#ifdef CHRONOVISOR_TEST_WIDGETS
    QApplication application(argc, argv);
#else
    QCoreApplication application(argc, argv);
#endif
    auto arguments = application.arguments();
    auto const only
        = arguments.size() > 1 && suites().contains(arguments[1].toStdString()) ? arguments.takeAt(1) : QString();
    QTemporaryFile log;
    if (!log.open())
        qFatal("there is no room for a log");
    if (!arguments.contains("-o"))
        arguments << "-o"
                  << "-,txt";
    arguments << "-o" << log.fileName() + ",txt";
    int failures = 0;
    bool ran = false;
    for (auto const& [name, factory] : suites()) {
        if (!only.isEmpty() && only.toStdString() != name)
            continue;
        failures += QTest::qExec(factory().get(), arguments);
        ran |= hasRunSomething(log.fileName());
    }
    if (failures > 0)
        return 1;
    return ran ? 0 : everythingSkipped;
}
