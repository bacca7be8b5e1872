#include "tests/support/suite.h"
#include "vmm/config/vm_config.h"

using namespace vmm;

class VmConfigTest : public QObject {
    Q_OBJECT

private slots:
    void textComesBack()
    {
        auto config = smallest();
        config.name = "Größe \x01 \"quoted\"";
        config.disks = { { "disk0", "/images/\xe2\x82\xac.img" } };
        REQUIRE_OK(checkConfig(config));
        auto const again = configFromText(configToText(config));
        REQUIRE_OK(again);
        QVERIFY(*again == config);
    }

    void whatJsonCannotHoldIsRefused()
    {
        auto config = smallest();
        config.name = std::string(100, '\xff'); // would be 300 bytes in the file, where 256 are possible
        QCOMPARE(checkConfig(config).error().code, ErrorCode::InvalidArgument);
        config.name = "web";
        config.disks = { { "disk0", "/images/\xe4.img" } }; // would be another file's path
        QCOMPARE(checkConfig(config).error().code, ErrorCode::InvalidArgument);
    }

private:
    static VmConfig smallest()
    {
        VmConfig config;
        config.uuid = "01234567-89ab-4cde-8f01-23456789abcd";
        config.name = "web";
        return config;
    }
};

REGISTER_SUITE(VmConfigTest);
#include "vm_config_test.moc"
