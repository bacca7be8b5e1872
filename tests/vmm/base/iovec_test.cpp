#include "tests/support/suite.h"
#include "vmm/base/iovec.h"

using namespace vmm;

/// Memory in pieces.
class IovecTest final : public QObject {
    Q_OBJECT
private slots:
    void copiesGoOverPiecesFromAnyOffset()
    {
        Bytes memory { 1, 2, 3, 4, 5, 6 };
        std::vector<iovec> const parts { { memory.data(), 2 }, { memory.data() + 2, 0 }, { memory.data() + 2, 4 } };
        Bytes data(3);
        QCOMPARE(copyFromPieces(parts, 1, data), std::size_t(3));
        QCOMPARE(data, (Bytes { 2, 3, 4 }));
        QCOMPARE(copyFromPieces(parts, 5, data), std::size_t(1));
        QCOMPARE(data, (Bytes { 6, 3, 4 }));
        QCOMPARE(copyFromPieces(parts, 6, data), std::size_t(0));
        QCOMPARE(copyToPieces(parts, 1, Bytes { 7, 8 }), std::size_t(2));
        QCOMPARE(memory, (Bytes { 1, 7, 8, 4, 5, 6 }));
    }

    void aSliceHasThePiecesOfIt()
    {
        Bytes memory(8);
        std::vector<iovec> const parts { { memory.data(), 4 }, { memory.data() + 4, 4 } };
        std::vector<iovec> slice;
        slicePieces(parts, 3, 2, slice);
        slicePieces(parts, 0, 0, slice);
        QCOMPARE(slice.size(), std::size_t(2));
        QVERIFY(slice[0].iov_base == memory.data() + 3);
        QCOMPARE(slice[0].iov_len, std::size_t(1));
        QVERIFY(slice[1].iov_base == memory.data() + 4);
        QCOMPARE(slice[1].iov_len, std::size_t(1));
    }
};

REGISTER_SUITE(IovecTest);
#include "iovec_test.moc"
