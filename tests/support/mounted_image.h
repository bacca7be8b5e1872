#pragma once

#include "tests/images/qemu_tools.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

namespace tests {

/// A file system in a file, for as long as this is there.
struct MountedImage {
    QTemporaryDir folder;
    QString whyNot; ///< empty: it is there

    explicit MountedImage(QString const& kind)
    {
        QDir().mkpath(path());
        QFile file(folder.filePath("fs"));
        if (!file.open(QIODevice::WriteOnly) || !file.resize(512 << 20))
            qFatal("there is no room for a file system");
        file.close();
        auto const made = runTool("mkfs." + kind, { file.fileName() });
        auto const mounted = runTool("mount", { "-o", "loop", file.fileName(), path() });
        if (made.status == 0 && mounted.status == 0)
            return;
        whyNot = "CHRONOVISOR-SKIP: " + kind + " cannot be made and mounted here (as root, with "
            + "btrfs-progs and xfsprogs): " + made.output.section('\n', 0, 0) + mounted.output;
    }
    ~MountedImage()
    {
        if (whyNot.isEmpty() && runTool("umount", { path() }).status != 0)
            qFatal("it is still in use");
    }
    QString path() const { return folder.filePath("mnt"); }
};

}
