#include "tests/images/qemu_tools.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"
#include "vmm/block/image_check.h"

#include <fstream>

using namespace vmm;
using tests::QemuTools;

/// What we say of a qcow2 file's counts, beside what qemu-img does.
class ImageCheckTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        SKIP_WITHOUT_QEMU_TOOLS();
        QVERIFY(m_tools.isValid());
    }

    /// Of each cluster of an image with two snapshots, one after the other.
    void itComplainsWhereQemuDoes()
    {
        auto const path = makeImage();
        REQUIRE_OK(judge(path));
        QCOMPARE(QemuTools::check(path), QString());
        auto const whole = read(path);
        constexpr std::size_t refcountsField = 48;
        auto const block = number(whole, number(whole, refcountsField));
        unsigned lowered = 0;
        for (std::size_t cluster = 0; cluster < whole.size() / clusterSize; ++cluster) {
            auto const at = block + 2 * cluster + 1;
            if (whole[at] == 0)
                continue;
            auto changed = whole;
            --changed[at];
            QemuTools::writeFile(path, changed);
            auto const judged = judge(path);
            QVERIFY2(!judged && judged.error().code == ErrorCode::Corrupt, qPrintable(QString::number(cluster)));
            QVERIFY(!QemuTools::check(path, QemuTools::Leaks::Allowed).isEmpty());
            ++lowered;
            changed[at] = std::uint8_t(whole[at] + 1);
            QemuTools::writeFile(path, changed);
            REQUIRE_OK(judge(path));
        }
        QVERIFY(lowered > 10);
    }

    /// What a file says of itself is nothing to be trusted.
    void anyByteMayBeWrong()
    {
        auto const path = makeImage();
        auto const whole = read(path);
        unsigned told = 0;
        for (std::size_t at = 0; at < whole.size(); at += 61) {
            auto changed = whole;
            changed[at] ^= std::uint8_t(1u << at % 8);
            QemuTools::writeFile(path, changed);
            auto const judged = judge(path);
            told += !judged;
        }
        QVERIFY(told > 0);
    }

private:
    static constexpr std::uint64_t clusterSize = 512;

    static Result<> judge(QString const& path)
    {
        auto const judged = checkCounts(path.toStdString(), [] { return Result<>(); });
        return judged ? Result<>() : fail(judged.error());
    }
    static std::uint64_t number(Bytes const& bytes, std::uint64_t at)
    {
        return loadBig<std::uint64_t>(ConstByteSpan(bytes).subspan(at, 8));
    }
    static Bytes read(QString const& path)
    {
        std::ifstream file(path.toStdString(), std::ios::binary);
        return { std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>() };
    }
    QString makeImage()
    {
        auto const path = m_tools.fresh();
        tests::must(createImage(path.toStdString(), { .size = 64 << 10, .clusterBits = 9 }));
        InlineEngine engine;
        auto const image = tests::must(BlockImage::open(engine, path.toStdString(), {}));
        for (std::uint8_t i = 1; i <= 3; ++i) {
            tests::must(image->writeSync(i * 1024u, Bytes(2048, i)));
            if (i < 3)
                tests::must(image->takeSnapshot({ .id = "moment" + std::to_string(i) }));
        }
        tests::must(image->flushSync());
        return path;
    }

    QemuTools m_tools;
};

REGISTER_SUITE(ImageCheckTest);
#include "image_check_test.moc"
