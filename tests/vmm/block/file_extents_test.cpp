#include "tests/support/suite.h"
#include "vmm/base/bytes.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/file_extents.h"

#include <QTemporaryDir>
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace vmm;

namespace {

constexpr std::uint64_t piece = 64 << 10;

/// A file of so many pieces with data, and a hole of the same size behind each but the last.
void fill(int file, std::uint64_t pieces)
{
    Bytes const data(piece, 7);
    for (std::uint64_t i = 0; i < pieces; ++i) {
        if (::pwrite(file, data.data(), data.size(), static_cast<off_t>(2 * i * piece)) != static_cast<ssize_t>(piece))
            qFatal("nothing can be written");
    }
    if (::fsync(file) != 0)
        qFatal("nothing is durable");
}

/// Whether the extents are those pieces, however each is cut.
bool arePieces(std::vector<FileExtent> const& extents, std::uint64_t pieces)
{
    std::vector<std::pair<std::uint64_t, std::uint64_t>> joined; // from, to
    for (auto const& one : extents) {
        if (!joined.empty() && joined.back().second == one.offset)
            joined.back().second += one.length;
        else
            joined.emplace_back(one.offset, one.offset + one.length);
    }
    for (std::uint64_t i = 0; i < joined.size(); ++i) {
        if (joined[i] != std::pair(2 * i * piece, (2 * i + 1) * piece))
            return false;
    }
    return joined.size() == pieces;
}

}

class FileExtentsTest final : public QObject {
    Q_OBJECT

private slots:
    /// More than one question to the kernel brings.
    void eachPieceOfAFileIsTold()
    {
        constexpr std::uint64_t pieces = 1200;
        QTemporaryDir const folder;
        auto const file = tests::must(openFile(folder.filePath("file").toStdString(), O_RDWR | O_CREAT, 0600));
        QVERIFY(tests::must(fileExtents(file.get())).empty());
        fill(file.get(), pieces);
        auto const extents = tests::must(fileExtents(file.get()));
        QVERIFY(arePieces(extents, pieces));
        QVERIFY(std::ranges::none_of(extents, &FileExtent::isShared));
    }

    /// A file system without a map of its files.
    void memoryHasNoPlaces()
    {
        UniqueFd const file(::memfd_create("extents", MFD_CLOEXEC));
        QVERIFY(tests::must(fileExtents(file.get())).empty());
        fill(file.get(), 3);
        auto const extents = tests::must(fileExtents(file.get()));
        QVERIFY(arePieces(extents, 3));
        QVERIFY(std::ranges::none_of(extents, [](auto const& one) { return one.place.has_value(); }));
    }

    void whatIsNoFileIsAnError()
    {
        std::array<int, 2> ends {};
        QCOMPARE(::pipe2(ends.data(), O_CLOEXEC), 0);
        UniqueFd const reading(ends[0]), writing(ends[1]);
        QVERIFY(!fileExtents(reading.get()));
    }
};

REGISTER_SUITE(FileExtentsTest);
#include "file_extents_test.moc"
