#include "tests/support/suite.h"
#include "vmm/base/relative_path.h"

using vmm::absolutePath;
using vmm::relativePath;

/// How files in a folder name what lies around it.
class RelativePathTest final : public QObject {
    Q_OBJECT

private slots:
    void whatLiesAroundTheFolderIsNamedFromThere_data()
    {
        QTest::addColumn<std::string>("path");
        QTest::addColumn<std::string>("folder");
        QTest::addColumn<std::string>("written");
        auto const row = [](char const* name, std::string path, std::string folder, std::string written) {
            QTest::newRow(name) << std::move(path) << std::move(folder) << std::move(written);
        };
        row("beside", "/vm/disk0.qcow2", "/vm/timeline", "../disk0.qcow2");
        row("deeper", "/home/me/vm/media/cd/a.iso", "/home/me/vm/state", "../media/cd/a.iso");
        row("in the folder", "/vm/state/disk0.img", "/vm/state", "../state/disk0.img");
        row("a folder with slashes", "/vm/disk0.img", "/vm/state//", "../disk0.img");
        row("a double slash", "/vm//disk0.img", "/vm/state", "..//disk0.img");
        row("a holder with a double slash", "/a//vm/disk0.img", "/a//vm/state", "../disk0.img");
        row("dots that stay inside", "/vm/a/./../disk0.img", "/vm/state", "../a/./../disk0.img");
        row("a name of dots", "/vm/..disk/...", "/vm/state", "../..disk/...");
        row("a relative folder", "vm/disk0.img", "vm/state", "../disk0.img");
        row("elsewhere", "/media/a.iso", "/vm/state", "/media/a.iso");
        row("a name that begins alike", "/vm2/disk0.img", "/vm/state", "/vm2/disk0.img");
        row("out of it", "/vm/../disk0.img", "/vm/state", "/vm/../disk0.img");
        row("out of it and in again", "/vm/a/../../vm/disk0.img", "/vm/state", "/vm/a/../../vm/disk0.img");
        row("out of it behind a double slash", "/vm//../disk0.img", "/vm/state", "/vm//../disk0.img");
        row("the holder itself", "/vm", "/vm/state", "/vm");
        row("the holder with a slash", "/vm/", "/vm/state", "/vm/");
        row("the folder itself", "/vm/state", "/vm/state", "../state");
        row("held by the root", "/disk0.img", "/state", "/disk0.img");
        row("in the root", "/disk0.img", "/", "/disk0.img");
        row("no folder", "/vm/disk0.img", "", "/vm/disk0.img");
        row("a folder that does not say", "/vm/disk0.img", "/vm/x/..", "/vm/disk0.img");
        row("nothing", "", "/vm/state", "");
    }

    void whatLiesAroundTheFolderIsNamedFromThere()
    {
        QFETCH(std::string, path);
        QFETCH(std::string, folder);
        QFETCH(std::string, written);
        QCOMPARE(relativePath(path, folder), written);
        QCOMPARE(absolutePath(written, folder), path);
    }

    /// Written from one folder and read from another.
    void itFollowsItsFolder()
    {
        auto const written = relativePath("/home/me/machines/1/media/a.iso", "/home/me/machines/1/timeline");
        QCOMPARE(absolutePath(written, "/mnt/usb/2/timeline"), "/mnt/usb/2/media/a.iso");
    }

    /// What nobody of us writes leads where a person would expect it.
    void anythingIsRead_data()
    {
        QTest::addColumn<std::string>("written");
        QTest::addColumn<std::string>("folder");
        QTest::addColumn<std::string>("path");
        auto const row = [](char const* name, std::string written, std::string folder, std::string path) {
            QTest::newRow(name) << std::move(written) << std::move(folder) << std::move(path);
        };
        row("in the folder", "disk0.img", "/vm/state", "/vm/state/disk0.img");
        row("further up", "../../disk0.img", "/a/vm/state", "/a/disk0.img");
        row("beyond the root", "../../../disk0.img", "/vm/state", "/vm/../../disk0.img");
        row("up and nothing else", "..", "/vm/state", "/vm/state/..");
        row("up with a slash", "../", "/vm/state", "/vm/");
        row("up later", "a/../../disk0.img", "/vm/state", "/vm/state/a/../../disk0.img");
        row("in the root", "disk0.img", "/", "/disk0.img");
        row("from a folder that does not say", "../disk0.img", "..", "../../disk0.img");
        row("from the present folder", "../disk0.img", ".", "./../disk0.img");
        row("from no folder", "../disk0.img", "", "../disk0.img");
    }

    void anythingIsRead()
    {
        QFETCH(std::string, written);
        QFETCH(std::string, folder);
        QFETCH(std::string, path);
        QCOMPARE(absolutePath(written, folder), path);
    }

    /// The longest path that a record takes does not become too long by being written.
    void aLongPathComesBack()
    {
        auto const path = "/v/" + std::string(4093, 'x');
        auto const written = relativePath(path, "/v/state");
        QVERIFY(written.size() <= path.size());
        QCOMPARE(absolutePath(written, "/v/state"), path);
        auto const moved = absolutePath(written, "/a/longer/place/state");
        QVERIFY(moved.size() > 4096);
        QCOMPARE(relativePath(moved, "/a/longer/place/state"), written);
    }
};

REGISTER_SUITE(RelativePathTest);
#include "relative_path_test.moc"
