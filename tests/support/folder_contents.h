#pragma once

#include <QByteArray>
#include <QDateTime>
#include <QDirIterator>
#include <QFile>
#include <QProcess>
#include <map>

namespace tests {

/// Each file at any depth: when it was written to, and its bytes.
inline std::map<QString, std::pair<QDateTime, QByteArray>> contentsOf(QString const& folder)
{
    std::map<QString, std::pair<QDateTime, QByteArray>> contents;
    for (QDirIterator found(folder, QDir::Files | QDir::Hidden, QDirIterator::Subdirectories); found.hasNext();) {
        QFile file(found.next());
        if (!file.open(QIODevice::ReadOnly))
            qFatal("%s cannot be read", qPrintable(file.fileName()));
        contents[file.fileName()] = { found.fileInfo().lastModified(), file.readAll() };
    }
    return contents;
}

/// As a person does it. `to` is not there yet.
inline void copyFolder(QString const& from, QString const& to)
{
    QDir().mkpath(QFileInfo(to).path());
    if (QProcess::execute("cp", { "-a", from, to }) != 0)
        qFatal("%s cannot be copied", qPrintable(from));
}

}
