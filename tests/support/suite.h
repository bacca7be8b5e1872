#pragma once

#include "tests/support/patience.h"

#include <QObject>
#include <QTest>
#include <memory>

// Qt's own, as qWaitFor(), wait for five seconds; these wait longer where the build or the host is slow.
#undef QTRY_VERIFY
#undef QTRY_VERIFY2
#undef QTRY_COMPARE
#define QTRY_VERIFY(condition) QTRY_VERIFY_WITH_TIMEOUT(condition, ::tests::waitLimit)
#define QTRY_VERIFY2(condition, message) QTRY_VERIFY2_WITH_TIMEOUT(condition, message, ::tests::waitLimit)
#define QTRY_COMPARE(actual, expected) QTRY_COMPARE_WITH_TIMEOUT(actual, expected, ::tests::waitLimit)

/// All test classes of one program, so that it links once and CTest still runs each class by itself.
namespace tests {

using Factory = std::unique_ptr<QObject> (*)();

void registerSuite(char const* name, Factory factory);

template<typename Suite>
struct Registration {
    explicit Registration(char const* name)
    {
        registerSuite(name, [] { return std::unique_ptr<QObject>(std::make_unique<Suite>()); });
    }
};

}

/// At the end of each test file, before its #include "….moc".
#define REGISTER_SUITE(Suite) static ::tests::Registration<Suite> const registration##Suite(#Suite)

namespace tests {

/// QTRY_VERIFY for a helper that has something to return.
template<typename Condition>
bool becomes(Condition const& condition, int limit = waitLimit)
{
    return QTest::qWaitFor(condition, limit);
}

/// The value of a result that the test cannot do without; where it is an error the program ends with its text.
template<typename Result>
auto must(Result&& result)
{
    if (!result)
        qFatal("%s", result.error().message().c_str());
    if constexpr (!std::is_void_v<typename std::decay_t<Result>::value_type>)
        return std::move(*result);
}

}

/// The value of a vmm::Result in a test; a failure ends the test function with the error's text.
#define REQUIRE_OK(result)                                                                                             \
    do {                                                                                                               \
        auto const& checked_ = (result);                                                                               \
        QVERIFY2(checked_.has_value(), checked_ ? "" : checked_.error().message().c_str());                            \
    } while (false)
