#pragma once

#include "app/store/machine_lock.h"

#include <QLocalServer>
#include <QObject>
#include <QString>

namespace app {

/// Lets one desktop at a time have a library: a second one hands over what it was asked to open, and ends.
class SingleInstance final : public QObject {
    Q_OBJECT
public:
    explicit SingleInstance(QString const& libraryRoot, QObject* parent = nullptr);

    /// True when another instance has taken `path` over (empty: just show the window). Else this one is the one from
    /// now on, and listens; where it cannot, or the other does not answer, that is logged and nothing is handed over.
    bool handOver(QString const& path);
    /// We are about to end: who starts now is on their own.
    void retire() { m_server.close(); }

signals:
    void asked(QString const& path);

private:
    bool send(QString const& path) const;
    void listen();

    QString m_name;
    std::optional<MachineLock> m_lock; ///< who has it is the one; it goes with a process that dies
    QLocalServer m_server;
};

}
