#pragma once

#include <QLocalServer>
#include <QObject>
#include <QString>

namespace app {

/// Lets one desktop at a time have a library: a second one hands over what it was asked to open, and ends.
class SingleInstance final : public QObject {
    Q_OBJECT
public:
    explicit SingleInstance(QString const& libraryRoot, QObject* parent = nullptr);

    /// True when another instance has taken `path` over (empty: just show the window). Else this one listens from now
    /// on.
    bool handOver(QString const& path);
    /// We are about to end: who starts now is on their own.
    void retire() { m_server.close(); }

signals:
    void asked(QString const& path);

private:
    QString m_name;
    QLocalServer m_server;
};

}
