#include "tests/support/suite.h"

#include <cstdlib>

/// What run_tests_test.py has counted.
class AllSkippedTest : public QObject {
    Q_OBJECT

private slots:
    void first() { QSKIP("CHRONOVISOR-SKIP: there is no first"); }
    void second() { QSKIP("CHRONOVISOR-SKIP: there is no second"); }
};

class NeverBegunTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { QSKIP("CHRONOVISOR-SKIP: there is nothing"); }
    void only() { }
};

class OneSkippedTest : public QObject {
    Q_OBJECT

private slots:
    void passes() { }
    void skips() { QSKIP("CHRONOVISOR-SKIP: there is no other"); }
};

class OneFailedTest : public QObject {
    Q_OBJECT

private slots:
    void fails() { QFAIL("as it has to"); }
    void skips() { QSKIP("CHRONOVISOR-SKIP: there is no other"); }
};

/// As a sanitizer ends a program that has leaked.
class BadEndTest : public QObject {
    Q_OBJECT

private slots:
    void skips()
    {
        std::atexit([] { std::_Exit(23); });
        QSKIP("CHRONOVISOR-SKIP: there is no other");
    }
};

REGISTER_SUITE(AllSkippedTest);
REGISTER_SUITE(NeverBegunTest);
REGISTER_SUITE(OneSkippedTest);
REGISTER_SUITE(OneFailedTest);
REGISTER_SUITE(BadEndTest);

#include "skipping_suites.moc"
