#include "tests/support/suite.h"

#include <QCoreApplication>
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

}

void tests::registerSuite(char const* name, Factory factory)
{
    suites()[name] = factory;
}

/// `program` runs every suite, `program SuiteName [Qt Test arguments]` one, `program --list` names them.
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
    int failures = 0;
    for (auto const& [name, factory] : suites()) {
        if (only.isEmpty() || only.toStdString() == name)
            failures += QTest::qExec(factory().get(), arguments);
    }
    return failures == 0 ? 0 : 1;
}
