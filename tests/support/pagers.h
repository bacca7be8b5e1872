#pragma once

#include <QDir>
#include <QFile>

namespace tests {

/// The programs that serve memory for this process (chronovisor-pager), by their ids.
inline QList<int> pagers()
{
    QList<int> found;
    QDir const tasks("/proc/self/task");
    for (auto const& task : tasks.entryList(QDir::Dirs | QDir::NoDotAndDotDot)) {
        QFile children(tasks.filePath(task + "/children"));
        if (!children.open(QIODevice::ReadOnly))
            continue;
        for (auto const& child : children.readAll().simplified().split(' ')) {
            QFile name("/proc/" + child + "/comm");
            if (name.open(QIODevice::ReadOnly) && name.readAll().startsWith("chronovisor-pag"))
                found << child.toInt();
        }
    }
    return found;
}

}
