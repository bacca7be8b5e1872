#include "tests/support/suite.h"
#include "vmm/kvm/vcpu_state.h"

using namespace vmm;

class RefusedMsrsTest final : public QObject {
    Q_OBJECT

private slots:
    void whatNobodyMissesMayBeRefused()
    {
        REQUIRE_OK(checkRefusedMsrs({}, {}));
        REQUIRE_OK(checkRefusedMsrs({ { 0x345, 0 }, { 0x179, 0x10a } }, { { 0x179, 0x10a }, { 0x345, 0x33 } }));
    }

    void whatTheGuestHasSetIsNamed()
    {
        auto const outcome
            = checkRefusedMsrs({ { 0x345, 0 }, { 0xc0000103, 5 }, { 0x1a0, 0x850089 } }, { { 0x1a0, 0x850088 } });
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, ErrorCode::Unsupported);
        auto const text = QString::fromStdString(outcome.error().message());
        QVERIFY2(text.contains("0x5 in MSR 0xc0000103, 0x850089 in MSR 0x1a0"), qPrintable(text));
        QVERIFY2(!text.contains("0x345"), qPrintable(text));
    }
};

REGISTER_SUITE(RefusedMsrsTest);
#include "refused_msrs_test.moc"
